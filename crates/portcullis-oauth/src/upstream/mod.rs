//! The identity provider at which users sign in: this server as its client (RFC 6749, OpenID Connect
//! Core). No endpoint of this server is here.

mod admission;
mod authorization;
mod chosen_claims;
mod config;
mod endpoints;
mod error;
mod github;
mod identity;
mod revocation;
mod scope_map;
#[cfg(test)]
pub(crate) mod tests;
mod token_endpoint;
mod token_response;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_auth::{ClientCredentials, Scopes};
use portcullis_guard::{Clock, Fetch};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::admission::Admit;
pub use self::config::TokenEndpointAuth;
pub(crate) use self::config::{Accounts, EndpointUrls, UpstreamConfig};
use self::endpoints::Endpoints;
pub(crate) use self::error::UpstreamError;
pub(crate) use self::identity::{IdentitySource, User};
use self::scope_map::ScopeMap;
use self::token_endpoint::Credentials;

/// An identity provider at which users sign in.
///
/// 1. Each sign-in has its own PKCE verifier and nonce, and none of the MCP client's: neither its
///    challenge nor its `resource` is passed on.
/// 2. Where the provider is found by its issuer, its metadata is read when the first user signs in, and
///    once a day after that: a provider that is away stops no server.
/// 3. A code is redeemed once. What may have reached the provider is not sent again, since some burn a
///    code at its first failure.
/// 4. Who a user is, is said by an ID token that is verified ([`portcullis_auth::IdTokenVerifier`]), or
///    by the provider when it is asked with an access token that it gave this server itself.
/// 5. Who may sign in is decided last, and fails closed ([`Admit`]).
pub(crate) struct Upstream {
    name: String,
    issuer: String,
    /// Its issuer, if that was named or is in its metadata; else its authorization endpoint, since two
    /// providers may be at one origin.
    identifier: String,
    client_id: String,
    credentials: Credentials,
    /// For GitHub's API.
    api_credentials: Option<ClientCredentials>,
    endpoints: Endpoints,
    identity: IdentitySource,
    pkce: bool,
    /// What is asked for in every sign-in.
    scopes: Scopes,
    scope_map: ScopeMap,
    authorize_parameters: Vec<(String, String)>,
    token_parameters: Vec<(String, String)>,
    resource: Option<String>,
    /// Where it is not said: if the provider says that it has it.
    offline_access: Option<bool>,
    /// Where it is not said: `consent` beside `offline_access`.
    prompt: Option<String>,
    fallback_lifetime: Option<Duration>,
    /// The names of the claims that go on.
    claims: Vec<String>,
    admission: Vec<Admit>,
    revokes_all_of_user: bool,
    fetch: Fetch,
    clock: Arc<dyn Clock>,
    /// Whether the log says that no refresh token comes.
    warned: AtomicBool,
}

/// A user is to be sent to the provider.
pub(crate) struct UpstreamRequest<'a> {
    pub(crate) state: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) code_verifier: &'a str,
    /// This server's callback.
    pub(crate) redirect_uri: &'a str,
    /// The scopes of this server that the user allowed.
    pub(crate) scopes: &'a Scopes,
}

/// A user came back, and what was sent then.
pub(crate) struct UpstreamAnswer<'a> {
    pub(crate) code: &'a str,
    pub(crate) iss: Option<&'a str>,
    pub(crate) nonce: &'a str,
    pub(crate) code_verifier: &'a str,
    pub(crate) redirect_uri: &'a str,
    pub(crate) scopes: &'a Scopes,
}

/// Who signed in.
pub(crate) struct SignedIn {
    /// The provider's word for the user, that it gives to nobody else. Never an email address, where
    /// this server has the choice.
    pub(crate) subject: String,
    /// The claims that were chosen.
    pub(crate) claims: Map<String, Value>,
    /// Scopes of this server: those that the user allowed, as far as the provider goes along.
    pub(crate) scopes: Scopes,
    pub(crate) tokens: UpstreamTokens,
}

/// The tokens of the provider. There is no `Debug`: each is a secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamTokens {
    pub(crate) access_token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
    /// When the access token ends, in seconds since 1970; `None` for one that has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<u64>,
    /// What the provider said that it grants, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_type: Option<String>,
    /// The subject, where the userinfo endpoint alone says whether they may sign in: it is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked_again: Option<String>,
}

impl UpstreamTokens {
    /// Whether the access token ends before `time`. One without an end does not.
    pub(crate) fn ends_before(&self, time: SystemTime) -> bool {
        self.expires_at.is_some_and(|ends| ends <= seconds(time))
    }
}

impl Upstream {
    /// What people call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What its users and secrets are bound to.
    pub(crate) fn identifier(&self) -> &str {
        &self.identifier
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether the provider, when one token is revoked, ends all that it gave this server for the user.
    pub(crate) fn revokes_all_of_user(&self) -> bool {
        self.revokes_all_of_user
    }

    fn now(&self) -> SystemTime {
        self.clock.now()
    }
}

/// Without the credentials, and without parameters, which may be secrets.
impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.name)
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
