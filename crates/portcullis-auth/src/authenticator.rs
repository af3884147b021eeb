//! The stage between the headers of a request and its principal.

use std::borrow::Cow;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, StatusCode};
use portcullis_guard::Clock;

use crate::bearer::{BearerError, Spelling};
use crate::challenge::{self, Challenge, INSUFFICIENT_SCOPE, INVALID_TOKEN};
use crate::{BearerToken, Granted, LastBearer, Principal, ScopeHierarchy, Scopes, TokenVerifier};

/// The bearer stage: from the headers of a request to a principal, or to a refusal.
///
/// What it decides, in this order:
///
/// 1. The request carries exactly one well-formed bearer token ([`BearerToken`]), or 401.
/// 2. The verifier accepts it, or 401; a verifier that cannot tell is a 503.
/// 3. The principal has not expired by our clock, whatever the verifier said, or 401.
/// 4. It has every scope that the server as a whole requires, or one that implies it, or 403
///    with all of them.
///
/// A verifier that panics or takes too long is one that cannot tell. Every 401 has the same text,
/// whatever its cause; the cause is logged.
#[derive(Debug)]
pub struct Authenticator {
    verifier: Arc<dyn TokenVerifier>,
    required: Scopes,
    hierarchy: Arc<ScopeHierarchy>,
    metadata_url: String,
    clock: Arc<dyn Clock>,
}

impl Authenticator {
    /// An authenticator that challenges with `metadata_url`.
    #[must_use]
    pub fn new(
        verifier: Arc<dyn TokenVerifier>,
        metadata_url: String,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let required = verifier.required_scopes();
        Self { verifier, required, hierarchy: Arc::default(), metadata_url, clock }
    }

    /// The same authenticator, whose challenges name the metadata at `metadata_url`: for a resource
    /// that clients reach under another URL.
    #[must_use]
    pub fn challenging_with(&self, metadata_url: String) -> Self {
        let (verifier, clock) = (Arc::clone(&self.verifier), Arc::clone(&self.clock));
        let (required, hierarchy) = (self.required.clone(), Arc::clone(&self.hierarchy));
        Self { verifier, required, hierarchy, metadata_url, clock }
    }

    /// Lets a scope stand for those that it implies.
    #[must_use]
    pub fn with_hierarchy(mut self, hierarchy: Arc<ScopeHierarchy>) -> Self {
        self.hierarchy = hierarchy;
        self
    }

