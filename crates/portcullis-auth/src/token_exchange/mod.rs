//! Tokens for other services, on behalf of a caller (OAuth 2.0 Token Exchange, RFC 8693).

mod answer;
mod builder;
mod cache;
mod error;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};
use portcullis_guard::digest::sha256_of_parts;
use portcullis_guard::{Clock, ErrorChain, Fetch, FetchRequest, Secret};
use tokio::sync::Semaphore;
use url::Url;

use self::cache::{Key, TokensInUse};
use crate::principal::Counts;
use crate::{BearerToken, ClientCredentials, Principal, Scopes};

pub use self::builder::TokenExchangeBuilder;
pub use self::error::{
    TokenExchangeConfigError, TokenExchangeError, TokenExchangeErrorKind, TokenExchangeProblem,
    TokenExchangeProblemKind,
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// A token is not given again in its last minute: the call that it is for takes its time.
const LEFT: Duration = Duration::from_secs(60);
/// How many callers are exchanged for at once. Others wait.
const AT_ONCE: usize = 32;

/// Exchanges the access token of a caller for one that is good at another service alone, on the
/// caller's behalf (RFC 8693).
///
/// The caller's own token is sent to the token endpoint of the issuer that issued it, and nowhere
/// else; that this is the same authorization server is what [`new`](Self::new) says by name. What comes
/// back is good for one of the named audiences.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as auth; pub extern crate portcullis_guard as guard; }
/// use portcullis::auth::TokenExchange;
/// use portcullis::guard::Secret;
///
/// let secret = Secret::new("Zk3vJ0qTn8-5fXw".to_owned());
/// let exchange =
///     TokenExchange::new("https://idp.example.com", "https://idp.example.com/token")
///         .client_secret_basic("mcp-server", secret)
///         .audience("https://orders.example.com")
///         .build()?;
/// assert_eq!(exchange.issuer(), "https://idp.example.com");
/// # Ok::<(), portcullis::auth::TokenExchangeConfigError>(())
/// ```
pub struct TokenExchange(Arc<Exchanger>);

struct Exchanger {
    issuer: String,
    endpoint: Url,
    fetch: Fetch,
    credentials: ClientCredentials,
    targets: Vec<Target>,
    lifetime: Duration,
    clock: Arc<dyn Clock>,
    in_use: TokensInUse,
    flights: Mutex<Flights>,
    places: Semaphore,
}

/// A service that tokens may be for, and the parameter that names it.
#[derive(Clone, Debug)]
struct Target {
    parameter: &'static str,
    name: String,
}

/// An access token for one audience, on behalf of a caller. `Debug` does not show it.
#[derive(Clone)]
pub struct ExchangedToken {
    audience: String,
    scopes: Scopes,
    token: Secret<String>,
    expires_at: Option<SystemTime>,
}

type Answer = Result<ExchangedToken, TokenExchangeError>;
type Flight = Pin<Box<dyn Future<Output = Answer> + Send>>;

#[derive(Default)]
struct Flights {
    begun: u64,
    under_way: HashMap<Key, (u64, WeakShared<Flight>)>,
}

impl TokenExchange {
    /// Begins to describe the exchange of tokens that `issuer` issued, at its own token `endpoint`.
    /// The issuer is written as the tokens have it in `iss`.
    #[expect(
        clippy::new_ret_no_self,
        reason = "an exchange is built, since much can be wrong with it"
    )]
    pub fn new(issuer: impl Into<String>, endpoint: impl Into<String>) -> TokenExchangeBuilder {
        TokenExchangeBuilder::new(issuer.into(), endpoint.into())
    }

    /// The issuer whose tokens are exchanged.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// A token for `audience` with these scopes, on behalf of `principal`, who showed `token`. Without
    /// a scope it has those that the authorization server gives by default.
    ///
    /// One that was given before is given again, for the cache lifetime at most, to the same principal
    /// with the same token.
    ///
    /// # Errors
    ///
    /// As [`TokenExchangeErrorKind`] lists them.
    pub async fn exchange(
        &self,
        principal: &Principal,
        token: &BearerToken,
        audience: &str,
        scopes: &Scopes,
    ) -> Result<ExchangedToken, TokenExchangeError> {
        let target = self.0.targets.iter().find(|target| target.name == audience);
        let target = target.ok_or_else(TokenExchangeError::unknown_audience)?;
        if scopes.malformed().is_some() {
            return Err(TokenExchangeError::unusable("what was asked for is no scope"));
        }
        // Another issuer must not be shown the token.
        if principal.issuer() != Some(self.0.issuer.as_str()) {
            return Err(TokenExchangeError::missing("the caller's token is of another issuer"));
        }
        let mut sorted: Vec<&str> = scopes.iter().collect();
        sorted.sort_unstable();
        let order = Order {
            target: target.clone(),
            scopes: sorted.into_iter().collect(),
            subject_token: Secret::new(token.expose().to_owned()),
            ends_at: principal.expires_at(),
        };
        let key = order.key(principal);
        if let Some(known) = self.0.in_use.find(&key, self.0.clock.now()) {
            return Ok(known);
        }
        Exchanger::flight(&self.0, key, order).await
    }
}

