//! The choice between verifiers, where tokens come from several sources.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::json::{self, Bounds};
use portcullis_guard::text::quoted;
use serde_json::{Map, Value};

use super::{VerifierConfigError, VerifierProblem, VerifierProblemKind};
use crate::{BearerToken, MaybeFuture, Principal, Scopes, TokenVerifier, VerifyError};

const BOUNDS: Bounds = Bounds { values: 1_024, depth: 16 };

/// Chooses the verifier for each token, where tokens come from several sources.
///
/// How it chooses, in this order:
///
/// 1. A token that begins with a [`prefix`](MultiVerifierBuilder::prefix) goes to the verifier of
///    that prefix.
/// 2. A JWT goes to the verifier of the [`issuer`](MultiVerifierBuilder::issuer) that it names,
///    byte by byte. The claim is read unverified, and only to choose: that verifier checks the
///    signature with its own keys, and the issuer again.
/// 3. Any other token goes to the [`opaque`](MultiVerifierBuilder::opaque) verifier, if there is
///    one.
/// 4. Otherwise the token is refused. No token is ever tried with a second verifier.
///
/// Principals of two sources never are the same one, whatever their subjects: each carries the
/// issuer of its source. A principal with another issuer than that is refused, and a verifier that
/// names no issuer gets one made of its route, such as `portcullis:prefix:pk_`.
///
/// **Deployment caveat.** All verifiers require the same scopes of every request, since the server
/// offers clients one list: use checks for what differs. Two verifiers of one issuer (JWTs and
/// opaque tokens of one provider) are one source.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub extern crate portcullis_auth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::auth::{GitHubVerifier, JwtVerifier, MultiVerifier, VerifierProblemKind};
/// use portcullis::guard::Secret;
///
/// let jwks = |url: &str| JwtVerifier::jwks(format!("{url}/jwks")).issuer(url);
/// let staff = jwks("https://staff.example.com").audience("https://mcp.example.com/mcp").build()?;
/// let partners = jwks("https://id.example.net").audience("https://mcp.example.com/mcp").build()?;
/// let secret = Secret::new("0a1b2c3d".to_owned());
/// let github = GitHubVerifier::application("Iv1.8a61f9b3a7aba766", secret).build()?;
///
/// let verifier = MultiVerifier::builder()
///     .issuer("https://staff.example.com", staff)
///     .issuer("https://id.example.net", partners)
///     .prefix("ghu_", github)
///     .build()?;
///
/// // Refused: which of the two would a token belong to?
/// let github = || GitHubVerifier::application("a", Secret::new("b".to_owned())).build();
/// let unclear = MultiVerifier::builder().prefix("gh", github()?).prefix("ghu_", github()?).build();
/// let problem = unclear.unwrap_err().problems()[0].kind();
/// assert_eq!(problem, VerifierProblemKind::OverlappingRoutes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MultiVerifier {
    routes: Vec<Route>,
    audiences: Vec<String>,
    required: Scopes,
}

#[derive(Debug)]
struct Route {
    by: By,
    verifier: Box<dyn TokenVerifier>,
}

/// What sends a token to a verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    Issuer(String),
    Prefix(String),
    Opaque,
}

impl By {
    /// The issuer of principals whose verifier names none.
    fn source(&self) -> String {
        match self {
            Self::Issuer(issuer) => issuer.clone(),
            Self::Prefix(prefix) => format!("portcullis:prefix:{prefix}"),
            Self::Opaque => "portcullis:opaque".to_owned(),
        }
    }

    /// Whether some token would go both ways.
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Issuer(one), Self::Issuer(other)) => one == other,
            (Self::Prefix(one), Self::Prefix(other)) => {
                one.starts_with(other.as_str()) || other.starts_with(one.as_str())
            }
            // A JWT begins with the base64url of `{"`, or of `{` and white space.
            (Self::Issuer(_), Self::Prefix(prefix)) | (Self::Prefix(prefix), Self::Issuer(_)) => {
                prefix == "e" || ["ew", "ey"].iter().any(|jwt| prefix.starts_with(jwt))
            }
            (Self::Opaque, Self::Opaque) => true,
            (Self::Opaque, _) | (_, Self::Opaque) => false,
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer(issuer) => write!(f, "issuer({issuer:?})"),
            Self::Prefix(prefix) => write!(f, "prefix({prefix:?})"),
            Self::Opaque => f.write_str("opaque(…)"),
        }
    }
}

