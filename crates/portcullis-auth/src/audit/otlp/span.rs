//! What becomes a span, and how it waits until it is sent: as a line of fields.
//!
//! Code that runs for few requests is gone from the caches each time. So the threads that answer requests
//! only write down what a span takes, and the thread that sends makes [JSON](super::span_json) of many lines
//! at once.

use std::borrow::Cow;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use portcullis_guard::{Pseudonym, TraceId, TraceParent, json, redaction, text};

use crate::audit::{AuditRecord, Verdict};

/// How many numbers a line begins with, and how many texts come after them.
pub(super) const NUMBERS: usize = 8;
pub(super) const TEXTS: usize = 8;
/// What each text ends with. A text of JSON has none.
pub(super) const END: u8 = b'\t';

/// The span of what a record is about, in a trace that is sampled.
pub(super) struct Span<'r> {
    record: &'r AuditRecord<'r>,
    trace_id: TraceId,
    parent_id: Option<u64>,
    pseudonym: Option<Pseudonym>,
    component: Cow<'r, str>,
    reference: Option<String>,
}

impl<'r> Span<'r> {
    /// `None` if the trace is not sampled: one that begins here is, if it is one in so many.
    pub(super) fn of(record: &'r AuditRecord<'r>, one_in: u32) -> Option<Self> {
        if is_of_nobody(record) {
            return None;
        }
        let (trace_id, parent_id) = match record.trace_parent {
            Some(parent) => sampled(parent)?,
            // Without random bytes there is no number to begin with.
            None => {
                (record.id.is_one_in(one_in).then(|| TraceId::begun_by(record.id))?.ok()?, None)
            }
        };
        // Here, since a secret may be forgotten until the span is sent.
        let component = redaction::redact(record.component.unwrap_or_default());
        let reference = record.reference.map(|reference| reference.to_string());
        let pseudonym = record.pseudonym();
        Some(Self { record, trace_id, parent_id, pseudonym, component, reference })
    }

    /// Appends its numbers, each as sixteen hexadecimal digits, and its texts. What it has not is zero, or
    /// empty.
    ///
    /// # Errors
    ///
    /// When a text cannot be written.
    pub(super) fn append(&self, line: &mut Vec<u8>) -> io::Result<()> {
        let Self { record, trace_id, parent_id, pseudonym, component, reference } = self;
        let start = record.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let end = start.saturating_add(record.duration);
        let [high, low] = trace_id.digits();
        let numbers: [_; NUMBERS] = [
            high,
            low,
            record.id.digits(),
            text::hex_digits(parent_id.unwrap_or_default()),
            text::hex_digits(nanos(start)),
            text::hex_digits(nanos(end)),
            text::hex_digits(record.status.unwrap_or_default().into()),
            pseudonym.map_or_else(|| text::hex_digits(0), Pseudonym::digits),
        ];
        line.extend_from_slice(numbers.as_flattened());
        let texts: [_; TEXTS] = [
            record.transport,
            record.operation,
            record.protocol.unwrap_or_default(),
            record.kind.unwrap_or_default(),
            component,
            record.verdict.as_str(),
            record.outcome,
            reference.as_deref().unwrap_or_default(),
        ];
        for text in texts {
            match json::is_plain(text) {
                true => line.extend_from_slice(text.as_bytes()),
                false => escape(line, text)?,
            }
            line.push(END);
        }
        Ok(())
    }
}

/// Appends what stands within the quotation marks of a string.
#[cold]
fn escape(line: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let string = serde_json::to_string(text)?;
    let within = string.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    line.extend_from_slice(within.unwrap_or_default().as_bytes());
    Ok(())
}

/// What 64 bits hold: until the year 2554.
fn nanos(since: Duration) -> u64 {
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The trace and the span of a caller who says that it is sampled.
fn sampled(parent: TraceParent) -> Option<(TraceId, Option<u64>)> {
    parent.is_sampled().then(|| (parent.trace_id(), Some(parent.parent_id())))
}

/// Whether nobody was proven to be who is refused: everybody could fill a collector so.
fn is_of_nobody(record: &AuditRecord<'_>) -> bool {
    match record.operation {
        "request" | "connection" => true,
        "route" => record.subject.is_none() && record.verdict != Verdict::Allowed,
        _ => false,
    }
}