    /// Who sent the request with these headers and this query, over a connection that showed
    /// `last` before. A verifier that panics, or takes longer than `time`, lets nobody in.
    ///
    /// # Errors
    ///
    /// A [`Refusal`], already logged with its exact cause.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        last: &LastBearer,
        time: Duration,
    ) -> Result<Arc<Principal>, Refusal> {
        let answer = AssertUnwindSafe(self.identify(headers, query, last)).catch_unwind();
        let mut answer = pin!(answer);
        // Most tokens are known: no timer is set for them.
        let answer = match poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await {
            Poll::Ready(answer) => Ok(answer),
            Poll::Pending => tokio::time::timeout(time, answer).await,
        };
        let reason = match answer {
            Ok(Ok(answer)) => return answer,
            Ok(Err(_)) => "the token verifier panicked",
            Err(_) => "the token verifier took too long",
        };
        tracing::error!(reason, "request refused: 503");
        Err(Refusal::unavailable(reason))
    }

    /// The access token of a request that was authenticated.
    #[must_use]
    pub fn access_token(&self, headers: &HeaderMap) -> Option<BearerToken> {
        let header = BearerToken::header(headers, None).ok()?;
        BearerToken::from_header_of(header, self.spelling()).ok()
    }

    fn spelling(&self) -> Spelling {
        match self.verifier.takes_opaque_tokens() {
            true => Spelling::Opaque,
            false => Spelling::Token68,
        }
    }

    async fn identify(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        last: &LastBearer,
    ) -> Result<Arc<Principal>, Refusal> {
        let header = BearerToken::header(headers, query).map_err(|error| self.no_token(error))?;
        let now = self.clock.now();
        // Read before the token is verified: keys that change meanwhile make it a miss.
        let generation = self.verifier.generation();
        let known = generation.and_then(|generation| last.find(header, generation, now));
        let (principal, now) = match known {
            Some(principal) => (principal, now),
            None => {
                let principal = self.verify(header).await?;
                if let Some(generation) = generation {
                    last.keep(header, generation, &principal);
                }
                // Verifying takes as long as others take to answer.
                (principal, self.clock.now())
            }
        };
        if principal.expires_at().is_some_and(|end| end <= now) {
            let reason = "the token has expired";
            tracing::info!(reason, "request refused: 401");
            return Err(self.invalid_token(reason));
        }
        let granted = Granted::new(principal.scopes(), &self.hierarchy);
        if !granted.has_all(&self.required) {
            let missing = granted.missing(&self.required);
            let reason = format!("the token lacks the scopes {missing}{}", why_none(&principal));
            tracing::info!(
                subject = principal.subject(),
                reason,
                "request refused: 403, insufficient scope"
            );
            return Err(Refusal {
                status: StatusCode::FORBIDDEN,
                challenge: Some(self.insufficient_scope(&self.required)),
                reason: reason.into(),
                principal: Some(principal),
            });
        }
        Ok(principal)
    }

    /// A request without one bearer token that can be read.
    fn no_token(&self, error: BearerError) -> Refusal {
        tracing::info!(reason = error.reason(), "request refused: 401");
        match error {
            // Neither request has tried to use a token (RFC 6750 §3.1).
            BearerError::Missing | BearerError::OtherScheme => {
                self.unauthorized(Challenge::new(), error.reason())
            }
            BearerError::Repeated
            | BearerError::Malformed
            | BearerError::Opaque
            | BearerError::TooLong
            | BearerError::InQuery => self.invalid_token(error.reason()),
        }
    }

    async fn verify(&self, header: &HeaderValue) -> Result<Arc<Principal>, Refusal> {
        let token = BearerToken::from_header_of(header, self.spelling());
        let token = token.map_err(|error| self.no_token(error))?;
        self.verifier.verify(&token).await.map_err(|error| {
            if error.is_unavailable() {
                tracing::error!(
                    reason = error.reason(),
                    "request refused: 503, the token verifier is unavailable"
                );
                return Refusal::unavailable(error.reason().to_owned());
            }
            tracing::info!(reason = error.reason(), "request refused: 401");
            self.invalid_token(error.reason().to_owned())
        })
    }

    /// The challenge of a 403 for what needs `scopes` (RFC 6750 §3.1): a client that gets
    /// it can ask for a token with more of them.
    #[must_use]
    pub fn insufficient_scope(&self, scopes: &Scopes) -> HeaderValue {
        let description = challenge::insufficient_scope(&scopes.offered());
        let challenge = Challenge::new().error("insufficient_scope", &description);
        self.challenge(challenge, scopes)
    }

    fn invalid_token(&self, reason: impl Into<Cow<'static, str>>) -> Refusal {
        self.unauthorized(Challenge::new().error("invalid_token", INVALID_TOKEN), reason)
    }

    #[cold]
    fn unauthorized(&self, challenge: Challenge, reason: impl Into<Cow<'static, str>>) -> Refusal {
        let challenge = Some(self.challenge(challenge, &self.required));
        let status = StatusCode::UNAUTHORIZED;
        Refusal { status, challenge, reason: reason.into(), principal: None }
    }

    fn challenge(&self, challenge: Challenge, scopes: &Scopes) -> HeaderValue {
        challenge.scope(&scopes.offered()).resource_metadata(&self.metadata_url).into_header()
    }
}

/// Why the principal has no scope at all, where the token shows it.
fn why_none(principal: &Principal) -> &'static str {
    let claims = principal.claims();
    let says = ["scope", "scp"].iter().any(|name| claims.contains_key(*name));
    match principal.scopes().is_empty() && !claims.is_empty() && !says {
        true => {
            ": it has neither `scope` nor `scp`; if another claim holds the scopes, set scope_claim or JWT_SCOPE_CLAIM"
        }
        false => "",
    }
}

/// A request that was not let in: what the caller may know of it, and what the operator may.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// 401, 403 or 503.
    pub status: StatusCode,
    /// The `WWW-Authenticate` header, for 401 and 403.
    pub challenge: Option<HeaderValue>,
    /// The exact cause, for the log: a caller never sees it.
    pub reason: Cow<'static, str>,
    /// Whom the token speaks for, where it is good and not enough.
    pub principal: Option<Arc<Principal>>,
}

impl Refusal {
    /// Whether the token is good cannot be told at the moment.
    #[must_use]
    pub fn unavailable(reason: impl Into<Cow<'static, str>>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { status, challenge: None, reason: reason.into(), principal: None }
    }

