//! The sink that appends records to a file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_guard::reload::{self, Cause, Progress, Reload};
use portcullis_guard::{AppendError, AppendFile, Rotation, SystemClock};

use super::{AuditError, AuditRecord, AuditSink, line};

/// Writes one JSON object for each record to a file, one a line.
///
/// The members are those of [`AuditRecord`]; what a record does not know is left out. A
/// line costs the request a copy in memory: a thread writes what has gathered every five
/// milliseconds ([`AppendFile`]).
///
/// While a write fails, for want of space above all, records are refused; it is tried again
/// every second.
///
/// **Deployment caveat.** Only its owner may read a new file (mode 0600); other readers need a
/// copy, or a group. The file is kept open: have it [rotated](Self::rotating), or rename it and send the
/// process SIGHUP, upon which a running server opens the path again and loses no record. Every user who
/// may write the file can change it: ship the records off the machine if that matters.
pub struct JsonLines(Arc<Inner>);

struct Inner {
    path: PathBuf,
    file: AppendFile,
}

impl JsonLines {
    /// Opens the file at `path`, or creates it.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is a link, a folder, a pipe or a device, or when no thread can
    /// be started.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, AuditError> {
        let path = path.as_ref();
        Self::watched(path, AppendFile::open(path)?)
    }

    /// Opens the file at `path`, or creates it, and begins a new one whenever `rotation` says. One
    /// process writes to it: the others would go on in the renamed file.
    ///
    /// A file is rotated by when records are written, which is when operations end; the time in a
    /// record is when one began. The first records of a day's file may be from before midnight.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub use portcullis_auth::audit; }
    /// use portcullis::audit::{Audit, AuditFailure, JsonLines, Rotation};
    ///
    /// # let folder = std::env::temp_dir().join(format!("portcullis-rotated-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// # let path = folder.join("audit.jsonl");
    /// let rotation = Rotation::daily().or_at_bytes(100 * 1024 * 1024).keep(90);
    /// let audit = Audit::new(AuditFailure::Stop).sink(JsonLines::rotating(&path, rotation)?);
    /// assert!(audit.ready().is_ok());
    /// # drop(audit);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), portcullis::audit::AuditError>(())
    /// ```
    pub fn rotating(path: impl AsRef<Path>, rotation: Rotation) -> Result<Self, AuditError> {
        let path = path.as_ref();
        Self::watched(path, AppendFile::rotating(path, rotation, SystemClock)?)
    }

    fn watched(path: &Path, file: AppendFile) -> Result<Self, AuditError> {
        let inner = Arc::new(Inner { path: path.to_owned(), file });
        let reloaded: Arc<dyn Reload> = inner.clone();
        reload::watch(&reloaded).map_err(AuditError::new)?;
        Ok(Self(inner))
    }
}

impl Reload for Inner {
    fn reload(&self, cause: Cause) -> Progress {
        // Records are written to a file that is renamed until its owner is done renaming.
        if cause == Cause::Signal {
            match self.file.reopen() {
                Ok(()) => {
                    tracing::info!(path = %self.path.display(), "the audit file is open again")
                }
                Err(error) => {
                    tracing::error!(%error, "the audit file cannot be opened again: records go on into the old one");
                }
            }
        }
        Progress::Settled
    }

    fn name(&self) -> String {
        format!("the audit file {}", self.path.display())
    }
}

impl AuditSink for JsonLines {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        self.0.file.append(|line| Ok(line::append(line, record)?))?;
        Ok(())
    }

    fn ready(&self) -> Result<(), AuditError> {
        Ok(self.0.file.ready()?)
    }

    fn flush(&self) -> Result<(), AuditError> {
        Ok(self.0.file.flush()?)
    }
}

impl fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonLines({})", self.0.path.display())
    }
}

impl From<AppendError> for AuditError {
    fn from(error: AppendError) -> Self {
        Self::new(error)
    }
}
