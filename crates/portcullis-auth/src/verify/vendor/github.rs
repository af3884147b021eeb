//! The verifier of GitHub's tokens.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_guard::fetch::{Fetch, FetchBuilder};
use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, ErrorChain, FetchRequest, Secret, SystemClock, json};
use serde_json::Value;
use url::Url;

use super::super::config_error::{VerifierConfigError, VerifierProblem, VerifierProblemKind};
use super::super::inquiry::{
    Authority, EXCHANGE_TIME, GENERATION, Inquiry, LIFETIME, UNEXPIRING, Unverified, probe_token,
};
use super::{BOUNDS, check, date};
use crate::scopes::is_scope_token;
use crate::{
    BearerToken, Claims, MaybeFuture, OneOrMany, Principal, Scopes, TokenVerifier, VerifyError,
};

const API: &str = "https://api.github.com";
/// The authorization server of github.com, as clients that know GitHub name it.
const ISSUER: &str = "https://github.com/login/oauth";

/// Verifies the access tokens of one GitHub application, by asking GitHub about each
/// (`POST /applications/{client_id}/token`).
///
/// What it decides about each token, in this order:
///
/// 1. As [`IntrospectionVerifier`](crate::IntrospectionVerifier): what GitHub said within the last
///    minute is used again, equal tokens are asked about once, and an answer that is neither "good"
///    nor "unknown" refuses the request with 503.
/// 2. GitHub knows the token as one of this application's: a token that the same person gave to
///    another application, or made by hand, is not.
/// 3. The answer names this application's client id once more.
/// 4. `expires_at`, where GitHub set one, is not past.
///
/// The subject is the account's numeric id: a login can be renamed, and taken by somebody else.
/// Claims are `login`, `name`, `email` and `type`, where GitHub tells them; scopes are GitHub's.
///
/// **Deployment caveat.** GitHub's tokens name no resource: whoever operates another server with
/// the same application can use its tokens here. Register an application for this server alone.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub extern crate portcullis_auth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::auth::{GitHubVerifier, VerifierProblemKind};
/// use portcullis::guard::Secret;
///
/// let secret = Secret::new("0a1b2c3d".to_owned());
/// let verifier = GitHubVerifier::application("Iv1.8a61f9b3a7aba766", secret.clone())
///     .required_scopes(["read:user"])
///     .build()?;
///
/// let careless = GitHubVerifier::application("", secret).build().unwrap_err();
/// assert_eq!(careless.problems()[0].kind(), VerifierProblemKind::UnusableCredentials);
/// # Ok::<(), portcullis::auth::VerifierConfigError>(())
/// ```
#[derive(Debug)]
pub struct GitHubVerifier {
    inquiry: Arc<Inquiry<Application>>,
    required: Scopes,
}

impl GitHubVerifier {
    /// A verifier for the tokens of the application with this client id and secret.
    pub fn application(
        client_id: impl Into<String>,
        client_secret: Secret<String>,
    ) -> GitHubVerifierBuilder {
        GitHubVerifierBuilder {
            client_id: client_id.into(),
            client_secret,
            api: API.to_owned(),
            issuer: ISSUER.to_owned(),
            required: Scopes::default(),
            cache_lifetime: LIFETIME,
            fetch: Fetch::builder().time(EXCHANGE_TIME),
            clock: Arc::new(SystemClock),
        }
    }

    async fn probe(&self) -> Result<(), VerifyError> {
        let token = probe_token().map_err(VerifyError::unavailable)?;
        let application = &self.inquiry.authority;
        let reason = match application.ask(&token).await {
            Ok(None) => return Ok(()),
            Ok(Some(_)) => "GitHub knows a token that nobody issued".to_owned(),
            Err(reason) => reason,
        };
        tracing::error!(reason, "cannot check GitHub's tokens");
        Err(VerifyError::unavailable(reason))
    }
}

impl TokenVerifier for GitHubVerifier {
    fn verify<'a>(
        &'a self,
        token: &'a BearerToken,
    ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
        self.inquiry.verify(token)
    }

    fn generation(&self) -> Option<u64> {
        Some(GENERATION)
    }

    fn ready(&self) -> MaybeFuture<'_, Result<(), VerifyError>> {
        MaybeFuture::pending(self.probe())
    }

    fn required_scopes(&self) -> Scopes {
        self.required.clone()
    }

    fn authorization_servers(&self) -> Vec<String> {
        vec![self.inquiry.authority.issuer.clone()]
    }

    fn issuer(&self) -> Option<&str> {
        Some(&self.inquiry.authority.issuer)
    }

    fn description(&self) -> String {
        let Application { client_id, issuer, .. } = &self.inquiry.authority;
        format!("tokens of the application {client_id} at {issuer}")
    }
}

/// Describes a [`GitHubVerifier`].
#[derive(Debug)]
#[must_use = "a verifier is built by .build()"]
pub struct GitHubVerifierBuilder {
    client_id: String,
    client_secret: Secret<String>,
    api: String,
    issuer: String,
    required: Scopes,
    cache_lifetime: Duration,
    fetch: FetchBuilder,
    clock: Arc<dyn Clock>,
}

impl GitHubVerifierBuilder {
    /// Asks a GitHub Enterprise Server in place of github.com, by its URL, such as
    /// `https://ghe.example.com`.
    pub fn enterprise_server(mut self, url: impl AsRef<str>) -> Self {
        let origin = url.as_ref().trim_end_matches('/');
        self.api = format!("{origin}/api/v3");
        self.issuer = format!("{origin}/login/oauth");
        self
    }

    /// Sets the scopes without which no request is served.
    pub fn required_scopes(mut self, scopes: impl OneOrMany) -> Self {
        self.required = Scopes::from_iter(scopes.into_many());
        self
    }

