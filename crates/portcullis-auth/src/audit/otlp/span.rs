//! `Span` of OTLP, in the JSON of protobuf: numbers in hexadecimal digits are those of traces and spans, and
//! other numbers of 64 bits are strings.

use std::time::UNIX_EPOCH;

use portcullis_guard::random::{self, RandomUnavailable};
use portcullis_guard::{Pseudonym, TraceParent};
use serde_json::{Value, json};

use super::request::{attribute, text};
use crate::audit::{AuditRecord, Verdict};

/// `SPAN_KIND_SERVER`.
const SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// The span of what `record` is about, in one line; `None` if its trace is not sampled.
pub(super) fn json(record: &AuditRecord<'_>, one_in: u32) -> Option<String> {
    // Whoever is refused there has proven nothing, and could fill a collector.
    if matches!(record.operation, "request" | "connection") {
        return None;
    }
    let (trace_id, parent_id) = match record.trace_parent {
        Some(parent) => sampled(parent)?,
        // Without random bytes there is no number to begin with.
        None => (root(one_in).ok().flatten()?, None),
    };
    let span_id = record.id.to_string();
    let start = record.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let end = start.saturating_add(record.duration);
    let name = match record.component {
        Some(component) => format!("{} {component}", record.operation),
        None => record.operation.to_owned(),
    };
    let has_failed = record.verdict == Verdict::Failed
        || matches!(record.outcome, "internal_error" | "panic" | "timeout");
    let mut span = json!({
        "traceId": trace_id,
        "spanId": span_id,
        "name": name,
        "kind": SERVER,
        "startTimeUnixNano": start.as_nanos().to_string(),
        "endTimeUnixNano": end.as_nanos().to_string(),
        "attributes": attributes(record, has_failed),
        "status": if has_failed { json!({ "code": ERROR }) } else { json!({}) },
    });
    if let (Some(parent_id), Some(members)) = (parent_id, span.as_object_mut()) {
        members.insert("parentSpanId".to_owned(), Value::String(parent_id));
    }
    Some(span.to_string())
}

/// The trace and the span of a caller who says that it is sampled.
fn sampled(parent: TraceParent) -> Option<(String, Option<String>)> {
    let numbers = || (parent.trace_id().to_string(), Some(format!("{:016x}", parent.parent_id())));
    parent.is_sampled().then(numbers)
}

/// The number of a trace that begins here, for one in so many.
fn root(one_in: u32) -> Result<Option<String>, RandomUnavailable> {
    let number = u128::from_be_bytes(random::bytes()?);
    let is_sampled = number.checked_rem(one_in.into()).is_some_and(|rest| rest == 0);
    Ok(is_sampled.then(|| format!("{number:032x}")))
}

/// Names of the semantic conventions, and for what these do not name, our own.
fn attributes(record: &AuditRecord<'_>, has_failed: bool) -> Vec<Value> {
    let is_method = record.operation.contains('/') || record.operation == "initialize";
    let issuer = record.issuer.map(|issuer| issuer.as_str()).unwrap_or_default();
    let pseudonym = record.subject.map(|subject| Pseudonym::of([issuer, subject.as_str()]));
    let texts = [
        ("mcp.method.name", is_method.then_some(record.operation)),
        ("mcp.protocol.version", record.protocol),
        ("error.type", has_failed.then_some(record.outcome)),
        ("portcullis.operation", Some(record.operation)),
        ("portcullis.transport", Some(record.transport)),
        ("portcullis.component", record.component),
        ("portcullis.kind", record.kind),
        ("portcullis.verdict", Some(record.verdict.as_str())),
        ("portcullis.outcome", Some(record.outcome)),
    ];
    let texts = texts.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned())));
    let numbers = [
        ("enduser.pseudo.id", pseudonym.map(|pseudonym| pseudonym.to_string())),
        ("portcullis.reference", record.reference.map(|reference| reference.to_string())),
    ];
    let numbers = numbers.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let status = record.status.map(|status| {
        attribute("http.response.status_code", &json!({ "intValue": status.to_string() }))
    });
    texts.chain(numbers).map(|(name, value)| attribute(name, &text(&value))).chain(status).collect()
}