impl MultiVerifier {
    /// No verifier yet.
    pub fn builder() -> MultiVerifierBuilder {
        MultiVerifierBuilder { routes: Vec::new() }
    }

    fn route(&self, token: &str) -> Result<&Route, VerifyError> {
        let find = |goes: &dyn Fn(&By) -> bool| self.routes.iter().find(|route| goes(&route.by));
        let prefixed =
            find(&|by| matches!(by, By::Prefix(prefix) if token.starts_with(prefix.as_str())));
        if let Some(route) = prefixed {
            return Ok(route);
        }
        match Shape::of(token) {
            Shape::Jwt(Some(issuer)) => {
                let route = find(&|by| matches!(by, By::Issuer(own) if *own == issuer));
                route.ok_or_else(|| {
                    let issuer = quoted(&issuer);
                    VerifyError::invalid(format!("no verifier is for the issuer {issuer}"))
                })
            }
            Shape::Jwt(None) => Err(VerifyError::invalid("the token is a JWT without an issuer")),
            Shape::Opaque => find(&|by| *by == By::Opaque).ok_or_else(|| {
                VerifyError::invalid(
                    "no verifier is for tokens that are no JWT and begin like this",
                )
            }),
        }
    }
}

/// What a token looks like.
enum Shape {
    /// A JWT, and what it says is its issuer.
    Jwt(Option<String>),
    Opaque,
}

impl Shape {
    fn of(token: &str) -> Self {
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Self::Opaque;
        };
        if object(header).is_none() {
            return Self::Opaque;
        }
        let issuer = object(claims).and_then(|mut claims| match claims.remove("iss") {
            Some(Value::String(issuer)) => Some(issuer),
            _ => None,
        });
        Self::Jwt(issuer)
    }
}

/// The JSON object in one part of a JWT.
fn object(part: &str) -> Option<Map<String, Value>> {
    let json = String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
    json::read_object(&json, BOUNDS).ok()
}

impl Route {
    /// The principal as one of this source and of no other.
    fn own(&self, principal: Arc<Principal>) -> Result<Arc<Principal>, VerifyError> {
        let named = match (&self.by, self.verifier.issuer()) {
            (By::Issuer(issuer), _) => Some(issuer.as_str()),
            (By::Prefix(_) | By::Opaque, named) => named,
        };
        match (named, principal.issuer()) {
            (Some(issuer), Some(own)) if issuer == own => Ok(principal),
            (Some(issuer), own) => {
                let own = own.map_or_else(|| "no issuer".to_owned(), quoted);
                let reason = format!("the principal has {own}, but is one of {issuer:?}");
                tracing::error!(reason, "a verifier gives principals of another source");
                Err(VerifyError::invalid(reason))
            }
            (None, own) => {
                let source = self.by.source();
                // No issuer that a verifier names on its own begins so and holds a space.
                let issuer = own.map_or_else(|| source.clone(), |own| format!("{source} {own}"));
                Ok(Arc::new(Principal::clone(&principal).with_issuer(issuer)))
            }
        }
    }
}

impl TokenVerifier for MultiVerifier {
    fn verify<'a>(
        &'a self,
        token: &'a BearerToken,
    ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
        let route = match self.route(token.expose()) {
            Ok(route) => route,
            Err(error) => return MaybeFuture::ready(Err(error)),
        };
        match route.verifier.verify(token).now() {
            Ok(verified) => MaybeFuture::ready(verified.and_then(|own| route.own(own))),
            Err(later) => MaybeFuture::pending(async move { route.own(later.await?) }),
        }
    }

    fn ready(&self) -> MaybeFuture<'_, Result<(), VerifyError>> {
        MaybeFuture::pending(async {
            let mut ready = Ok(());
            // Each logs what is wrong with it.
            for route in &self.routes {
                ready = ready.and(route.verifier.ready().await);
            }
            ready
        })
    }

    fn warnings(&self) -> Vec<String> {
        self.routes.iter().flat_map(|route| route.verifier.warnings()).collect()
    }

    fn takes_opaque_tokens(&self) -> bool {
        self.routes.iter().any(|route| route.verifier.takes_opaque_tokens())
    }

    /// Changes when that of any verifier does; `None` where one verifier has no number.
    fn generation(&self) -> Option<u64> {
        // FNV-1a over the numbers.
        self.routes.iter().try_fold(0xcbf2_9ce4_8422_2325_u64, |all, route| {
            Some((all ^ route.verifier.generation()?).wrapping_mul(0x0100_0000_01b3))
        })
    }

    fn required_scopes(&self) -> Scopes {
        self.required.clone()
    }

    fn authorization_servers(&self) -> Vec<String> {
        let mut servers = Vec::new();
        for server in self.routes.iter().flat_map(|route| route.verifier.authorization_servers()) {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        servers
    }

    fn audiences(&self) -> &[String] {
        &self.audiences
    }

    fn description(&self) -> String {
        let all: Vec<String> =
            self.routes.iter().map(|route| route.verifier.description()).collect();
        all.join("; ")
    }

    fn loopback_only(&self) -> bool {
        self.routes.iter().any(|route| route.verifier.loopback_only())
    }
}