/// What one exchange asks for.
struct Order {
    target: Target,
    /// In the order of their texts: the same ones are the same question.
    scopes: Scopes,
    subject_token: Secret<String>,
    /// When the caller's own token ends.
    ends_at: Option<SystemTime>,
}

impl Order {
    /// Two callers have different ones, and so have two tokens of the same caller.
    fn key(&self, principal: &Principal) -> Key {
        let id = principal.id().bytes();
        let scopes = self.scopes.to_string();
        let texts =
            [self.target.parameter, &self.target.name, &scopes, self.subject_token.expose()];
        sha256_of_parts([&id[..]].into_iter().chain(texts.map(str::as_bytes)))
    }

    /// RFC 8693 §2.1.
    fn form(&self) -> Vec<(&'static str, String)> {
        let mut form = vec![
            ("grant_type", GRANT.to_owned()),
            ("subject_token", self.subject_token.expose().clone()),
            ("subject_token_type", ACCESS_TOKEN.to_owned()),
            ("requested_token_type", ACCESS_TOKEN.to_owned()),
            (self.target.parameter, self.target.name.clone()),
        ];
        if !self.scopes.is_empty() {
            form.push(("scope", self.scopes.to_string()));
        }
        form
    }
}

impl Exchanger {
    /// The exchange for one key, which may be under way already.
    fn flight(this: &Arc<Self>, key: Key, order: Order) -> Shared<Flight> {
        let mut flights = this.flights();
        let under_way = flights.under_way.get(&key).and_then(|(_, flight)| flight.upgrade());
        if let Some(flight) = under_way {
            return flight;
        }
        flights.begun += 1;
        let number = flights.begun;
        let landing = Landing { exchanger: Arc::clone(this), key, number };
        let flight: Flight = Box::pin(async move {
            // Dropped with the future, however that ends.
            let Landing { exchanger, key, .. } = &landing;
            exchanger.ask(*key, &order).await
        });
        let flight = flight.shared();
        if let Some(weak) = flight.downgrade() {
            flights.under_way.insert(key, (number, weak));
        }
        flight
    }

    async fn ask(&self, key: Key, order: &Order) -> Answer {
        let closed = |_| TokenExchangeError::unavailable("no more tokens are exchanged");
        let _place = self.places.acquire().await.map_err(closed)?;
        // Before the question: an answer that was slow does not last longer.
        let now = self.clock.now();
        let request = FetchRequest::post(&self.endpoint).header("accept", "application/json");
        let request = self.credentials.request(request, order.form(), now);
        let request = request.map_err(TokenExchangeError::unusable)?;
        let fetched = self.fetch.send(request).await.map_err(|error| {
            let cause = ErrorChain::new(&error);
            TokenExchangeError::unavailable(format!("the token endpoint did not answer: {cause}"))
        })?;
        let answer = answer::read(&fetched, &order.scopes)?;
        let expires_at = answer.lifetime.map(|lifetime| now.checked_add(lifetime).unwrap_or(now));
        let token = ExchangedToken {
            audience: order.target.name.clone(),
            scopes: answer.scopes,
            token: answer.token,
            expires_at,
        };
        if let Some(counts) = given_again(now, self.lifetime, expires_at, order.ends_at) {
            self.in_use.keep(key, token.clone(), counts);
        }
        Ok(token)
    }

    /// Nothing panics while it holds the lock.
    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a token that came at `now` is given again, if ever: until its last minute, or the end of the
/// caller's own, and not beyond `lifetime`. Without an end, nobody knows for how long it is good.
fn given_again(
    now: SystemTime,
    lifetime: Duration,
    expires_at: Option<SystemTime>,
    callers_end: Option<SystemTime>,
) -> Option<Counts> {
    let end = expires_at?.checked_sub(LEFT)?;
    let until = now.checked_add(lifetime).unwrap_or(now).min(end);
    let until = callers_end.map_or(until, |end| end.min(until));
    (now < until).then_some(Counts { from: now, until })
}

/// Forgets a flight when it ends, or when nobody waits for it any more.
struct Landing {
    exchanger: Arc<Exchanger>,
    key: Key,
    number: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flights = self.exchanger.flights();
        // Another one may have begun since nobody waited for this one.
        if flights.under_way.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            flights.under_way.remove(&self.key);
        }
    }
}

impl ExchangedToken {
    /// The service that it is good for, as it was asked for.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The scopes that it has: those that were asked for, or fewer.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// The token itself.
    #[must_use]
    pub fn token(&self) -> &Secret<String> {
        &self.token
    }

    /// When it ends, if the authorization server said.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }
}

impl fmt::Debug for ExchangedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangedToken")
            .field("audience", &self.audience)
            .field("scopes", &self.scopes)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange")
            .field("issuer", &self.0.issuer)
            .field("targets", &self.0.targets)
            .finish_non_exhaustive()
    }
}
