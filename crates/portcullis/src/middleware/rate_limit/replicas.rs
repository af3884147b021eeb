//! Rate limits of two replicas of one server, on one store.

use std::net::Ipv6Addr;

use portcullis_auth::Principal;
use portcullis_guard::ManualClock;
use portcullis_store::{Distant, MemoryStore, RecordKey, RecordValue};
use serde_json::json;
use tokio::task::yield_now;
use tokio::time::{Instant, advance};

use super::*;
use crate::prelude::*;
use crate::testing::TestClient;

const MINUTE: Duration = Duration::from_secs(60);

struct Replicas {
    store: Distant<MemoryStore>,
    clock: Arc<ManualClock>,
}

impl Replicas {
    fn new() -> Self {
        Self::with_room_for(100_000)
    }

    /// On a store of so many records.
    fn with_room_for(records: usize) -> Self {
        let clock = Arc::new(ManualClock::at(1_000));
        let store = MemoryStore::new(clock.clone()).with_capacity(records);
        Self { store: Distant::new(store), clock }
    }

    /// One of them, with this limit.
    fn of(&self, limit: RateLimit) -> RateLimit {
        self.of_server("notes", limit)
    }

    fn of_server(&self, server: &str, limit: RateLimit) -> RateLimit {
        let store: Arc<dyn Store> = Arc::new(self.store.clone());
        let clock: Arc<dyn Clock> = self.clock.clone();
        let (server, patience) = (server.to_owned(), MINUTE);
        limit.share(&Sharing { store, clock, server, patience }, "0");
        limit
    }

    fn server(&self, limit: RateLimit) -> Server {
        let builder = Server::builder("notes").no_auth().components(components![ping, pong]);
        builder
            .middleware(limit)
            .store(self.store.clone())
            .clock(self.clock.clone())
            .build()
            .unwrap()
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

/// Answers.
#[tool(crate = crate)]
async fn ping() -> &'static str {
    "pong"
}

/// Answers, too.
#[tool(crate = crate)]
async fn pong() -> &'static str {
    "ping"
}

fn alice() -> Requester {
    Requester::principal(&Principal::new("alice"))
}

/// One of many.
fn user(number: u32) -> Requester {
    Requester::principal(&Principal::new(number.to_string()))
}

async fn through(limits: &[&RateLimit], requests: usize) -> usize {
    let mut through = 0;
    for number in 0..requests {
        let limit = limits[number % limits.len()];
        through += usize::from(limit.take(alice(), None).await.is_ok());
    }
    through
}

#[tokio::test]
async fn two_replicas_let_through_as_much_as_one() {
    let replicas = Replicas::new();
    let of = || replicas.of(RateLimit::per_principal(60, MINUTE).burst(20));
    let (one, other) = (of(), of());
    assert_eq!(through(&[&one, &other], 100).await, 20);
    assert_eq!(one.take(alice(), None).await, Err(Limited::Wait(Duration::from_secs(1))));
    replicas.pass(Duration::from_secs(5));
    assert_eq!(through(&[&one, &other], 100).await, 5);
    replicas.pass(MINUTE);
    assert_eq!(through(&[&one], 100).await + through(&[&other], 100).await, 20);
    // A third one that starts meanwhile, or starts again, resets nothing.
    assert_eq!(through(&[&of()], 100).await, 0);
}

#[tokio::test]
async fn over_time_replicas_let_through_no_more_than_the_rate_and_one_burst() {
    let replicas = Replicas::new();
    let of = || replicas.of(RateLimit::per_principal(120, MINUTE).burst(64));
    let limits = [of(), of(), of()];
    let mut passed = 0;
    for second in 0..300_usize {
        // Now one of them is asked, now another, now none.
        let limit = &limits[second / 7 % 3];
        let requests = if second % 31 < 10 { 0 } else { 5 };
        passed += through(&[limit], requests).await;
        replicas.pass(Duration::from_secs(1));
    }
    assert!(passed <= 64 + 600, "{passed} in 300 s");
    assert!(passed >= 550, "{passed} in 300 s");
}

#[tokio::test]
async fn a_warm_request_makes_no_round_trip() {
    let replicas = Replicas::new();
    let limit = replicas.of(RateLimit::per_principal(6_000, MINUTE));
    assert_eq!(through(&[&limit], 700).await, 700);
    assert_eq!(replicas.store.trips(), 1);
    assert_eq!(through(&[&limit], 5_000).await, 5_000);
    let trips = replicas.store.trips();
    assert!(trips < 30, "{trips} round trips for 5,700 requests");
}

#[tokio::test]
async fn who_is_refused_and_goes_on_makes_no_round_trips() {
    let replicas = Replicas::new();
    let limit = replicas.of(RateLimit::per_principal(6, MINUTE));
    assert_eq!(through(&[&limit], 7).await, 6);
    let before = replicas.store.trips();
    assert_eq!(through(&[&limit], 1_000).await, 0);
    assert_eq!(replicas.store.trips(), before);
    replicas.pass(Duration::from_secs(10));
    assert_eq!(through(&[&limit], 2).await, 1);
}

