//! Why API keys are not read or changed.

use std::fmt;

use portcullis_guard::locked_file::LockedFileError;
use portcullis_guard::{ErrorChain, WatchedFileError};

/// Why API keys cannot be minted, listed or read. The text never holds a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyError {
    kind: ApiKeyErrorKind,
    text: String,
}

/// The kind of an [`ApiKeyError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiKeyErrorKind {
    /// The file of keys cannot be read, watched or changed.
    File,
    /// A line of the list is not a record of a key.
    MalformedRecord,
    /// Two records have the same id.
    Repeated,
    /// No record has this id.
    UnknownKey,
    /// The key was revoked, or has expired.
    KeyEnded,
    /// Another key took the place of the key already.
    KeyRotated,
    /// What keys begin with is not a prefix.
    InvalidPrefix,
    /// The subject or the client id is empty or too long.
    InvalidSubject,
    /// A scope is not a scope (RFC 6749 §3.3).
    InvalidScope,
    /// The lifetime is zero, or ends beyond what a date can say.
    InvalidLifetime,
    /// The operating system gave no random bytes.
    RandomUnavailable,
}

impl ApiKeyError {
    pub(super) fn new(kind: ApiKeyErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(super) fn of_file(error: &WatchedFileError) -> Self {
        let text = format!("API keys cannot be read: {}", ErrorChain::new(error));
        Self::new(ApiKeyErrorKind::File, text)
    }

    pub(super) fn of_change(error: &LockedFileError) -> Self {
        Self::new(ApiKeyErrorKind::File, error.to_string())
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> ApiKeyErrorKind {
        self.kind
    }
}

impl fmt::Display for ApiKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ApiKeyError {}
