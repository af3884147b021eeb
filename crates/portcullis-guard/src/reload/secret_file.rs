//! A secret in a file that is read again when it changes.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::{WatchedFile, WatchedFileError};
use crate::Secret;
use crate::environment::without_line_end;
#[cfg(feature = "keys")]
use crate::locked_file::{LockedFile, Readers};
use crate::redaction::KnownValues;

/// A secret in a file of its own, re-read when the file changes ([`WatchedFile`]).
///
/// One line end after it is not part of the secret. There is a warning when every user may read or
/// write the file. The secret, and each that the file held before it, is
/// [removed](crate::redaction) from results, errors, logs and audit records while the file is
/// watched; the last 16 of them, if there were more.
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
        let read = |text: &str| Ok::<_, Infallible>(Secret::new(text.to_owned()));
        Self::read_as(path, read).map(Self)
    }

    /// As [`open`](Self::open), for what `read` makes of the secret: a key, say, which is then made
    /// once for each content.
    ///
    /// # Errors
    ///
    /// As [`WatchedFile::open`].
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_guard as guard; }
    /// use portcullis::guard::{SecretFile, WatchedFileErrorKind};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("pin");
    /// std::fs::write(&path, "1234\n").unwrap();
    /// let pin = SecretFile::read_as(&path, |secret| secret.parse::<u32>())?;
    /// assert_eq!(*pin.current(), 1234);
    ///
    /// std::fs::write(&path, "none\n").unwrap();
    /// assert_eq!(pin.reread().unwrap_err().kind(), WatchedFileErrorKind::Malformed);
    /// # Ok::<(), portcullis::guard::WatchedFileError>(())
    /// ```
    pub fn read_as<T: Send + Sync + 'static, E: Into<Box<dyn Error + Send + Sync>>>(
        path: impl AsRef<Path>,
        read: impl Fn(&str) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<WatchedFile<T>, WatchedFileError> {
        let path = path.as_ref();
        crate::environment::warn_of_mode(path);
        let (known, name) = (KnownValues::default(), path.display().to_string());
        WatchedFile::open(path, move |text| {
            let secret = without_line_end(text);
            let value = read(secret)?;
            known.add(secret.as_bytes(), &name);
            Ok::<_, E>(value)
        })
    }

    /// As [`read_as`](Self::read_as), of a file that belongs to the user whose process it is, or to
    /// root, and that only its owner and its group may read: any other is refused.
    ///
    /// # Errors
    ///
    /// As [`WatchedFile::open`], and when others may read or replace the file.
    #[cfg(feature = "keys")]
    pub fn private_as<T: Send + Sync + 'static, E: Into<Box<dyn Error + Send + Sync>>>(
        path: impl AsRef<Path>,
        read: impl Fn(&str) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<WatchedFile<T>, WatchedFileError> {
        let path = path.as_ref();
        let (known, name) = (KnownValues::default(), path.display().to_string());
        WatchedFile::open_with(path, private_text, move |text| {
            // Known first: what refuses it may quote it.
            known.add(text.as_bytes(), &name);
            read(text)
        })
    }

    /// The secret in force.
    #[must_use]
    pub fn current(&self) -> Arc<Secret<String>> {
        self.0.current()
    }

    /// The path, as it was given.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
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

#[cfg(feature = "keys")]
fn private_text(path: &Path) -> Result<Secret<String>, String> {
    LockedFile::read_own(path, Readers::Trusted).map_err(|error| error.flaw().to_owned())
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretFile({})", self.0.path().display())
    }
}
