//! Why connections are not listed or revoked.

use std::fmt;

use crate::error::{ErrorCode, OAuthError};

/// Why connections could not be listed or revoked. Some may be revoked already.
#[derive(Debug)]
pub struct ConnectionsError {
    kind: ConnectionsErrorKind,
    reason: String,
}

/// What a program may do about a [`ConnectionsError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionsErrorKind {
    /// The server has no such URL, or its store would be no safe one.
    Misconfigured,
    /// The store cannot be asked, or there is more to do than in one request: try again.
    Unavailable,
    /// A record is malformed, or of a newer version.
    Unreadable,
}

impl ConnectionsError {
    pub(super) fn misconfigured(reason: impl fmt::Display) -> Self {
        Self { kind: ConnectionsErrorKind::Misconfigured, reason: reason.to_string() }
    }

    /// What a program may do about it.
    #[must_use]
    pub fn kind(&self) -> ConnectionsErrorKind {
        self.kind
    }
}

impl From<OAuthError> for ConnectionsError {
    fn from(error: OAuthError) -> Self {
        let kind = match error.code {
            ErrorCode::TemporarilyUnavailable => ConnectionsErrorKind::Unavailable,
            _ => ConnectionsErrorKind::Unreadable,
        };
        Self { kind, reason: error.cause.unwrap_or(error.description).into_owned() }
    }
}

impl fmt::Display for ConnectionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ConnectionsError {}
