//! The settings of an introspection verifier.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use portcullis_guard::fetch::{Fetch, FetchBuilder};
use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, ErrorChain, Secret, SecretFile, SystemClock};
use url::Url;

use super::super::inquiry::{EXCHANGE_TIME, Inquiry, LIFETIME, MAX_LIFETIME};
use super::super::{VerifierConfigError, VerifierProblem, VerifierProblemKind};
use super::answer::Expected;
use super::credentials::CredentialSource;
use super::{Endpoint, IntrospectionVerifier};
use crate::{ClientAuthentication, ClientCredentials, OneOrMany, Scopes};

const LEEWAY: Duration = Duration::from_secs(30);
const MAX_LEEWAY: Duration = Duration::from_secs(300);
/// What differs between providers, and shows with the first token only.
const AMBIGUOUS: &str = "the client id or secret has characters that providers read differently in \
                         client_secret_basic: if the provider answers 401, try .unencoded_basic() or \
                         .client_secret_post(…)";

/// Describes an [`IntrospectionVerifier`].
#[derive(Debug)]
#[must_use = "a verifier is built by .build()"]
pub struct IntrospectionVerifierBuilder {
    url: String,
    credentials: Vec<Client>,
    issuer: String,
    audiences: Vec<String>,
    clients: Vec<String>,
    required: Scopes,
    subject_claim: String,
    scope_claims: Vec<Vec<String>>,
    leeway: Duration,
    unexpiring: bool,
    cache_lifetime: Duration,
    basic: ClientAuthentication,
    key_id: Option<String>,
    assertion_audience: Option<String>,
    fetch: FetchBuilder,
    ca_file: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    problems: Vec<VerifierProblem>,
}

/// Which way to authenticate was chosen, for which client.
#[derive(Debug)]
struct Client {
    id: String,
    way: Way,
    secret: ClientSecret,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Basic,
    Post,
    PrivateKey,
}

/// A secret, or a private key in PEM.
#[derive(Debug)]
enum ClientSecret {
    Text(Secret<String>),
    File(PathBuf),
}

