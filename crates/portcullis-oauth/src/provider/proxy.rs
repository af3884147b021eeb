//! The authorization server whose users sign in at an identity provider.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis_auth::{
    AuthProvider, AuthProviderError, AuthSummary, OneOrMany, ProtectedResource, PublicUrl, Scopes,
};
use portcullis_guard::Clock;
use portcullis_guard::keys::KeyRing;
use portcullis_store::Store;

use super::setup::{Setup, setup_methods};
use super::vendor::{Custom, Vendor};
use crate::connection::Connections;
use crate::consent::Consent;
use crate::endpoint::CALLBACK;
use crate::server::Users;
use crate::upstream::{Admit, TokenEndpointAuth, Upstream, UpstreamConfig};

/// An authorization server of its own, whose users sign in at an identity provider that knows nothing
/// of MCP.
///
/// The provider has one client, this server, which you register there with the redirect URI
/// `https://HOST/auth/callback`. MCP clients register here, by themselves, and get tokens of this server,
/// which are good nowhere else. The provider's tokens stay here, sealed.
///
/// This type has what all providers share. Those that are known have constructors and defaults of their
/// own: [`GitHubProvider`](crate::GitHubProvider), [`GoogleProvider`](crate::GoogleProvider),
/// [`OidcProxy`](crate::OidcProxy) for any OpenID provider, and so on; [`builder`](Self::builder) is for
/// a provider of plain OAuth that is described by its endpoints.
///
/// **Deployment caveat.** Whoever has an account at the provider may sign in, unless
/// [`admit`](Self::admit) says who may, and whoever signs in may allow a client every scope of this
/// server that no [`scope_mapping`](Self::scope_mapping) gives to the provider to decide. By default all
/// is kept in memory: registrations, grants and tokens end with the process.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub use portcullis_oauth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::auth::{Admit, OAuthProxy};
/// use portcullis::guard::Secret;
///
/// let provider = OAuthProxy::builder()
///     .authorization_endpoint("https://idp.example.com/authorize")
///     .token_endpoint("https://idp.example.com/token")
///     .userinfo_endpoint("https://idp.example.com/me")
///     .subject_claim("id")
///     .client("mcp-server", Secret::new("Zk3vJ0qTn8".to_owned()))
///     .upstream_scopes(["profile"])
///     .scopes(["notes:read", "notes:write"])
///     .admit(Admit::email_domains(["example.com"]));
/// ```
#[must_use]
pub struct OAuthProxy<V = Custom> {
    pub(super) setup: Setup,
    pub(super) upstream: UpstreamConfig,
    vendor: PhantomData<V>,
}

/// What MCP clients and their users see.
impl<V: Vendor> OAuthProxy<V> {
    pub(super) fn of(upstream: UpstreamConfig) -> Self {
        Self { setup: Setup::default(), upstream, vendor: PhantomData }
    }

    setup_methods!();

    fn built(&self) -> Result<Upstream, AuthProviderError> {
        let built = self.upstream.build(Arc::clone(&self.setup.clock));
        built.map_err(|problem| AuthProviderError::new(format!("{}: {problem}", V::NAME)))
    }

    /// When a page asks users before a client gets a code. Default: each time.
    pub fn consent(mut self, consent: Consent) -> Self {
        self.setup.consent = consent;
        self
    }

    /// Says who may sign in, of all who have an account at the provider. Where it is called more than
    /// once, a user has to meet each. Default: everybody; start-up warns, unless only an organization gives
    /// accounts.
    pub fn admit(mut self, admit: Admit) -> Self {
        self.upstream.admission.push(admit);
        self
    }

    /// Adds claims of the provider that are known of a caller, in checks and functions, beside
    /// `email`, `email_verified`, `name`, `preferred_username`, `groups`, `roles`, `hd`, `login`, `tid`
    /// and `org_id`. A user whose claims have more than 4 KiB in all does not get in.
    pub fn claims(mut self, names: impl OneOrMany) -> Self {
        for name in names.into_many() {
            if !self.upstream.claims.contains(&name) {
                self.upstream.claims.push(name);
            }
        }
        self
    }

    /// As [`claims`](Self::claims), and no others: for a provider with too many groups in a claim.
    pub fn only_claims(mut self, names: impl OneOrMany) -> Self {
        self.upstream.claims.clear();
        self.claims(names)
    }
}

/// What people see of grants.
impl<V: Vendor> OAuthProxy<V> {
    /// What users allowed clients at the server at `url`, to list and to revoke, at the provider too.
    ///
    /// # Errors
    ///
    /// Without a [`store`](Self::store), which the server shares, and where the server would not start.
    pub fn connections(&self, url: &PublicUrl) -> Result<Connections, AuthProviderError> {
        self.setup.connections(url, Some(Arc::new(self.built()?)))
    }
}

/// What the provider sees.
impl<V: Vendor> OAuthProxy<V> {
    /// What people call the provider, on the page that leads there.
    pub fn provider_name(mut self, name: impl Into<String>) -> Self {
        self.upstream.name = Some(name.into());
        self
    }

    /// The scopes that the provider is asked for in every sign-in, in place of the default.
    pub fn upstream_scopes(mut self, scopes: impl OneOrMany) -> Self {
        self.upstream.scopes = Scopes::from_iter(scopes.into_many());
        self
    }

