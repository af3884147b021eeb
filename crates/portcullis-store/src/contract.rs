//! The cases that every backend of [`Store`] has to pass, in tests.
//!
//! # Example
//!
//! ```
//! use portcullis_store::{MemoryStore, contract};
//!
//! # tokio::runtime::Builder::new_multi_thread().build().unwrap().block_on(async {
//! contract::holds(async |clock| MemoryStore::new(clock)).await;
//! # });
//! ```

#![expect(clippy::unwrap_used, reason = "a case that does not hold panics")]

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_guard::ManualClock;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::{CasOutcome, MAX_VALUE_BYTES, RecordKey, RecordOwner, RecordValue, Store, StoreError};

/// Opens a store for each case and sees that the case holds.
///
/// `open` is given the clock that the store judges expiry by, and answers with a store that is
/// empty. Cases about parallel tasks need a runtime of several threads to mean anything.
///
/// # Panics
///
/// When a case does not hold.
pub async fn holds<S: Store>(open: impl AsyncFn(Arc<ManualClock>) -> S) {
    let new = async || {
        let clock = Arc::new(ManualClock::at(START));
        Case { store: Arc::new(open(Arc::clone(&clock)).await), clock }
    };
    new().await.what_is_put_is_there_until_it_is_taken().await;
    new().await.a_value_stays_as_it_is().await;
    new().await.e23_no_key_is_another().await;
    new().await.a_record_ends_at_its_second().await;
    new().await.a_later_put_says_when_a_record_ends().await;
    new().await.a_record_that_has_ended_is_absent_everywhere().await;
    new().await.a_time_that_has_come_leaves_nothing().await;
    new().await.a_swap_is_made_if_the_value_is_the_expected_one().await;
    new().await.a_swap_may_remove().await;
    new().await.an_owner_lists_its_live_records_and_no_others().await;
    new().await.no_more_is_listed_than_was_asked_for().await;
    new().await.one_of_100_takes_a_value().await;
    new().await.one_of_50_swaps_a_value().await;
    new().await.no_increment_of_50_is_lost().await;
}

/// When each case begins, in seconds after the Unix epoch.
const START: u64 = 1_000_000_000;

/// How often tasks race for one value.
const ROUNDS: usize = 20;

/// A case, which begins with an empty store.
struct Case<S> {
    store: Arc<S>,
    clock: Arc<ManualClock>,
}

impl<S: Store> Case<S> {
    async fn what_is_put_is_there_until_it_is_taken(self) {
        self.is_absent("a").await;
        self.put("a", "one", 60).await;
        assert!(!self.store.is_empty(), "a store that says it is empty is not asked");
        self.is("a", "one").await;
        self.is("a", "one").await;
        self.put("a", "two", 60).await;
        self.is("a", "two").await;
        assert_eq!(self.store.take(&key("a")).await, Ok(Some(value("two"))), "take");
        self.is_absent("a").await;
        assert_eq!(self.store.take(&key("a")).await, Ok(None), "take, again");
        self.put("a", "three", 60).await;
        self.is("a", "three").await;
    }

    async fn a_value_stays_as_it_is(self) {
        let all_bytes = (0..=u8::MAX).collect();
        let largest = vec![0xa5; MAX_VALUE_BYTES];
        for bytes in [Vec::new(), vec![0], b"a\0b\r\n".to_vec(), all_bytes, largest] {
            let value = RecordValue::new(bytes).unwrap();
            self.store.put(&key("a"), value.clone(), at(60)).await.unwrap();
            assert_eq!(self.store.get(&key("a")).await.as_ref(), Ok(&Some(value.clone())), "get");
            assert_eq!(self.store.take(&key("a")).await, Ok(Some(value)), "take");
        }
    }

    async fn e23_no_key_is_another(self) {
        let keys = [
            RecordKey::new("state", ["a:b", "c"]),
            RecordKey::new("state", ["a", "b:c"]),
            RecordKey::new("state", ["a:b:c"]),
            RecordKey::new("state:a", ["b", "c"]),
            RecordKey::new("state", ["*"]),
            RecordKey::new("state", ["../a/b\r\n\0"]),
            RecordKey::new("state", [""]),
            RecordKey::new("state", [] as [&str; 0]),
            RecordKey::new("", ["state"]),
            RecordKey::new("state", [&*"a".repeat(1024 * 1024)]),
        ];
        for (number, key) in keys.iter().enumerate() {
            let value = value(&number.to_string());
            self.store.put(key, value, at(60)).await.unwrap();
        }
        for (number, key) in keys.iter().enumerate() {
            let expected = value(&number.to_string());
            assert_eq!(self.store.take(key).await, Ok(Some(expected)), "key {number}");
        }
    }

    async fn a_record_ends_at_its_second(self) {
        self.put("a", "one", 60).await;
        self.put("b", "one", 61).await;
        self.clock.set(START + 59);
        self.is("a", "one").await;
        self.clock.set(START + 60);
        self.is_absent("a").await;
        self.is("b", "one").await;
    }

