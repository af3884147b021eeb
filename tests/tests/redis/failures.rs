//! A Redis that is lost, slow, full or demoted in the middle: each outcome is right, or an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portcullis_store::{CasOutcome, RecordKey, RecordOwner, RecordValue, RedisStore, Store};
use tokio::task::JoinSet;

use super::server::{Network, Redis, until};
use super::{in_a_minute, key, open, value};

/// Records of writers, with whether what was done last is known.
struct Written {
    put: Vec<RecordKey>,
    taken: Vec<RecordKey>,
}

/// Puts and takes until an error comes, and answers with what was acknowledged. `puts` counts.
async fn write_until_it_fails(
    store: Arc<RedisStore>,
    writer: usize,
    puts: Arc<AtomicUsize>,
) -> Written {
    let owner = RecordOwner::new("test", [&*writer.to_string()]);
    let mut written = Written { put: Vec::new(), taken: Vec::new() };
    for number in 0.. {
        let key = owner.key([&*number.to_string()]);
        match store.put(&key, value(&number.to_string()), in_a_minute()).await {
            Ok(()) => {}
            Err(error) => {
                assert!(error.is_unavailable(), "{error}");
                break;
            }
        }
        if number % 3 > 0 {
            written.put.push(key);
            puts.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        match store.take(&key).await {
            Ok(taken) => {
                assert_eq!(taken, Some(value(&number.to_string())));
                written.taken.push(key);
            }
            Err(error) => {
                assert!(error.is_unavailable(), "{error}");
                break;
            }
        }
    }
    written
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_is_there_after_redis_was_killed() {
    let mut redis = Redis::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = Arc::new(open(&redis.url()).await);
    for round in 0..5 {
        let (mut writers, puts) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for writer in 0..8 {
            let (store, puts) = (Arc::clone(&store), Arc::clone(&puts));
            writers.spawn(write_until_it_fails(store, round * 8 + writer, puts));
        }
        until("something was written", || puts.load(Ordering::SeqCst) >= 20);
        redis.kill();
        let since = Instant::now();
        let written = writers.join_all().await;
        assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
        redis.start_again();
        let puts = puts.load(Ordering::SeqCst);
        for written in written {
            for key in written.put {
                assert!(store.get(&key).await.unwrap().is_some(), "lost, of {puts}");
            }
            for key in written.taken {
                assert_eq!(store.get(&key).await, Ok(None), "taken, and there again");
            }
        }
    }
}

#[tokio::test]
async fn while_redis_is_away_everything_is_an_error_and_then_nothing() {
    let mut redis = Redis::start(&[]);
    let store = open(&redis.url()).await;
    store.put(&key("a"), value("one"), in_a_minute()).await.unwrap();
    redis.kill();
    let since = Instant::now();
    let owner = RecordOwner::new("test", ["alice"]);
    assert!(store.get(&key("a")).await.unwrap_err().is_unavailable());
    assert!(store.take(&key("a")).await.unwrap_err().is_unavailable());
    assert!(store.put(&key("a"), value("two"), in_a_minute()).await.unwrap_err().is_unavailable());
    let swap = store.compare_and_swap(&key("a"), None, Some(value("two")), in_a_minute()).await;
    assert!(swap.unwrap_err().is_unavailable());
    assert!(store.list(&owner, 10).await.unwrap_err().is_unavailable());
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    redis.start_again();
    // Without files it has forgotten everything: the first answer is right.
    assert_eq!(store.take(&key("a")).await, Ok(None));
}

#[tokio::test]
async fn readiness_is_that_redis_answers() {
    let mut redis = Redis::start(&[]);
    let store = open(&redis.url()).await;
    assert_eq!(store.ready().await, Ok(()));
    redis.kill();
    eventually("it is not ready", async || store.ready().await.is_err()).await;
    redis.start_again();
    eventually("it is ready again", async || store.ready().await.is_ok()).await;
}

#[tokio::test]
async fn a_redis_that_begins_to_evict_is_asked_for_nothing() {
    let redis = Redis::start(&[]);
    let store = open(&redis.url()).await;
    store.put(&key("a"), value("one"), in_a_minute()).await.unwrap();
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    // Nobody asks for readiness.
    eventually("it is refused", async || store.get(&key("a")).await.is_err()).await;
    let error = store.get(&key("a")).await.unwrap_err();
    assert!(error.is_unavailable() && error.reason().contains("noeviction"), "{error}");
    assert!(store.put(&key("b"), value("two"), in_a_minute()).await.is_err());
    assert!(store.ready().await.is_err());
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    eventually("it is believed again", async || store.ready().await.is_ok()).await;
    assert_eq!(store.get(&key("a")).await, Ok(Some(value("one"))));
}

/// Waits until it is so, and fails if it is not for too long.
async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !is_so().await {
        assert!(since.elapsed() < Duration::from_secs(30), "{what}: not yet");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_that_was_cut_costs_no_request() {
    let redis = Redis::start(&[]);
    let store = open(&redis.url()).await;
    store.put(&key("a"), value("one"), in_a_minute()).await.unwrap();
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    until("the store has connected again", || {
        redis.cli(&["INFO", "clients"]).contains("connected_clients:2")
    });
    assert_eq!(store.take(&key("a")).await, Ok(Some(value("one"))));
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_an_error_and_is_not_sent_again() {
    let redis = Redis::start(&[]);
    let network = Network::to(&redis).await;
    let store = open(&network.url()).await;
    let (one, two) = (value("one"), value("two"));

    store.put(&key("a"), one.clone(), in_a_minute()).await.unwrap();
    let calls = redis.calls("evalsha");
    network.lose_the_next_answer();
    assert!(store.take(&key("a")).await.unwrap_err().is_unavailable());
    assert_eq!(redis.calls("evalsha"), calls + 1, "a take was sent twice");
    assert_eq!(store.take(&key("a")).await, Ok(None), "nobody gets it a second time");

    store.put(&key("a"), one.clone(), in_a_minute()).await.unwrap();
    let calls = redis.calls("evalsha");
    network.lose_the_next_answer();
    let swap =
        store.compare_and_swap(&key("a"), Some(&one), Some(two.clone()), in_a_minute()).await;
    assert!(swap.unwrap_err().is_unavailable());
    assert_eq!(redis.calls("evalsha"), calls + 1, "a swap was sent twice");
    let swap =
        store.compare_and_swap(&key("a"), Some(&one), Some(two.clone()), in_a_minute()).await;
    assert_eq!(swap, Ok(CasOutcome::Conflict), "the value is the new one already");

    let calls = redis.calls("evalsha");
    network.lose_the_next_answer();
    assert!(store.put(&key("b"), one, in_a_minute()).await.unwrap_err().is_unavailable());
    assert_eq!(redis.calls("evalsha"), calls + 1, "a put was sent twice");
}

#[tokio::test]
async fn a_read_whose_answer_is_lost_is_sent_again() {
    let redis = Redis::start(&[]);
    let network = Network::to(&redis).await;
    let store = open(&network.url()).await;
    let owner = RecordOwner::new("test", ["alice"]);
    store.put(&owner.key(["one"]), value("one"), in_a_minute()).await.unwrap();
    network.lose_the_next_answer();
    assert_eq!(store.get(&owner.key(["one"])).await, Ok(Some(value("one"))));
    network.lose_the_next_answer();
    assert_eq!(store.list(&owner, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_slow_redis_is_an_error_in_time_and_never_an_absent_record() {
    let redis = Redis::start(&[]);
    let patience = Duration::from_millis(200);
    let store = RedisStore::builder(&redis.url()).timeout(patience).open().await.unwrap();
    store.put(&key("a"), value("one"), in_a_minute()).await.unwrap();
    let in_time = |since: Instant| {
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    };
    // It takes requests and leaves them for later.
    redis.cli(&["CLIENT", "PAUSE", "800", "ALL"]);
    let since = Instant::now();
    assert!(store.get(&key("a")).await.unwrap_err().is_unavailable());
    in_time(since);
    // Redis leaves this one for later too.
    redis.cli(&["PING"]);
    assert_eq!(store.get(&key("a")).await, Ok(Some(value("one"))));
    // The process stands still.
    redis.signal("-STOP");
    let since = Instant::now();
    assert!(store.take(&key("a")).await.unwrap_err().is_unavailable());
    in_time(since);
    redis.signal("-CONT");
    // The take that came too late was carried out, once: nobody else gets the record.
    let store = open(&redis.url()).await;
    assert_eq!(store.take(&key("a")).await, Ok(None));
}

#[tokio::test]
async fn a_connection_that_is_silent_for_good_costs_one_request() {
    let redis = Redis::start(&[]);
    let network = Network::to(&redis).await;
    let patience = Duration::from_millis(200);
    let store = RedisStore::builder(&network.url()).timeout(patience).open().await.unwrap();
    store.put(&key("a"), value("one"), in_a_minute()).await.unwrap();
    network.fall_silent();
    assert!(store.take(&key("a")).await.unwrap_err().is_unavailable());
    assert_eq!(store.take(&key("a")).await, Ok(Some(value("one"))));
}

#[tokio::test]
async fn a_full_redis_keeps_what_it_has_and_gives_it_away() {
    let redis = Redis::start(&["--maxmemory", "6mb"]);
    let store = open(&redis.url()).await;
    let large = RecordValue::new(vec![7; 60 * 1024]).unwrap();
    let owner = RecordOwner::new("test", ["alice"]);
    let mut written = Vec::new();
    let error = loop {
        let key = owner.key([&*written.len().to_string()]);
        match store.put(&key, large.clone(), in_a_minute()).await {
            Ok(()) => written.push(key),
            Err(error) => break error,
        }
    };
    assert!(error.is_full(), "{error}");
    assert!(written.len() > 10, "{}", written.len());
    let next = owner.key(["next"]);
    let swap = store.compare_and_swap(&next, None, Some(large.clone()), in_a_minute()).await;
    assert!(swap.unwrap_err().is_full());
    assert_eq!(store.get(&next).await, Ok(None), "what was refused is not there");
    assert_eq!(store.list(&owner, 1_000).await.unwrap().len(), written.len());

    // It can be opened, read and taken from.
    let other = open(&redis.url()).await;
    for key in &written {
        assert_eq!(other.get(key).await, Ok(Some(large.clone())));
    }
    let swap = store.compare_and_swap(&written[0], Some(&large), None, in_a_minute()).await;
    assert_eq!(swap, Ok(CasOutcome::Done));
    for key in &written[1..] {
        assert_eq!(other.take(key).await, Ok(Some(large.clone())));
    }
    store.put(&next, large, in_a_minute()).await.unwrap();
}

#[tokio::test]
async fn a_demoted_primary_acknowledges_nothing_and_is_left_for_the_new_one() {
    let (old, new) = (Redis::start(&[]), Redis::start(&[]));
    let network = Network::to(&old).await;
    let store = open(&network.url()).await;
    store.put(&key("a"), value("one"), in_a_minute()).await.unwrap();
    new.cli(&["REPLICAOF", "127.0.0.1", &old.port().to_string()]);
    until("the replica has caught up", || {
        new.cli(&["INFO", "replication"]).contains("master_link_status:up")
            && !new.keys().is_empty()
    });

    // The old primary becomes a replica, and its address still leads to it.
    new.cli(&["REPLICAOF", "NO", "ONE"]);
    old.cli(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]);
    until("the old one is a replica", || {
        old.cli(&["INFO", "replication"]).contains("master_link_status:up")
    });
    let error = store.put(&key("b"), value("two"), in_a_minute()).await.unwrap_err();
    assert!(error.is_unavailable() && error.reason().contains("READONLY"), "{error}");
    assert!(store.take(&key("a")).await.unwrap_err().is_unavailable());

    // New connections lead to the new one; the store makes one by itself.
    network.lead_to(&new);
    store.put(&key("b"), value("two"), in_a_minute()).await.unwrap();
    assert_eq!(store.take(&key("a")).await, Ok(Some(value("one"))));
}
