//! The settings of a JWT verifier, checked all at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis_guard::fetch::{Fetch, FetchBuilder};
use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, SystemClock};

use super::claims::{Expected, TokenType};
use super::error::{JwtConfigError, JwtProblem, JwtProblemKind};
use super::explicit_type::check_explicit_type;
use super::key_set::MAX_KEYS;
use super::source::Source;
use super::{Algorithm, JwtVerifier};
use crate::refused_tokens::RefusedTokens;
use crate::scopes::is_scope_token;
use crate::token_cache::TokenCache;
use crate::{OneOrMany, Scopes};

/// How long a fetch of keys may take. A token waits for two of them at most, and the server
/// waits no longer than 10 s for a verifier.
const FETCH_TIME: Duration = Duration::from_secs(4);
const STALE: Duration = Duration::from_secs(60 * 60);
const MAX_STALE: Duration = Duration::from_secs(24 * 60 * 60);
const LEEWAY: Duration = Duration::from_secs(30);
const MAX_LEEWAY: Duration = Duration::from_secs(300);
const CACHED_TOKENS: usize = 10_000;
/// The most keys that a client may have.
const MAX_CLIENT_KEYS: usize = 8;

/// Describes a [`JwtVerifier`].
#[derive(Clone, Debug)]
#[must_use = "a verifier is built by .build()"]
pub struct JwtVerifierBuilder {
    pub(super) source: Source,
    pub(super) issuer: Option<String>,
    audiences: Vec<String>,
    algorithms: Option<Vec<Algorithm>>,
    required: Scopes,
    leeway: Duration,
    access_tokens_only: bool,
    token_type: Option<TokenType>,
    unmarked_tokens: bool,
    max_lifetime: Option<Duration>,
    scope_claims: Vec<Vec<String>>,
    cached_tokens: usize,
    pub(super) fetch: FetchBuilder,
    /// What fetches in the place of one that `fetch` describes.
    pub(super) fetched_by: Option<Fetch>,
    pub(super) most_keys: usize,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) stale: Duration,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) problems: Vec<JwtProblem>,
}

