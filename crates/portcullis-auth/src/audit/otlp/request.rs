//! `ExportLogsServiceRequest`, in the JSON of protobuf: names in camelCase, and numbers of 64 bits as
//! strings.

use std::io;

use serde_json::{Map, Value, json};

/// The instrumentation scope of the records.
const SCOPE: &str = "portcullis.audit";

/// The body of a request with `lines`, each the time in nanoseconds and a record.
pub(super) fn body(service: &str, lines: &[&[u8]]) -> io::Result<Vec<u8>> {
    let records = lines.iter().map(|line| log_record(line)).collect::<io::Result<Vec<_>>>()?;
    let scope = json!({ "name": SCOPE, "version": env!("CARGO_PKG_VERSION") });
    let resource = json!({ "attributes": [attribute("service.name", &text(service))] });
    let logs = json!({
        "resourceLogs": [{
            "resource": resource,
            "scopeLogs": [{ "scope": scope, "logRecords": records }],
        }],
    });
    Ok(serde_json::to_vec(&logs)?)
}

fn log_record(line: &[u8]) -> io::Result<Value> {
    let line = str::from_utf8(line).map_err(io::Error::other)?;
    let (time, record) = line.split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
    let record: Map<String, Value> = serde_json::from_str(record)?;
    let member = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let (operation, verdict) = (member("operation"), member("verdict"));
    let (number, severity) = severity(verdict);
    let attributes =
        record.iter().map(|(name, value)| attribute(&format!("audit.{name}"), &any(value)));
    Ok(json!({
        "traceId": member("trace_id"),
        "timeUnixNano": time,
        "severityNumber": number,
        "severityText": severity,
        "body": text(&format!("{operation}: {verdict}")),
        "attributes": attributes.collect::<Vec<_>>(),
    }))
}

/// The numbers of the Logs Data Model: `INFO2` is a notice of syslog.
fn severity(verdict: &str) -> (u8, &'static str) {
    match verdict {
        "allowed" => (9, "INFO"),
        "failed" => (13, "WARN"),
        _ => (10, "INFO2"),
    }
}

fn attribute(key: &str, value: &Value) -> Value {
    json!({ "key": key, "value": value })
}

fn text(text: &str) -> Value {
    json!({ "stringValue": text })
}

/// An `AnyValue`.
fn any(value: &Value) -> Value {
    match value {
        Value::String(own) => text(own),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Object(members) => {
            let values = members.iter().map(|(name, value)| attribute(name, &any(value)));
            json!({ "kvlistValue": { "values": values.collect::<Vec<_>>() } })
        }
        // A record has no other.
        Value::Null | Value::Bool(_) | Value::Array(_) => text(&value.to_string()),
    }
}