    async fn a_later_put_says_when_a_record_ends(self) {
        self.put("longer", "one", 10).await;
        self.put("longer", "one", 60).await;
        self.put("shorter", "one", 60).await;
        self.put("shorter", "one", 10).await;
        self.put("swapped", "one", 10).await;
        assert_eq!(self.swap("swapped", Some("one"), Some("one"), 60).await, Ok(CasOutcome::Done));
        self.clock.set(START + 10);
        self.is("longer", "one").await;
        self.is_absent("shorter").await;
        self.is("swapped", "one").await;
        self.clock.set(START + 60);
        self.is_absent("longer").await;
        self.is_absent("swapped").await;
    }

    async fn a_record_that_has_ended_is_absent_everywhere(self) {
        for name in ["get", "take", "put", "swap", "swap for none"] {
            self.put(name, "one", 60).await;
        }
        self.clock.set(START + 60);
        self.is_absent("get").await;
        assert_eq!(self.store.take(&key("take")).await, Ok(None), "take");
        self.put("put", "two", 120).await;
        self.is("put", "two").await;
        assert_eq!(
            self.swap("swap", Some("one"), Some("two"), 120).await,
            Ok(CasOutcome::Conflict)
        );
        self.is_absent("swap").await;
        assert_eq!(self.swap("swap for none", None, Some("two"), 120).await, Ok(CasOutcome::Done));
        self.is("swap for none", "two").await;
    }

    async fn a_time_that_has_come_leaves_nothing(self) {
        for seconds in [0, -1, -1_000_000_001] {
            self.put("put", "one", 60).await;
            self.put("put", "two", seconds).await;
            self.is_absent("put").await;
            self.put("swap", "one", 60).await;
            assert_eq!(
                self.swap("swap", Some("one"), Some("two"), seconds).await,
                Ok(CasOutcome::Done)
            );
            self.is_absent("swap").await;
        }
    }

    async fn a_swap_is_made_if_the_value_is_the_expected_one(self) {
        assert_eq!(self.swap("a", Some("one"), Some("two"), 60).await, Ok(CasOutcome::Conflict));
        self.is_absent("a").await;
        assert_eq!(self.swap("a", None, Some("one"), 60).await, Ok(CasOutcome::Done));
        self.is("a", "one").await;
        assert_eq!(self.swap("a", None, Some("two"), 60).await, Ok(CasOutcome::Conflict));
        self.is("a", "one").await;
        for other in ["", "on", "one ", "ONE"] {
            let swapped = self.swap("a", Some(other), Some("two"), 60).await;
            assert_eq!(swapped, Ok(CasOutcome::Conflict), "{other:?}");
            self.is("a", "one").await;
        }
        assert_eq!(self.swap("a", Some("one"), Some("two"), 60).await, Ok(CasOutcome::Done));
        self.is("a", "two").await;
        // A value without bytes is a value.
        assert_eq!(self.swap("a", Some("two"), Some(""), 60).await, Ok(CasOutcome::Done));
        assert_eq!(self.swap("a", None, Some("one"), 60).await, Ok(CasOutcome::Conflict));
        self.is("a", "").await;
    }

    async fn a_swap_may_remove(self) {
        assert_eq!(self.swap("a", None, None, 60).await, Ok(CasOutcome::Done));
        self.put("a", "one", 60).await;
        assert_eq!(self.swap("a", Some("two"), None, 60).await, Ok(CasOutcome::Conflict));
        assert_eq!(self.swap("a", None, None, 60).await, Ok(CasOutcome::Conflict));
        self.is("a", "one").await;
        assert_eq!(self.swap("a", Some("one"), None, 60).await, Ok(CasOutcome::Done));
        self.is_absent("a").await;
    }

    async fn an_owner_lists_its_live_records_and_no_others(self) {
        let (alice, bob) = (owner("alice"), owner("bob"));
        self.lists(&alice, &[]).await;
        for name in ["one", "two", "taken", "swapped", "ended"] {
            self.store.put(&alice.key([name]), value(name), at(60)).await.unwrap();
        }
        self.store.put(&bob.key(["one"]), value("bob's"), at(60)).await.unwrap();
        self.store.put(&key("one"), value("nobody's"), at(60)).await.unwrap();
        self.lists(&alice, &["ended", "one", "swapped", "taken", "two"]).await;

        self.store.take(&alice.key(["taken"])).await.unwrap();
        self.store.put(&alice.key(["ended"]), value("ended"), at(10)).await.unwrap();
        self.store.put(&alice.key(["two"]), value("second"), at(60)).await.unwrap();
        let (new, swapped) = (alice.key(["new"]), alice.key(["swapped"]));
        let swap = self.store.compare_and_swap(&new, None, Some(value("new")), at(60));
        assert_eq!(swap.await, Ok(CasOutcome::Done));
        let old = value("swapped");
        let swap = self.store.compare_and_swap(&swapped, Some(&old), None, at(60));
        assert_eq!(swap.await, Ok(CasOutcome::Done));
        self.clock.set(START + 10);
        self.lists(&alice, &["new", "one", "second"]).await;
        self.lists(&bob, &["bob's"]).await;

        for (key, value) in self.store.list(&alice, 10).await.unwrap() {
            assert_eq!(self.store.take(&key).await, Ok(Some(value)), "a key that was listed");
        }
        self.lists(&alice, &[]).await;
        self.lists(&bob, &["bob's"]).await;
    }

