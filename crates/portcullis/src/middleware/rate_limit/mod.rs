//! Rate limits by principal or address.

mod buckets;
mod leases;
mod outage;
mod quota;
#[cfg(test)]
mod replicas;
mod requester;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portcullis_guard::{Clock, MaybeFuture};
use portcullis_store::Store;

use self::buckets::{Buckets, Key};
use self::leases::Leases;
use self::quota::Quota;

pub(crate) use self::requester::Requester;
use crate::catalogue::Entry;
use crate::error::{Problem, ProblemKind};

/// How many operations one caller may ask for: lists, uses, sessions, subscriptions, discoveries,
/// and requests to routes that need a token and have no limit of their own
/// ([`Route::rate_limit`](crate::route::Route::rate_limit)). To end a session is free: it gives
/// back what was counted when the session began.
///
/// For each of them, in this order:
///
/// 1. **Whose it is.** With a verified token, its principal's: issuer and subject, whatever
///    address or client the request comes from. Without one, the peer address's: an IPv6
///    address counts by its /64, since its owner has all of it, and an IPv4 address is itself
///    also where it is written as an IPv6 one. Over stdio, the local user's. Nothing that a
///    client may choose is asked: not `X-Forwarded-For`, but what
///    [trusted proxies](crate::ServerBuilder::trusted_proxies) wrote into it.
/// 2. **Whether there is room.** Each caller has a bucket of [`burst`](Self::burst) requests,
///    which is full at first and fills evenly, at the given rate. A request takes one. If
///    the bucket is empty, the request is refused, takes nothing, and the caller is told when
///    to try again (a token bucket: the generic cell rate algorithm of ITU-T I.371).
/// 3. **Whether the caller is new** while there are 65,536 buckets that are not full again.
///    A bucket that is full is as good as a new one, and goes first. Without a full one, new
///    callers share one bucket until there is; the others keep theirs. In a store that replicas
///    share, each replica has 65,536 places for principals and as many for addresses. Further
///    principals share one bucket, and further addresses another. An address keeps its place for five
///    minutes after its bucket is full again, as long as Redis keeps its record.
///
/// Where this cannot be decided, the request is refused (fail closed).
///
/// # Replicas
///
/// Where the server's store is shared, as Redis is, so are the buckets: replicas together let through
/// what one would. Each takes an eighth of what a bucket holds and gives it out without asking again,
/// so that few requests make a round trip; the last ones are taken one by one. Without the store, what
/// was taken goes on, and then every request is refused with an internal error. In a store of this
/// process, and over stdio, each process counts for itself, and a restart resets all buckets.
///
/// # Deployment caveat
///
/// Requests that are refused before the decision are not counted (a wrong host, an invalid
/// token, a malformed message), so untrusted clients use up nobody's share. Each leaves its
/// audit record: throttle unauthenticated clients in the reverse proxy.
///
/// Behind a proxy that is no trusted one all callers without a token have the proxy's address, and
/// share one bucket. Replicas count by their own clocks: one whose clock runs ahead makes the others refuse.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use portcullis::middleware::RateLimit;
///
/// // 600 requests a minute, 50 of them at once.
/// let limit = RateLimit::per_principal(600, Duration::from_secs(60)).burst(50);
/// ```
pub struct RateLimit {
    per: Per,
    requests: u32,
    period: Duration,
    burst: u32,
    buckets: Result<Buckets, &'static str>,
    /// The buckets that replicas share, if they do.
    leases: OnceLock<Arc<Leases>>,
}

/// Why a request is over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    /// The bucket holds a request after this time.
    Wait(Duration),
    /// The store cannot be asked.
    Unknown,
}

/// What the replicas of a server have in common.
pub(crate) struct Sharing {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The name of the server.
    pub(crate) server: String,
    /// How long the store may take to answer.
    pub(crate) patience: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Per {
    Component,
    Principal,
}

impl RateLimit {
    /// Lets each caller make `requests` requests per `period`, and as many at once.
    #[must_use]
    pub fn per_principal(requests: u32, period: Duration) -> Self {
        Self::new(Per::Principal, requests, period, requests)
    }

