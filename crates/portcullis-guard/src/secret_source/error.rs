//! Why a source gives no secret.

use std::error::Error;
use std::fmt;

/// Why a source gives no secret. The text names the source's own fault, and no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSourceError {
    kind: SecretSourceErrorKind,
    text: String,
}

/// What is wrong with a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecretSourceErrorKind {
    /// It has no such secret.
    Missing,
    /// It cannot be asked: it does not answer, or cannot be read.
    Unreachable,
    /// It refuses this server.
    Refused,
    /// What it answers is not understood.
    Malformed,
}

impl SecretSourceError {
    /// An error of `kind`, for the log.
    pub fn new(kind: SecretSourceErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> SecretSourceErrorKind {
        self.kind
    }
}

impl fmt::Display for SecretSourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for SecretSourceError {}
