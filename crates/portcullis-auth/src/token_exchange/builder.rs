//! The settings of a token exchange.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_guard::fetch::{Fetch, FetchBuilder};
use portcullis_guard::{Clock, Secret, SystemClock};
use tokio::sync::Semaphore;
use url::Url;

use super::cache::TokensInUse;
use super::error::TokenExchangeProblem;
use super::{
    AT_ONCE, Exchanger, Target, TokenExchange, TokenExchangeConfigError, TokenExchangeProblemKind,
};
use crate::{ClientAuthentication, ClientCredentials};

/// How long a token is given again, unless the builder says otherwise.
const LIFETIME: Duration = Duration::from_secs(60);
/// The longest time: what the authorization server takes from a caller shows as late as that.
const MAX_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// How long one exchange may take.
const TIME: Duration = Duration::from_secs(8);

/// Describes a [`TokenExchange`].
#[derive(Debug)]
#[must_use = "an exchange is built by .build()"]
pub struct TokenExchangeBuilder {
    issuer: String,
    endpoint: String,
    credentials: Vec<(ClientAuthentication, String, Secret<String>)>,
    targets: Vec<Target>,
    lifetime: Duration,
    fetch: FetchBuilder,
    clock: Arc<dyn Clock>,
}

impl TokenExchangeBuilder {
    pub(super) fn new(issuer: String, endpoint: String) -> Self {
        Self {
            issuer,
            endpoint,
            credentials: Vec::new(),
            targets: Vec::new(),
            lifetime: LIFETIME,
            fetch: Fetch::builder().time(TIME),
            clock: Arc::new(SystemClock),
        }
    }

    /// Authenticates with a client id and a secret in the header `Authorization`, both encoded as in a
    /// form (RFC 6749 §2.3.1).
    pub fn client_secret_basic(self, id: impl Into<String>, secret: Secret<String>) -> Self {
        self.client(ClientAuthentication::ClientSecretBasic, id, secret)
    }

    /// Authenticates with a client id and a secret in the body (RFC 6749 §2.3.1).
    pub fn client_secret_post(self, id: impl Into<String>, secret: Secret<String>) -> Self {
        self.client(ClientAuthentication::ClientSecretPost, id, secret)
    }

    /// Authenticates with a JWT for the issuer, which a private key signs (`private_key_jwt`, RFC 7523
    /// §2.2): Ed25519, P-256 or RSA, in PEM.
    pub fn private_key_jwt(self, id: impl Into<String>, pem: Secret<String>) -> Self {
        let method =
            ClientAuthentication::PrivateKeyJwt { key_id: None, audience: self.issuer.clone() };
        self.client(method, id, pem)
    }

    fn client(
        mut self,
        method: ClientAuthentication,
        id: impl Into<String>,
        secret: Secret<String>,
    ) -> Self {
        self.credentials.push((method, id.into(), secret));
        self
    }

    /// Adds a service that tokens may be for, by its name at the authorization server (`audience`).
    /// No other may be asked for.
    pub fn audience(self, name: impl Into<String>) -> Self {
        self.target("audience", name.into())
    }

    /// Adds a service that tokens may be for, by its URL (`resource`, RFC 8707): for an authorization
    /// server that wants it in that parameter.
    pub fn resource(self, url: impl Into<String>) -> Self {
        self.target("resource", url.into())
    }

    fn target(mut self, parameter: &'static str, name: String) -> Self {
        self.targets.push(Target { parameter, name });
        self
    }

    /// How long a token is given again to the same caller with the same token, if it does not end
    /// before: for so long nobody asks whether the caller may still have it. Default: 60 s; at most
    /// 5 min; zero exchanges for each call.
    pub fn cache_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Lets the token endpoint be on this machine, in plain http too: for development.
    pub fn allow_loopback_idp(mut self) -> Self {
        self.fetch = self.fetch.allow_loopback();
        self
    }

    /// Lets the token endpoint be on a private network, at this host, which is a name or an address.
    pub fn allow_private_idp(mut self, host: impl Into<String>) -> Self {
        self.fetch = self.fetch.allow_private_host(host);
        self
    }

    /// The clock by which tokens end. Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the exchange.
    ///
    /// # Errors
    ///
    /// Names everything that is missing or unsafe, all at once, each with its
    /// [`TokenExchangeProblemKind`].
    pub fn build(self) -> Result<TokenExchange, TokenExchangeConfigError> {
        let mut problems = Vec::new();
        let endpoint = self.endpoint().map_err(|problem| problems.push(problem)).ok();
        let credentials = self.credentials().map_err(|problem| problems.push(problem)).ok();
        problems.extend(self.problems());
        let (Some((endpoint, fetch)), Some(credentials), true) =
            (endpoint, credentials, problems.is_empty())
        else {
            return Err(TokenExchangeConfigError::new(problems));
        };
        Ok(TokenExchange(Arc::new(Exchanger {
            issuer: self.issuer,
            endpoint,
            fetch,
            credentials,
            targets: self.targets,
            lifetime: self.lifetime,
            clock: self.clock,
            in_use: TokensInUse::default(),
            flights: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
        })))
    }

    fn endpoint(&self) -> Result<(Url, Fetch), TokenExchangeProblem> {
        let problem = |kind, text: String| TokenExchangeProblem::new(kind, text);
        let invalid = TokenExchangeProblemKind::InvalidEndpoint;
        let url = Url::parse(&self.endpoint).map_err(|_| {
            let text =
                "the token endpoint is not a URL: write one such as https://idp.example.com/token";
            problem(invalid, text.to_owned())
        })?;
        let fetch = self.fetch.clone().build().map_err(|error| {
            problem(TokenExchangeProblemKind::UnusableClient, error.to_string())
        })?;
        let judged = fetch.judge(&url);
        judged.map_err(|error| problem(invalid, format!("the token endpoint: {error}")))?;
        Ok((url, fetch))
    }

    fn credentials(&self) -> Result<ClientCredentials, TokenExchangeProblem> {
        let [(method, id, secret)] = self.credentials.as_slice() else {
            let text = "say once how this server authenticates: .client_secret_basic(id, secret), \
                        .client_secret_post(id, secret) or .private_key_jwt(id, pem)";
            return Err(TokenExchangeProblem::new(
                TokenExchangeProblemKind::MissingCredentials,
                text,
            ));
        };
        ClientCredentials::new(method, id, secret).map_err(|text| {
            TokenExchangeProblem::new(TokenExchangeProblemKind::UnusableCredentials, text)
        })
    }

    fn problems(&self) -> Vec<TokenExchangeProblem> {
        let mut problems = Vec::new();
        let mut problem = |kind, text: &str| problems.push(TokenExchangeProblem::new(kind, text));
        if self.issuer.is_empty() {
            let text = "the issuer is missing: write it as the tokens have it in `iss`";
            problem(TokenExchangeProblemKind::MissingIssuer, text);
        }
        let mut names: Vec<&str> = self.targets.iter().map(|target| &*target.name).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() || names.contains(&"") || names.len() < self.targets.len() {
            let text = "no audience is named, or one is empty or named twice: add \
                        .audience(\"https://…\") or .resource(\"https://…\") for each service";
            problem(TokenExchangeProblemKind::InvalidAudience, text);
        }
        if self.lifetime > MAX_LIFETIME {
            let text = "a cache lifetime of more than 5 minutes is refused: what was taken from a \
                        caller would be used for as long";
            problem(TokenExchangeProblemKind::CacheTooLong, text);
        }
        problems
    }
}
