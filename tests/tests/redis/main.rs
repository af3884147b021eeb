//! The Redis store against Debian's `redis-server`: started by each test, killed, stopped,
//! filled, demoted.

mod failures;
mod flags;
mod keys;
mod sealed;
mod server;
mod sign_in;
mod start;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use portcullis::guard::ManualClock;
use portcullis_store::{RecordKey, RecordOwner, RecordValue, RedisStore, Store, contract};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use self::server::{Redis, until};

async fn open(url: &str) -> RedisStore {
    RedisStore::builder(url).open().await.unwrap()
}

fn key(name: &str) -> RecordKey {
    RecordKey::new("test", [name])
}

fn value(text: &str) -> RecordValue {
    RecordValue::new(text.as_bytes()).unwrap()
}

fn in_a_minute() -> SystemTime {
    SystemTime::now() + Duration::from_secs(60)
}

/// An empty store for a case of the contract: behind a prefix of its own.
async fn open_case(redis: &Redis, clock: Arc<ManualClock>) -> RedisStore {
    static CASES: AtomicUsize = AtomicUsize::new(0);
    let prefix = format!("case-{}:", CASES.fetch_add(1, Ordering::SeqCst));
    RedisStore::builder(&redis.url()).prefix(prefix).clock(clock).open().await.unwrap()
}

async fn keeps_the_contract(redis: &Redis) {
    contract::holds(async |clock| open_case(redis, clock).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_contract() {
    keeps_the_contract(&Redis::start(&["--appendonly", "no"])).await;
}

/// What one script touches has to be in one place there, or it is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_contract_where_keys_are_placed_by_their_tags() {
    let redis = Redis::start(&["--appendonly", "no", "--cluster-enabled", "yes"]);
    redis.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    until("the cluster is ready", || redis.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
    keeps_the_contract(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_100_takers_over_two_connections_gets_a_record() {
    let redis = Redis::start(&[]);
    let stores = [Arc::new(open(&redis.url()).await), Arc::new(open(&redis.url()).await)];
    let owner = RecordOwner::new("test", ["alice"]);
    for round in 0..20 {
        let key = if round % 2 == 0 { key("one") } else { owner.key(["one"]) };
        stores[0].put(&key, value("one"), in_a_minute()).await.unwrap();
        let barrier = Arc::new(Barrier::new(100));
        let mut takers = JoinSet::new();
        for number in 0..100 {
            let (store, barrier) = (Arc::clone(&stores[number % 2]), Arc::clone(&barrier));
            takers.spawn(async move {
                barrier.wait().await;
                store.take(&key).await.unwrap()
            });
        }
        let taken: Vec<_> = takers.join_all().await.into_iter().flatten().collect();
        assert_eq!(taken, [value("one")], "of 100 takers");
    }
    assert_eq!(redis.keys(), [""; 0]);
}

/// What was there all the time is listed, whatever comes and goes beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_list_leaves_nothing_out_while_others_write() {
    let redis = Redis::start(&[]);
    let store = Arc::new(open(&redis.url()).await);
    let owner = RecordOwner::new("test", ["alice"]);
    for number in 0..400 {
        let key = owner.key([&*format!("stays-{number}")]);
        store.put(&key, value("stays"), in_a_minute()).await.unwrap();
    }
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for number in 0..300 {
                let key = owner.key([&*format!("{writer}-{number}")]);
                store.put(&key, value("goes"), in_a_minute()).await.unwrap();
                if number % 3 > 0 {
                    store.take(&key).await.unwrap();
                }
            }
        });
    }
    let mut lists = 0;
    while !writers.is_empty() {
        let listed = store.list(&owner, 10_000).await.unwrap();
        let stays = listed.iter().filter(|(_, found)| *found == value("stays")).count();
        assert_eq!(stays, 400, "of 400 that stay");
        lists += 1;
        while writers.try_join_next().is_some() {}
    }
    assert!(lists > 1, "nothing was written meanwhile");
    assert_eq!(store.list(&owner, 10_000).await.unwrap().len(), 400 + 4 * 100);
}
