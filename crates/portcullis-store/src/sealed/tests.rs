//! What rests sealed, and keys that are rotated, missing and revoked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_guard::ManualClock;
use portcullis_guard::keys::new_key;

use super::*;
use crate::{MAX_VALUE_BYTES, MemoryStore, contract};

type Resting = Arc<MemoryStore>;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(1_000))
}

fn end() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(2_000)
}

fn resting() -> Resting {
    Arc::new(MemoryStore::new(clock()))
}

fn key() -> RecordKey {
    RecordKey::new("token", ["alice"])
}

fn value(text: &str) -> RecordValue {
    RecordValue::new(text.as_bytes()).unwrap()
}

/// A new line of a key file.
fn line() -> String {
    new_key().unwrap().expose().clone()
}

fn sealed(resting: &Resting, lines: &[&str]) -> Sealed<Resting> {
    Sealed::new(Arc::clone(resting), KeyRing::from_text(&lines.join("\n")).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sealed_memory_store_is_a_store() {
    contract::holds(async |clock| {
        Sealed::new(MemoryStore::new(clock), KeyRing::ephemeral().unwrap())
    })
    .await;
}

#[cfg(feature = "redb")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sealed_file_store_is_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let opened = std::sync::atomic::AtomicUsize::new(0);
    contract::holds(async |clock| {
        let number = opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = folder.path().join(format!("{number}/store.redb"));
        let resting: Arc<dyn Store> = Arc::new(crate::FileStore::open(path, clock).unwrap());
        assert!(resting.is_unsealed());
        Sealed::new(resting, KeyRing::ephemeral().unwrap())
    })
    .await;
}

#[tokio::test]
async fn e23_what_rests_does_not_tell_the_value() {
    let resting = resting();
    let store = sealed(&resting, &[&line()]);
    store.put(&key(), value("hunter2"), end()).await.unwrap();
    let first = resting.get(&key()).await.unwrap().unwrap();
    assert_eq!(first.as_bytes().len(), 7 + value::SEAL_BYTES);
    assert!(!first.as_bytes().windows(4).any(|part| part == b"hunt"));
    store.put(&key(), value("hunter2"), end()).await.unwrap();
    assert_ne!(resting.get(&key()).await.unwrap().unwrap(), first, "nor that it is the same");
}

#[tokio::test]
async fn e23_a_record_that_was_moved_or_altered_is_an_error() {
    let resting = resting();
    let store = sealed(&resting, &[&line()]);
    let (alice, bob) = (RecordOwner::new("token", ["alice"]), RecordOwner::new("token", ["bob"]));
    let of_alice = alice.key(["one"]);
    store.put(&of_alice, value("hunter2"), end()).await.unwrap();
    let stolen = resting.get(&of_alice).await.unwrap().unwrap();
    let others = [
        bob.key(["one"]),
        alice.key(["two"]),
        RecordKey::new("token", ["one"]),
        // The same record, as one of bob's.
        bob.key_of_digest(*of_alice.digest()),
        RecordOwner::new("code", ["alice"]).key_of_digest(*of_alice.digest()),
    ];
    for other in &others {
        resting.put(other, stolen.clone(), end()).await.unwrap();
        assert!(store.get(other).await.unwrap_err().is_unopened(), "{other:?}");
        resting.take(other).await.unwrap();
    }
    resting.put(&bob.key(["one"]), stolen.clone(), end()).await.unwrap();
    assert!(store.list(&bob, 10).await.unwrap_err().is_unopened());

    for altered in [&stolen.as_bytes()[1..], &[stolen.as_bytes(), b"a"].concat(), b"", b"hunter2"] {
        let altered = RecordValue::new(altered).unwrap();
        resting.put(&of_alice, altered, end()).await.unwrap();
        assert!(store.get(&of_alice).await.unwrap_err().is_unopened());
        assert!(store.list(&alice, 10).await.unwrap_err().is_unopened());
    }
}

#[tokio::test]
async fn e23_old_keys_open_and_a_missing_or_revoked_one_is_named() {
    let (old, new) = (line(), line());
    let (retained, id) = (old.replace(" valid ", " retained "), &old[..16]);
    let revoked = format!("{id} revoked");
    let resting = resting();
    sealed(&resting, &[&old]).put(&key(), value("hunter2"), end()).await.unwrap();

    let both = sealed(&resting, &[&new, &retained]);
    assert_eq!(both.get(&key()).await, Ok(Some(value("hunter2"))));
    for without in [sealed(&resting, &[&new]), sealed(&resting, &[&new, &revoked])] {
        let swap = without.compare_and_swap(&key(), Some(&value("hunter2")), None, end()).await;
        for error in [
            without.get(&key()).await.unwrap_err(),
            without.take(&key()).await.unwrap_err(),
            swap.unwrap_err(),
        ] {
            assert!(error.is_unopened() && error.reason().contains(id), "{error}");
        }
        let swap = without.compare_and_swap(&key(), None, Some(value("new")), end()).await;
        assert_eq!(swap, Ok(CasOutcome::Conflict), "there is a record");
    }
    assert_eq!(both.take(&key()).await, Ok(Some(value("hunter2"))), "it was not lost");

    // What is put is sealed with the new key.
    both.put(&key(), value("hunter2"), end()).await.unwrap();
    assert_eq!(sealed(&resting, &[&new]).get(&key()).await, Ok(Some(value("hunter2"))));
}

/// The only record, which `opens` has made.
async fn canary(resting: &Resting) -> RecordValue {
    resting.get(&super::canary::canary()).await.unwrap().unwrap()
}

#[tokio::test]
async fn e23_a_store_does_not_open_with_other_keys_and_names_the_one_that_is_missing() {
    let (own, other) = (line(), line());
    let id = &own[..16];
    let resting = resting();
    let start = async |lines: &[&str]| sealed(&resting, lines).opens().await;
    start(&[&own]).await.unwrap();
    let first = canary(&resting).await;
    let refused = start(&[&other]).await.unwrap_err();
    assert!(refused.is_unopened() && refused.reason().contains(id), "{refused}");
    assert_eq!(canary(&resting).await, first, "who is refused changes nothing");
    start(&[&own]).await.unwrap();
    assert_eq!(canary(&resting).await, first, "and neither does who starts again");

    // Whoever has lost the key says so, by what the error says.
    let line = format!("{id} revoked");
    assert!(refused.reason().contains(&format!("`{line}`")), "{refused}");
    start(&[&other, &line]).await.unwrap();
    start(&[&other]).await.unwrap();
    assert!(start(&[&own]).await.is_err());

    let altered = RecordValue::new(*b"altered").unwrap();
    resting.put(&super::canary::canary(), altered, end()).await.unwrap();
    assert!(start(&[&other]).await.unwrap_err().is_unopened());
}

#[tokio::test]
async fn a_rotation_is_no_other_ring() {
    let (old, new) = (line(), line());
    let retained = old.replace(" valid ", " retained ");
    let staged = new.replace(" valid ", " retained ");
    let resting = resting();
    let start = async |lines: &[&str]| sealed(&resting, lines).opens().await;
    start(&[&old]).await.unwrap();
    start(&[&staged, &old]).await.unwrap();
    start(&[&new, &retained]).await.unwrap();
    // Another replica, to which the rotated file has not come yet.
    start(&[&staged, &old]).await.unwrap();
    start(&[&new, &retained]).await.unwrap();
    start(&[&new]).await.unwrap();
    assert!(start(&[&old]).await.is_err(), "it could not read what others write");
}

#[tokio::test]
async fn a_store_of_an_older_release_gets_its_canary_at_the_first_start() {
    let (own, resting) = (line(), resting());
    let store = sealed(&resting, &[&own]);
    store.put(&key(), value("hunter2"), end()).await.unwrap();
    store.opens().await.unwrap();
    assert_eq!(store.get(&key()).await, Ok(Some(value("hunter2"))));
    assert!(sealed(&resting, &[&line()]).opens().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_rings_that_start_at_once_one_is_refused() {
    for _ in 0..16 {
        let resting = resting();
        let starts: Vec<_> = [line(), line()]
            .into_iter()
            .flat_map(|line| [line.clone(), line])
            .map(|line| {
                let store = sealed(&resting, &[&line]);
                tokio::spawn(async move { (line, store.opens().await.is_ok()) })
            })
            .collect();
        let mut started = Vec::new();
        for start in starts {
            let (line, done) = start.await.unwrap();
            started.extend(done.then_some(line));
        }
        assert_eq!(started.len(), 2);
        assert_eq!(started[0], started[1]);
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_does_not_open_and_one_that_cannot_be_written_does() {
    let store =
        Sealed::new(MemoryStore::new(clock()).with_capacity(1), KeyRing::ephemeral().unwrap());
    store.put(&key(), value("one"), end()).await.unwrap();
    assert_eq!(store.opens().await, Ok(()), "it is full");
    let distant = crate::Distant::new(MemoryStore::new(clock()));
    let store = Sealed::new(distant.clone(), KeyRing::ephemeral().unwrap());
    distant.cut(true);
    assert!(store.opens().await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn a_record_that_cannot_be_opened_can_be_replaced() {
    let resting = resting();
    sealed(&resting, &[&line()]).put(&key(), value("old"), end()).await.unwrap();
    let store = sealed(&resting, &[&line()]);
    store.put(&key(), value("new"), end()).await.unwrap();
    assert_eq!(store.get(&key()).await, Ok(Some(value("new"))));
}

#[tokio::test]
async fn the_largest_value_fits_and_no_larger_one() {
    let store = sealed(&resting(), &[&line()]);
    let largest = RecordValue::new(vec![7; MAX_VALUE_BYTES]).unwrap();
    store.put(&key(), largest.clone(), end()).await.unwrap();
    assert_eq!(store.get(&key()).await, Ok(Some(largest)));
    let larger = RecordValue::resting(vec![7; MAX_VALUE_BYTES + 1]).unwrap();
    assert_eq!(store.put(&key(), larger.clone(), end()).await, Err(StoreError::too_large()));
    let swap = store.compare_and_swap(&key(), None, Some(larger), end()).await;
    assert_eq!(swap, Err(StoreError::too_large()));
}

/// Two replicas write the same value again and again: each seals it once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_swap_is_about_values_and_not_about_how_they_are_sealed() {
    let store = Arc::new(sealed(&resting(), &[&line()]));
    store.put(&key(), value("one"), end()).await.unwrap();
    let again = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..500 {
                store.put(&key(), value("one"), end()).await.unwrap();
            }
        })
    };
    let mut done = 0;
    for _ in 0..500 {
        let one = value("one");
        match store.compare_and_swap(&key(), Some(&one), Some(one.clone()), end()).await {
            Ok(CasOutcome::Done) => done += 1,
            Ok(CasOutcome::Conflict) => panic!("it is the same value"),
            // The other one was ahead every time.
            Err(error) => assert!(error.is_unavailable()),
        }
    }
    assert!(done > 0);
    again.await.unwrap();
}

#[tokio::test]
async fn what_the_store_says_of_itself_is_forwarded_but_that_it_is_unsealed() {
    let store = Sealed::new(File::default(), KeyRing::ephemeral().unwrap());
    assert!(Store::is_unsealed(&store.store) && !store.is_unsealed());
    assert!(store.is_shared());
    assert!(store.is_durable());
    let resting = Sealed::new(resting(), KeyRing::ephemeral().unwrap());
    assert!(!resting.is_shared() && !resting.is_durable());
    assert!(store.is_empty());
    assert_eq!(store.ready().await, Err(StoreError::full()));
    store.put(&key(), value("one"), end()).await.unwrap();
    assert!(!store.is_empty());
}

/// What somebody else writes while a record is read is not taken for what was read.
#[tokio::test]
async fn what_is_taken_is_what_is_given() {
    let store = Sealed::new(File::default(), KeyRing::ephemeral().unwrap());
    store.put(&key(), value("one"), end()).await.unwrap();
    store.store.meddle([store.seal(&key(), &value("two")).unwrap()]);
    assert_eq!(store.take(&key()).await, Ok(Some(value("two"))));
    assert_eq!(store.get(&key()).await, Ok(None));
}

#[tokio::test]
async fn a_record_that_changes_all_the_time_is_an_error_and_stays() {
    let store = Sealed::new(File::default(), KeyRing::ephemeral().unwrap());
    store.put(&key(), value("one"), end()).await.unwrap();
    let (one, two) = (value("one"), Some(value("two")));
    let others = || (0..TRIES).map(|_| store.seal(&key(), &value("one")).unwrap());
    store.store.meddle(others());
    assert!(store.take(&key()).await.unwrap_err().is_unavailable());
    store.store.meddle(others());
    let swap = store.compare_and_swap(&key(), Some(&one), two.clone(), end()).await;
    assert!(swap.unwrap_err().is_unavailable());
    assert_eq!(store.get(&key()).await, Ok(Some(one.clone())));

    store.store.meddle(others().skip(1));
    let swap = store.compare_and_swap(&key(), Some(&one), two, end()).await;
    assert_eq!(swap, Ok(CasOutcome::Done), "at the last try");
}

/// As a file, where somebody else writes too.
#[derive(Debug)]
struct File {
    resting: Resting,
    /// What is written next, each after a read.
    writes: Mutex<Vec<RecordValue>>,
}

impl Default for File {
    fn default() -> Self {
        Self { resting: resting(), writes: Mutex::default() }
    }
}

impl File {
    fn meddle(&self, writes: impl IntoIterator<Item = RecordValue>) {
        self.writes.lock().unwrap().extend(writes);
    }
}

impl Store for File {
    fn put<'a>(
        &'a self,
        key: &'a RecordKey,
        value: RecordValue,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<(), StoreError>> {
        self.resting.put(key, value, expires_at)
    }

    fn is_empty(&self) -> bool {
        self.resting.is_empty()
    }

    fn ready(&self) -> MaybeFuture<'_, Result<(), StoreError>> {
        MaybeFuture::ready(Err(StoreError::full()))
    }

    fn is_unsealed(&self) -> bool {
        true
    }

    fn get<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        MaybeFuture::pending(async move {
            let found = self.resting.get(key).await;
            let other = self.writes.lock().unwrap().pop();
            if let Some(other) = other {
                self.resting.put(key, other, end()).await?;
            }
            found
        })
    }

    fn take<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        self.resting.take(key)
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Option<&'a RecordValue>,
        new: Option<RecordValue>,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<CasOutcome, StoreError>> {
        self.resting.compare_and_swap(key, expected, new, expires_at)
    }

    fn list<'a>(
        &'a self,
        owner: &'a RecordOwner,
        limit: usize,
    ) -> MaybeFuture<'a, Result<Vec<(RecordKey, RecordValue)>, StoreError>> {
        self.resting.list(owner, limit)
    }
}