    /// The text for the caller: one for each status, whatever the cause.
    #[must_use]
    pub fn message(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => INVALID_TOKEN,
            StatusCode::FORBIDDEN => INSUFFICIENT_SCOPE,
            _ => "The access token cannot be verified at the moment",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::UNIX_EPOCH;

    use http::header::AUTHORIZATION;
    use portcullis_guard::ManualClock;

    use super::*;
    use crate::principal::Counts;
    use crate::{MaybeFuture, VerifyError};

    const METADATA: &str = "https://h/.well-known/oauth-protected-resource/mcp";

    const TIME: Duration = Duration::from_secs(10);

    #[derive(Debug)]
    struct Fixed(Result<Principal, VerifyError>, Scopes);

    impl TokenVerifier for Fixed {
        fn verify<'a>(
            &'a self,
            _: &'a BearerToken,
        ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
            MaybeFuture::ready(self.0.clone().map(Arc::new))
        }

        fn required_scopes(&self) -> Scopes {
            self.1.clone()
        }
    }

    async fn authenticate(
        verifier: Fixed,
        header: Option<&str>,
    ) -> Result<Arc<Principal>, Refusal> {
        let clock = Arc::new(ManualClock::at(1_000));
        let authenticator = Authenticator::new(Arc::new(verifier), METADATA.to_owned(), clock);
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
        }
        authenticator.authenticate(&headers, None, &LastBearer::default(), TIME).await
    }

    fn alice() -> Principal {
        Principal::new("alice")
    }

    #[tokio::test]
    async fn rfc6750_3_1_a_request_without_a_token_gets_no_error_code() {
        let refusal =
            authenticate(Fixed(Ok(alice()), Scopes::from_iter(["read"])), None).await.unwrap_err();
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
        let expected = format!(r#"Bearer scope="read", resource_metadata="{METADATA}""#);
        assert_eq!(refusal.challenge.unwrap(), expected);
    }

    #[tokio::test]
    async fn every_other_401_is_the_same() {
        let mut refusals = Vec::new();
        let bad = || Fixed(Err(VerifyError::invalid("signature")), Scopes::default());
        let expired = || {
            Fixed(
                Ok(alice().with_expiry(UNIX_EPOCH + Duration::from_secs(1_000))),
                Scopes::default(),
            )
        };
        refusals.push(authenticate(bad(), Some("Bearer abc")).await.unwrap_err());
        refusals.push(authenticate(bad(), Some("Bearer a b")).await.unwrap_err());
        refusals.push(authenticate(expired(), Some("Bearer abc")).await.unwrap_err());
        for refusal in &refusals {
            assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
            assert_eq!(refusal.challenge, refusals[0].challenge);
            assert_eq!(refusal.message(), refusals[0].message());
        }
        let reasons: Vec<&str> = refusals.iter().map(|refusal| &*refusal.reason).collect();
        let malformed = "the Authorization header is not one bearer token";
        assert_eq!(reasons, ["signature", malformed, "the token has expired"], "for the log");
    }

    #[tokio::test]
    async fn a_token_is_good_until_the_second_before_it_expires() {
        let alice = alice().with_expiry(UNIX_EPOCH + Duration::from_secs(1_001));
        assert!(
            authenticate(Fixed(Ok(alice), Scopes::default()), Some("Bearer abc")).await.is_ok()
        );
    }

    #[tokio::test]
    async fn c19_required_scopes_are_enforced_after_every_verifier() {
        let bob = Principal::new("bob").with_scopes(Scopes::from_iter(["read"]));
        let verifier = Fixed(Ok(bob), Scopes::from_iter(["read", "write", "admin"]));
        let refusal = authenticate(verifier, Some("Bearer abc")).await.unwrap_err();
        assert_eq!(refusal.status, StatusCode::FORBIDDEN);
        assert_eq!(refusal.reason, "the token lacks the scopes write admin");
        assert_eq!(refusal.principal.unwrap().subject(), "bob");
        let header = refusal.challenge.unwrap();
        assert!(header.to_str().unwrap().contains(r#"scope="read write admin""#), "{header:?}");
    }

    /// Accepts every token as its own subject, counts how often it is asked, and has a
    /// generation unless that is 0.
    #[derive(Debug, Default)]
    struct Counting {
        asked: AtomicU64,
        generation: AtomicU64,
        answer: Option<Counts>,
    }

    impl TokenVerifier for Counting {
        fn verify<'a>(
            &'a self,
            token: &'a BearerToken,
        ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let principal = Principal::new(token.expose());
            let principal = match self.answer {
                Some(answer) => principal.answered(answer),
                None => principal,
            };
            let end = UNIX_EPOCH + Duration::from_secs(2_000);
            MaybeFuture::ready(Ok(Arc::new(principal.with_expiry(end))))
        }

        fn generation(&self) -> Option<u64> {
            Some(self.generation.load(Ordering::Relaxed)).filter(|generation| *generation > 0)
        }
    }

    #[tokio::test]
    async fn the_last_token_of_a_connection_counts_for_its_generation_and_until_it_expires() {
        let (verifier, clock) = (Arc::new(Counting::default()), Arc::new(ManualClock::at(1_000)));
        let authenticator =
            Authenticator::new(verifier.clone(), METADATA.to_owned(), clock.clone());
        let last = LastBearer::default();
        let ask = async |token: &str| {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            let answer = authenticator.authenticate(&headers, None, &last, TIME).await;
            let asked = verifier.asked.swap(0, Ordering::Relaxed);
            (answer.map_err(|refusal| refusal.reason).map(|p| p.subject().to_owned()), asked)
        };
        let (alice, bob) = (Ok("alice".to_owned()), Ok("bob".to_owned()));
        for _ in 0..2 {
            assert_eq!(ask("alice").await, (alice.clone(), 1), "no generation: asked each time");
        }
        verifier.generation.store(1, Ordering::Relaxed);
        assert_eq!(ask("alice").await, (alice.clone(), 1));
        assert_eq!(ask("alice").await, (alice.clone(), 0));
        assert_eq!(ask("bob").await, (bob.clone(), 1));
        assert_eq!(ask("alice").await, (alice.clone(), 1), "one token is kept");
        assert_eq!(ask("alic").await, (Ok("alic".to_owned()), 1));
        assert_eq!(ask("bob").await, (bob.clone(), 1));
        verifier.generation.store(2, Ordering::Relaxed);
        assert_eq!(ask("bob").await, (bob.clone(), 1), "the keys are others now");
        assert_eq!(ask("bob").await, (bob.clone(), 0));
        last.forget();
        assert_eq!(ask("bob").await, (bob, 1), "it was forgotten");
        clock.advance(Duration::from_secs(1_000));
        assert_eq!(ask("bob").await, (Err("the token has expired".into()), 0));
    }

    #[tokio::test]
    async fn g05_what_was_answered_about_the_last_token_counts_for_its_time() {
        let clock = Arc::new(ManualClock::at(1_000));
        let (from, until) = (clock.now(), clock.now() + Duration::from_secs(60));
        let answer = Some(Counts { from, until });
        let verifier = Arc::new(Counting { answer, generation: 1.into(), ..Counting::default() });
        let authenticator =
            Authenticator::new(verifier.clone(), METADATA.to_owned(), clock.clone());
        let (last, value) = (LastBearer::default(), HeaderValue::from_static("Bearer alice"));
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let asked_at = async |seconds: u64| {
            clock.set(seconds);
            assert!(authenticator.authenticate(&headers, None, &last, TIME).await.is_ok());
            verifier.asked.swap(0, Ordering::Relaxed)
        };
        assert_eq!(asked_at(1_000).await, 1);
        assert_eq!(asked_at(1_059).await, 0);
        assert_eq!(asked_at(1_060).await, 1, "the answer counts no longer");
        assert_eq!(asked_at(999).await, 1, "a clock that is set back makes it last no longer");
    }

    #[tokio::test]
    async fn trial_b14_a_token_without_a_scope_claim_is_told_from_one_that_lacks_a_scope() {
        let required = || Scopes::from_iter(["read"]);
        let claims = |name: &str| crate::Claims::from_iter([(name.to_owned(), "x".into())]);
        for (claims, said) in
            [(claims("sub"), true), (claims("scp"), false), (claims("scope"), false)]
        {
            let verifier = Fixed(Ok(alice().with_claims(claims)), required());
            let refusal = authenticate(verifier, Some("Bearer abc")).await.unwrap_err();
            let reason = refusal.reason;
            let why = ": it has neither `scope` nor `scp`; if another claim holds the scopes, set \
                       scope_claim or JWT_SCOPE_CLAIM";
            let why = if said { why } else { "" };
            assert_eq!(reason, format!("the token lacks the scopes read{why}"));
        }
        let plain = async |principal: Principal, why: &str| {
            let refusal = authenticate(Fixed(Ok(principal), required()), Some("Bearer abc")).await;
            assert_eq!(refusal.unwrap_err().reason, "the token lacks the scopes read", "{why}");
        };
        plain(alice(), "it is no JWT").await;
        let other = alice().with_claims(claims("sub")).with_scopes(Scopes::from_iter(["write"]));
        plain(other, "it has scopes, from wherever they are").await;
    }

    #[tokio::test]
    async fn trial_a3_offline_access_is_required_and_never_offered() {
        let required = Scopes::from_iter(["read", "offline_access"]);
        let refusal = authenticate(Fixed(Ok(alice()), required.clone()), None).await.unwrap_err();
        let expected = format!(r#"Bearer scope="read", resource_metadata="{METADATA}""#);
        assert_eq!(refusal.challenge.unwrap(), expected);
        let reader = alice().with_scopes(Scopes::from_iter(["read"]));
        let verifier = Fixed(Ok(reader), required);
        let refusal = authenticate(verifier, Some("Bearer abc")).await.unwrap_err();
        assert_eq!(refusal.status, StatusCode::FORBIDDEN);
        assert_eq!(refusal.reason, "the token lacks the scopes offline_access");
        let header = refusal.challenge.unwrap();
        let header = header.to_str().unwrap();
        assert!(
            header.contains(r#"scope="read""#) && !header.contains("offline_access"),
            "{header}"
        );
    }

    /// Takes any token.
    #[derive(Debug)]
    struct Opaque(bool);

    impl TokenVerifier for Opaque {
        fn verify<'a>(
            &'a self,
            token: &'a BearerToken,
        ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
            MaybeFuture::ready(Ok(Arc::new(Principal::new(token.expose()))))
        }

        fn takes_opaque_tokens(&self) -> bool {
            self.0
        }
    }

    #[tokio::test]
    async fn trial_b14_a_token_with_colons_reaches_a_verifier_that_takes_opaque_ones() {
        let value = HeaderValue::from_static("Bearer user:grant:secret");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let ask = async |takes: bool| {
            let clock = Arc::new(ManualClock::at(1_000));
            let authenticator =
                Authenticator::new(Arc::new(Opaque(takes)), METADATA.to_owned(), clock);
            authenticator.authenticate(&headers, None, &LastBearer::default(), TIME).await
        };
        assert_eq!(ask(true).await.unwrap().subject(), "user:grant:secret");
        let refusal = ask(false).await.unwrap_err();
        assert_eq!(refusal.reason, crate::bearer::BearerError::Opaque.reason());
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn h13_a_verifier_that_cannot_tell_lets_nobody_in() {
        let verifier = Fixed(Err(VerifyError::unavailable("no answer")), Scopes::default());
        let refusal = authenticate(verifier, Some("Bearer abc")).await.unwrap_err();
        assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refusal.challenge, None);
    }

    #[derive(Debug)]
    enum Broken {
        Panics,
        PanicsLater,
        NeverEnds,
    }

    impl TokenVerifier for Broken {
        fn verify<'a>(
            &'a self,
            _: &'a BearerToken,
        ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
            match self {
                Self::Panics => panic!("broken"),
                Self::PanicsLater => MaybeFuture::pending(async { panic!("broken later") }),
                Self::NeverEnds => MaybeFuture::pending(std::future::pending()),
            }
        }
    }

    #[tokio::test]
    async fn a_verifier_that_panics_or_never_ends_lets_nobody_in() {
        for (broken, reason) in [
            (Broken::Panics, "the token verifier panicked"),
            (Broken::PanicsLater, "the token verifier panicked"),
            (Broken::NeverEnds, "the token verifier took too long"),
        ] {
            let clock = Arc::new(ManualClock::at(1_000));
            let authenticator = Authenticator::new(Arc::new(broken), METADATA.to_owned(), clock);
            let headers =
                HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer abc"))]);
            let (last, time) = (LastBearer::default(), Duration::from_millis(10));
            let refusal = authenticator.authenticate(&headers, None, &last, time).await;
            let refusal = refusal.unwrap_err();
            assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!((refusal.challenge.as_ref(), &*refusal.reason), (None, reason));
        }
    }
}
