use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::{WatchedFile, WatchedFileError};
use crate::Secret;

/// A secret in a file of its own, re-read when the file changes ([`WatchedFile`]).
///
/// One line end after it is not part of the secret. There is a warning when every user may read or
/// write the file.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// use portcullis::guard::SecretFile;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("mail-key");
/// std::fs::write(&path, "hunter2\n").unwrap();
/// let key = SecretFile::open(&path)?;
/// assert!(key.current().matches("hunter2")); // ask for it each time that it is used
/// # Ok::<(), portcullis::guard::WatchedFileError>(())
/// ```
#[derive(Clone)]
pub struct SecretFile(WatchedFile<Secret<String>>);

impl SecretFile {
    /// Reads the file at `path`, and watches it from now on.
    ///
    /// # Errors
    ///
    /// As [`WatchedFile::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WatchedFileError> {
        let path = path.as_ref();
        crate::environment::warn_of_mode(path);
        WatchedFile::open(path, |text| Ok::<_, Infallible>(secret(text))).map(Self)
    }

    /// The secret in force.
    #[must_use]
    pub fn current(&self) -> Arc<Secret<String>> {
        self.0.current()
    }

    /// Reads the file now.
    ///
    /// # Errors
    ///
    /// As [`WatchedFile::reread`].
    pub fn reread(&self) -> Result<(), WatchedFileError> {
        self.0.reread()
    }
}

fn secret(text: &str) -> Secret<String> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    Secret::new(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretFile({})", self.0.path().display())
    }
}
