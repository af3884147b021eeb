//! The verifier of Google's tokens.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portcullis_guard::fetch::{Fetch, FetchBuilder};
use portcullis_guard::{Clock, ErrorChain, FetchRequest, Secret, SystemClock, json};
use serde_json::Value;
use url::Url;

use super::super::config_error::{VerifierConfigError, VerifierProblem, VerifierProblemKind};
use super::super::inquiry::{
    Authority, EXCHANGE_TIME, GENERATION, Inquiry, LIFETIME, Unverified, probe_token,
};
use super::{BOUNDS, check};
use crate::claims::{self, Dates};
use crate::{
    BearerToken, Claims, MaybeFuture, OneOrMany, Principal, Scopes, TokenVerifier, VerifyError,
};

const BASE: &str = "https://oauth2.googleapis.com";
const ISSUER: &str = "https://accounts.google.com";
const LEEWAY: Duration = Duration::from_secs(30);

/// Verifies Google's access tokens for your own OAuth clients, by asking Google about each
/// (`tokeninfo`).
///
/// What it decides about each token, in this order:
///
/// 1. As [`IntrospectionVerifier`](crate::IntrospectionVerifier): what Google said within the last
///    minute is used again, equal tokens are asked about once, and an answer that is neither "good"
///    nor `invalid_token` refuses the request with 503.
/// 2. `aud` is one of the client ids: a token that the same person gave to another application is
///    refused.
/// 3. `exp` is there and not past; the leeway is 30 s.
/// 4. `sub` is there: Google tells it for tokens with the scope `openid`, `email` or `profile`.
///
/// Scopes are as Google writes them: `https://www.googleapis.com/auth/userinfo.email`, not
/// `email`.
///
/// **Deployment caveat.** Google's tokens name no resource: whoever operates another server with
/// the same client id can use its tokens here. Register a client for this server alone.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as auth; }
/// use portcullis::auth::{GoogleVerifier, VerifierProblemKind};
///
/// let verifier = GoogleVerifier::clients(["123-abc.apps.googleusercontent.com"])
///     .required_scopes(["openid"])
///     .build()?;
///
/// // Refused: without a client id, tokens for any application would pass.
/// let careless = GoogleVerifier::clients([""]).build().unwrap_err();
/// assert_eq!(careless.problems()[0].kind(), VerifierProblemKind::MissingAudience);
/// # Ok::<(), portcullis::auth::VerifierConfigError>(())
/// ```
#[derive(Debug)]
pub struct GoogleVerifier {
    inquiry: Arc<Inquiry<TokenInfo>>,
    required: Scopes,
}

impl GoogleVerifier {
    /// A verifier for tokens that were issued to these clients, by their ids.
    pub fn clients(ids: impl OneOrMany) -> GoogleVerifierBuilder {
        GoogleVerifierBuilder {
            clients: ids.into_many(),
            base: BASE.to_owned(),
            required: Scopes::default(),
            cache_lifetime: LIFETIME,
            fetch: Fetch::builder().time(EXCHANGE_TIME),
            clock: Arc::new(SystemClock),
        }
    }

    async fn probe(&self) -> Result<(), VerifyError> {
        let token = probe_token().map_err(VerifyError::unavailable)?;
        let reason = match self.inquiry.authority.ask(&token).await {
            Ok(None) => return Ok(()),
            Ok(Some(_)) => "Google knows a token that nobody issued".to_owned(),
            Err(reason) => reason,
        };
        tracing::error!(reason, "cannot check Google's tokens");
        Err(VerifyError::unavailable(reason))
    }
}

impl TokenVerifier for GoogleVerifier {
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
        vec![ISSUER.to_owned()]
    }

    fn issuer(&self) -> Option<&str> {
        Some(ISSUER)
    }

    fn description(&self) -> String {
        let clients = self.inquiry.authority.clients.join(", ");
        format!("tokens of {ISSUER} for the clients {clients}")
    }
}

/// Describes a [`GoogleVerifier`].
#[derive(Debug)]
#[must_use = "a verifier is built by .build()"]
pub struct GoogleVerifierBuilder {
    clients: Vec<String>,
    base: String,
    required: Scopes,
    cache_lifetime: Duration,
    fetch: FetchBuilder,
    clock: Arc<dyn Clock>,
}

impl GoogleVerifierBuilder {
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

    /// Asks at another origin than Google's: a stand-in, for tests.
    pub fn base_url(mut self, url: impl AsRef<str>) -> Self {
        url.as_ref().trim_end_matches('/').clone_into(&mut self.base);
        self
    }

