//! A record that is written when it is dropped, at the latest.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use portcullis_guard::{OperationId, Reference};
use tokio::time::Instant;

use super::{Audit, AuditError, AuditRecord, LogText, Verdict};

/// What a [`PendingRecord`] is about.
pub trait Recorded {
    /// Sets what only this knows, and gives the record to `write`: it may borrow what is local.
    ///
    /// `write` alone makes a [`Written`], so no implementation can leave the record out:
    ///
    /// ```compile_fail,E0423
    /// use portcullis_auth::audit::{AuditRecord, Recorded, Written};
    ///
    /// struct Silent;
    ///
    /// impl Recorded for Silent {
    ///     fn complete(
    ///         &self,
    ///         _: AuditRecord<'_>,
    ///         _: impl FnOnce(&AuditRecord<'_>) -> Written,
    ///     ) -> Written {
    ///         Written(Ok(()))
    ///     }
    /// }
    /// ```
    fn complete(
        &self,
        record: AuditRecord<'_>,
        write: impl FnOnce(&AuditRecord<'_>) -> Written,
    ) -> Written;

    /// The outcome and the HTTP status of what ended before its record was written, after
    /// `elapsed`. Default: it was cancelled.
    fn dropped(&self, elapsed: Duration) -> (&'static str, Option<u16>) {
        let _ = elapsed;
        ("cancelled", None)
    }
}

/// A record was given to the log and to every sink, or a sink did not take it.
#[derive(Debug)]
#[must_use = "a `Recorded` returns it"]
pub struct Written(Result<(), AuditError>);

/// A record that is written once, at the latest when it is dropped: what is cancelled and what
/// panics leaves its record, too.
///
/// Until something else is noted, it says that nothing could decide.
///
/// ```compile_fail,E0382
/// use portcullis_auth::audit::{PendingRecord, Recorded};
///
/// fn twice<R: Recorded>(mut record: PendingRecord<'_, R>) {
///     let _ = record.write("ok", None);
///     let _ = record.write("ok", None);
/// }
/// ```
pub struct PendingRecord<'a, R: Recorded> {
    audit: &'a Audit,
    id: OperationId,
    time: SystemTime,
    started: Instant,
    transport: &'static str,
    operation: &'static str,
    /// The decision.
    pub verdict: Verdict,
    /// The rule that decided.
    pub rule: Option<Cow<'a, str>>,
    /// Why, in the words of the rule.
    pub reason: Option<Cow<'a, str>>,
    /// How it ended, where that is known before the end.
    pub outcome: Option<&'static str>,
    /// The reference under which the log has what went wrong.
    pub reference: Option<Reference>,
    /// What it is about.
    pub about: R,
    is_written: bool,
}

impl<'a, R: Recorded> PendingRecord<'a, R> {
    /// The record of what begins now, at `time` by the server's clock.
    pub fn begin(
        audit: &'a Audit,
        time: SystemTime,
        transport: &'static str,
        operation: &'static str,
        about: R,
    ) -> Self {
        Self {
            audit,
            id: OperationId::new(),
            time,
            started: Instant::now(),
            transport,
            operation,
            verdict: Verdict::Failed,
            rule: None,
            reason: None,
            outcome: None,
            reference: None,
            about,
            is_written: false,
        }
    }

    /// The number of the operation.
    pub fn id(&self) -> OperationId {
        self.id
    }

    /// When it began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The method of the protocol, or what else happens.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Writes the record: with `outcome`, unless another one was noted.
    ///
    /// # Errors
    ///
    /// As [`Audit::record`]: what was not recorded must not reach the caller.
    pub fn write(mut self, outcome: &'static str, status: Option<u16>) -> Result<(), AuditError> {
        self.record(outcome, status)
    }

    fn record(&mut self, outcome: &'static str, status: Option<u16>) -> Result<(), AuditError> {
        self.is_written = true;
        let mut record = AuditRecord::new(self.id, self.time, self.transport, self.operation);
        record.verdict = self.verdict;
        record.rule = self.rule.as_deref();
        record.reason = self.reason.as_deref().map(LogText::from);
        record.outcome = self.outcome.unwrap_or(outcome);
        record.status = status;
        record.reference = self.reference;
        record.duration = self.started.elapsed();
        let Written(written) = self.about.complete(record, |record| {
            self.audit.end_span(record);
            Written(self.audit.record(record))
        });
        written
    }
}

impl<R: Recorded> Drop for PendingRecord<'_, R> {
    fn drop(&mut self) {
        if !self.is_written {
            self.outcome = None;
            let (outcome, status) = self.about.dropped(self.started.elapsed());
            // No caller is left to learn that it was not written.
            let _ = self.record(outcome, status);
        }
    }
}

impl<R: Recorded> fmt::Debug for PendingRecord<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, operation, verdict, .. } = self;
        let mut record = f.debug_struct("PendingRecord");
        record.field("id", id).field("operation", operation).field("verdict", verdict);
        record.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::audit::{AuditFailure, AuditSink};

    /// The verdict, the outcome and the status.
    type Noted = (Verdict, &'static str, Option<u16>);

    /// What was recorded.
    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<Noted>>>);

    impl AuditSink for Kept {
        fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
            let kept = (record.verdict, record.outcome, record.status);
            self.0.lock().unwrap().push(kept);
            Err(AuditError::new("written, and not kept"))
        }
    }

    struct Nothing;

    impl Recorded for Nothing {
        fn complete(
            &self,
            record: AuditRecord<'_>,
            write: impl FnOnce(&AuditRecord<'_>) -> Written,
        ) -> Written {
            write(&record)
        }
    }

    /// What is recorded of something to which `happens`.
    fn recorded(happens: impl FnOnce(PendingRecord<'_, Nothing>)) -> Vec<Noted> {
        let kept = Kept::default();
        let audit = Audit::new(AuditFailure::Stop).sink(kept.clone());
        happens(PendingRecord::begin(&audit, UNIX_EPOCH, "http", "route", Nothing));
        kept.0.lock().unwrap().clone()
    }

    #[test]
    fn e11_a_record_is_written_once_even_if_no_sink_takes_it() {
        let written = recorded(|mut record| {
            record.verdict = Verdict::Allowed;
            assert!(record.write("ok", Some(200)).is_err());
        });
        assert_eq!(written, [(Verdict::Allowed, "ok", Some(200))]);
        let noted = recorded(|mut record| {
            record.outcome = Some("limited");
            let _ = record.write("error", None);
        });
        assert_eq!(noted, [(Verdict::Failed, "limited", None)], "what was noted before");
    }

    #[test]
    fn e11_what_is_dropped_on_its_way_has_its_record() {
        let dropped = recorded(|mut record| {
            record.verdict = Verdict::Allowed;
            record.outcome = Some("ok");
            drop(record);
        });
        assert_eq!(dropped, [(Verdict::Allowed, "cancelled", None)]);
    }
}