/// Describes a [`MultiVerifier`].
#[derive(Debug)]
#[must_use = "a verifier is built by .build()"]
pub struct MultiVerifierBuilder {
    routes: Vec<Route>,
}

impl MultiVerifierBuilder {
    /// Sends the JWTs of `issuer` to `verifier`.
    pub fn issuer(self, issuer: impl Into<String>, verifier: impl TokenVerifier) -> Self {
        self.route(By::Issuer(issuer.into()), verifier)
    }

    /// Sends the tokens that begin with `prefix` to `verifier`, such as API keys with `pk_`.
    pub fn prefix(self, prefix: impl Into<String>, verifier: impl TokenVerifier) -> Self {
        self.route(By::Prefix(prefix.into()), verifier)
    }

    /// Sends the tokens that are no JWTs, and begin with no other verifier's prefix, to `verifier`.
    pub fn opaque(self, verifier: impl TokenVerifier) -> Self {
        self.route(By::Opaque, verifier)
    }

    fn route(mut self, by: By, verifier: impl TokenVerifier) -> Self {
        self.routes.push(Route { by, verifier: Box::new(verifier) });
        self
    }

    /// Builds the verifier.
    ///
    /// # Errors
    ///
    /// When there is no verifier, a token could go to two of them, a verifier is for another
    /// issuer than its route, or the scopes that they require differ.
    pub fn build(self) -> Result<MultiVerifier, VerifierConfigError> {
        let mut problems = Vec::new();
        let mut problem = |kind, text: String| problems.push(VerifierProblem::new(kind, text));
        for (index, route) in self.routes.iter().enumerate() {
            let by = &route.by;
            match by {
                By::Issuer(name) | By::Prefix(name) if name.is_empty() => {
                    let text = format!("{by}: the name is empty");
                    problem(VerifierProblemKind::InvalidRoute, text);
                }
                By::Issuer(issuer) => {
                    if let Some(own) = route.verifier.issuer()
                        && own != issuer
                    {
                        let text = format!("{by}: its verifier is for the issuer {own:?}");
                        problem(VerifierProblemKind::InvalidRoute, text);
                    }
                }
                By::Prefix(_) | By::Opaque => {}
            }
            let before = self.routes.iter().take(index);
            for other in before.filter(|other| other.by.overlaps(by)) {
                let text = format!("{by} and {} overlap: some tokens are of both", other.by);
                problem(VerifierProblemKind::OverlappingRoutes, text);
            }
        }
        let Some(first) = self.routes.first() else {
            problem(VerifierProblemKind::InvalidRoute, "there is no verifier: add one".to_owned());
            return Err(VerifierConfigError::new(problems));
        };
        let required = first.verifier.required_scopes();
        let same = |other: &Scopes| {
            required.missing(other).is_empty() && other.missing(&required).is_empty()
        };
        if !self.routes.iter().all(|route| same(&route.verifier.required_scopes())) {
            let text = "the verifiers require different scopes: give all of them the same \
                        .required_scopes([…]), and use checks for what differs";
            problem(VerifierProblemKind::ConflictingScopes, text.to_owned());
        }
        if !problems.is_empty() {
            return Err(VerifierConfigError::new(problems));
        }
        let mut audiences: Vec<String> = Vec::new();
        for audience in self.routes.iter().flat_map(|route| route.verifier.audiences()) {
            if !audiences.contains(audience) {
                audiences.push(audience.clone());
            }
        }
        Ok(MultiVerifier { routes: self.routes, audiences, required })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use portcullis_guard::Secret;
    use portcullis_guard::signature::{Scheme, SigningKey};
    use serde_json::json;

    use super::*;
    use crate::JwtVerifier;

    const A: &str = "https://a.example.com";
    const B: &str = "https://b.example.com";

    /// Says who a token is without a look at it, and counts how often it is asked.
    #[derive(Debug)]
    struct Says {
        gives: Option<&'static str>,
        names: Option<&'static str>,
        asked: Arc<AtomicUsize>,
        requires: Scopes,
    }

    fn says(gives: Option<&'static str>, names: Option<&'static str>) -> Says {
        Says { gives, names, asked: Arc::default(), requires: Scopes::default() }
    }

    impl TokenVerifier for Says {
        fn verify<'a>(
            &'a self,
            _: &'a BearerToken,
        ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let alice = Principal::new("alice");
            let alice = match self.gives {
                Some(issuer) => alice.with_issuer(issuer),
                None => alice,
            };
            MaybeFuture::pending(async { Ok(Arc::new(alice)) })
        }

        fn issuer(&self) -> Option<&str> {
            self.names
        }

        fn required_scopes(&self) -> Scopes {
            self.requires.clone()
        }
    }