    /// Lets the stand-in be on this machine, in plain http too.
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
    pub fn build(self) -> Result<GoogleVerifier, VerifierConfigError> {
        let mut problems = Vec::new();
        let mut problem = |kind, text: String| problems.push(VerifierProblem::new(kind, text));
        if self.clients.is_empty() || self.clients.iter().any(String::is_empty) {
            let text = "the client id is missing, and without it tokens for any application would \
                        pass: GoogleVerifier::clients([\"….apps.googleusercontent.com\"])";
            problem(VerifierProblemKind::MissingAudience, text.to_owned());
        }
        let url = Url::parse(&format!("{}/tokeninfo", self.base));
        let fetch = self.fetch.build();
        match (&url, &fetch) {
            (Ok(url), Ok(fetch)) => {
                if let Err(error) = fetch.judge(url) {
                    let text = format!("the address to ask at: {error}");
                    problem(VerifierProblemKind::InvalidEndpoint, text);
                }
            }
            (Err(_), _) => {
                let text = "the address to ask at is not a URL".to_owned();
                problem(VerifierProblemKind::InvalidEndpoint, text);
            }
            (_, Err(error)) => problem(VerifierProblemKind::UnusableClient, error.to_string()),
        }
        check(&self.required, self.cache_lifetime, &mut problems);
        let (Ok(url), Ok(fetch), true) = (url, fetch, problems.is_empty()) else {
            return Err(VerifierConfigError::new(problems));
        };
        let authority = TokenInfo { url, fetch, clients: self.clients };
        let inquiry = Inquiry::new(authority, self.clock, self.cache_lifetime);
        Ok(GoogleVerifier { inquiry, required: self.required })
    }
}

/// Where to ask, and whose tokens are accepted.
#[derive(Debug)]
struct TokenInfo {
    url: Url,
    fetch: Fetch,
    clients: Vec<String>,
}

impl TokenInfo {
    /// What Google knows of a token; `None` for one that is not good.
    async fn ask(&self, token: &str) -> Result<Option<Claims>, String> {
        // In a header: URLs end up in logs.
        let authorization = Secret::new(format!("Bearer {token}"));
        let request = FetchRequest::get(&self.url).header("authorization", authorization.expose());
        let fetched = self.fetch.send(request).await;
        let fetched = fetched
            .map_err(|error| format!("Google does not answer: {}", ErrorChain::new(&error)))?;
        let text = str::from_utf8(&fetched.body).map_err(|_| json::Refused::Malformed);
        let answer = text.and_then(|text| json::read_object(text, BOUNDS));
        match (fetched.status, answer) {
            (200, Ok(answer)) => Ok(Some(answer)),
            (200, Err(refused)) => Err(format!("Google's answer is refused: {refused}")),
            (400 | 401, Ok(answer))
                if answer.get("error").and_then(Value::as_str) == Some("invalid_token") =>
            {
                Ok(None)
            }
            (status, _) => Err(format!("Google answers {status}")),
        }
    }

    fn principal(&self, mut answer: Claims, now: SystemTime) -> Result<Principal, Unverified> {
        claims::check_audience(&answer, &self.clients)?;
        // Google writes its numbers as texts.
        let seconds = match answer.get("exp") {
            Some(Value::String(text)) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse::<u64>().ok()
            }
            _ => None,
        };
        let seconds = seconds.ok_or("`exp` is missing, or is not a number of seconds")?;
        answer.insert("exp".to_owned(), seconds.into());
        let dates = Dates { leeway: LEEWAY, max_lifetime: None };
        let end = dates.check(&answer, now)?.ok_or("`exp` is missing")?;
        let subject = claims::subject(&answer, "sub").map_err(|why| {
            format!("{why}: Google tells it for tokens with `openid`, `email` or `profile`")
        })?;
        let mut principal = Principal::new(subject)
            .with_issuer(ISSUER)
            .with_scopes(claims::scopes(&answer, &[]))
            .with_expiry(end);
        if let Some(client) = claims::client_id(&answer) {
            principal = principal.with_client_id(client);
        }
        Ok(principal.with_claims(answer))
    }
}

impl Authority for TokenInfo {
    async fn judge(&self, token: &str, now: SystemTime) -> Result<Principal, Unverified> {
        match self.ask(token).await {
            Ok(Some(answer)) => self.principal(answer, now),
            Ok(None) => Err("Google does not know the token".into()),
            Err(reason) => Err(Unverified::NoAnswer(reason)),
        }
    }
}
