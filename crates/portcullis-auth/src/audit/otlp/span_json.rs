//! `Span` of OTLP, in the JSON of protobuf: numbers in hexadecimal digits are those of traces and spans, and
//! other numbers of 64 bits are strings.
//!
//! Names are those of the semantic conventions for MCP (OpenTelemetry, "gen-ai/mcp"), and for what these do
//! not name, our own.

use std::io;

use super::span::{END, NUMBERS, TEXTS};

/// How many digits a number has.
const DIGITS: usize = 16;

/// Appends the span that was written down as `line`.
///
/// # Errors
///
/// [`InvalidData`](io::ErrorKind::InvalidData) when it is no such line.
pub(super) fn append(json: &mut Vec<u8>, line: &[u8]) -> io::Result<()> {
    let fields = Fields::read(line).ok_or(io::ErrorKind::InvalidData)?;
    fields.append(&mut Json(json));
    Ok(())
}

/// What a span is made of. Texts are JSON already, without quotation marks; what there is not is empty, and
/// so is a number that is zero.
struct Fields<'l> {
    trace_id: &'l str,
    id: &'l str,
    parent_id: &'l str,
    start: u64,
    end: u64,
    status: u64,
    pseudonym: &'l str,
    transport: &'l str,
    operation: &'l str,
    protocol: &'l str,
    kind: &'l str,
    component: &'l str,
    verdict: &'l str,
    outcome: &'l str,
    reference: &'l str,
}

impl<'l> Fields<'l> {
    fn read(line: &'l [u8]) -> Option<Self> {
        let line = str::from_utf8(line).ok()?;
        let (trace_id, rest) = line.split_at_checked(2 * DIGITS)?;
        let mut rest = rest;
        let mut numbers = [""; NUMBERS - 2];
        for number in &mut numbers {
            (*number, rest) = rest.split_at_checked(DIGITS)?;
        }
        let mut texts = [""; TEXTS];
        for text in &mut texts {
            (*text, rest) = rest.split_once(char::from(END))?;
        }
        let [id, parent_id, start, end, status, pseudonym] = numbers;
        let [transport, operation, protocol, kind, component, verdict, outcome, reference] = texts;
        let number = |digits| u64::from_str_radix(digits, 16).ok();
        let unless_zero =
            |digits| number(digits).map(|number| if number == 0 { "" } else { digits });
        Some(Self {
            trace_id,
            id,
            parent_id: unless_zero(parent_id)?,
            start: number(start)?,
            end: number(end)?,
            status: number(status)?,
            pseudonym: unless_zero(pseudonym)?,
            transport,
            operation,
            protocol,
            kind,
            component,
            verdict,
            outcome,
            reference,
        })
    }

    fn append(&self, json: &mut Json<'_>) {
        json.raw(&["{\"traceId\":\"", self.trace_id, "\",\"spanId\":\"", self.id]);
        if !self.parent_id.is_empty() {
            json.raw(&["\",\"parentSpanId\":\"", self.parent_id]);
        }
        let space = if self.component.is_empty() { "" } else { " " };
        // The method and what it is about, where that is a name; of a route, its method and path.
        json.raw(&["\",\"name\":\""]);
        match self.kind {
            "tool" | "prompt" => json.raw(&[self.operation, space, self.component]),
            "route" if !self.component.is_empty() => json.raw(&[self.component]),
            _ => json.raw(&[self.operation]),
        }
        let (start, end) = (self.start.to_string(), self.end.to_string());
        // `SPAN_KIND_SERVER`.
        json.raw(&["\",\"kind\":2,\"startTimeUnixNano\":\"", &start]);
        json.raw(&["\",\"endTimeUnixNano\":\"", &end, "\",\"attributes\":["]);
        let error = self.error();
        self.append_attributes(json, error);
        // `STATUS_CODE_ERROR`.
        let status = if error.is_some() { "\"code\":2" } else { "" };
        json.raw(&["],\"status\":{", status, "}}"]);
    }

    fn append_attributes(&self, json: &mut Json<'_>, error: Option<&str>) {
        let is_method = self.operation.contains('/') || self.operation == "initialize";
        let (transport, application) = match self.transport {
            "http" => ("tcp", "http"),
            "stdio" => ("pipe", ""),
            other => (other, ""),
        };
        let method = if is_method { "mcp.method.name" } else { "portcullis.operation" };
        let call = if self.operation == "tools/call" { "execute_tool" } else { "" };
        json.raw(&[
            "{\"key\":\"",
            method,
            "\",\"value\":{\"stringValue\":\"",
            self.operation,
            "\"}}",
        ]);
        json.attribute("mcp.protocol.version", self.protocol);
        json.attribute("gen_ai.operation.name", call);
        self.append_component(json);
        json.attribute("network.transport", transport);
        json.attribute("network.protocol.name", application);
        json.attribute("error.type", error.unwrap_or_default());
        json.attribute("enduser.pseudo.id", self.pseudonym);
        json.attribute("portcullis.kind", self.kind);
        json.attribute("portcullis.verdict", self.verdict);
        json.attribute("portcullis.outcome", self.outcome);
        json.attribute("portcullis.reference", self.reference);
        if self.status != 0 {
            let status = self.status.to_string();
            let before = ",{\"key\":\"http.response.status_code\",\"value\":{\"intValue\":\"";
            json.raw(&[before, &status, "\"}}"]);
        }
    }

    /// What it is about, by the name that each kind has. A route is a method and a path.
    fn append_component(&self, json: &mut Json<'_>) {
        match self.kind {
            "tool" => json.attribute("gen_ai.tool.name", self.component),
            "prompt" => json.attribute("gen_ai.prompt.name", self.component),
            "resource" => json.attribute("mcp.resource.uri", self.component),
            "route" => match self.component.split_once(' ') {
                Some((method, path)) => {
                    json.attribute("http.request.method", method);
                    json.attribute("http.route", path);
                }
                None => json.attribute("http.route", self.component),
            },
            _ => json.attribute("portcullis.component", self.component),
        }
    }

    /// The class of the error with which it ended. A mistake of its caller is no error of the server.
    fn error(&self) -> Option<&'l str> {
        match (self.verdict, self.outcome) {
            ("failed", outcome) => Some(outcome),
            (_, outcome @ ("tool_error" | "internal_error" | "panic" | "timeout")) => Some(outcome),
            _ => None,
        }
    }
}

struct Json<'j>(&'j mut Vec<u8>);

impl Json<'_> {
    /// What is JSON already.
    fn raw(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.0.extend_from_slice(part.as_bytes()));
    }

    /// An attribute that is not the first one, if there is a text for it.
    fn attribute(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.raw(&[",{\"key\":\"", name, "\",\"value\":{\"stringValue\":\"", text, "\"}}"]);
        }
    }
}
