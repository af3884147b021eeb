//! What is in Redis.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis::guard::{Clock, ManualClock};
use portcullis_store::{RecordOwner, RedisStore, Store};

use super::server::Redis;
use super::{in_a_minute, key, open, value};

#[tokio::test]
async fn e23_a_key_says_nothing_of_whose_record_it_is() {
    let redis = Redis::start(&[]);
    let store = open(&redis.url()).await;
    let owner = RecordOwner::new("secret-purpose", ["{alice}*"]);
    store.put(&owner.key(["}{\r\n"]), value("one"), in_a_minute()).await.unwrap();
    store.put(&key("{alice}*"), value("one"), in_a_minute()).await.unwrap();
    let keys = redis.keys();
    assert_eq!(keys.len(), 3, "two records and an index: {keys:?}");
    for key in keys {
        let rest = key.strip_prefix("portcullis:{").unwrap();
        let (tag, rest) = rest.split_once('}').unwrap();
        let is_digest =
            |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(is_digest(tag), "{key}");
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        assert!(rest.is_empty() || rest == "index" || is_digest(rest), "{key}");
    }
}

/// The first of the records, by its key in Redis.
fn record(redis: &Redis) -> String {
    redis.keys().into_iter().find(|key| !key.ends_with(":index")).unwrap()
}

/// The one index.
fn index(redis: &Redis) -> String {
    let keys: Vec<_> = redis.keys().into_iter().filter(|key| key.ends_with(":index")).collect();
    let [key] = &keys[..] else { panic!("{keys:?}") };
    key.clone()
}

fn lifetime(redis: &Redis, key: &str) -> i64 {
    redis.cli(&["PTTL", key]).parse().unwrap()
}

#[tokio::test]
async fn redis_removes_what_nobody_takes_after_those_whose_clocks_are_behind_had_it() {
    let redis = Redis::start(&[]);
    let store = open(&redis.url()).await;
    let owner = RecordOwner::new("test", ["alice"]);
    let one = owner.key(["one"]);
    store.put(&one, value("one"), in_a_minute()).await.unwrap();
    let (record, index) = (record(&redis), index(&redis));
    let expected = 350_000..=360_000;
    assert!(expected.contains(&lifetime(&redis, &record)));
    assert!(expected.contains(&lifetime(&redis, &index)));
    // The index stays as long as the record in it that stays the longest.
    let later = in_a_minute() + Duration::from_secs(60);
    store.put(&owner.key(["two"]), value("two"), later).await.unwrap();
    store.put(&one, value("two"), SystemTime::now() + Duration::from_secs(1)).await.unwrap();
    assert!((290_000..=301_000).contains(&lifetime(&redis, &record)));
    assert!((410_000..=420_000).contains(&lifetime(&redis, &index)));
}

#[tokio::test]
async fn an_index_loses_what_has_expired() {
    let redis = Redis::start(&[]);
    let clock = Arc::new(ManualClock::at(1_000));
    let open = RedisStore::builder(&redis.url()).clock(Arc::clone(&clock)).open();
    let store = open.await.unwrap();
    let owner = RecordOwner::new("test", ["alice"]);
    let end = UNIX_EPOCH + Duration::from_secs(1_010);
    for number in 0..100_u8 {
        store.put(&owner.key([&[number]]), value("one"), end).await.unwrap();
    }
    let index = index(&redis);
    assert_eq!(redis.cli(&["ZCARD", &index]), "100");
    clock.set(1_400);
    let end = clock.now() + Duration::from_secs(60);
    for number in 100..110_u8 {
        store.put(&owner.key([&[number]]), value("one"), end).await.unwrap();
    }
    assert_eq!(redis.cli(&["ZCARD", &index]), "10");
    assert_eq!(store.list(&owner, 1_000).await.unwrap().len(), 10);
}

#[tokio::test]
async fn what_is_no_record_of_this_version_is_an_error_and_stays() {
    let redis = Redis::start(&[]);
    let store = open(&redis.url()).await;
    store.put(&key("a"), value("one"), in_a_minute()).await.unwrap();
    let name = record(&redis);
    for foreign in ["", "1", "20000000000000000000000new", "{\"a\":1}"] {
        redis.cli(&["SET", &name, foreign]);
        assert!(store.get(&key("a")).await.unwrap_err().is_unavailable(), "{foreign:?}");
        for expected in [None, Some(&value("one"))] {
            let swap = store.compare_and_swap(&key("a"), expected, None, in_a_minute()).await;
            assert!(swap.unwrap_err().is_unavailable(), "{foreign:?}");
        }
        assert!(store.take(&key("a")).await.is_err(), "{foreign:?}");
    }
    redis.cli(&["SET", &name, "2"]);
    assert!(store.take(&key("a")).await.unwrap_err().is_unavailable());
    assert_eq!(redis.cli(&["GET", &name]), "2");

    redis.cli(&["DEL", &name]);
    redis.cli(&["LPUSH", &name, "a"]);
    for error in [store.get(&key("a")).await.unwrap_err(), store.take(&key("a")).await.unwrap_err()]
    {
        assert!(error.is_unavailable() && error.reason().contains("WRONGTYPE"), "{error}");
    }
    // Another type than an index stands there: nothing is written.
    let owner = RecordOwner::new("test", ["alice"]);
    store.put(&owner.key(["one"]), value("one"), in_a_minute()).await.unwrap();
    let index = index(&redis);
    redis.cli(&["DEL", &index]);
    redis.cli(&["SET", &index, "a"]);
    assert!(store.put(&owner.key(["two"]), value("two"), in_a_minute()).await.is_err());
    assert_eq!(store.get(&owner.key(["two"])).await, Ok(None));
    assert!(store.list(&owner, 10).await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_loaded_again() {
    let redis = Redis::start(&[]);
    let store = open(&redis.url()).await;
    redis.cli(&["SCRIPT", "FLUSH"]);
    store.put(&key("a"), value("one"), in_a_minute()).await.unwrap();
    redis.cli(&["SCRIPT", "FLUSH"]);
    assert_eq!(store.take(&key("a")).await, Ok(Some(value("one"))));
}