impl IntrospectionVerifierBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            credentials: Vec::new(),
            issuer: String::new(),
            audiences: Vec::new(),
            clients: Vec::new(),
            required: Scopes::default(),
            subject_claim: "sub".to_owned(),
            scope_claims: Vec::new(),
            leeway: LEEWAY,
            unexpiring: false,
            cache_lifetime: LIFETIME,
            basic: ClientAuthentication::ClientSecretBasic,
            key_id: None,
            assertion_audience: None,
            fetch: Fetch::builder().time(EXCHANGE_TIME),
            ca_file: None,
            clock: Arc::new(SystemClock),
            problems: Vec::new(),
        }
    }

    /// Authenticates with a client id and a secret in the header `Authorization`, both encoded as
    /// in a form (RFC 6749 §2.3.1).
    ///
    /// Where the secret has other characters than letters, digits, `-`, `.`, `_` and `~`, some
    /// providers read them encoded and some do not: see
    /// [`unencoded_basic`](Self::unencoded_basic).
    pub fn client_secret_basic(self, id: impl Into<String>, secret: Secret<String>) -> Self {
        self.client(id, Way::Basic, ClientSecret::Text(secret))
    }

    /// As [`client_secret_basic`](Self::client_secret_basic), with the secret in a file of its own
    /// ([`SecretFile`](portcullis_guard::SecretFile)), which is re-read as it changes, and at SIGHUP.
    pub fn client_secret_basic_file(self, id: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.client(id, Way::Basic, ClientSecret::File(path.into()))
    }

    /// Sends the client id and the secret of `client_secret_basic` as they are, to a provider that
    /// does not decode them.
    pub fn unencoded_basic(mut self) -> Self {
        self.basic = ClientAuthentication::UnencodedBasic;
        self
    }

    /// Authenticates with a client id and a secret in the body (RFC 6749 §2.3.1).
    pub fn client_secret_post(self, id: impl Into<String>, secret: Secret<String>) -> Self {
        self.client(id, Way::Post, ClientSecret::Text(secret))
    }

    /// As [`client_secret_post`](Self::client_secret_post), with the secret in a file of its own
    /// ([`SecretFile`](portcullis_guard::SecretFile)), which is re-read as it changes, and at SIGHUP.
    pub fn client_secret_post_file(self, id: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.client(id, Way::Post, ClientSecret::File(path.into()))
    }

    /// Authenticates with a JWT that is signed by a private key (`private_key_jwt`, RFC 7523
    /// §2.2): Ed25519, P-256 or RSA, in PEM (`-----BEGIN PRIVATE KEY-----`).
    ///
    /// The audience of the JWT is the issuer, unless
    /// [`assertion_audience`](Self::assertion_audience) names another.
    pub fn private_key_jwt(self, id: impl Into<String>, pem: Secret<String>) -> Self {
        self.client(id, Way::PrivateKey, ClientSecret::Text(pem))
    }

    /// As [`private_key_jwt`](Self::private_key_jwt), with the key in a PEM file, which is re-read as
    /// it changes, and at SIGHUP.
    pub fn private_key_jwt_file(self, id: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.client(id, Way::PrivateKey, ClientSecret::File(path.into()))
    }

    fn client(mut self, id: impl Into<String>, way: Way, secret: ClientSecret) -> Self {
        self.credentials.push(Client { id: id.into(), way, secret });
        self
    }

    /// The key id (`kid`) in the header of the JWT of [`private_key_jwt`](Self::private_key_jwt).
    /// Default: none.
    pub fn key_id(mut self, id: impl Into<String>) -> Self {
        self.key_id = Some(id.into());
        self
    }

    /// The audience of the JWT of [`private_key_jwt`](Self::private_key_jwt), for a provider that
    /// wants the URL of one of its endpoints there. Default: the issuer.
    pub fn assertion_audience(mut self, audience: impl Into<String>) -> Self {
        self.assertion_audience = Some(audience.into());
        self
    }

    /// The issuer of the tokens. It becomes a part of each principal, and an `iss` in an answer
    /// has to be the same text.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// Adds what `aud` must be or hold: this server's own name at the issuer. Several may be
    /// added; a token needs one of them.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Accepts only tokens that were issued to one of these clients, by their ids. It may stand in
    /// place of an [`audience`](Self::audience), for a provider whose answers have no `aud`; one
    /// that is there all the same then has to name one of the clients.
    ///
    /// A client that uses another service too brings the tokens for that one here: prefer an
    /// audience where there is one.
    pub fn accept_clients(mut self, ids: impl OneOrMany) -> Self {
        self.clients.extend(ids.into_many());
        self
    }

    /// Sets the scopes without which no request is served.
    pub fn required_scopes(mut self, scopes: impl OneOrMany) -> Self {
        self.required = Scopes::from_iter(scopes.into_many());
        self
    }

    /// Which member of the answer is the subject. Default: `sub`. Some providers have `username`
    /// alone; it has to be unique there, and never given to somebody else.
    pub fn subject_claim(mut self, name: impl Into<String>) -> Self {
        self.subject_claim = name.into();
        self
    }

    /// Takes scopes from the member at `path`, in place of `scope` and `scp`. Several may be
    /// named; what all of them grant counts.
    pub fn scope_claim(mut self, path: impl OneOrMany) -> Self {
        self.scope_claims.push(path.into_many());
        self
    }

    /// How much the provider's clock and ours may differ. Default: 30 s; at most 5 min.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Accepts tokens without `exp`. A stream that such a token opened ends after an hour.
    pub fn accept_without_expiry(mut self) -> Self {
        self.unexpiring = true;
        self
    }

    /// For how long an answer is used again, which is for how long a revoked token is accepted.
    /// Default: 60 s; at most 5 min; zero asks for each request.
    pub fn cache_lifetime(mut self, lifetime: Duration) -> Self {
        self.cache_lifetime = lifetime;
        self
    }

    /// Lets the endpoint be on this machine, in plain http too: for tests, and for identity
    /// providers under development.
    pub fn allow_loopback_idp(mut self) -> Self {
        self.fetch = self.fetch.allow_loopback();
        self
    }

    /// Lets the endpoint be `host` on a private network, over https, and no other host there: for an
    /// identity provider inside, such as `idp.corp.internal`.
    ///
    /// The host is a name or an address, without a port. Loopback and the metadata of clouds stay
    /// refused, whatever the name resolves to.
    pub fn allow_private_idp(mut self, host: impl Into<String>) -> Self {
        self.fetch = self.fetch.allow_private_host(host);
        self
    }

    /// Trusts the certificates in this PEM file, and no others: for an identity provider with a
    /// certificate authority of its own. It is read by [`build`](Self::build).
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// The clock by which tokens expire and answers age. Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the verifier.
    ///
    /// # Errors
    ///
    /// Names everything that is missing or unsafe, all at once, each with its
    /// [`VerifierProblemKind`].
    pub fn build(mut self) -> Result<IntrospectionVerifier, VerifierConfigError> {
        let endpoint = self.checked_endpoint();
        let credentials = self.checked_credentials();
        self.check();
        let (Some((url, fetch)), Some(credentials), true) =
            (endpoint, credentials, self.problems.is_empty())
        else {
            return Err(VerifierConfigError::new(self.problems));
        };
        let (method, warning) = {
            let credentials = credentials.current();
            (credentials.method(), credentials.is_ambiguous().then(|| AMBIGUOUS.to_owned()))
        };
        let description = format!("tokens of {}, by introspection ({method})", self.issuer);
        let expected = Expected {
            issuer: self.issuer,
            audiences: self.audiences,
            clients: self.clients,
            subject_claim: self.subject_claim,
            scope_claims: self.scope_claims,
            leeway: self.leeway,
            unexpiring: self.unexpiring,
            inactive_explained: AtomicBool::new(false),
        };
        let endpoint = Endpoint { url, fetch, credentials, expected };
        Ok(IntrospectionVerifier {
            inquiry: Inquiry::new(endpoint, self.clock, self.cache_lifetime),
            required: self.required,
            description,
            warnings: warning.into_iter().collect(),
        })
    }

    pub(super) fn problem(&mut self, kind: VerifierProblemKind, text: impl Into<String>) {
        self.problems.push(VerifierProblem::new(kind, text));
    }

    fn checked_endpoint(&mut self) -> Option<(Url, Fetch)> {
        let Ok(url) = Url::parse(&self.url) else {
            let text = "the address of the introspection endpoint is not a URL: name one, such as \
                        https://idp.example.com/introspect, in .endpoint(…) or INTROSPECTION_ENDPOINT";
            self.problem(VerifierProblemKind::InvalidEndpoint, text);
            return None;
        };
        let mut client = self.fetch.clone();
        if let Some(path) = self.ca_file.take() {
            match client.trust_only_file(&path) {
                Ok(trusting) => client = trusting,
                Err(error) => {
                    self.problem(VerifierProblemKind::UnusableClient, format!("ca_file: {error}"));
                    return None;
                }
            }
        }
        let fetch = match client.build() {
            Ok(fetch) => fetch,
            Err(error) => {
                self.problem(VerifierProblemKind::UnusableClient, error.to_string());
                return None;
            }
        };
        if let Err(error) = fetch.judge(&url) {
            let text = format!("the address of the introspection endpoint: {error}");
            self.problem(VerifierProblemKind::InvalidEndpoint, text);
        }
        Some((url, fetch))
    }

    fn checked_credentials(&mut self) -> Option<CredentialSource> {
        let (client, second) = (self.credentials.pop(), self.credentials.pop());
        let Some(Client { id, way, secret }) = client else {
            let text = "the provider does not know who asks: set .client_secret_basic(id, secret), \
                        .client_secret_post(id, secret) or .private_key_jwt(id, pem)";
            self.problem(VerifierProblemKind::MissingCredentials, text);
            return None;
        };
        let unusable = VerifierProblemKind::UnusableCredentials;
        if second.is_some() {
            self.problem(unusable, "the credentials are set more than once: keep one of them");
            return None;
        }
        let method = match way {
            Way::Basic => self.basic.clone(),
            Way::Post => ClientAuthentication::ClientSecretPost,
            Way::PrivateKey => ClientAuthentication::PrivateKeyJwt {
                key_id: self.key_id.take(),
                audience: self.assertion_audience.take().unwrap_or_else(|| self.issuer.clone()),
            },
        };
        let credentials = match secret {
            ClientSecret::Text(secret) => ClientCredentials::new(&method, &id, &secret)
                .map(|credentials| CredentialSource::Fixed(Arc::new(credentials))),
            ClientSecret::File(path) => {
                let read = move |secret: &str| {
                    ClientCredentials::new(&method, &id, &Secret::new(secret.to_owned()))
                };
                SecretFile::read_as(path, read)
                    .map(CredentialSource::File)
                    .map_err(|error| ErrorChain::new(&error).to_string())
            }
        };
        credentials.map_err(|text| self.problem(unusable, text)).ok()
    }

    fn check(&mut self) {
        if self.issuer.is_empty() {
            let text = "the issuer is missing: set .issuer(\"https://…\")";
            self.problem(VerifierProblemKind::MissingIssuer, text);
        }
        let named = self.audiences.iter().chain(&self.clients);
        if named.clone().next().is_none() || named.clone().any(String::is_empty) {
            let text = "the audience is missing, and without it tokens for any service would pass: \
                        set .audience(\"https://…\"), or .accept_clients([…]) if the provider's \
                        answers have no `aud`";
            self.problem(VerifierProblemKind::MissingAudience, text);
        }
        if let Some(scope) = self.required.malformed().map(quoted) {
            let text = format!("the required scope {scope} is not a valid scope");
            self.problem(VerifierProblemKind::InvalidScope, text);
        }
        let mut paths = self.scope_claims.iter();
        if self.subject_claim.is_empty()
            || paths.any(|path| path.is_empty() || path.iter().any(String::is_empty))
        {
            let text = "subject_claim(…) or scope_claim(…): the name of the claim is empty";
            self.problem(VerifierProblemKind::InvalidClaim, text);
        }
        if self.leeway > MAX_LEEWAY {
            let text = "a leeway of more than 5 minutes is refused";
            self.problem(VerifierProblemKind::LeewayTooLong, text);
        }
        if self.cache_lifetime > MAX_LIFETIME {
            let text = "a cache lifetime of more than 5 minutes is refused: revoked tokens would \
                        be accepted for as long";
            self.problem(VerifierProblemKind::CacheTooLong, text);
        }
    }
}
