//! The trait of whatever takes audit records.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::AuditRecord;

/// Where audit records go.
///
/// A record holds the following; [`AuditRecord`] documents each field:
///
/// 1. Every operation, once, when it is over: allowed, denied, challenged, limited,
///    refused or failed. A list is one record, which counts what it hid.
/// 2. Who asked: issuer, subject and OAuth client of the token, and the name that the
///    client gives itself. That name proves nothing.
/// 3. What was asked for: the server's own name of the component, never the caller's text
///    for it.
/// 4. The decision, its rule, its reason, and the outcome.
///
/// A record never holds tokens, claims, arguments, results or the content of resources: it has no field
/// for them. The scopes in it are those that a user allowed a client, in records of signing in.
///
/// A sink is called on the path of the request and by many threads at once: it should hand
/// the record on, not wait for a disk or a network. A sink that panics has failed. What
/// happens then is up to [`AuditFailure`](super::AuditFailure).
///
/// **Deployment caveat.** The records are personal data: who may read them, and for how
/// long, is for the operator to settle. A reason may repeat what a caller sent, and a
/// subject may be a name.
///
/// # Example
///
/// ```
/// # mod portcullis { pub use portcullis_auth::audit; }
/// # use std::time::UNIX_EPOCH;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use portcullis::audit::{Audit, AuditError, AuditFailure, AuditRecord, AuditSink, Verdict};
///
/// #[derive(Debug, Default)]
/// struct Denials(AtomicU64);
///
/// impl AuditSink for Denials {
///     fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
///         if record.verdict == Verdict::Denied {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///         Ok(())
///     }
/// }
///
/// let denials = Arc::new(Denials::default());
/// let audit = Audit::new(AuditFailure::Continue).sink(denials.clone());
/// # let id = portcullis_guard::OperationId::new();
/// let mut record = AuditRecord::new(id, UNIX_EPOCH, "http", "tools/call");
/// record.verdict = Verdict::Denied;
/// audit.record(&record)?;
/// record.verdict = Verdict::Allowed;
/// audit.record(&record)?;
/// assert_eq!(denials.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), AuditError>(())
/// ```
pub trait AuditSink: fmt::Debug + Send + Sync + 'static {
    /// Takes a record. What it borrows ends with the call.
    ///
    /// # Errors
    ///
    /// When the record will be lost.
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError>;

    /// Whether a record would be taken now. Asked before each operation, with
    /// [`AuditFailure::Stop`](super::AuditFailure::Stop). Default: yes.
    ///
    /// # Errors
    ///
    /// Why it would not be.
    fn ready(&self) -> Result<(), AuditError> {
        Ok(())
    }

    /// Waits, for seconds at most, until all records taken are where they belong. Default: they are
    /// there at once.
    ///
    /// # Errors
    ///
    /// When it is not there yet, or never will be.
    fn flush(&self) -> Result<(), AuditError> {
        Ok(())
    }
}

/// A sink that the program keeps a hold of as well.
impl<S: AuditSink + ?Sized> AuditSink for Arc<S> {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        (**self).record(record)
    }

    fn ready(&self) -> Result<(), AuditError> {
        (**self).ready()
    }

    fn flush(&self) -> Result<(), AuditError> {
        (**self).flush()
    }
}

/// Why a sink failed: for the log, never for a caller.
pub struct AuditError(Box<dyn Error + Send + Sync>);

impl AuditError {
    /// A failure because of `cause`, which may be a text.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }

    /// The cause that it was made from, to be downcast: an
    /// [`AppendError`](portcullis_guard::AppendError) where [`JsonLines`](super::JsonLines) failed.
    #[must_use]
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The same text, because that is what a `main` that returns it prints.
impl fmt::Debug for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for AuditError {}