    fn encode(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn unsigned(claims: &Value) -> String {
        format!("{}.{}.AA", encode(&json!({"alg": "RS256"})), encode(claims))
    }

    async fn issuer_of(verifier: &MultiVerifier, token: &str) -> Option<String> {
        let verified = verifier.verify(&token.into()).await.ok()?;
        verified.issuer().map(str::to_owned)
    }

    #[tokio::test]
    async fn g02_each_token_goes_to_one_verifier_and_to_no_second() {
        let (a, keys, opaque) = (says(Some(A), None), says(None, None), says(Some("x"), None));
        let asked = [&a, &keys, &opaque].map(|verifier| Arc::clone(&verifier.asked));
        let verifier = MultiVerifier::builder().issuer(A, a).prefix("pk_", keys).opaque(opaque);
        let verifier = verifier.build().unwrap();
        let jwt = |issuer: &str| unsigned(&json!({"iss": issuer}));
        for (token, issuer) in [
            (jwt(A), Some(A)),
            ("pk_1".to_owned(), Some("portcullis:prefix:pk_")),
            (format!("pk_{}", jwt(A)), Some("portcullis:prefix:pk_")),
            ("PK_1".to_owned(), Some("portcullis:opaque x")),
            ("a.b.c".to_owned(), Some("portcullis:opaque x")),
            (jwt("https://a.example.com/"), None),
            (jwt("HTTPS://a.example.com"), None),
            (unsigned(&json!({})), None),
            (unsigned(&json!({"iss": [A]})), None),
            (format!("{}.e30x.AA", encode(&json!({}))), None),
        ] {
            assert_eq!(issuer_of(&verifier, &token).await.as_deref(), issuer, "{token}");
        }
        assert_eq!(asked.map(|asked| asked.load(Ordering::SeqCst)), [1, 2, 2]);
        let only_jwts = MultiVerifier::builder().issuer(A, says(Some(A), None)).build().unwrap();
        assert_eq!(issuer_of(&only_jwts, "opaque").await, None);
    }

    #[tokio::test]
    async fn j25_the_keys_of_one_issuer_verify_no_token_that_names_another() {
        let keys = [Scheme::Ed25519, Scheme::Ed25519].map(|s| SigningKey::generate(s).unwrap());
        let pem = |key: &SigningKey| {
            // What comes before the 32 bytes in the public half of an Ed25519 key (RFC 8410 §4).
            let der = key.to_pkcs8().unwrap();
            let public = der.expose()[der.expose().len() - 32..].to_vec();
            let info = [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0][..], &public];
            let body = base64::engine::general_purpose::STANDARD.encode(info.concat());
            format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
        };
        let verifier = |issuer: &str, key: &SigningKey| {
            JwtVerifier::public_key_pem(pem(key)).issuer(issuer).audience("aud").build().unwrap()
        };
        let [of_a, of_b] = &keys;
        let verifier = MultiVerifier::builder()
            .issuer(A, verifier(A, of_a))
            .issuer(B, verifier(B, of_b))
            .build()
            .unwrap();
        let token = |issuer: &str, key: &SigningKey| {
            let claims =
                json!({"iss": issuer, "aud": "aud", "sub": "alice", "exp": 4_102_444_800_u64});
            let header = json!({"alg": "EdDSA", "typ": "at+jwt"});
            let input = format!("{}.{}", encode(&header), encode(&claims));
            let signature = key.sign(input.as_bytes()).unwrap();
            format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        assert_eq!(issuer_of(&verifier, &token(A, of_a)).await.as_deref(), Some(A));
        assert_eq!(issuer_of(&verifier, &token(B, of_b)).await.as_deref(), Some(B));
        assert_eq!(issuer_of(&verifier, &token(B, of_a)).await, None);
        assert_eq!(issuer_of(&verifier, &token(A, of_b)).await, None);
        let alice = verifier.verify(&(&*token(A, of_a)).into()).await.unwrap();
        let other = verifier.verify(&(&*token(B, of_b)).into()).await.unwrap();
        assert_ne!(alice.id(), other.id(), "two people of one name");
    }

    #[tokio::test]
    async fn j25_a_principal_of_another_source_is_refused() {
        let verifier = MultiVerifier::builder()
            .issuer(A, says(Some(B), None))
            .issuer("https://none.example.com", says(None, None))
            .prefix("pk_", says(Some(A), Some(B)))
            .prefix("qk_", says(Some(A), None))
            .build()
            .unwrap();
        for issuer in [A, "https://none.example.com"] {
            assert_eq!(issuer_of(&verifier, &unsigned(&json!({"iss": issuer}))).await, None);
        }
        assert_eq!(issuer_of(&verifier, "pk_1").await, None);
        let own = issuer_of(&verifier, "qk_1").await;
        assert_eq!(own.as_deref(), Some("portcullis:prefix:qk_ https://a.example.com"));
    }

    #[test]
    fn routes_that_overlap_do_not_build() {
        let kinds = |builder: MultiVerifierBuilder| -> Vec<VerifierProblemKind> {
            match builder.build() {
                Ok(_) => Vec::new(),
                Err(error) => error.problems().iter().map(VerifierProblem::kind).collect(),
            }
        };
        use VerifierProblemKind::*;
        let any = || says(None, None);
        let new = MultiVerifier::builder;
        assert_eq!(kinds(new().issuer(A, any()).issuer(B, any()).prefix("a", any())), []);
        assert_eq!(kinds(new()), [InvalidRoute]);
        for (builder, kind) in [
            (new().issuer(A, any()).issuer(A, any()), OverlappingRoutes),
            (new().prefix("pk_", any()).prefix("pk_live_", any()), OverlappingRoutes),
            (new().prefix("pk_live_", any()).prefix("pk_", any()), OverlappingRoutes),
            (new().opaque(any()).opaque(any()), OverlappingRoutes),
            (new().issuer(A, any()).prefix("eyJ", any()), OverlappingRoutes),
            (new().prefix("e", any()).issuer(A, any()), OverlappingRoutes),
            (new().issuer("", any()), InvalidRoute),
            (new().prefix("", any()), InvalidRoute),
            (new().issuer(A, says(None, Some(B))), InvalidRoute),
        ] {
            assert_eq!(kinds(builder), [kind]);
        }
        let stricter = Says { requires: Scopes::from_iter(["admin"]), ..any() };
        assert_eq!(kinds(new().issuer(A, any()).issuer(B, stricter)), [ConflictingScopes]);
    }

    #[test]
    fn what_one_verifier_needs_the_whole_has() {
        let secret = Secret::new("correct-horse-battery-staple-0123456789".to_owned());
        let jwt = JwtVerifier::hmac(secret).issuer(A).audience("aud").build().unwrap();
        let one = MultiVerifier::builder().issuer(A, jwt).build().unwrap();
        assert!(one.generation().is_some());
        assert_eq!(
            (one.audiences(), one.authorization_servers()),
            (&["aud".to_owned()][..], vec![A.to_owned()])
        );
        let dev = crate::danger::StaticTokenVerifier::new();
        let two = MultiVerifier::builder().prefix("dev-", dev).opaque(says(None, None));
        let two = two.build().unwrap();
        assert!(two.loopback_only());
        assert_eq!(two.generation(), None, "one has none");
    }
}
