//! `Span` of OTLP, in the JSON of protobuf: numbers in hexadecimal digits are those of traces and spans, and
//! other numbers of 64 bits are strings.
//!
//! Names are those of the semantic conventions for MCP (OpenTelemetry, "gen-ai/mcp"), and for what these do
//! not name, our own.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::{Duration, UNIX_EPOCH};

use portcullis_guard::random::{self, RandomUnavailable};
use portcullis_guard::{OperationId, TraceParent, json};
use serde_json::Value;

use crate::audit::{AuditRecord, Verdict};

/// `SPAN_KIND_SERVER`.
const SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// The usual length of a span, in bytes. Beyond 1,032 an allocator looks for room, below it has some at hand.
const USUAL_BYTES: usize = 896;

/// The span of what `record` is about, in one line; `None` if its trace is not sampled.
pub(super) fn json(record: &AuditRecord<'_>, one_in: u32) -> Option<Vec<u8>> {
    if is_of_nobody(record) {
        return None;
    }
    let (trace_id, parent_id) = match record.trace_parent {
        Some(parent) => sampled(parent)?,
        // Without random bytes there is no number to begin with.
        None => (root(record.id, one_in).ok().flatten()?, None),
    };
    let start = record.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let end = start.saturating_add(record.duration);
    let error = error(record);
    let mut span = Span(Vec::with_capacity(USUAL_BYTES));
    span.raw("{\"traceId\":\"").bytes(&trace_id).raw("\",\"spanId\":\"").bytes(&record.id.digits());
    if let Some(parent_id) = parent_id {
        span.raw("\",\"parentSpanId\":\"").raw(&parent_id);
    }
    span.raw("\",\"name\":").text(&name(record));
    span.raw(",\"kind\":").number(SERVER);
    span.raw(",\"startTimeUnixNano\":\"").number(nanos(start));
    span.raw("\",\"endTimeUnixNano\":\"").number(nanos(end));
    span.raw("\",\"attributes\":[");
    attributes(&mut span, record, error);
    span.raw("],\"status\":{");
    if error.is_some() {
        span.raw("\"code\":").number(ERROR);
    }
    span.raw("}}");
    Some(span.0)
}

/// What 64 bits hold: until the year 2554.
fn nanos(since: Duration) -> u64 {
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The trace and the span of a caller who says that it is sampled.
fn sampled(parent: TraceParent) -> Option<(Vec<u8>, Option<String>)> {
    let trace_id = || parent.trace_id().to_string().into_bytes();
    let numbers = || (trace_id(), Some(format!("{:016x}", parent.parent_id())));
    parent.is_sampled().then(numbers)
}

/// The number of a trace that begins here, for one in so many: random bytes are a call of the system, which
/// the others do without.
fn root(id: OperationId, one_in: u32) -> Result<Option<Vec<u8>>, RandomUnavailable> {
    let number = || {
        let bytes = random::bytes::<16>()?;
        let halves = bytes.as_chunks::<8>().0.iter().map(|half| u64::from_be_bytes(*half));
        Ok(halves.flat_map(|half| OperationId::from(half).digits()).collect())
    };
    id.is_one_in(one_in).then(number).transpose()
}

/// Whether nobody was proven to be who is refused: everybody could fill a collector so.
fn is_of_nobody(record: &AuditRecord<'_>) -> bool {
    match record.operation {
        "request" | "connection" => true,
        "route" => record.subject.is_none() && record.verdict != Verdict::Allowed,
        _ => false,
    }
}

/// The method and what it is about, where that is a name; of a route, its method and path.
fn name<'r>(record: &AuditRecord<'r>) -> Cow<'r, str> {
    match (record.kind, record.component) {
        (Some("tool" | "prompt"), Some(name)) => format!("{} {name}", record.operation).into(),
        (Some("route"), Some(route)) => route.into(),
        _ => record.operation.into(),
    }
}

/// The class of the error with which it ended. A mistake of its caller is no error of the server.
fn error(record: &AuditRecord<'_>) -> Option<&'static str> {
    let has_failed = record.verdict == Verdict::Failed
        || matches!(record.outcome, "tool_error" | "internal_error" | "panic" | "timeout");
    has_failed.then_some(record.outcome)
}

fn attributes(span: &mut Span, record: &AuditRecord<'_>, error: Option<&str>) {
    let is_method = record.operation.contains('/') || record.operation == "initialize";
    let pseudonym = record.pseudonym().map(|pseudonym| pseudonym.to_string());
    let reference = record.reference.map(|reference| reference.to_string());
    let (transport, application) = match record.transport {
        "http" => ("tcp", Some("http")),
        "stdio" => ("pipe", None),
        other => (other, None),
    };
    let operation = if is_method { "mcp.method.name" } else { "portcullis.operation" };
    let [method, component] = about(record);
    let texts = [
        (operation, Some(record.operation)),
        ("mcp.protocol.version", record.protocol),
        ("gen_ai.operation.name", (record.operation == "tools/call").then_some("execute_tool")),
        method,
        component,
        ("network.transport", Some(transport)),
        ("network.protocol.name", application),
        ("error.type", error),
        ("enduser.pseudo.id", pseudonym.as_deref()),
        ("portcullis.kind", record.kind),
        ("portcullis.verdict", Some(record.verdict.as_str())),
        ("portcullis.outcome", Some(record.outcome)),
        ("portcullis.reference", reference.as_deref()),
    ];
    let mut comma = "";
    for (name, value) in texts {
        if let Some(value) = value {
            span.raw(comma).attribute(name).raw("{\"stringValue\":").text(value).raw("}}");
            comma = ",";
        }
    }
    if let Some(status) = record.status {
        let span = span.raw(comma).attribute("http.response.status_code");
        span.raw("{\"intValue\":\"").number(status).raw("\"}}");
    }
}

/// What a record is about, by the name that each kind has. A route is a method and a path.
fn about<'r>(record: &AuditRecord<'r>) -> [(&'static str, Option<&'r str>); 2] {
    let none = ("http.request.method", None);
    match (record.kind, record.component) {
        (Some("tool"), name) => [none, ("gen_ai.tool.name", name)],
        (Some("prompt"), name) => [none, ("gen_ai.prompt.name", name)],
        (Some("resource"), uri) => [none, ("mcp.resource.uri", uri)],
        (Some("route"), Some(route)) => match route.split_once(' ') {
            Some((method, path)) => {
                [("http.request.method", Some(method)), ("http.route", Some(path))]
            }
            None => [none, ("http.route", Some(route))],
        },
        (_, component) => [none, ("portcullis.component", component)],
    }
}

/// A span as JSON, written byte for byte: each request may have one.
struct Span(Vec<u8>);

impl Span {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// What is JSON already.
    fn raw(&mut self, json: &str) -> &mut Self {
        self.bytes(json.as_bytes())
    }

    /// A string, with its quotation marks.
    fn text(&mut self, text: &str) -> &mut Self {
        match json::is_plain(text) {
            true => self.raw("\"").raw(text).raw("\""),
            false => self.raw(&Value::from(text).to_string()),
        }
    }

    fn number(&mut self, number: impl Display) -> &mut Self {
        self.raw(&number.to_string())
    }

    /// The beginning of an attribute, whose value and two braces come next.
    fn attribute(&mut self, name: &str) -> &mut Self {
        self.raw("{\"key\":\"").raw(name).raw("\",\"value\":")
    }
}
