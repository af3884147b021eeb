//! Why a file is not opened as a store.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use portcullis_guard::{PrivateFileError, PrivateFileErrorKind};

/// Why a file is not opened as a store. The text says what to do.
#[derive(Clone, Debug)]
pub struct StoreOpenError {
    kind: StoreOpenErrorKind,
    path: PathBuf,
    cause: String,
}

/// What is wrong with the file of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreOpenErrorKind {
    /// Another process, or another store of this one, has the file open.
    AlreadyOpen,
    /// The file is damaged or cut short.
    Corrupt,
    /// Others may read or replace the file: they own it or its folder, or a mode lets them.
    Exposed,
    /// The file is something else than a store.
    Foreign,
    /// Another version of Portcullis, or of redb, wrote the file.
    OtherVersion,
    /// The file was removed or replaced while it was open.
    Replaced,
    /// The operating system refuses to open, read or write the file.
    Unavailable,
}

impl StoreOpenError {
    pub(super) fn new(kind: StoreOpenErrorKind, path: &Path, cause: impl Into<String>) -> Self {
        Self { kind, path: path.to_owned(), cause: cause.into() }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> StoreOpenErrorKind {
        self.kind
    }

    pub(super) fn of_file(path: &Path, error: &PrivateFileError) -> Self {
        let kind = match error.kind() {
            PrivateFileErrorKind::Exposed => StoreOpenErrorKind::Exposed,
            PrivateFileErrorKind::NotRegular => StoreOpenErrorKind::Foreign,
            PrivateFileErrorKind::Replaced => StoreOpenErrorKind::Replaced,
            _ => StoreOpenErrorKind::Unavailable,
        };
        Self::new(kind, path, error.to_string())
    }

    pub(super) fn of_redb(path: &Path, error: &redb::Error) -> Self {
        let kind = match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                StoreOpenErrorKind::AlreadyOpen
            }
            redb::Error::UpgradeRequired(_) => StoreOpenErrorKind::OtherVersion,
            redb::Error::Io(cause) if cause.kind() == ErrorKind::InvalidData => {
                StoreOpenErrorKind::Foreign
            }
            redb::Error::Io(cause) if cause.kind() == ErrorKind::UnexpectedEof => {
                StoreOpenErrorKind::Corrupt
            }
            redb::Error::Io(_) | redb::Error::PreviousIo => StoreOpenErrorKind::Unavailable,
            redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableIsMultimap(_) => StoreOpenErrorKind::Foreign,
            _ => StoreOpenErrorKind::Corrupt,
        };
        Self::new(kind, path, error.to_string())
    }
}

impl fmt::Display for StoreOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, cause) = (self.path.display(), &self.cause);
        match self.kind {
            StoreOpenErrorKind::AlreadyOpen => write!(
                f,
                "another process holds the store {path}: stop it, or give each server a file of \
                 its own, or Redis to all of them ({cause})"
            ),
            StoreOpenErrorKind::Corrupt => write!(
                f,
                "the store {path} is damaged: put a copy in its place, or move it away to begin \
                 with an empty one ({cause})"
            ),
            StoreOpenErrorKind::Exposed => write!(
                f,
                "others may have read the store: {cause}, or name a folder that is not there yet"
            ),
            StoreOpenErrorKind::Foreign => {
                write!(f, "{path} is no store: name a file that is not there yet ({cause})")
            }
            StoreOpenErrorKind::OtherVersion => write!(
                f,
                "another version wrote the store {path}: use that version, or move the file away \
                 to begin with an empty one ({cause})"
            ),
            StoreOpenErrorKind::Replaced => write!(
                f,
                "the store {path} was removed or replaced while it was open: stop the server \
                 before, and start it again now ({cause})"
            ),
            StoreOpenErrorKind::Unavailable => {
                write!(f, "the store {path} cannot be opened: {cause}")
            }
        }
    }
}

impl std::error::Error for StoreOpenError {}
