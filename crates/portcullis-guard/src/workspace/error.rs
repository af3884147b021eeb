//! Why a file of a workspace is not read or written.

use std::{fmt, io};

/// Why a file was not read or written.
///
/// Its text is meant for the caller and holds no path; the cause, for the log, is its
/// [`source`](std::error::Error::source).
#[derive(Debug)]
pub struct WorkspaceError {
    kind: WorkspaceErrorKind,
    cause: io::Error,
}

impl WorkspaceError {
    /// Why, as far as a caller may know.
    #[must_use]
    pub fn kind(&self) -> WorkspaceErrorKind {
        self.kind
    }

    pub(super) fn not_found(cause: io::Error) -> Self {
        Self { kind: WorkspaceErrorKind::NotFound, cause }
    }

    pub(super) fn not_written(cause: io::Error) -> Self {
        Self { kind: WorkspaceErrorKind::NotWritten, cause }
    }

    pub(super) fn not_counted(cause: io::Error) -> Self {
        Self { kind: WorkspaceErrorKind::NotCounted, cause }
    }

    pub(super) fn too_large(max: u64) -> Self {
        let cause = io::Error::new(io::ErrorKind::FileTooLarge, "over the size cap");
        Self { kind: WorkspaceErrorKind::TooLarge { max }, cause }
    }

    pub(super) fn of(kind: WorkspaceErrorKind, cause: &'static str) -> Self {
        Self { kind, cause: io::Error::other(cause) }
    }

    pub(super) fn not_text(cause: std::str::Utf8Error) -> Self {
        let cause = io::Error::new(io::ErrorKind::InvalidData, cause);
        Self { kind: WorkspaceErrorKind::NotText, cause }
    }
}

impl fmt::Display for WorkspaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            WorkspaceErrorKind::NotFound => f.write_str("no such file in the workspace"),
            WorkspaceErrorKind::TooLarge { max } => {
                write!(f, "the file is larger than {max} bytes")
            }
            WorkspaceErrorKind::TooMany { max } => {
                write!(f, "the folder has more than {max} entries")
            }
            WorkspaceErrorKind::NotText => f.write_str("the file is not UTF-8 text"),
            WorkspaceErrorKind::QuotaExceeded => f.write_str("the workspace is full"),
            WorkspaceErrorKind::NotEmpty => f.write_str("the folder is not empty"),
            WorkspaceErrorKind::NotCounted => {
                f.write_str("what the workspace holds cannot be counted")
            }
            WorkspaceErrorKind::NotWritten => f.write_str("the file could not be written"),
        }
    }
}

impl std::error::Error for WorkspaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Why a file was not read or written, as far as a caller may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkspaceErrorKind {
    /// The file or its folder does not exist, lies outside, is hidden, may not be read, or is not a
    /// regular file: one kind for all of them.
    NotFound,
    /// The file is over the size cap, or would be.
    #[non_exhaustive]
    TooLarge {
        /// The cap, in bytes.
        max: u64,
    },
    /// The folder has more entries than are listed.
    #[non_exhaustive]
    TooMany {
        /// The most that are.
        max: usize,
    },
    /// The file is not UTF-8.
    NotText,
    /// The [`Quota`](super::Quota) has no room for it.
    QuotaExceeded,
    /// The folder is not empty, and was not removed.
    NotEmpty,
    /// The workspace has a folder that may not be read, such as the `lost+found` of a volume. Only
    /// [`Workspace::writable`](super::Workspace::writable) says so, at the start.
    NotCounted,
    /// The operating system did not write it: a full disk, a folder that may not be written to.
    NotWritten,
}
