use std::fmt;
use std::path::{Path, PathBuf};

use portcullis_guard::{AppendError, AppendFile};

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
/// copy, or a group. The file is kept open: rotate it by copying and truncating (logrotate's
/// `copytruncate`), or restart the server after renaming. Every user who may write the file can
/// change it: ship the records off the machine if that matters.
pub struct JsonLines {
    path: PathBuf,
    file: AppendFile,
}

impl JsonLines {
    /// Opens the file at `path`, or creates it.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is a link, a folder, a pipe or a device.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, AuditError> {
        let path = path.as_ref().to_owned();
        let file = AppendFile::open(&path)?;
        Ok(Self { path, file })
    }
}

impl AuditSink for JsonLines {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        self.file.append(|line| Ok(line::append(line, record)?))?;
        Ok(())
    }

    fn ready(&self) -> Result<(), AuditError> {
        Ok(self.file.ready()?)
    }

    fn flush(&self) -> Result<(), AuditError> {
        Ok(self.file.flush()?)
    }
}

impl fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonLines({})", self.path.display())
    }
}

impl From<AppendError> for AuditError {
    fn from(error: AppendError) -> Self {
        Self::new(error)
    }
}
