//! Why the content of a watched file does not count.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A watched file whose content was not taken.
///
/// Its text names the file and what is wrong, never what the file holds.
#[derive(Clone, Debug)]
pub struct WatchedFileError {
    kind: WatchedFileErrorKind,
    path: PathBuf,
    text: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What is wrong with a watched file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WatchedFileErrorKind {
    /// It cannot be opened or read, is empty, larger than 1 MiB, not a regular file or not UTF-8.
    Unreadable,
    /// Its content cannot be used; the source says why.
    Malformed,
    /// The operating system gives no thread that would watch it.
    Unwatched,
}

impl WatchedFileError {
    pub(super) fn unreadable(path: &Path, text: String) -> Self {
        let (kind, path) = (WatchedFileErrorKind::Unreadable, path.to_owned());
        Self { kind, path, text, source: None }
    }

    pub(super) fn malformed(path: &Path, why: Box<dyn Error + Send + Sync>) -> Self {
        let (kind, path) = (WatchedFileErrorKind::Malformed, path.to_owned());
        Self { kind, path, text: "cannot be used".to_owned(), source: Some(why.into()) }
    }

    pub(super) fn unwatched(path: &Path, why: std::io::Error) -> Self {
        let (kind, path) = (WatchedFileErrorKind::Unwatched, path.to_owned());
        let text = "cannot be watched: no thread can be started".to_owned();
        Self { kind, path, text, source: Some(Arc::new(why)) }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> WatchedFileErrorKind {
        self.kind
    }
}

impl fmt::Display for WatchedFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file {} {}", self.path.display(), self.text)
    }
}

impl Error for WatchedFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}