    /// Lets each caller use each component `requests` times per `period`, and as many times
    /// at once. What uses none, such as a list, is not counted; nor is what the caller may not
    /// use, so that the limit says nothing of what is hidden.
    #[must_use]
    pub fn per_component(requests: u32, period: Duration) -> Self {
        Self::new(Per::Component, requests, period, requests)
    }

    /// How many requests may come at once. Default: those of a period.
    #[must_use]
    pub fn burst(self, requests: u32) -> Self {
        Self::new(self.per, self.requests, self.period, requests)
    }

    /// Whether it counts uses of components, rather than requests.
    pub(crate) fn is_per_component(&self) -> bool {
        self.per == Per::Component
    }

    /// What is wrong with the limit, in the words of who wrote it.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let problem = Problem::new(ProblemKind::InvalidRateLimit, *self.buckets.as_ref().err()?);
        let Self { per, requests, period, burst, .. } = self;
        let per = match per {
            Per::Component => "per_component",
            Per::Principal => "per_principal",
        };
        let burst = if burst == requests { String::new() } else { format!(".burst({burst})") };
        Some(problem.within(format_args!("rate limit {per}({requests}, {period:?}){burst}")))
    }

    /// Shares its buckets with the replicas of the server, if they share the store. `place` sets the
    /// limit apart from others of the server.
    pub(crate) fn share(&self, sharing: &Sharing, place: &str) {
        let Sharing { store, clock, server, patience } = sharing;
        if let Ok(buckets) = &self.buckets
            && store.is_shared()
        {
            // With another rate it is another bucket.
            let place = [server.clone(), format!("{place}: {self:?}")];
            let (store, clock) = (Arc::clone(store), Arc::clone(clock));
            let limits = (buckets.quota(), buckets.capacity());
            let leases = || Leases::new(store, clock, limits, place, *patience).into();
            self.leases.get_or_init(leases);
        }
    }

    /// Takes one request out of the bucket. `used` is the component that is used, if one is.
    pub(crate) fn take<'a>(
        &'a self,
        requester: Requester,
        used: Option<&'a Entry>,
    ) -> MaybeFuture<'a, Result<(), Limited>> {
        match self.leases.get() {
            // The local user is of this process.
            Some(leases) if requester != Requester::Local => {
                let used = used.filter(|_| self.is_per_component());
                leases.take(Key { requester, component: used.map(Entry::number) }, used)
            }
            _ => {
                let checked = self.check(requester, used.map(Entry::number));
                MaybeFuture::ready(checked.map_err(Limited::Wait))
            }
        }
    }

    /// Takes one request out of the bucket of this process, or says in how long there is one.
    ///
    /// `component` is the number of the component that is used, if one is. A limit that has
    /// a [`problem`](Self::problem) lets nothing through.
    fn check(&self, requester: Requester, component: Option<u32>) -> Result<(), Duration> {
        let Ok(buckets) = &self.buckets else {
            return Err(self.period);
        };
        let component = match self.per {
            Per::Component => component,
            Per::Principal => None,
        };
        buckets.take(Key { requester, component })
    }

    fn new(per: Per, requests: u32, period: Duration, burst: u32) -> Self {
        Self::with_capacity(per, requests, period, burst, CAPACITY)
    }

    fn with_capacity(
        per: Per,
        requests: u32,
        period: Duration,
        burst: u32,
        capacity: usize,
    ) -> Self {
        let quota = Quota::new(requests, period, burst);
        let buckets = quota.map(|quota| Buckets::new(capacity, quota));
        Self { per, requests, period, burst, buckets, leases: OnceLock::new() }
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("per", &self.per)
            .field("requests", &self.requests)
            .field("period", &self.period)
            .field("burst", &self.burst)
            .finish_non_exhaustive()
    }
}

