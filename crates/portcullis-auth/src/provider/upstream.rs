//! The tokens that an identity provider gave for users who signed in there.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use portcullis_guard::Secret;

use crate::{MaybeFuture, Principal};

/// Where the tokens are that an identity provider gave this server for its users.
///
/// They are for calls that the server makes on a user's behalf. The token with which a user called is
/// never one of them, and goes nowhere.
pub trait UpstreamTokens: fmt::Debug + Send + Sync + 'static {
    /// The provider's access token of the user that `principal` speaks for, renewed if need be.
    ///
    /// # Errors
    ///
    /// When the user has no such token, or it cannot be had at the moment.
    fn upstream_token<'a>(
        &'a self,
        principal: &'a Principal,
    ) -> MaybeFuture<'a, Result<UpstreamToken, UpstreamTokenError>>;
}

/// An access token of the identity provider at which the caller signed in. `Debug` does not show it.
///
/// It is good at the provider alone: send it to no other host.
#[derive(Clone)]
pub struct UpstreamToken {
    provider: String,
    token: Secret<String>,
    expires_at: Option<SystemTime>,
}

impl UpstreamToken {
    /// The token that `provider`, an issuer, gave.
    #[must_use]
    pub fn new(
        provider: impl Into<String>,
        token: Secret<String>,
        expires_at: Option<SystemTime>,
    ) -> Self {
        Self { provider: provider.into(), token, expires_at }
    }

    /// The issuer that gave it.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The token itself.
    #[must_use]
    pub fn token(&self) -> &Secret<String> {
        &self.token
    }

    /// When it ends, if the provider said.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }
}

impl fmt::Debug for UpstreamToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamToken")
            .field("provider", &self.provider)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Why there is no token of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTokenError {
    kind: UpstreamTokenErrorKind,
    cause: Cow<'static, str>,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpstreamTokenErrorKind {
    /// The user has no such token: they sign in again, or never signed in at a provider.
    Missing,
    /// It cannot be had at the moment.
    Unavailable,
}

impl UpstreamTokenError {
    /// The user has no such token; `cause` is for the log.
    pub fn missing(cause: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: UpstreamTokenErrorKind::Missing, cause: cause.into() }
    }

    /// It cannot be had; `cause` is for the log.
    pub fn unavailable(cause: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: UpstreamTokenErrorKind::Unavailable, cause: cause.into() }
    }

    /// What is to be done about it.
    #[must_use]
    pub fn kind(&self) -> UpstreamTokenErrorKind {
        self.kind
    }
}

impl fmt::Display for UpstreamTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no token of the identity provider: {}", self.cause)
    }
}

impl std::error::Error for UpstreamTokenError {}