    async fn no_more_is_listed_than_was_asked_for(self) {
        let alice = owner("alice");
        for number in 0..300 {
            let (name, expires_at) = (number.to_string(), if number < 100 { 10 } else { 60 });
            self.store.put(&alice.key([&name]), value(&name), at(expires_at)).await.unwrap();
        }
        self.clock.set(START + 10);
        for limit in [0, 1, 150, 200, 1000] {
            let mut listed = self.store.list(&alice, limit).await.unwrap();
            assert_eq!(listed.len(), limit.min(200), "of 200 live ones");
            listed.sort_by_key(|(key, _)| *key.digest());
            listed.dedup_by_key(|(key, _)| *key.digest());
            assert_eq!(listed.len(), limit.min(200), "each once");
        }
    }

    async fn one_of_100_takes_a_value(self) {
        for _ in 0..ROUNDS {
            self.put("a", "one", 60).await;
            let taken = self.at_once(100, |store, _| async move { store.take(&key("a")).await });
            let taken: Vec<_> = taken.await.into_iter().filter_map(Result::unwrap).collect();
            assert_eq!(taken, [value("one")], "of 100 takers");
        }
    }

    async fn one_of_50_swaps_a_value(self) {
        for expected in [None, Some(value("start"))] {
            for _ in 0..ROUNDS {
                self.store.take(&key("a")).await.unwrap();
                if let Some(start) = expected.clone() {
                    self.store.put(&key("a"), start, at(60)).await.unwrap();
                }
                let swaps = self.at_once(50, |store, number| {
                    let expected = expected.clone();
                    let new = value(&number.to_string());
                    async move {
                        let key = key("a");
                        let swap = store.compare_and_swap(
                            &key,
                            expected.as_ref(),
                            Some(new.clone()),
                            at(60),
                        );
                        (swap.await.unwrap() == CasOutcome::Done).then_some(new)
                    }
                });
                let winners: Vec<_> = swaps.await.into_iter().flatten().collect();
                assert_eq!(winners.len(), 1, "of 50 swappers");
                assert_eq!(self.store.get(&key("a")).await.unwrap().as_ref(), winners.first());
            }
        }
    }

    async fn no_increment_of_50_is_lost(self) {
        self.put("a", "0", 60).await;
        self.at_once(50, |store, _| async move {
            loop {
                let old = store.get(&key("a")).await.unwrap().unwrap();
                let count: u32 = str::from_utf8(old.as_bytes()).unwrap().parse().unwrap();
                let new = Some(value(&(count + 1).to_string()));
                let swap = store.compare_and_swap(&key("a"), Some(&old), new, at(60)).await;
                if swap.unwrap() == CasOutcome::Done {
                    return;
                }
            }
        })
        .await;
        self.is("a", "50").await;
    }

    /// The results of `count` tasks that do the same at once.
    async fn at_once<F>(&self, count: usize, task: impl Fn(Arc<S>, usize) -> F) -> Vec<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let barrier = Arc::new(Barrier::new(count));
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let (barrier, task) = (Arc::clone(&barrier), task(Arc::clone(&self.store), number));
            tasks.spawn(async move {
                barrier.wait().await;
                task.await
            });
        }
        tasks.join_all().await
    }

    async fn put(&self, name: &str, text: &str, seconds: i64) {
        self.store.put(&key(name), value(text), at(seconds)).await.unwrap();
    }

    async fn is(&self, name: &str, text: &str) {
        let found = self.store.get(&key(name)).await.unwrap();
        let found = found.map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned());
        assert_eq!(found.as_deref(), Some(text), "get {name:?}");
    }

    async fn is_absent(&self, name: &str) {
        assert_eq!(self.store.get(&key(name)).await, Ok(None), "get {name:?}");
    }

    async fn lists(&self, owner: &RecordOwner, expected: &[&str]) {
        let listed = self.store.list(owner, 100).await.unwrap();
        let mut texts: Vec<_> =
            listed.iter().map(|(_, value)| String::from_utf8_lossy(value.as_bytes())).collect();
        texts.sort_unstable();
        assert_eq!(texts, expected, "list");
    }

    async fn swap(
        &self,
        name: &str,
        expected: Option<&str>,
        new: Option<&str>,
        seconds: i64,
    ) -> Result<CasOutcome, StoreError> {
        let expected = expected.map(value);
        let key = key(name);
        self.store.compare_and_swap(&key, expected.as_ref(), new.map(value), at(seconds)).await
    }
}

fn key(name: &str) -> RecordKey {
    RecordKey::new("contract", [name])
}

fn owner(name: &str) -> RecordOwner {
    RecordOwner::new("contract", [name])
}

fn value(text: &str) -> RecordValue {
    RecordValue::new(text.as_bytes()).unwrap()
}

/// So many seconds after the case began.
fn at(seconds: i64) -> SystemTime {
    let start = UNIX_EPOCH + Duration::from_secs(START);
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { start - distance } else { start + distance }
}
