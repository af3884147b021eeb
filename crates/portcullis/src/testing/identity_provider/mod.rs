//! An identity provider on loopback, for tests.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use portcullis_guard::signature::{Scheme, SigningKey};
use portcullis_guard::{Clock, Secret, SystemClock, random};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::sign_in::{Code, SignIn};
use self::token_exchange::Exchanges;

pub use self::token::TestToken;
pub use self::user::TestUser;

mod endpoints;
mod github;
mod request;
mod sign_in;
#[cfg(test)]
mod tests;
mod token;
mod token_exchange;
mod user;

/// An identity provider on loopback, for tests: it issues any token that it is asked for, wrong
/// ones too.
///
/// It has a JWK set (ES256), metadata under both well-known names (RFC 8414, OpenID Connect
/// Discovery) and an introspection endpoint (RFC 7662). It runs on the runtime of the test, and
/// is down once it is dropped.
///
/// Tokens for a server come from [`token`](Self::token). For a server at which users sign in, it has
/// the authorization code flow as well, with ID tokens, userinfo, refresh and revocation: it shows no
/// page, and whoever opens it is the user of [`sign_in_as`](Self::sign_in_as). The same users are at the
/// addresses of a GitHub Enterprise Server.
///
/// # Example
///
/// ```
/// use portcullis::RunOptions;
/// use portcullis::prelude::*;
/// use portcullis::testing::IdentityProvider;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// const AUDIENCE: &str = "https://mcp.example.com/mcp";
///
/// let idp = IdentityProvider::start().await?;
/// let verifier = JwtVerifier::discover(idp.issuer())
///     .audience(AUDIENCE)
///     .allow_loopback_idp() // it is on this machine
///     .build()?;
///
/// let accepts = async |token: String| verifier.verify(&token.as_str().into()).await.is_ok();
/// # use portcullis::auth::TokenVerifier;
/// assert!(accepts(idp.token("alice", AUDIENCE).scopes(["read"]).sign()).await);
/// assert!(!accepts(idp.token("alice", AUDIENCE).expired().sign()).await);
/// assert!(!accepts(idp.token("alice", "https://other.example.com").sign()).await);
///
/// // The server as a whole, over a live port.
/// let server = Server::builder("test").auth(verifier).build()?;
/// let listening = server.listen(&RunOptions::new().listen("127.0.0.1:0")).await?;
/// # drop(listening);
/// # Ok(()) }
/// ```
pub struct IdentityProvider {
    state: Arc<State>,
    serving: JoinHandle<()>,
}

/// What the endpoints answer from.
struct State {
    issuer: String,
    client_secret: Secret<String>,
    clock: Arc<dyn Clock>,
    issued: Mutex<Issued>,
}

struct Issued {
    /// Newest first: that one signs.
    keys: Vec<Key>,
    /// What introspection says of the tokens that are good.
    tokens: HashMap<String, Map<String, Value>>,
    /// Who signs in.
    user: Option<TestUser>,
    codes: HashMap<String, Code>,
    sign_ins: Vec<SignIn>,
    exchanges: Exchanges,
}

impl Issued {
    fn by(key: Key) -> Self {
        Self {
            keys: vec![key],
            tokens: HashMap::new(),
            user: None,
            codes: HashMap::new(),
            sign_ins: Vec::new(),
            exchanges: Exchanges::default(),
        }
    }
}

struct Key {
    id: String,
    pair: Arc<SigningKey>,
}