/// What records call the kinds of limits.
pub(crate) const PER_PRINCIPAL: &str = "rate limit per principal";
pub(crate) const PER_COMPONENT: &str = "rate limit per component";
#[cfg(feature = "http")]
pub(crate) const PER_ROUTE: &str = "rate limit of the route";

const CAPACITY: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use portcullis_auth::Principal;
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn user(name: &str) -> Requester {
        Requester::principal(&Principal::new(name))
    }

    /// One of 2^64 networks.
    fn network(number: u64) -> Requester {
        Requester::address(IpAddr::V6(Ipv6Addr::from_bits(u128::from(number) << 64)))
    }

    fn with_capacity(requests: u32, capacity: usize) -> RateLimit {
        RateLimit::with_capacity(Per::Principal, requests, 10 * SECOND, requests, capacity)
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_caller_is_told_the_very_moment_to_come_back() {
        let limit = RateLimit::per_principal(5, 10 * SECOND);
        for _ in 0..5 {
            assert_eq!(limit.check(user("alice"), None), Ok(()));
        }
        assert_eq!(limit.check(user("alice"), None), Err(2 * SECOND));
        advance(SECOND / 2).await;
        assert_eq!(limit.check(user("alice"), None), Err(SECOND * 3 / 2));
        advance(SECOND * 3 / 2 - Duration::from_millis(1)).await;
        assert_eq!(limit.check(user("alice"), None), Err(Duration::from_millis(1)));
        advance(Duration::from_millis(1)).await;
        assert_eq!(limit.check(user("alice"), None), Ok(()));
        assert_eq!(limit.check(user("alice"), None), Err(2 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_fills_evenly_and_no_further_than_its_burst() {
        let limit = RateLimit::per_principal(10, 10 * SECOND).burst(3);
        let through = || (0..20).filter(|_| limit.check(user("alice"), None).is_ok()).count();
        assert_eq!(through(), 3);
        advance(2 * SECOND).await;
        assert_eq!(through(), 2);
        advance(3_600 * SECOND).await;
        assert_eq!(through(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn over_time_no_more_pass_than_the_rate_and_one_burst() {
        let limit = RateLimit::per_principal(10, SECOND).burst(4);
        let mut passed = 0;
        for _ in 0..10_000 {
            passed += u32::from(limit.check(user("alice"), None).is_ok());
            advance(Duration::from_millis(7)).await;
        }
        assert!((700..=704).contains(&passed), "{passed} in 70 seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn q01_each_principal_has_a_bucket_of_its_own() {
        let limit = RateLimit::per_principal(1, SECOND);
        let issued = |issuer: &str, subject: &str| {
            Requester::principal(&Principal::new(subject).with_issuer(issuer))
        };
        let requesters = [
            user("alice"),
            user("bob"),
            issued("https://a.example", "alice"),
            issued("https://b.example", "alice"),
            issued("", "alice"),
            Requester::address([192, 0, 2, 1].into()),
            Requester::Local,
        ];
        for requester in requesters {
            assert_eq!(limit.check(requester, None), Ok(()), "{requester:?}");
            assert_eq!(limit.check(requester, None), Err(SECOND), "{requester:?}");
        }
        let other_client = Principal::new("alice").with_client_id("another");
        assert!(limit.check(Requester::principal(&other_client), None).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn components_are_told_apart_only_where_the_limit_is_for_each() {
        let limit = RateLimit::per_component(1, SECOND);
        for component in [None, Some(0), Some(1)] {
            assert_eq!(limit.check(user("alice"), component), Ok(()));
            assert_eq!(limit.check(user("alice"), component), Err(SECOND));
        }
        let limit = RateLimit::per_principal(1, SECOND);
        assert_eq!(limit.check(user("alice"), Some(0)), Ok(()));
        assert_eq!(limit.check(user("alice"), Some(1)), Err(SECOND));
        assert_eq!(limit.check(user("alice"), None), Err(SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn q02_a_million_networks_neither_fill_the_memory_nor_reset_who_is_refused() {
        let limit = RateLimit::per_principal(10, 10 * SECOND);
        for _ in 0..10 {
            limit.check(user("mallory"), None).unwrap();
        }
        let mut passed = 0;
        for number in 0..1_000_000 {
            passed += u32::from(limit.check(network(number), None).is_ok());
        }
        assert_eq!(passed, 65_535 + 10, "a bucket each, and one for all others");
        assert_eq!(limit.check(user("mallory"), None), Err(SECOND));
        assert_eq!(limit.buckets.unwrap().sizes(), (65_536, 65_536));
    }

    #[tokio::test(start_paused = true)]
    async fn q02_who_is_known_keeps_a_bucket_while_strangers_share_one() {
        let limit = with_capacity(10, 2);
        limit.check(user("alice"), None).unwrap();
        limit.check(user("bob"), None).unwrap();
        let strangers = (0..100).filter(|number| limit.check(network(*number), None).is_ok());
        assert_eq!(strangers.count(), 10);
        assert_eq!(limit.check(network(100), None), Err(SECOND));
        for _ in 0..9 {
            assert_eq!(limit.check(user("alice"), None), Ok(()));
            assert_eq!(limit.check(user("bob"), None), Ok(()));
        }
        assert_eq!(limit.check(user("alice"), None), Err(SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn q02_a_bucket_that_is_full_again_makes_room_and_no_other_does() {
        let limit = with_capacity(1, 2);
        limit.check(user("alice"), None).unwrap();
        limit.check(user("mallory"), None).unwrap();
        limit.check(network(0), None).unwrap();
        advance(10 * SECOND).await;
        // Both are full again; one of them is used, and is not forgotten for it.
        limit.check(user("mallory"), None).unwrap();
        limit.check(network(1), None).unwrap();
        limit.check(network(2), None).unwrap();
        assert_eq!(limit.check(network(3), None), Err(10 * SECOND), "the shared one is empty");
        assert_eq!(limit.check(user("mallory"), None), Err(10 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_poisoned_lock_is_a_no() {
        let limit = RateLimit::per_principal(10, 10 * SECOND);
        let buckets = limit.buckets.as_ref().unwrap();
        catch_unwind(AssertUnwindSafe(|| buckets.poison())).unwrap_err();
        assert_eq!(limit.check(user("alice"), None), Err(SECOND));
        assert_eq!(limit.check(user("bob"), None), Err(SECOND));
    }

    #[test]
    fn a_limit_that_makes_no_sense_is_a_problem_and_lets_nothing_through() {
        let limits = [
            RateLimit::per_principal(0, SECOND),
            RateLimit::per_component(1, Duration::ZERO),
            RateLimit::per_principal(u32::MAX, SECOND),
            RateLimit::per_principal(1, SECOND).burst(0),
            RateLimit::per_principal(1, Duration::MAX),
            RateLimit::per_principal(1, SECOND).burst(u32::MAX),
        ];
        for limit in limits {
            let kind = limit.problem().map(|problem| problem.kind());
            assert_eq!(kind, Some(ProblemKind::InvalidRateLimit), "{limit:?}");
            assert_eq!(limit.check(Requester::Local, None), Err(limit.period));
        }
        let problem = RateLimit::per_component(5, SECOND).burst(0).problem();
        let text =
            "rate limit per_component(5, 1s).burst(0): the burst must be at least one request";
        assert_eq!(problem.unwrap().to_string(), text);
        assert_eq!(RateLimit::per_principal(1, 365 * 24 * 3_600 * SECOND).problem(), None);
        assert_eq!(RateLimit::per_principal(1, SECOND).burst(0).burst(1).problem(), None);
    }
}
