//! `ExportLogsServiceRequest` and `ExportTraceServiceRequest`, in the JSON of protobuf: names in camelCase,
//! and numbers of 64 bits as strings.

use std::io;
use std::time::Duration;

use portcullis_guard::metrics::{self, Metric};
use serde_json::{Map, Value, json};

use super::span_json;

/// What is sent to a collector: logs or spans.
pub(super) struct Signal {
    /// The end of the address.
    pub(super) path: &'static str,
    pub(super) body: Body,
    /// What the log calls them.
    pub(super) name: &'static str,
    /// Counts those that are lost.
    pub(super) lost: &'static Metric,
    /// How long they gather before they are sent together.
    pub(super) gather: Duration,
}

/// Makes the body of a request of a service, of such lines.
type Body = fn(&str, &[&[u8]]) -> io::Result<Vec<u8>>;

/// Audit records: each line is the time in nanoseconds and a record.
pub(super) static LOGS: Signal = Signal {
    path: "/v1/logs",
    body: logs,
    name: "audit records",
    lost: &metrics::AUDIT_FAILURES,
    gather: Duration::from_millis(5),
};

/// Spans: each line is one, as [`Span`](super::span::Span) writes it down.
///
/// A request costs as much as a hundred of them. Those that are lost with a process are missed by nobody
/// who has its audit records.
pub(super) static SPANS: Signal = Signal {
    path: "/v1/traces",
    body: spans,
    name: "spans",
    lost: &metrics::SPANS_LOST,
    gather: Duration::from_secs(1),
};

fn logs(service: &str, lines: &[&[u8]]) -> io::Result<Vec<u8>> {
    let records = lines.iter().map(|line| log_record(line)).collect::<io::Result<Vec<_>>>()?;
    let logs = json!({
        "resourceLogs": [{
            "resource": resource(service),
            "scopeLogs": [{ "scope": scope("portcullis.audit"), "logRecords": records }],
        }],
    });
    Ok(serde_json::to_vec(&logs)?)
}

/// The usual length of a span, in bytes.
const USUAL_BYTES: usize = 896;

fn spans(service: &str, lines: &[&[u8]]) -> io::Result<Vec<u8>> {
    let around = json!({
        "resourceSpans": [{
            "resource": resource(service),
            "scopeSpans": [{ "scope": scope("portcullis"), "spans": [] }],
        }],
    });
    let around = around.to_string();
    // The last list is that of the spans.
    let (before, after) = around.rsplit_once("[]").ok_or(io::ErrorKind::InvalidData)?;
    let mut body = Vec::with_capacity(around.len() + lines.len() * USUAL_BYTES);
    body.extend_from_slice(before.as_bytes());
    body.push(b'[');
    for (nth, line) in lines.iter().enumerate() {
        if nth > 0 {
            body.push(b',');
        }
        span_json::append(&mut body, line)?;
    }
    body.push(b']');
    body.extend_from_slice(after.as_bytes());
    Ok(body)
}

/// The instrumentation scope.
fn scope(name: &str) -> Value {
    json!({ "name": name, "version": env!("CARGO_PKG_VERSION") })
}

fn resource(service: &str) -> Value {
    json!({ "attributes": [attribute("service.name", &text(service))] })
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