#[tokio::test]
async fn q01_of_many_who_ask_at_once_at_two_replicas_no_more_get_through_than_there_are() {
    let replicas = Replicas::new();
    let of = || replicas.of(RateLimit::per_principal(50, MINUTE));
    let (one, other) = (of(), of());
    let asking = (0..200).map(|number| {
        let limit = if number % 2 == 0 { &one } else { &other };
        async move { limit.take(alice(), None).await.is_ok() }
    });
    let through = futures_util::future::join_all(asking).await;
    assert_eq!(through.iter().filter(|through| **through).count(), 50);
}

#[tokio::test]
async fn without_the_store_what_was_taken_goes_on_and_then_everything_is_refused() {
    let replicas = Replicas::new();
    let limit = replicas.of(RateLimit::per_principal(80, MINUTE));
    assert_eq!(limit.take(alice(), None).await, Ok(()));
    replicas.store.cut(true);
    assert_eq!(through(&[&limit], 100).await, 9, "the rest of an eighth");
    assert_eq!(limit.take(alice(), None).await, Err(Limited::Unknown));
    let bob = Requester::principal(&Principal::new("bob"));
    assert_eq!(limit.take(bob, None).await, Err(Limited::Unknown));
    replicas.store.cut(false);
    assert_eq!(through(&[&limit], 100).await, 70);
}

#[tokio::test]
async fn what_is_not_in_the_record_of_a_bucket_is_a_no() {
    let replicas = Replicas::new();
    let limit = replicas.of(RateLimit::per_principal(80, MINUTE));
    let place = format!("0: {limit:?}");
    let requester = alice().bytes();
    let key = RecordKey::new("rate limit", [b"notes".as_slice(), place.as_bytes(), &requester]);
    let end = replicas.clock.now() + MINUTE;
    for bad in [b"".as_slice(), b"1234567", b"123456789"] {
        let value = RecordValue::new(bad.to_vec()).unwrap();
        replicas.store.put(&key, value, end).await.unwrap();
        assert_eq!(limit.take(alice(), None).await, Err(Limited::Unknown), "{bad:?}");
    }
    replicas.store.take(&key).await.unwrap().unwrap();
    assert_eq!(limit.take(alice(), None).await, Ok(()));
    replicas.clock.set(0);
    let limit = replicas.of(RateLimit::per_principal(80, MINUTE));
    assert_eq!(limit.take(alice(), None).await, Err(Limited::Unknown), "a clock that is wrong");
}

#[tokio::test]
async fn q01_each_principal_server_and_limit_has_a_bucket_of_its_own() {
    let replicas = Replicas::new();
    let once = || RateLimit::per_principal(1, MINUTE);
    let limit = replicas.of(once());
    let issued = Principal::new("alice").with_issuer("https://idp.example");
    let address = Requester::address([192, 0, 2, 1].into());
    for requester in [alice(), Requester::principal(&issued), address, Requester::UNKNOWN] {
        assert_eq!(limit.take(requester, None).await, Ok(()), "{requester:?}");
        assert!(limit.take(requester, None).await.is_err(), "{requester:?}");
    }
    let other_client = Principal::new("alice").with_client_id("another");
    let other_client = Requester::principal(&other_client);
    assert!(replicas.of(once()).take(other_client, None).await.is_err());
    assert_eq!(replicas.of_server("other", once()).take(alice(), None).await, Ok(()));
    let other = replicas.of(RateLimit::per_principal(2, MINUTE));
    assert_eq!(other.take(alice(), None).await, Ok(()));
}

