//! Why a locked file is not read or changed.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::{error, fmt};

#[cfg(unix)]
use super::Readers;

/// Why a file was not read or changed. The text says what to do, and nothing that is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedFileError {
    kind: LockedFileErrorKind,
    path: PathBuf,
    text: String,
}

/// What is wrong with a file, or with where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockedFileErrorKind {
    /// There is no such file, or no such folder.
    Absent,
    /// Something is there already.
    Exists,
    /// Others may write or replace it, or read what is secret.
    Exposed,
    /// It is a link, a folder, a pipe or a device, or its path has no name.
    NotRegular,
    /// It is too large, or not UTF-8.
    NotText,
    /// Another process keeps it locked.
    Busy,
    /// The operating system refuses.
    Unavailable,
}

impl LockedFileError {
    fn new(kind: LockedFileErrorKind, path: &Path, text: impl Into<String>) -> Self {
        Self { kind, path: path.to_owned(), text: text.into() }
    }

    pub(super) fn io(path: &Path, what: &str, cause: &io::Error) -> Self {
        let kind = match cause.kind() {
            ErrorKind::NotFound => LockedFileErrorKind::Absent,
            _ => LockedFileErrorKind::Unavailable,
        };
        Self::new(kind, path, format!("cannot be {what}: {cause}"))
    }

    pub(super) fn exists(path: &Path) -> Self {
        Self::new(LockedFileErrorKind::Exists, path, "is there already, and stays as it is")
    }

    /// What [exists](Self::exists), and is no file.
    pub(super) fn dangling(path: &Path) -> Self {
        let text = "is a link to a file that is not there: remove it, or name another file";
        Self::new(LockedFileErrorKind::Exists, path, text)
    }

    /// The same for who wants to read it.
    pub(super) fn absent(self) -> Self {
        Self { kind: LockedFileErrorKind::Absent, ..self }
    }

    #[cfg(unix)]
    pub(super) fn exposed(path: &Path, mode: u32, readers: Readers) -> Self {
        let right = readers.mode();
        let in_kubernetes = match readers {
            Readers::Trusted => " (in Kubernetes, set defaultMode: 0440 and fsGroup)",
            Readers::Everybody => "",
        };
        let text = format!(
            "has mode {mode:04o}, so that others may have read or written it: chmod {right:o} \
             it{in_kubernetes}"
        );
        Self::new(LockedFileErrorKind::Exposed, path, text)
    }

    #[cfg(unix)]
    pub(super) fn linked(path: &Path, links: u64) -> Self {
        let text = format!(
            "has {links} names (hard links), so that it can be read elsewhere too: remove the \
             others, or copy it to a new file"
        );
        Self::new(LockedFileErrorKind::Exposed, path, text)
    }

    #[cfg(all(unix, feature = "keys"))]
    pub(super) fn owned(path: &Path, flaw: &str) -> Self {
        Self::new(LockedFileErrorKind::Exposed, path, flaw)
    }

    #[cfg(unix)]
    pub(super) fn replaceable(path: &Path, folder: &Path, flaw: &str) -> Self {
        let text = format!("is in the folder {}, which {flaw}", folder.display());
        Self::new(LockedFileErrorKind::Exposed, path, text)
    }

    pub(super) fn link(path: &Path) -> Self {
        let text = "is a link: name the file that it leads to";
        Self::new(LockedFileErrorKind::NotRegular, path, text)
    }

    pub(super) fn nameless(path: &Path) -> Self {
        let text = "does not end with the name of a file";
        Self::new(LockedFileErrorKind::NotRegular, path, text)
    }

    pub(super) fn not_regular(path: &Path) -> Self {
        Self::new(LockedFileErrorKind::NotRegular, path, "is not a regular file")
    }

    pub(super) fn too_large(path: &Path) -> Self {
        let text = "has more than 1 MiB: remove lines that are no longer needed";
        Self::new(LockedFileErrorKind::NotText, path, text)
    }

    pub(super) fn not_text(path: &Path) -> Self {
        Self::new(LockedFileErrorKind::NotText, path, "is not UTF-8 text")
    }

    pub(super) fn busy(path: &Path) -> Self {
        let text = "is being changed by another process for ten seconds: try again when it ended";
        Self::new(LockedFileErrorKind::Busy, path, text)
    }

    /// The text without the path.
    #[cfg(feature = "keys")]
    pub(crate) fn flaw(&self) -> &str {
        &self.text
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> LockedFileErrorKind {
        self.kind
    }
}

impl fmt::Display for LockedFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.text)
    }
}

impl error::Error for LockedFileError {}