    /// For how long an answer is used again, which is for how long a revoked token is accepted.
    /// Default: 60 s; at most 5 min; zero asks for each request.
    pub fn cache_lifetime(mut self, lifetime: Duration) -> Self {
        self.cache_lifetime = lifetime;
        self
    }

    /// Lets the server be on this machine, in plain http too: for tests.
    pub fn allow_loopback_idp(mut self) -> Self {
        self.fetch = self.fetch.allow_loopback();
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
    /// Names everything that is missing or unsafe, all at once.
    pub fn build(self) -> Result<GitHubVerifier, VerifierConfigError> {
        let mut problems = Vec::new();
        let mut problem = |kind, text: String| problems.push(VerifierProblem::new(kind, text));
        // It becomes a part of a URL.
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if self.client_id.is_empty() || !self.client_id.bytes().all(plain) {
            let text = "the client id is not one of GitHub's: letters, digits, `.`, `-` and `_`";
            problem(VerifierProblemKind::UnusableCredentials, text.to_owned());
        }
        if self.client_secret.expose().is_empty() {
            problem(VerifierProblemKind::UnusableCredentials, "the client secret is empty".into());
        }
        let url = Url::parse(&format!("{}/applications/{}/token", self.api, self.client_id));
        let fetch = self.fetch.build();
        match (&url, &fetch) {
            (Ok(url), Ok(fetch)) => {
                if let Err(error) = fetch.judge(url) {
                    let text = format!("the address of the server: {error}");
                    problem(VerifierProblemKind::InvalidEndpoint, text);
                }
            }
            (Err(_), _) => {
                let text = "the address of the server is not a URL".to_owned();
                problem(VerifierProblemKind::InvalidEndpoint, text);
            }
            (_, Err(error)) => problem(VerifierProblemKind::UnusableClient, error.to_string()),
        }
        check(&self.required, self.cache_lifetime, &mut problems);
        let (Ok(url), Ok(fetch), true) = (url, fetch, problems.is_empty()) else {
            return Err(VerifierConfigError::new(problems));
        };
        let pair = format!("{}:{}", self.client_id, self.client_secret.expose());
        let authorization = Secret::new(format!("Basic {}", STANDARD.encode(pair)));
        let (client_id, issuer) = (self.client_id, self.issuer);
        let application = Application { url, fetch, client_id, authorization, issuer };
        let inquiry = Inquiry::new(application, self.clock, self.cache_lifetime);
        Ok(GitHubVerifier { inquiry, required: self.required })
    }
}

/// The application that tokens have to be of.
struct Application {
    url: Url,
    fetch: Fetch,
    client_id: String,
    authorization: Secret<String>,
    issuer: String,
}

impl Application {
    /// What GitHub knows of a token; `None` for one that is not this application's.
    async fn ask(&self, token: &str) -> Result<Option<Claims>, String> {
        let request = FetchRequest::post(&self.url)
            .header("authorization", self.authorization.expose())
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28")
            // GitHub refuses requests without one.
            .header("user-agent", "portcullis")
            .json(&serde_json::json!({"access_token": token}));
        let fetched = self.fetch.send(request).await;
        let fetched = fetched
            .map_err(|error| format!("GitHub does not answer: {}", ErrorChain::new(&error)))?;
        match fetched.status {
            200 => {}
            404 => return Ok(None),
            401 => return Err("GitHub answers 401: the client id or secret is wrong".to_owned()),
            status => return Err(format!("GitHub answers {status}")),
        }
        let text = str::from_utf8(&fetched.body).map_err(|_| json::Refused::Malformed);
        let answer = text.and_then(|text| json::read_object(text, BOUNDS));
        answer.map(Some).map_err(|refused| format!("GitHub's answer is refused: {refused}"))
    }

    fn principal(&self, answer: &Claims, now: SystemTime) -> Result<Principal, Unverified> {
        let member = |object: &str, name: &str| answer.get(object)?.as_object()?.get(name);
        match member("app", "client_id") {
            Some(Value::String(id)) if *id == self.client_id => {}
            Some(Value::String(id)) => {
                return Err(format!("the token is of the application {}", quoted(id)).into());
            }
            _ => return Err("the answer does not name the token's application".into()),
        }
        let Some(subject) = member("user", "id").and_then(Value::as_u64) else {
            return Err("the answer does not name the token's user".into());
        };
        let end = match answer.get("expires_at") {
            None | Some(Value::Null) => now.checked_add(UNEXPIRING).unwrap_or(now),
            Some(end) => match end.as_str().and_then(date::read) {
                Some(end) if now < end => end,
                Some(_) => return Err("the token has expired".into()),
                None => return Err("`expires_at` is not a date".into()),
            },
        };
        let scopes = match answer.get("scopes") {
            Some(Value::Array(scopes)) => scopes.iter().filter_map(Value::as_str),
            _ => [].iter().filter_map(Value::as_str),
        };
        let scopes = scopes.filter(|scope| is_scope_token(scope)).collect();
        // Not the answer as it is: it holds the token.
        let claims = ["login", "name", "email", "type"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), member("user", name)?.clone())))
            .collect();
        Ok(Principal::new(subject.to_string())
            .with_issuer(self.issuer.as_str())
            .with_client_id(self.client_id.as_str())
            .with_scopes(scopes)
            .with_claims(claims)
            .with_expiry(end))
    }
}

impl Authority for Application {
    async fn judge(&self, token: &str, now: SystemTime) -> Result<Principal, Unverified> {
        match self.ask(token).await {
            Ok(Some(answer)) => self.principal(&answer, now),
            Ok(None) => Err("GitHub does not know the token as one of this application's".into()),
            Err(reason) => Err(Unverified::NoAnswer(reason)),
        }
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application")
            .field("client_id", &self.client_id)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}