#[tokio::test]
async fn the_local_user_is_counted_by_this_process() {
    let replicas = Replicas::new();
    for _ in 0..2 {
        let limit = replicas.of(RateLimit::per_principal(1, MINUTE));
        assert_eq!(limit.take(Requester::Local, None).await, Ok(()));
        assert!(limit.take(Requester::Local, None).await.is_err());
    }
    assert_eq!(replicas.store.trips(), 0);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_silent_nobody_waits_but_those_who_try_it() {
    let replicas = Replicas::new();
    let limit = replicas.of(RateLimit::per_principal(80, MINUTE));
    replicas.store.silence(true);
    let began = Instant::now();
    assert_eq!(limit.take(user(0), None).await, Err(Limited::Unknown));
    assert_eq!(began.elapsed(), MINUTE, "the patience of the server");
    for number in 0..1_000 {
        assert_eq!(limit.take(user(number), None).await, Err(Limited::Unknown));
    }
    assert_eq!(began.elapsed(), MINUTE, "the others are refused at once");
    advance(Duration::from_millis(200)).await;
    let mut trial = Box::pin(async { limit.take(user(0), None).await });
    assert!(futures_util::poll!(&mut trial).is_pending(), "one tries");
    for number in 0..1_000 {
        assert_eq!(limit.take(user(number), None).await, Err(Limited::Unknown));
    }
    replicas.store.silence(false);
    advance(Duration::from_millis(200)).await;
    assert_eq!(limit.take(user(1), None).await, Ok(()));
    assert_eq!(limit.take(user(2), None).await, Ok(()), "it answers again");
}

#[tokio::test]
async fn what_was_taken_for_a_request_that_is_dropped_is_given_to_the_next() {
    let replicas = Replicas::new();
    let limit = replicas.of(RateLimit::per_principal(80, MINUTE));
    let mut dropped = Box::pin(async { limit.take(alice(), None).await });
    for _ in 0..2 {
        assert!(futures_util::poll!(&mut dropped).is_pending());
        yield_now().await;
    }
    drop(dropped);
    for _ in 0..10 {
        yield_now().await;
    }
    assert_eq!(replicas.store.trips(), 1);
    replicas.store.cut(true);
    assert_eq!(through(&[&limit], 100).await, 9, "the rest of an eighth");
}

/// What passes of so many networks that ask once each.
async fn networks_through(limit: &RateLimit, networks: std::ops::Range<u32>) -> usize {
    let mut through = 0;
    for number in networks {
        let network = Ipv6Addr::from_bits(u128::from(number) << 64).into();
        through += usize::from(limit.take(Requester::address(network), None).await.is_ok());
    }
    through
}

#[tokio::test]
async fn q02_networks_beyond_those_there_is_room_for_share_one_record() {
    // With room for each network, one for the others, and two principals.
    let replicas = Replicas::with_room_for(103);
    let limit = replicas.of(RateLimit::with_capacity(Per::Principal, 2, MINUTE, 2, 100));
    assert_eq!(limit.take(user(1), None).await, Ok(()));
    assert_eq!(networks_through(&limit, 1..5_000).await, 100 + 2);
    assert_eq!(limit.take(user(2), None).await, Ok(()), "strangers take no room from principals");
    // They are full again, and in Redis for five minutes longer.
    replicas.pass(2 * MINUTE);
    assert_eq!(networks_through(&limit, 5_000..10_000).await, 2);
    assert_eq!(networks_through(&limit, 1..101).await, 100, "the known ones keep theirs");
    replicas.pass(6 * MINUTE + Duration::from_secs(1));
    assert_eq!(networks_through(&limit, 10_000..15_000).await, 100 + 2);
    assert_eq!(limit.leases.get().unwrap().known(), 100);
}

#[tokio::test]
async fn q02_principals_beyond_those_there_is_room_for_share_a_bucket_of_their_own() {
    let replicas = Replicas::new();
    let limit = replicas.of(RateLimit::with_capacity(Per::Principal, 2, MINUTE, 2, 10));
    let mut through = 0;
    for number in 0..100 {
        through += usize::from(limit.take(user(number), None).await.is_ok());
    }
    assert_eq!(through, 10 + 2);
    assert_eq!(networks_through(&limit, 1..100).await, 10 + 2);
    replicas.pass(2 * MINUTE);
    assert_eq!(limit.take(user(1_000), None).await, Ok(()), "what is full again makes room");
    assert_eq!(limit.take(user(1_000), None).await, Ok(()));
    assert_eq!(limit.take(user(1_001), None).await, Ok(()));
}

#[tokio::test]
async fn servers_share_the_limits_of_callers_and_of_components() {
    let replicas = Replicas::new();
    let once = || RateLimit::per_component(1, MINUTE);
    let (one, other) = (replicas.server(once()), replicas.server(once()));
    let (one, other) = (TestClient::new(&one), TestClient::new(&other));
    let (one, other) = (one.as_user("alice"), other.as_user("alice"));
    assert!(!one.call("ping", json!({})).await.is_error());
    assert_eq!(other.call("ping", json!({})).await.error_code(), Some(429));
    assert!(!other.call("pong", json!({})).await.is_error());
    assert!(!other.as_user("bob").call("ping", json!({})).await.is_error());
    let twice = || RateLimit::per_principal(2, MINUTE);
    let (one, other) = (replicas.server(twice()), replicas.server(twice()));
    let (one, other) = (TestClient::new(&one), TestClient::new(&other));
    let (one, other) = (one.as_user("alice"), other.as_user("alice"));
    assert_eq!(one.tools().await.len() + other.tools().await.len(), 4);
    assert_eq!(one.ask("tools/list", json!({})).await.error_code(), Some(429));
    replicas.store.cut(true);
    let bob = one.as_user("bob");
    assert_eq!(bob.ask("tools/list", json!({})).await.error_code(), Some(-32603));
}
