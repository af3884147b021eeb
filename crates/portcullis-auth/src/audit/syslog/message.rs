//! A record as a message of RFC 5424.

use std::io::{self, Write};

use super::Facility;
use crate::audit::{AuditError, AuditRecord, Timestamp, Verdict, line};

/// The longest MSGID.
const MAX_MSGID: usize = 32;

/// What messages say of the program that they are from.
pub(super) struct Origin {
    pub(super) facility: Facility,
    pub(super) host_name: String,
    pub(super) app_name: String,
    process: u32,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            facility: Facility::AuthPriv,
            host_name: "-".to_owned(),
            app_name: "portcullis".to_owned(),
            process: std::process::id(),
        }
    }
}

/// A member, and how it is left out: whether it was there.
type Member = (&'static str, fn(&mut AuditRecord<'_>) -> bool);

/// What a message that is too long is sent without, in this order.
const LEFT_OUT: [Member; 10] = [
    ("client_version", |record| record.client_version.take().is_some()),
    ("client_name", |record| record.client_name.take().is_some()),
    ("hidden", |record| !std::mem::take(&mut record.hidden).is_empty()),
    ("scopes", |record| record.scopes.take().is_some()),
    ("reason", |record| record.reason.take().is_some()),
    ("client_id", |record| record.client_id.take().is_some()),
    ("issuer", |record| record.issuer.take().is_some()),
    ("rule", |record| record.rule.take().is_some()),
    ("component", |record| record.component.take().is_some()),
    ("subject", |record| record.subject.take().is_some()),
];

impl Origin {
    /// Appends the message of `record`, of `max_bytes` at most.
    pub(super) fn append(
        &self,
        message: &mut Vec<u8>,
        record: &AuditRecord<'_>,
        max_bytes: usize,
    ) -> io::Result<()> {
        let begin = message.len();
        let (mut record, mut left_out) = (*record, Vec::new());
        let mut members = LEFT_OUT.iter();
        loop {
            self.append_whole(message, &record, &left_out)?;
            if message.len().saturating_sub(begin) <= max_bytes {
                return Ok(());
            }
            message.truncate(begin);
            let mut present = members.by_ref().filter(|(_, leave_out)| leave_out(&mut record));
            let (name, _) = present.next().ok_or_else(|| {
                io::Error::other("the record is longer than a message of syslog may be")
            })?;
            left_out.push(*name);
        }
    }

    fn append_whole(
        &self,
        message: &mut Vec<u8>,
        record: &AuditRecord<'_>,
        left_out: &[&str],
    ) -> io::Result<()> {
        let Self { facility, host_name, app_name, process } = self;
        let priority = facility.code() * 8 + severity(record.verdict);
        write!(message, "<{priority}>1 ")?;
        message.extend_from_slice(Timestamp::from(record.time).as_bytes());
        let kind = header_field(record.operation, MAX_MSGID).unwrap_or_else(|_| "-".to_owned());
        write!(message, " {host_name} {app_name} {process} {kind} - ")?;
        let mut json = Vec::new();
        line::append(&mut json, record)?;
        if !left_out.is_empty() {
            json.pop();
            json.extend_from_slice(b",\"left_out\":");
            serde_json::to_writer(&mut json, left_out)?;
            json.push(b'}');
        }
        append_ascii(message, &json)
    }
}

/// Appends `json` with every character but those of visible ASCII escaped: others are in texts alone.
fn append_ascii(message: &mut Vec<u8>, json: &[u8]) -> io::Result<()> {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~');
    if json.iter().all(is_plain) {
        message.extend_from_slice(json);
        return Ok(());
    }
    let text = str::from_utf8(json).map_err(io::Error::other)?;
    for character in text.chars() {
        match character {
            ' '..='~' => message.extend(u8::try_from(character)),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(message, "\\u{unit:04x}")?;
                }
            }
        }
    }
    Ok(())
}

/// A field of the header: visible ASCII, of `most` characters at most.
pub(super) fn header_field(text: &str, most: usize) -> Result<String, AuditError> {
    let fits = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    match fits {
        true => Ok(text.to_owned()),
        false => Err(AuditError::new(format!(
            "the name in messages of syslog is 1 to {most} visible characters of ASCII, without spaces"
        ))),
    }
}

impl Facility {
    fn code(self) -> u8 {
        match self {
            Self::Daemon => 3,
            Self::AuthPriv => 10,
            Self::LogAudit => 13,
            Self::Local(number) => 16 + number.min(7),
        }
    }
}

/// The severity (RFC 5424 §6.2.1, table 2).
fn severity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allowed => 6,
        Verdict::Challenged | Verdict::Denied | Verdict::Limited | Verdict::Refused => 5,
        Verdict::Failed => 4,
    }
}
