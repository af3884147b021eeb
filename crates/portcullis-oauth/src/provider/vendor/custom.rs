//! Providers of plain OAuth, described by their endpoints.

use portcullis_guard::Secret;

use super::vendors;
use crate::provider::proxy::OAuthProxy;
use crate::upstream::{IdentitySource, TokenEndpointAuth, UpstreamConfig};

vendors! {
    /// A provider of plain OAuth that is described by its endpoints.
    Custom, "OAuthProxy";
}

impl OAuthProxy<Custom> {
    /// A provider that is described by its endpoints and by the client that this server is there. It needs
    /// the endpoints for authorization, tokens and userinfo.
    pub fn builder() -> Self {
        let identity = IdentitySource::UserInfo { subject: "sub".to_owned(), renamed: Vec::new() };
        Self::of(UpstreamConfig::new(identity))
    }

    /// Where users sign in. Their browsers ask for it.
    pub fn authorization_endpoint(mut self, url: impl Into<String>) -> Self {
        self.upstream.endpoints.authorization = url.into();
        self
    }

    /// Where codes are redeemed.
    pub fn token_endpoint(mut self, url: impl Into<String>) -> Self {
        self.upstream.endpoints.token = url.into();
        self
    }

    /// Where it is said who the user of an access token is: with GET, and JSON in the answer.
    pub fn userinfo_endpoint(mut self, url: impl Into<String>) -> Self {
        self.upstream.endpoints.userinfo = Some(url.into());
        self
    }

    /// Where tokens are revoked (RFC 7009). Default: nowhere.
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Self {
        self.upstream.endpoints.revocation = Some(url.into());
        self
    }

    /// The provider's issuer: what its users and secrets are bound to, and what an `iss` in its answers
    /// has to be (RFC 9207).
    ///
    /// Default: an `iss` has to be the origin of the authorization endpoint. Users and secrets are bound to
    /// that endpoint, since two providers may be at one origin: at another one nobody signs in before it
    /// is said here that it is the same provider, and how that was called.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.upstream.endpoints.issuer = Some(issuer.into());
        self
    }

    /// Which member of the userinfo answer is the subject: the provider's own id of the user, a text or a
    /// whole number, which is never given to somebody else. An email address is refused at start.
    /// Default: `sub`.
    pub fn subject_claim(mut self, name: impl Into<String>) -> Self {
        let identity = IdentitySource::UserInfo { subject: name.into(), renamed: Vec::new() };
        self.upstream.identity = identity;
        self
    }

    /// The client that this server is at the provider.
    pub fn client(mut self, id: impl Into<String>, secret: impl Into<Secret<String>>) -> Self {
        self.upstream.client_id = id.into();
        self.upstream.client_secret = Some(secret.into());
        self
    }

    /// As [`client`](Self::client), without a secret. PKCE is what protects its codes.
    pub fn public_client(mut self, id: impl Into<String>) -> Self {
        self.upstream.client_id = id.into();
        self.upstream.client_secret = None;
        self.upstream.authentication = TokenEndpointAuth::None;
        self
    }
}
