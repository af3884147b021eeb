//! Sign-in with any OpenID provider.

use portcullis_guard::{Environment, EnvironmentError, Secret};

use super::{OpenIdVendor, client, openid, vendors};
use crate::provider::proxy::OAuthProxy;
use crate::upstream::TokenEndpointAuth;

vendors! {
    /// Any OpenID provider.
    Oidc, "OidcProxy";
}

/// Users sign in at an OpenID provider, whose metadata names its endpoints (OpenID Connect Discovery).
///
/// It is read when the first user signs in: a provider that is away stops no server. An ID
/// token says who the user is: its signature, issuer, audience, times and nonce are verified
/// ([`IdTokenVerifier`](portcullis_auth::IdTokenVerifier)).
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub use portcullis_oauth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::auth::{Admit, OidcProxy};
/// use portcullis::guard::Secret;
///
/// let secret = Secret::new("Zk3vJ0qTn8".to_owned());
/// let provider = OidcProxy::discover("https://idp.example.com", "mcp-server", secret)
///     .scopes(["notes:read"])
///     .admit(Admit::claim("groups", ["staff"]));
/// ```
pub type OidcProxy = OAuthProxy<Oidc>;

impl OpenIdVendor for Oidc {}

impl OAuthProxy<Oidc> {
    /// The provider with this issuer, exactly as its metadata spells it, and the client that this server
    /// is there.
    pub fn discover(
        issuer: impl Into<String>,
        id: impl Into<String>,
        secret: impl Into<Secret<String>>,
    ) -> Self {
        Self::of(openid(issuer, id, secret))
    }

    /// As [`discover`](Self::discover), for a client without a secret. PKCE is what protects its codes.
    pub fn discover_as_public_client(issuer: impl Into<String>, id: impl Into<String>) -> Self {
        let mut proxy = Self::of(openid(issuer, id, Secret::new(String::new())));
        proxy.upstream.client_secret = None;
        proxy.upstream.authentication = TokenEndpointAuth::None;
        proxy
    }

    /// As [`discover`](Self::discover), with the variables `IDP_ISSUER`, `IDP_CLIENT_ID`, and
    /// `IDP_CLIENT_SECRET` or a file in `IDP_CLIENT_SECRET_FILE`.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing.
    pub fn from_env(environment: &Environment) -> Result<Self, EnvironmentError> {
        let (id, secret) = client(environment, "IDP")?;
        let [issuer] = environment.require(["IDP_ISSUER"])?;
        Ok(Self::discover(issuer, id, secret))
    }
}
