//! What decides who gets in, once it is known where clients reach the server.

mod endpoints;
mod error;
mod notes;
mod remote;
#[cfg(test)]
mod tests;
mod upstream;

use std::fmt;
use std::sync::Arc;

pub use self::endpoints::{
    Audience, AuthorizationEndpoint, AuthorizationEndpoints, EndpointRequest, MAX_ENDPOINT_BODY,
};
pub use self::error::{AuthProviderError, AuthProviderProblem, AuthProviderProblemKind};
pub use self::notes::{EndpointNotes, EndpointRecord};
pub use self::remote::{RemoteAuthProvider, RemoteAuthProviderBuilder};
pub use self::upstream::{
    UpstreamToken, UpstreamTokenError, UpstreamTokenErrorKind, UpstreamTokens,
};
use crate::{PublicUrl, Scopes, TokenVerifier};

/// Decides how a server authenticates its callers over HTTP: a [`TokenVerifier`] is one, and so is
/// [`RemoteAuthProvider`].
///
/// A provider of your own is for what depends on where clients reach the server, such as the
/// audience of tokens. Where nothing does, write a [`TokenVerifier`].
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub extern crate portcullis_auth as auth;
/// #     pub use portcullis_auth::danger;
/// # }
/// use std::sync::Arc;
///
/// use portcullis::auth::{AuthProvider, AuthProviderError, AuthSummary, ProtectedResource, PublicUrl};
/// use portcullis::danger::{StaticTokenVerifier, user};
///
/// /// Gives every server a token of its own.
/// #[derive(Debug)]
/// struct TokenOfEach;
///
/// impl AuthProvider for TokenOfEach {
///     fn summary(&self) -> AuthSummary {
///         AuthSummary::new("a token of each server").loopback_only()
///     }
///
///     fn at(self: Arc<Self>, url: &PublicUrl) -> Result<ProtectedResource, AuthProviderError> {
///         let token = format!("dev-token-of-{}", url.origin());
///         let verifier = StaticTokenVerifier::new().token(&token, user("dev"));
///         Ok(ProtectedResource::new(Arc::new(verifier)))
///     }
/// }
/// ```
pub trait AuthProvider: fmt::Debug + Send + Sync + 'static {
    /// What is known of it before the server has a URL.
    fn summary(&self) -> AuthSummary;

    /// What verifies the tokens of the server at `url`, and what its metadata says. It is called
    /// once, when the server begins to listen.
    ///
    /// # Errors
    ///
    /// When no token could be verified there. The server then does not start.
    fn at(self: Arc<Self>, url: &PublicUrl) -> Result<ProtectedResource, AuthProviderError>;
}

impl<V: TokenVerifier> AuthProvider for V {
    fn summary(&self) -> AuthSummary {
        AuthSummary {
            description: self.description(),
            required_scopes: self.required_scopes(),
            loopback_only: TokenVerifier::loopback_only(self),
        }
    }

    fn at(self: Arc<Self>, _: &PublicUrl) -> Result<ProtectedResource, AuthProviderError> {
        Ok(ProtectedResource::new(self))
    }
}

/// What an [`AuthProvider`] says of itself before the server has a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthSummary {
    /// What start-up says about the authentication in force, in a few words.
    pub description: String,
    /// The scopes without which no request is served.
    pub required_scopes: Scopes,
    /// As [`TokenVerifier::loopback_only`].
    pub loopback_only: bool,
}

impl AuthSummary {
    /// That of a provider which requires no scopes.
    #[must_use]
    pub fn new(description: impl Into<String>) -> Self {
        let (description, required_scopes) = (description.into(), Scopes::default());
        Self { description, required_scopes, loopback_only: false }
    }

    /// Sets the scopes without which no request is served: those of the verifier.
    #[must_use]
    pub fn required_scopes(mut self, scopes: Scopes) -> Self {
        self.required_scopes = scopes;
        self
    }

    /// For development only, as [`TokenVerifier::loopback_only`].
    #[must_use]
    pub fn loopback_only(mut self) -> Self {
        self.loopback_only = true;
        self
    }
}

/// What an [`AuthProvider`] gives a server that has a URL.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProtectedResource {
    /// Verifies the tokens.
    pub verifier: Arc<dyn TokenVerifier>,
    /// The issuers of the authorization servers, for the metadata (RFC 9728 §2), byte for byte.
    pub authorization_servers: Vec<String>,
    /// The server's name in the metadata. Default: that of the server.
    pub resource_name: Option<String>,
    /// Where people who write clients read about the server, for the metadata.
    pub resource_documentation: Option<String>,
    /// What start-up should warn about, a sentence each, beside the verifier's own warnings.
    pub warnings: Vec<String>,
    /// Scopes that clients may ask for, beside those that the components need (RFC 9728 §2).
    pub scopes_supported: Scopes,
    /// Where clients sign in, if that is at this server.
    pub endpoints: Option<Arc<dyn AuthorizationEndpoints>>,
    /// Where the tokens are that an identity provider gave for the users, if one did.
    pub upstream_tokens: Option<Arc<dyn UpstreamTokens>>,
}

impl ProtectedResource {
    /// A resource whose tokens `verifier` verifies, and whose authorization servers it names.
    #[must_use]
    pub fn new(verifier: Arc<dyn TokenVerifier>) -> Self {
        Self {
            authorization_servers: verifier.authorization_servers(),
            verifier,
            resource_name: None,
            resource_documentation: None,
            warnings: Vec::new(),
            scopes_supported: Scopes::default(),
            endpoints: None,
            upstream_tokens: None,
        }
    }
}
