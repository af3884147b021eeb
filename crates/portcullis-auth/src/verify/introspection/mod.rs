//! Token introspection (RFC 7662).

mod answer;
mod builder;
mod credentials;
mod environment;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use portcullis_guard::{Environment, ErrorChain, Fetch, FetchRequest};
use url::Url;

use self::answer::Expected;
pub use self::builder::IntrospectionVerifierBuilder;
use self::credentials::CredentialSource;
use super::VerifierConfigError;
use super::inquiry::{Authority, GENERATION, Inquiry, Unverified, probe_token};
use crate::{BearerToken, Claims, MaybeFuture, Principal, Scopes, TokenVerifier, VerifyError};

/// Verifies opaque access tokens by asking the authorization server that issued them (RFC 7662).
///
/// What it decides about each token, in this order:
///
/// 1. An answer that is at most a minute old is used again
///    ([`cache_lifetime`](IntrospectionVerifierBuilder::cache_lifetime)), for the SHA-256 of the
///    same token. A refused token is refused for ten seconds.
/// 2. Otherwise the authorization server is asked, once for all requests with this token, by a
///    client that it knows. Anything but a JSON object with status 200, within 64 KiB and 8 s, is
///    no answer: the request is refused with 503, and the cause is logged.
/// 3. `active` is true: the JSON value, not a text or a number.
/// 4. `token_type` is absent or `Bearer`, and no member says that the token is something else: a
///    refresh token, an ID token, one that is bound to a key.
/// 5. `iss`, where it is there, is the issuer, and `aud` is or holds one of the audiences
///    ([`accept_clients`](IntrospectionVerifierBuilder::accept_clients) for a provider that has no
///    `aud`).
/// 6. `exp` is there and not past; `nbf` and `iat` are not ahead. The leeway is 30 s.
/// 7. `sub` is a text of 1 to 255 bytes
///    ([`subject_claim`](IntrospectionVerifierBuilder::subject_claim) names another member).
///
/// The principal has the scopes of `scope`, a text or a list, and the answer as its claims.
///
/// **Deployment caveat.** A revoked token is accepted for up to the cache's lifetime, and an open
/// stream lives until the token's `exp`. While the authorization server is down, no token that is
/// not remembered is accepted. Give this server client credentials of its own, which may introspect
/// and nothing else.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub extern crate portcullis_auth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::auth::{IntrospectionVerifier, VerifierProblemKind};
/// use portcullis::guard::Secret;
///
/// let secret = Secret::new("Zk3vJ0qTn8".to_owned());
/// let verifier = IntrospectionVerifier::endpoint("https://idp.example.com/introspect")
///     .client_secret_basic("mcp-server", secret.clone())
///     .issuer("https://idp.example.com")
///     .audience("https://mcp.example.com/mcp")
///     .required_scopes(["read"])
///     .build()?;
///
/// // Refused: the secret and every token would travel in the clear, and tokens for any service
/// // would pass.
/// let careless = IntrospectionVerifier::endpoint("http://idp.example.com/introspect")
///     .client_secret_basic("mcp-server", secret)
///     .issuer("https://idp.example.com")
///     .build()
///     .unwrap_err();
/// let kinds: Vec<_> = careless.problems().iter().map(|problem| problem.kind()).collect();
/// assert_eq!(kinds, [VerifierProblemKind::InvalidEndpoint, VerifierProblemKind::MissingAudience]);
/// # Ok::<(), portcullis::auth::VerifierConfigError>(())
/// ```
#[derive(Debug)]
pub struct IntrospectionVerifier {
    inquiry: Arc<Inquiry<Endpoint>>,
    required: Scopes,
    description: String,
    warnings: Vec<String>,
}

impl IntrospectionVerifier {
    /// A verifier that asks at `url`, the authorization server's introspection endpoint.
    pub fn endpoint(url: impl Into<String>) -> IntrospectionVerifierBuilder {
        IntrospectionVerifierBuilder::new(url.into())
    }

    /// A verifier as the process environment describes it; see
    /// [`IntrospectionVerifierBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// Names everything that is missing or wrong, all at once.
    pub fn from_env() -> Result<Self, VerifierConfigError> {
        IntrospectionVerifierBuilder::from_env(&Environment::process()).build()
    }

    fn expected(&self) -> &Expected {
        &self.inquiry.authority.expected
    }

    /// Asks about a token that nobody issued: the credentials are good if that is answered.
    async fn probe(&self) -> Result<(), VerifyError> {
        let token = probe_token().map_err(VerifyError::unavailable)?;
        let endpoint = &self.inquiry.authority;
        let answered = endpoint.ask(&token, self.inquiry.now()).await;
        let reason = match answered.and_then(|answer| answer::is_active(&answer)) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                "the provider calls a token active that nobody issued: its introspection endpoint \
                 proves nothing"
                    .to_owned()
            }
            Err(Unverified::NoAnswer(reason)) => reason,
            Err(Unverified::Refused(why)) => format!("{why:?}"),
        };
        tracing::error!(issuer = self.expected().issuer, reason, "cannot introspect tokens");
        Err(VerifyError::unavailable(reason))
    }
}

impl TokenVerifier for IntrospectionVerifier {
    fn verify<'a>(
        &'a self,
        token: &'a BearerToken,
    ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
        self.inquiry.verify(token)
    }

    fn ready(&self) -> MaybeFuture<'_, Result<(), VerifyError>> {
        MaybeFuture::pending(self.probe())
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    fn generation(&self) -> Option<u64> {
        Some(GENERATION)
    }

    fn takes_opaque_tokens(&self) -> bool {
        true
    }

    fn required_scopes(&self) -> Scopes {
        self.required.clone()
    }

    /// The issuer, where it is a URL (RFC 9728 §2).
    fn authorization_servers(&self) -> Vec<String> {
        let issuer = &self.expected().issuer;
        let url = ["https://", "http://"].iter().any(|scheme| issuer.starts_with(scheme));
        if url { vec![issuer.clone()] } else { Vec::new() }
    }

    fn issuer(&self) -> Option<&str> {
        Some(&self.expected().issuer)
    }

    fn audiences(&self) -> &[String] {
        &self.expected().audiences
    }

    fn description(&self) -> String {
        self.description.clone()
    }
}

/// Where to ask, as whom, and what the answer has to say.
#[derive(Debug)]
struct Endpoint {
    url: Url,
    fetch: Fetch,
    credentials: CredentialSource,
    expected: Expected,
}

impl Endpoint {
    async fn ask(&self, token: &str, now: SystemTime) -> Result<Claims, Unverified> {
        // Several providers call refresh tokens active, unless the hint says what is meant.
        let pairs =
            vec![("token", token.to_owned()), ("token_type_hint", "access_token".to_owned())];
        let credentials = self.credentials.current();
        let request = FetchRequest::post(&self.url).header("accept", "application/json");
        let request = credentials.request(request, pairs, now).map_err(Unverified::NoAnswer)?;
        let fetched = self.fetch.send(request).await.map_err(|error| {
            let issuer = &self.expected.issuer;
            Unverified::NoAnswer(format!(
                "the introspection endpoint of {issuer} does not answer: {}",
                ErrorChain::new(&error)
            ))
        })?;
        answer::read(fetched.status, &fetched.body)
    }
}

impl Authority for Endpoint {
    async fn judge(&self, token: &str, now: SystemTime) -> Result<Principal, Unverified> {
        self.expected.principal(self.ask(token, now).await?, now)
    }
}