    /// Lets the provider decide about one scope of this server: it is asked for `theirs` when a user
    /// allowed `ours`, and the user has `ours` if it grants them all.
    pub fn scope_mapping(mut self, ours: impl Into<String>, theirs: impl OneOrMany) -> Self {
        self.upstream.scope_map.named.push((ours.into(), theirs.into_many()));
        self
    }

    /// As [`scope_mapping`](Self::scope_mapping) for all other scopes of this server: at the provider
    /// they have `prefix` before them, such as `api://mcp-server/`.
    pub fn scope_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.upstream.scope_map.prefix = Some(prefix.into());
        self
    }

    /// The resource that the provider's tokens are for (RFC 8707), sent with each request that may name
    /// one. It is for calls that this server makes with them; what an MCP client names is never passed
    /// on. Default: none.
    pub fn upstream_resource(mut self, resource: impl Into<String>) -> Self {
        self.upstream.resource = Some(resource.into());
        self
    }

    /// Adds a parameter to the address at which users sign in, such as `audience`. One that this server
    /// sets itself is refused at start.
    pub fn authorize_parameter(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.upstream.authorize_parameters.push((name.into(), value.into()));
        self
    }

    /// Adds a parameter to each request at the token endpoint. One that this server sets itself is refused
    /// at start.
    pub fn token_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.upstream.token_parameters.push((name.into(), value.into()));
        self
    }

    /// How this server authenticates at the token endpoint.
    pub fn token_endpoint_auth(mut self, method: TokenEndpointAuth) -> Self {
        self.upstream.authentication = method;
        self
    }

    /// Leaves out the PKCE challenge, for a provider that refuses it. Default: S256.
    ///
    /// Whoever reads a code of the provider can then redeem it, with the client's secret.
    pub fn without_pkce(mut self) -> Self {
        self.upstream.pkce = false;
        self
    }

    /// Whether `offline_access` is asked for, which many providers want before they give a refresh token,
    /// and some refuse. Default: if the provider's metadata has it.
    ///
    /// Without a refresh token of the provider, users sign in again when its access token ends.
    pub fn offline_access(mut self, asked: bool) -> Self {
        self.upstream.offline_access = Some(asked);
        self
    }

    /// What the provider shows although it knows the user: `login`, `consent`, `select_account` (OpenID
    /// Connect Core §3.1.2.1). Default: `consent` beside `offline_access`, which goes with it (§11).
    pub fn prompt(mut self, values: impl OneOrMany) -> Self {
        self.upstream.prompt = Some(values.into_many().join(" "));
        self
    }

    /// Lets the provider show what it wants.
    pub fn no_prompt(mut self) -> Self {
        self.upstream.prompt = Some(String::new());
        self
    }

    /// How long the provider's access tokens count where it does not say. Default: until it says that one
    /// is no longer good; an hour where it cannot be asked.
    pub fn fallback_lifetime(mut self, lifetime: Duration) -> Self {
        self.upstream.fallback_lifetime = Some(lifetime);
        self
    }

    /// Says that the provider, when one token is revoked, ends all that it gave this server for the user,
    /// as Google and Discord do. Then nothing is revoked there until the last grant of a user ends:
    /// other clients of theirs would stop. Default: each grant's own tokens are revoked with it.
    pub fn revocation_ends_all_of_user(mut self) -> Self {
        self.upstream.revokes_all_of_user = true;
        self
    }

    /// Lets the provider be on this machine, in plain http too: for tests, and for identity providers
    /// under development.
    pub fn allow_loopback_idp(mut self) -> Self {
        self.upstream.fetch = self.upstream.fetch.allow_loopback();
        self
    }

    /// Lets the provider be `host` on a private network, over https, and no other host: such as
    /// `idp.corp.internal`. It is a name or an address, without a port.
    pub fn allow_private_idp(mut self, host: impl Into<String>) -> Self {
        self.upstream.fetch = self.upstream.fetch.allow_private_host(host);
        self
    }

    /// Trusts the certificates in this PEM file, and no others, at the provider. It is read when the
    /// server begins to listen.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.upstream.ca_file = Some(path.into());
        self
    }
}

impl<V: Vendor> AuthProvider for OAuthProxy<V> {
    fn summary(&self) -> AuthSummary {
        let summary = AuthSummary::new(format!("users sign in at {}", self.upstream.shown()));
        match self.upstream.is_stand_in || self.setup.clients.is_for_loopback() {
            true => summary.loopback_only(),
            false => summary,
        }
    }

    fn at(self: Arc<Self>, url: &PublicUrl) -> Result<ProtectedResource, AuthProviderError> {
        let upstream = self.built()?;
        let redirect_uri = format!("{}{CALLBACK}", url.base());
        tracing::info!(provider = upstream.name(), redirect_uri, "users sign in at a provider");
        let mut protected = self.setup.at(url, Users::Upstream(Arc::new(upstream)))?;
        protected.warnings = self.upstream.warnings();
        protected.warnings.extend(self.setup.warning(V::NAME));
        Ok(protected)
    }
}

/// Without the secret, and without parameters, which may be secrets.
impl<V> fmt::Debug for OAuthProxy<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthProxy")
            .field("upstream", &self.upstream)
            .field("setup", &self.setup)
            .finish_non_exhaustive()
    }
}
