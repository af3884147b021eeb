//! The audit record of a change that the command makes.

use std::path::Path;

use portcullis::audit::{Audit, AuditFailure, AuditRecord, JsonLines, LogText, Verdict};
use portcullis::guard::{Clock, OperationId, SystemClock};

use crate::Error;

/// Where it goes: nowhere, unless somebody named a file.
pub(crate) struct Trail(Option<Audit>);

/// Grants that were revoked.
#[derive(Default)]
pub(crate) struct Revoked<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) subject: Option<&'a str>,
    /// In its short form.
    pub(crate) client_id: Option<&'a str>,
    pub(crate) client_name: Option<&'a str>,
    pub(crate) scopes: Option<&'a str>,
    /// How many, where that is not one.
    pub(crate) count: Option<usize>,
}

impl Trail {
    /// Opens the file, before anything is changed.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, Error> {
        let Some(file) = file else { return Ok(Self(None)) };
        let lines = JsonLines::open(file)
            .map_err(|error| format!("--audit-file {}: {error}", file.display()))?;
        let audit = Audit::new(AuditFailure::Stop).sink(lines);
        audit.ready()?;
        Ok(Self(Some(audit)))
    }

    /// Records what was revoked.
    ///
    /// # Errors
    ///
    /// When it was not written. What was revoked stays so.
    pub(crate) fn record(&self, revoked: &Revoked<'_>) -> Result<(), Error> {
        let Some(audit) = &self.0 else { return Ok(()) };
        let count = revoked.count.map(|count| format!("{count} grants"));
        let now = SystemClock.now();
        let mut record = AuditRecord::new(OperationId::new(), now, "command", "grants revoke");
        record.issuer = Some(LogText::from(revoked.issuer));
        record.subject = revoked.subject.map(LogText::from);
        record.client_id = revoked.client_id.map(LogText::from);
        record.client_name = revoked.client_name.map(LogText::from);
        record.scopes = revoked.scopes.map(LogText::from);
        record.verdict = Verdict::Allowed;
        record.reason = count.as_deref().map(LogText::from);
        record.outcome = "connection_revoked";
        let recorded = audit.record(&record);
        audit.flush();
        Ok(recorded.and_then(|()| audit.ready()).map_err(|error| {
            format!("it is revoked, and the audit file has no record of it: {error}")
        })?)
    }
}
