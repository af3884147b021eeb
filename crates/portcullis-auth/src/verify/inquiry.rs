//! Asking somebody else about a token: at most once at a time, and not again for a while.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};
use portcullis_guard::{Clock, Secret, random};
use tokio::sync::Semaphore;

use crate::claims::Unexpected;
use crate::principal::Counts;
use crate::refused_tokens::{Known, RefusedTokens};
use crate::token_cache::{TokenCache, TokenDigest};
use crate::{BearerToken, MaybeFuture, Principal, VerifyError};

/// How long an answer counts, unless the builder says otherwise.
pub(super) const LIFETIME: Duration = Duration::from_secs(60);
/// The longest time for which it may: a revoked token is accepted for as long.
pub(super) const MAX_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// How long one exchange may take: the server waits for a verifier no longer than 10 s.
pub(super) const EXCHANGE_TIME: Duration = Duration::from_secs(8);
/// When a token without an end of its own is taken to end, for what lasts longer than a request.
pub(super) const UNEXPIRING: Duration = Duration::from_secs(60 * 60);
const CACHED_TOKENS: usize = 10_000;
/// How many tokens are asked about at once. Others wait: untrusted clients with made-up tokens
/// must not become the provider's flood.
const AT_ONCE: usize = 32;
/// The provider has no keys that we know: answers and refusals count by time alone.
pub(super) const GENERATION: u64 = 0;

/// A token that nobody issued. Who answers about it as about any other that is not good knows this
/// server's credentials.
///
/// # Errors
///
/// Says for the log that there are no random bytes.
pub(super) fn probe_token() -> Result<String, String> {
    let number = random::bytes::<16>().map_err(|error| error.to_string())?;
    Ok(format!("portcullis-probe-{}", number.map(|byte| format!("{byte:02x}")).concat()))
}

/// Somebody who knows what a token stands for.
pub(super) trait Authority: fmt::Debug + Send + Sync + 'static {
    /// Whom `token` speaks for, by the time `now`.
    fn judge<'a>(
        &'a self,
        token: &'a str,
        now: SystemTime,
    ) -> impl Future<Output = Result<Principal, Unverified>> + Send + 'a;

    /// As [`judge`](Self::judge), of a token that it found good before.
    fn judge_again<'a>(
        &'a self,
        token: &'a str,
        now: SystemTime,
    ) -> impl Future<Output = Result<Principal, Unverified>> + Send + 'a {
        self.judge(token, now)
    }
}

/// Why a token was not accepted, for the log: never with the token in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unverified {
    /// It is not good.
    Refused(Unexpected),
    /// Nobody could say whether it is.
    NoAnswer(String),
}

impl<E: Into<Unexpected>> From<E> for Unverified {
    fn from(why: E) -> Self {
        Self::Refused(why.into())
    }
}

/// What an [`Authority`] said, and what it is being asked.
///
/// 1. An accepted token is asked about again after `lifetime`, or when it ends if that is earlier.
///    The time counts from the question: an answer that was slow does not last longer.
/// 2. A refused one is refused for ten seconds more, unless it may become good.
/// 3. Requests with the same token wait for one answer. It is asked for as long as one of them
///    waits.
/// 4. Without an answer nothing is remembered.
pub(super) struct Inquiry<A> {
    pub(super) authority: A,
    clock: Arc<dyn Clock>,
    lifetime: Duration,
    /// Each principal knows for how long the answer about it counts.
    accepted: Option<TokenCache<()>>,
    refused: RefusedTokens,
    flights: Mutex<Flights>,
    places: Semaphore,
}

type Verdict = Result<Arc<Principal>, VerifyError>;
type Flight = Pin<Box<dyn Future<Output = Verdict> + Send>>;

#[derive(Default)]
struct Flights {
    begun: u64,
    under_way: HashMap<TokenDigest, (u64, WeakShared<Flight>)>,
}

impl<A: Authority> Inquiry<A> {
    pub(super) fn new(authority: A, clock: Arc<dyn Clock>, lifetime: Duration) -> Arc<Self> {
        Arc::new(Self {
            authority,
            clock,
            lifetime,
            accepted: TokenCache::new(if lifetime.is_zero() { 0 } else { CACHED_TOKENS }),
            refused: RefusedTokens::default(),
            flights: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
        })
    }

