//! The audit trail: what a record holds, and where records go.

mod json_lines;
mod line;
mod log_text;
mod measured;
#[cfg(feature = "otlp")]
mod otlp;
mod pending;
mod record;
mod sink;
mod syslog;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub use json_lines::JsonLines;
pub use log_text::LogText;
#[cfg(feature = "otlp")]
pub use otlp::{OtlpSink, OtlpSinkBuilder, OtlpTraces, OtlpTracesBuilder};
#[doc(hidden)]
pub use pending::{PendingRecord, Recorded, Written};
use portcullis_guard::metrics;
pub use portcullis_guard::{Rotation, Timestamp};
pub use record::{AuditRecord, Verdict};
pub use sink::{AuditError, AuditSink};
pub use syslog::{Facility, SyslogSink};

/// What a server does while an audit sink fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditFailure {
    /// Goes on serving, counts the lost records, and logs the loss.
    Continue,
    /// Refuses every operation that would not be recorded.
    Stop,
}

/// The sinks of a server, and what happens when one of them fails.
///
/// Each record is also one `tracing` event of the target `portcullis::audit` at the level
/// `INFO`, with the fields that [`AuditRecord`] lists, sinks or none.
///
/// # Example
///
/// ```
/// # mod portcullis { pub use portcullis_auth::audit; }
/// # let folder = std::env::temp_dir().join(format!("portcullis-audit-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let path = folder.join("audit.jsonl");
/// use portcullis::audit::{Audit, AuditFailure, JsonLines};
///
/// let audit = Audit::new(AuditFailure::Stop).sink(JsonLines::open(&path)?);
/// assert!(audit.ready().is_ok());
///
/// assert!(JsonLines::open(&folder).is_err()); // not a file
/// # drop(audit);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), portcullis::audit::AuditError>(())
/// ```
#[derive(Debug)]
pub struct Audit {
    sinks: Vec<Watched>,
    on_failure: AuditFailure,
    failures: AtomicU64,
    #[cfg(feature = "otlp")]
    traces: Option<OtlpTraces>,
}

impl Audit {
    /// A trail without sinks: the log is all there is.
    #[must_use]
    pub fn new(on_failure: AuditFailure) -> Self {
        Self {
            sinks: Vec::new(),
            on_failure,
            failures: AtomicU64::new(0),
            #[cfg(feature = "otlp")]
            traces: None,
        }
    }

    /// Sends spans of what is recorded to a collector, too. They are no records: to lose one is no
    /// failure.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn traces(mut self, traces: OtlpTraces) -> Self {
        self.traces = Some(traces);
        self
    }

    /// Adds a sink. Each gets every record, whether another one fails or not.
    #[must_use]
    pub fn sink(mut self, sink: impl AuditSink) -> Self {
        self.sinks.push(Watched { sink: Box::new(sink), failing: AtomicBool::new(false) });
        self
    }

    /// How many sinks there are beside the log.
    #[must_use]
    pub fn sinks(&self) -> usize {
        self.sinks.len()
    }

    /// Whether an operation may run: with [`AuditFailure::Stop`], whether every sink is
    /// ready to record it.
    ///
    /// # Errors
    ///
    /// The error of the first sink that is not ready. The operation has to be refused.
    pub fn ready(&self) -> Result<(), AuditError> {
        match self.on_failure {
            AuditFailure::Continue => Ok(()),
            AuditFailure::Stop => self.sinks.iter().try_for_each(Watched::ready),
        }
    }

    /// Gives `record` to the log and to every sink, without the secrets that are
    /// [known](portcullis_guard::redaction).
    ///
    /// # Errors
    ///
    /// With [`AuditFailure::Stop`], the first failure of a sink: what was recorded must not
    /// reach the caller. [`AuditFailure::Continue`] returns no error.
    pub fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        measured::measure(record);
        match record.holds_secret() {
            true => record.redacted(|record| self.give(record)),
            false => self.give(record),
        }
    }

    /// Gives the record of an operation that is over to the collector of spans, if there is one.
    fn end_span(&self, record: &AuditRecord<'_>) {
        #[cfg(feature = "otlp")]
        if let Some(traces) = &self.traces {
            traces.take(record);
        }
        #[cfg(not(feature = "otlp"))]
        let _ = record;
    }

    fn give(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        record.trace();
        let mut first = Ok(());
        for sink in &self.sinks {
            if let Err(error) = sink.record(record) {
                self.failures.fetch_add(1, Ordering::Relaxed);
                metrics::count(&metrics::AUDIT_FAILURES, &[]);
                first = first.and(Err(error));
            }
        }
        match self.on_failure {
            AuditFailure::Continue => Ok(()),
            AuditFailure::Stop => first,
        }
    }

    /// How many records were not taken, each counted once for every sink that failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Waits until all records are where they belong, or logs that they are not. It blocks as long
    /// as the sinks do: call it when a server ends.
    pub fn flush(&self) {
        self.sinks.iter().for_each(Watched::flush);
        #[cfg(feature = "otlp")]
        if let Some(traces) = &self.traces {
            traces.flush();
        }
    }
}

/// A sink, and whether its failure is logged already.
#[derive(Debug)]
struct Watched {
    sink: Box<dyn AuditSink>,
    failing: AtomicBool,
}

impl Watched {
    fn ready(&self) -> Result<(), AuditError> {
        self.ask(AuditSink::ready).inspect_err(|error| self.failed(error))
    }

    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        self.ask(|sink| sink.record(record)).inspect_err(|error| self.failed(error))?;
        // A record may be taken that waits: it says nothing about the others.
        if self.failing.load(Ordering::Relaxed)
            && self.ask(AuditSink::ready).is_ok()
            && self.failing.swap(false, Ordering::Relaxed)
        {
            tracing::error!(sink = ?self.sink, "the audit sink takes records again");
        }
        Ok(())
    }

    fn flush(&self) {
        if let Err(error) = self.ask(AuditSink::flush) {
            tracing::error!(sink = ?self.sink, %error, "audit records may be lost");
        }
    }

    /// A sink that panics has failed.
    fn ask(
        &self,
        question: impl FnOnce(&dyn AuditSink) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        catch_unwind(AssertUnwindSafe(|| question(&*self.sink)))
            .unwrap_or_else(|_| Err(AuditError::new("the sink panicked")))
    }

    /// Logs the first failure, not each: a disk stays full for many requests.
    fn failed(&self, error: &AuditError) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(sink = ?self.sink, %error, "the audit sink failed");
        }
    }
}

#[cfg(test)]
mod tests;
