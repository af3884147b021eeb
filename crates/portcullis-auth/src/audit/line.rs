//! A record as one line of JSON, byte for byte as serde_json writes it.
//!
//! Every operation pays for this line, and most of what serde_json does for it is to look for
//! escapes in names that have none.

use std::cell::RefCell;
use std::ptr;

use portcullis_guard::json;
use serde::Serialize;

use super::{AuditRecord, LogText, Timestamp};

/// The usual length of a record, in bytes.
const USUAL_BYTES: usize = 512;

type Written = serde_json::Result<()>;

/// Appends `record`, without the line feed.
pub(super) fn append(line: &mut Vec<u8>, record: &AuditRecord<'_>) -> Written {
    // Taken apart without a rest, so that a new field is not forgotten.
    let AuditRecord {
        time,
        id,
        transport,
        operation,
        protocol,
        remote,
        issuer: _,
        subject: _,
        client_id: _,
        client_name,
        client_version,
        scopes,
        kind,
        component,
        task,
        verdict,
        rule,
        reason,
        shown,
        hidden,
        outcome,
        status,
        reference,
        trace_id,
        trace_parent: _,
        principal: _,
        duration,
    } = record;
    line.reserve(USUAL_BYTES);
    plain(line, b"{\"time\":", Timestamp::from(*time).as_bytes());
    plain(line, b",\"id\":", &id.digits());
    Way { transport, operation, protocol: *protocol }.append(line)?;
    value(line, b",\"remote\":", remote.as_ref())?;
    let own = record.recorded_principal().and_then(|principal| {
        principal.recorded(|| {
            let mut own = Vec::new();
            who(&mut own, record).ok().map(|()| own.into())
        })
    });
    match own {
        Some(own) => line.extend_from_slice(own),
        None => who(line, record)?,
    }
    foreign(line, b",\"client_name\":", *client_name)?;
    foreign(line, b",\"client_version\":", *client_version)?;
    foreign(line, b",\"scopes\":", *scopes)?;
    text(line, b",\"kind\":", *kind)?;
    text(line, b",\"component\":", *component)?;
    text(line, b",\"task\":", *task)?;
    plain(line, b",\"verdict\":", verdict.as_str().as_bytes());
    text(line, b",\"rule\":", *rule)?;
    foreign(line, b",\"reason\":", *reason)?;
    value(line, b",\"shown\":", shown.as_ref())?;
    counts(line, hidden)?;
    text(line, b",\"outcome\":", Some(outcome))?;
    value(line, b",\"status\":", status.as_ref())?;
    value(line, b",\"reference\":", reference.as_ref())?;
    value(line, b",\"trace_id\":", trace_id.as_ref())?;
    value(line, b",\"duration_us\":", Some(&super::record::micros(*duration)))?;
    line.push(b'}');
    Ok(())
}

/// How the operation was asked for.
#[derive(Clone, Copy)]
struct Way {
    transport: &'static str,
    operation: &'static str,
    protocol: Option<&'static str>,
}

thread_local! {
    /// The way of the last record of this thread, and what was written of it: few differ.
    static LAST: RefCell<Option<(Way, Vec<u8>)>> = const { RefCell::new(None) };
}

impl Way {
    fn append(self, line: &mut Vec<u8>) -> Written {
        // Of a thread that ends, this may be gone before the last record is written.
        let appended = LAST.try_with(|last| {
            last.try_borrow_mut().is_ok_and(|mut last| self.append_known(&mut last, line))
        });
        match appended {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => self.write(line),
        }
    }

    /// Whether it could be written so that the next one is known.
    fn append_known(self, last: &mut Option<(Self, Vec<u8>)>, line: &mut Vec<u8>) -> bool {
        if last.as_ref().is_none_or(|(way, _)| !self.is(*way)) {
            let mut written = Vec::new();
            *last = self.write(&mut written).ok().map(|()| (self, written));
        }
        match last {
            Some((_, written)) => {
                line.extend_from_slice(written);
                true
            }
            None => false,
        }
    }

    fn write(self, line: &mut Vec<u8>) -> Written {
        text(line, b",\"transport\":", Some(self.transport))?;
        text(line, b",\"operation\":", Some(self.operation))?;
        text(line, b",\"protocol\":", self.protocol)
    }

    /// Whether these are the same texts, which last for as long as the program.
    fn is(self, other: Self) -> bool {
        let protocol = match (self.protocol, other.protocol) {
            (Some(own), Some(other)) => ptr::eq(own, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        protocol
            && ptr::eq(self.transport, other.transport)
            && ptr::eq(self.operation, other.operation)
    }
}

/// Who asked.
fn who(line: &mut Vec<u8>, record: &AuditRecord<'_>) -> Written {
    foreign(line, b",\"issuer\":", record.issuer)?;
    foreign(line, b",\"subject\":", record.subject)?;
    foreign(line, b",\"client_id\":", record.client_id)
}

/// A member whose value needs no escapes, whatever it is.
fn plain(line: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    line.extend_from_slice(name);
    line.push(b'"');
    line.extend_from_slice(value);
    line.push(b'"');
}

/// A text of the server's own.
fn text(line: &mut Vec<u8>, name: &[u8], text: Option<&str>) -> Written {
    match text {
        Some(text) if json::is_plain(text) => plain(line, name, text.as_bytes()),
        text => value(line, name, text.as_ref())?,
    }
    Ok(())
}

/// A text that somebody else chose.
fn foreign(line: &mut Vec<u8>, name: &[u8], text: Option<LogText<'_>>) -> Written {
    match text.and_then(|text| text.if_short()) {
        // A text that needs no escapes in JSON deceives no reader either.
        Some(short) if json::is_plain(short) => plain(line, name, short.as_bytes()),
        _ => value(line, name, text.as_ref())?,
    }
    Ok(())
}

/// A member as serde_json writes it, if there is one.
fn value(line: &mut Vec<u8>, name: &[u8], value: Option<&impl Serialize>) -> Written {
    let Some(value) = value else { return Ok(()) };
    line.extend_from_slice(name);
    serde_json::to_writer(line, value)
}

fn counts(line: &mut Vec<u8>, hidden: &[(&str, usize)]) -> Written {
    let Some(((rule, count), others)) = hidden.split_first() else { return Ok(()) };
    line.extend_from_slice(b",\"hidden\":{");
    serde_json::to_writer(&mut *line, rule)?;
    value(line, b":", Some(count))?;
    for (rule, count) in others {
        value(line, b",", Some(rule))?;
        value(line, b":", Some(count))?;
    }
    line.push(b'}');
    Ok(())
}