    /// Whom `token` speaks for: at once where that is known, and otherwise once the authority has
    /// said.
    pub(super) fn verify(self: &Arc<Self>, token: &BearerToken) -> MaybeFuture<'static, Verdict> {
        let (digest, now) = (TokenDigest::of(token.expose()), self.clock.now());
        let known = self.accepted.as_ref().and_then(|cache| cache.find(digest, |()| true));
        let was_good = known.is_some();
        if let Some(principal) = known.filter(|principal| principal.counts_at(now)) {
            return MaybeFuture::ready(Ok(principal));
        }
        if let Some(Known::Refused(error)) = self.refused.find(digest, GENERATION, now) {
            return MaybeFuture::ready(Err(error));
        }
        MaybeFuture::pending(self.flight(digest, token, was_good))
    }

    /// The question about a token, which may have been asked already.
    fn flight(
        self: &Arc<Self>,
        digest: TokenDigest,
        token: &BearerToken,
        was_good: bool,
    ) -> Shared<Flight> {
        let mut flights = self.flights();
        let under_way = flights.under_way.get(&digest).and_then(|(_, flight)| flight.upgrade());
        if let Some(flight) = under_way {
            return flight;
        }
        flights.begun += 1;
        let landing = Landing { inquiry: Arc::clone(self), digest, number: flights.begun };
        let token = Secret::new(token.expose().to_owned());
        let flight: Flight = Box::pin(async move {
            // Dropped with the future, however that ends.
            let Landing { inquiry, digest, .. } = &landing;
            inquiry.ask(*digest, &token, was_good).await
        });
        let flight = flight.shared();
        if let Some(weak) = flight.downgrade() {
            let number = flights.begun;
            flights.under_way.insert(digest, (number, weak));
        }
        flight
    }

    async fn ask(&self, digest: TokenDigest, token: &Secret<String>, was_good: bool) -> Verdict {
        let closed = |_| VerifyError::unavailable("no more tokens are asked about");
        let _place = self.places.acquire().await.map_err(closed)?;
        let now = self.clock.now();
        let judged = match was_good {
            true => self.authority.judge_again(token.expose(), now).await,
            false => self.authority.judge(token.expose(), now).await,
        };
        // A clock that is set back does not bring it back.
        if let (Err(Unverified::Refused(_)), Some(cache)) = (&judged, &self.accepted) {
            cache.forget(digest);
        }
        match judged {
            Ok(principal) => {
                let until = now.checked_add(self.lifetime).unwrap_or(now);
                let until = principal.expires_at().map_or(until, |end| end.min(until));
                let answer = Counts { from: now, until };
                let principal = Arc::new(principal.answered(answer));
                if let Some(cache) = &self.accepted {
                    cache.keep(digest, (), Arc::clone(&principal));
                }
                Ok(principal)
            }
            Err(Unverified::Refused(Unexpected::Ever(reason))) => {
                let error = VerifyError::invalid(reason);
                self.refused.keep(digest, GENERATION, now, Known::Refused(error.clone()));
                Err(error)
            }
            Err(Unverified::Refused(Unexpected::Yet(reason))) => Err(VerifyError::invalid(reason)),
            Err(Unverified::NoAnswer(reason)) => Err(VerifyError::unavailable(reason)),
        }
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.flights().under_way.is_empty()
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }
}

impl<A> Inquiry<A> {
    /// Nothing panics while it holds the lock.
    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: fmt::Debug> fmt::Debug for Inquiry<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inquiry")
            .field("authority", &self.authority)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// Forgets a flight when it ends, or when nobody waits for it any more.
struct Landing<A> {
    inquiry: Arc<Inquiry<A>>,
    digest: TokenDigest,
    number: u64,
}

impl<A> Drop for Landing<A> {
    fn drop(&mut self) {
        let mut flights = self.inquiry.flights();
        // Another one may have begun since nobody waited for this one.
        if flights.under_way.get(&self.digest).is_some_and(|(number, _)| *number == self.number) {
            flights.under_way.remove(&self.digest);
        }
    }
}