impl IdentityProvider {
    /// How the client secret, the codes and the opaque tokens begin. A test that looks for it finds
    /// where one of them leaked.
    pub const SECRET_PREFIX: &str = "test-idp-secret-";

    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When there is no port, or there are no random bytes.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(SystemClock).await
    }

    /// As [`start`](Self::start), with the clock that tokens are dated by.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_with(clock: impl Clock) -> io::Result<Self> {
        Self::started(Arc::new(clock)).await
    }

    /// Boxed, so that it is compiled here, and not by each test.
    fn started(clock: Arc<dyn Clock>) -> BoxFuture<'static, io::Result<Self>> {
        Box::pin(Self::bind(clock))
    }

    async fn bind(clock: Arc<dyn Clock>) -> io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "a provider for tests, on loopback alone")]
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let state = Arc::new(State {
            issuer: format!("http://{}", listener.local_addr()?),
            client_secret: Secret::new(secret_text()?),
            clock,
            issued: Mutex::new(Issued::by(Key::new()?)),
        });
        let endpoints = endpoints::router(Arc::clone(&state));
        let serving = tokio::spawn(async move {
            // It ends with an error only once the socket is broken: the provider is down then.
            let _ = axum::serve(listener, endpoints).await;
        });
        Ok(Self { state, serving })
    }

    /// The issuer: `iss` of the tokens, and where discovery begins.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.state.issuer
    }

    /// Where the JWK set is.
    #[must_use]
    pub fn jwks_uri(&self) -> String {
        format!("{}/jwks", self.state.issuer)
    }

    /// Where tokens are introspected (RFC 7662), with `client_secret_basic` or
    /// `client_secret_post`.
    #[must_use]
    pub fn introspection_endpoint(&self) -> String {
        format!("{}/introspect", self.state.issuer)
    }

    /// The client that it knows: it may introspect tokens, and users sign in through it.
    #[must_use]
    pub fn client_id(&self) -> &'static str {
        request::CLIENT_ID
    }

    /// The secret of that client.
    #[must_use]
    pub fn client_secret(&self) -> Secret<String> {
        self.state.client_secret.clone()
    }

    /// Begins a token for `subject` at the server that is `audience`, which is good until it is
    /// told otherwise.
    pub fn token(&self, subject: impl Into<String>, audience: impl Into<String>) -> TestToken<'_> {
        TestToken::new(&self.state, &subject.into(), &audience.into())
    }

    /// From now on, whoever opens the authorization endpoint signs in as `user`, without a page.
    /// Before that, sign-ins are refused (`access_denied`).
    pub fn sign_in_as(&self, user: TestUser) {
        self.state.issued().user = Some(user);
    }

    /// Refuses sign-ins from now on (`access_denied`), as when a user says no.
    pub fn refuse_sign_ins(&self) {
        self.state.issued().user = None;
    }

    /// Whether a sign-in of the user with this `sub` goes on: a client has good tokens of theirs.
    #[must_use]
    pub fn is_signed_in(&self, subject: &str) -> bool {
        self.state.issued().sign_ins.iter().any(|sign_in| sign_in.user.subject == subject)
    }

    /// Ends the sign-ins of the user with this `sub`, as when an account is closed: their access
    /// and refresh tokens are good no longer.
    pub fn sign_out(&self, subject: &str) {
        self.state.issued().end(|sign_in| sign_in.user.subject == subject);
    }

    /// Signs with another key from now on. The keys of before stay in the JWK set.
    ///
    /// # Errors
    ///
    /// When there are no random bytes.
    pub fn rotate(&self) -> io::Result<()> {
        let key = Key::new()?;
        self.state.issued().keys.insert(0, key);
        Ok(())
    }

    /// Takes all keys but the newest out of the JWK set: what they signed is good no longer.
    pub fn withdraw_old_keys(&self) {
        self.state.issued().keys.truncate(1);
    }

    /// How many token exchanges it was asked for (RFC 8693), good ones or not.
    #[must_use]
    pub fn exchanges(&self) -> usize {
        self.state.issued().exchanges.count
    }

    /// Answers token exchanges with these members from now on, in place of its own; null leaves one out.
    pub fn answer_exchanges_with(&self, members: Map<String, Value>) {
        self.state.issued().exchanges.changes = members;
    }

    /// Revokes `token`: introspection calls it inactive. A JWT is still signed.
    pub fn revoke(&self, token: &str) {
        self.state.issued().tokens.remove(token);
    }
}

impl State {
    fn issued(&self) -> MutexGuard<'_, Issued> {
        // Each change is one call.
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In seconds since 1970.
    fn now(&self) -> u64 {
        let since = self.clock.now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }
}

impl Key {
    fn new() -> io::Result<Self> {
        let pair = SigningKey::generate(Scheme::EcdsaP256Sha256).map_err(io::Error::other)?;
        Ok(Self { id: text()?, pair: Arc::new(pair) })
    }

    /// The public half (RFC 7517 §4, RFC 7518 §6.2).
    fn jwk(&self) -> Option<Value> {
        let (x, y) = self.pair.public_key().coordinates()?;
        let (x, y) = (encode(x), encode(y));
        Some(json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id, "x": x, "y": y,
        }))
    }
}

/// A secret, which can be told from what else is random.
fn secret_text() -> io::Result<String> {
    Ok(format!("{}{}", IdentityProvider::SECRET_PREFIX, text()?))
}

/// A text that nobody guesses.
fn text() -> io::Result<String> {
    Ok(encode(&random::bytes::<24>().map_err(io::Error::other)?))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityProvider({})", self.state.issuer)
    }
}