impl JwtVerifierBuilder {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            issuer: None,
            audiences: Vec::new(),
            algorithms: None,
            required: Scopes::default(),
            leeway: LEEWAY,
            access_tokens_only: false,
            token_type: None,
            unmarked_tokens: false,
            max_lifetime: None,
            scope_claims: Vec::new(),
            cached_tokens: CACHED_TOKENS,
            fetch: Fetch::builder().time(FETCH_TIME),
            fetched_by: None,
            most_keys: MAX_KEYS,
            ca_file: None,
            stale: STALE,
            clock: Arc::new(SystemClock),
            problems: Vec::new(),
        }
    }

    /// The issuer of the tokens: `iss`, exactly as the tokens spell it.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Adds what `aud` must be or hold: this server's own name at the issuer, exactly as it
    /// is there. Several may be added; a token needs one of them.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// As [`audience`](Self::audience), unless there is one.
    pub(crate) fn audience_unless_set(self, audience: &str) -> Self {
        if self.audiences.is_empty() { self.audience(audience) } else { self }
    }

    /// Which algorithms are accepted. A token never decides that.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// Sets the scopes without which no request is served.
    pub fn required_scopes(mut self, scopes: impl OneOrMany) -> Self {
        self.required = Scopes::from_iter(scopes.into_many());
        self
    }

    /// How much the issuer's clock and ours may differ. Default: 30 s; at most 5 min.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Insists on `typ: at+jwt` (RFC 9068 §4), and refuses a `nonce`, so that no ID token
    /// can pass. Default: `typ` may be `JWT`, or absent where a claim says that the token is an
    /// access token, since many issuers have it so.
    pub fn access_tokens_only(mut self) -> Self {
        self.access_tokens_only = true;
        self
    }

    /// Accepts tokens of this type (`typ`), and no access tokens: those that another server signs
    /// with its [`SigningKeys`](crate::SigningKeys), such as `order-paid+jwt` (RFC 8725 §3.11).
    pub fn token_type(mut self, typ: impl Into<String>) -> Self {
        self.token_type = Some(TokenType::Explicit(typ.into()));
        self
    }

    /// Accepts the assertions by which a client authenticates (RFC 7523 §2.2), and no access tokens: `typ`
    /// is `client-authentication+jwt`, `JWT`, or absent. A set of more than eight keys is refused, and what
    /// was refused is not remembered: anybody may be a client, and each has a verifier.
    pub fn client_assertions(mut self) -> Self {
        self.token_type = Some(TokenType::ClientAssertion);
        self.most_keys = MAX_CLIENT_KEYS;
        self
    }

    /// Fetches keys by `fetch`, which many verifiers may share, in place of a client of its own: the
    /// certificates that it trusts take more memory than the keys.
    #[doc(hidden)]
    pub fn fetched_by(mut self, fetch: Fetch) -> Self {
        self.fetched_by = Some(fetch);
        self
    }

    /// What [`fetched_by`](Self::fetched_by) takes, with the limits of keys.
    #[doc(hidden)]
    pub fn key_fetch() -> FetchBuilder {
        Fetch::builder().time(FETCH_TIME)
    }

    /// Accepts tokens that nothing tells from ID tokens: without `typ`, and without any of
    /// `client_id`, `azp`, `cid`, `appid`, `scope`, `scp` and `jti`.
    ///
    /// Anybody who receives an ID token with one of your audiences can then call the server with
    /// it. It does no harm where the issuer makes no ID tokens, or none for these audiences.
    pub fn dangerously_accept_unmarked_tokens(mut self) -> Self {
        self.unmarked_tokens = true;
        self
    }

    /// Takes scopes from the claim at `path`, in place of `scope` and `scp`: from `permissions`,
    /// say, or `["realm_access", "roles"]`. Several may be named; what all of them grant counts.
    ///
    /// For providers that write no `scope`, or write there whatever a client asked for. An entry
    /// that is not a scope (a group with a space in its name) grants nothing.
    pub fn scope_claim(mut self, path: impl OneOrMany) -> Self {
        self.scope_claims.push(path.into_many());
        self
    }

    /// The longest time from `iat` to `exp` that is accepted, to the second; a token without
    /// `iat` is then refused. Default: any time that the issuer chose.
    ///
    /// A token cannot be taken back before it expires, so the issuer's mistake, a token for ten
    /// years, would be one for this server too.
    pub fn max_token_lifetime(mut self, longest: Duration) -> Self {
        self.max_lifetime = Some(longest);
        self
    }

    /// How many verified tokens are remembered, so that they need not be verified again.
    /// Default: 10,000; 0 for none.
    pub fn token_cache(mut self, tokens: usize) -> Self {
        self.cached_tokens = tokens;
        self
    }

    /// For how long the last known keys go on verifying when the issuer's keys cannot be
    /// fetched any more, after the time for which they were fresh. Default: 1 h; at most a day.
    pub fn stale_keys(mut self, stale: Duration) -> Self {
        self.stale = stale;
        self
    }

    /// Lets the keys come from this machine, in plain http too: for tests, and for identity
    /// providers under development.
    pub fn allow_loopback_idp(mut self) -> Self {
        self.fetch = self.fetch.allow_loopback();
        self
    }

    /// Lets keys and metadata come from `host` on a private network, over https, and from no other
    /// host: for an identity provider inside, such as `idp.corp.internal`.
    ///
    /// The host is a name or an address, without a port. Loopback and the metadata of clouds stay
    /// refused, whatever the name resolves to.
    pub fn allow_private_idp(mut self, host: impl Into<String>) -> Self {
        self.fetch = self.fetch.allow_private_host(host);
        self
    }

    /// Trusts the certificates in this PEM file, and no others, for keys and metadata: for an
    /// identity provider with a certificate authority of its own. It is read by
    /// [`build`](Self::build).
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// The clock by which tokens expire and keys age. Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the verifier.
    ///
    /// # Errors
    ///
    /// Names everything that is missing or unsafe, all at once, each with its
    /// [`JwtProblemKind`].
    pub fn build(mut self) -> Result<JwtVerifier, JwtConfigError> {
        let mut algorithms = self.checked_algorithms();
        let source = self.source.described();
        let keys = self.keys(&mut algorithms);
        let issuer = self.issuer.take().filter(|issuer| !issuer.is_empty());
        if issuer.is_none() {
            self.problem(
                JwtProblemKind::MissingIssuer,
                "the issuer is missing: set .issuer(\"https://…\") or JWT_ISSUER",
            );
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            self.problem(
                JwtProblemKind::MissingAudience,
                "the audience is missing, and without it tokens for any service would pass: set \
                 .audience(\"https://…\") or JWT_AUDIENCE",
            );
        }
        let odd = self.required.iter().find(|scope| !is_scope_token(scope)).map(quoted);
        if let Some(scope) = odd {
            self.problem(
                JwtProblemKind::InvalidScope,
                format!("the required scope {scope} is not a valid scope"),
            );
        }
        if self.scope_claims.iter().any(|path| path.is_empty() || path.iter().any(String::is_empty))
        {
            self.problem(
                JwtProblemKind::InvalidScopeClaim,
                "scope_claim(…): the name of the claim is empty",
            );
        }
        if self.access_tokens_only && self.unmarked_tokens {
            self.problem(JwtProblemKind::ConflictingOptions, "access_tokens_only() and dangerously_accept_unmarked_tokens() conflict: remove one",
            );
        }
        let checked = self.token_type.as_ref().map(|token_type| match token_type {
            TokenType::Explicit(typ) => check_explicit_type(typ),
            TokenType::ClientAssertion => Ok(()),
        });
        match checked {
            Some(Err(why)) => self.problem(JwtProblemKind::InvalidTokenType, why),
            Some(Ok(())) if self.access_tokens_only || self.unmarked_tokens => self.problem(
                JwtProblemKind::ConflictingOptions,
                "token_type(…) and client_assertions() take no access tokens: remove \
                 access_tokens_only() and dangerously_accept_unmarked_tokens()",
            ),
            Some(Ok(())) | None => {}
        }
        if self.max_lifetime.is_some_and(|longest| longest < Duration::from_secs(1)) {
            self.problem(
                JwtProblemKind::MaxTokenLifetimeTooShort,
                "a max_token_lifetime of less than a second refuses every token",
            );
        }
        if self.leeway > MAX_LEEWAY {
            self.problem(
                JwtProblemKind::LeewayTooLong,
                "a leeway of more than 5 minutes is refused",
            );
        }
        if self.stale > MAX_STALE {
            self.problem(
                JwtProblemKind::StaleKeysTooLong,
                "keys that are stale for more than a day are refused",
            );
        }
        let (Some(keys), Some(issuer), true) = (keys, issuer, self.problems.is_empty()) else {
            return Err(JwtConfigError::new(self.problems));
        };
        let is_for_clients = matches!(self.token_type, Some(TokenType::ClientAssertion));
        let names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
        Ok(JwtVerifier {
            description: format!("JWTs of {issuer}, by {source} ({})", names.join(", ")),
            keys,
            algorithms,
            expected: Expected {
                issuer,
                audiences: self.audiences,
                leeway: self.leeway,
                access_tokens_only: self.access_tokens_only,
                token_type: self.token_type,
                unmarked_tokens: self.unmarked_tokens,
                max_lifetime: self.max_lifetime,
                scope_claims: self.scope_claims,
            },
            required: self.required,
            cache: TokenCache::new(self.cached_tokens),
            refused: match is_for_clients {
                true => RefusedTokens::none(),
                false => RefusedTokens::default(),
            },
            clock: self.clock,
        })
    }

    pub(super) fn problem(&mut self, kind: JwtProblemKind, text: impl Into<String>) {
        self.problems.push(JwtProblem::new(kind, text));
    }

    /// The algorithms that were named, or those that suit the source.
    fn checked_algorithms(&mut self) -> Vec<Algorithm> {
        let Some(named) = self.algorithms.take() else {
            return match self.source.is_symmetric() {
                true => vec![Algorithm::HS256],
                false => Algorithm::ALL.into_iter().filter(|own| !own.is_symmetric()).collect(),
            };
        };
        if named.is_empty() {
            self.problem(JwtProblemKind::NoAlgorithm, "the list of algorithms is empty");
        }
        let symmetric = self.source.is_symmetric();
        let other = named.iter().find(|algorithm| algorithm.is_symmetric() != symmetric);
        let problem = match (other, &self.source) {
            (Some(_), Source::Nothing) | (None, _) => None,
            (Some(other), _) if symmetric => {
                Some(format!("{other} needs a public key, but a secret is configured"))
            }
            (Some(other), _) => {
                Some(format!("{other} needs a secret, but public keys are configured"))
            }
        };
        if let Some(problem) = problem {
            self.problem(JwtProblemKind::UnsuitableAlgorithm, problem);
        }
        named
    }
}
