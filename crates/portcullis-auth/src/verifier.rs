//! The trait of whatever verifies access tokens, and its errors.

use std::fmt;
use std::sync::Arc;

use crate::{BearerToken, MaybeFuture, Principal, Scopes};

/// Decides whether a bearer token is good, and whom it speaks for.
///
/// Expiry ([`Principal::expires_at`]) and required scopes are enforced after every
/// verifier by the [`Authenticator`](crate::Authenticator), so that no verifier can forget
/// them.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub extern crate portcullis_auth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use std::sync::Arc;
///
/// use portcullis::auth::{BearerToken, Principal, TokenVerifier, VerifyError};
/// use portcullis::guard::{MaybeFuture, Secret};
///
/// #[derive(Debug)]
/// struct OneKey(Secret<String>);
///
/// impl TokenVerifier for OneKey {
///     fn verify<'a>(&'a self, token: &'a BearerToken) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
///         MaybeFuture::ready(match self.0.matches(token.expose()) {
///             true => Ok(Arc::new(Principal::new("service"))),
///             false => Err(VerifyError::invalid("not the key")),
///         })
///     }
/// }
/// ```
pub trait TokenVerifier: fmt::Debug + Send + Sync + 'static {
    /// Verifies `token`.
    ///
    /// # Errors
    ///
    /// [`VerifyError::invalid`] for a token that is not good, [`VerifyError::unavailable`]
    /// when that cannot be told at the moment. Neither lets the request in.
    fn verify<'a>(
        &'a self,
        token: &'a BearerToken,
    ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>>;

    /// Whether tokens can be verified at all, such as with the keys of an issuer that have to be
    /// fetched. A server asks once when it begins to listen, in the background, so that a wrong
    /// address shows then and not with the first request; it serves all the same.
    ///
    /// # Errors
    ///
    /// Why they cannot be verified at the moment; the verifier has logged it. Default: they can.
    fn ready(&self) -> MaybeFuture<'_, Result<(), VerifyError>> {
        MaybeFuture::ready(Ok(()))
    }

    /// What start-up should warn about, a sentence each. Default: nothing.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether tokens may have other characters than those that RFC 6750 §2.1 has for them
    /// (token68): some issuers give out opaque tokens with colons. Any visible ASCII but a comma
    /// is then let through to [`verify`](Self::verify). Default: no.
    fn takes_opaque_tokens(&self) -> bool {
        false
    }

    /// A number that changes when a token that was accepted may have to be refused before its
    /// principal expires, such as when the issuer's keys are replaced. While it stays the same,
    /// a token that a connection shows again is not verified again, unless an authority's answer
    /// about it counts no longer. Default: `None`, each request is verified.
    fn generation(&self) -> Option<u64> {
        None
    }

    /// The scopes without which no request is served. Default: none.
    fn required_scopes(&self) -> Scopes {
        Scopes::default()
    }

    /// The issuers of the authorization servers that give out tokens for this server, for
    /// the protected-resource metadata (RFC 9728 §2). Default: none.
    fn authorization_servers(&self) -> Vec<String> {
        Vec::new()
    }

    /// The issuer of every principal that the verifier gives, if it is always the same one.
    /// Default: unknown.
    fn issuer(&self) -> Option<&str> {
        None
    }

    /// The audiences that tokens must have, if the verifier checks them: start-up warns when the
    /// server itself is not among them. Default: unknown.
    fn audiences(&self) -> &[String] {
        &[]
    }

    /// What start-up says about the authentication in force, in a few words.
    fn description(&self) -> String {
        "bearer tokens".to_owned()
    }

    /// Whether the verifier is for development only: such a server refuses to listen
    /// beyond the loopback interface, and to have a `public_url` or an `allow_host` there.
    /// Default: no.
    fn loopback_only(&self) -> bool {
        false
    }
}

/// Why a token was not accepted. The reason is for the log; a caller never sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    kind: VerifyErrorKind,
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VerifyErrorKind {
    Invalid,
    Unavailable,
}

impl VerifyError {
    /// The token is not good: the caller gets a 401.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self { kind: VerifyErrorKind::Invalid, reason: reason.into() }
    }

    /// Whether the token is good cannot be told at the moment: the caller gets a 503.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self { kind: VerifyErrorKind::Unavailable, reason: reason.into() }
    }

    /// The reason, for the log.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether this is a failure of the verifier, not of the token.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.kind == VerifyErrorKind::Unavailable
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for VerifyError {}
