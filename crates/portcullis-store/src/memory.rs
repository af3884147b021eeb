//! The store in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use portcullis_guard::{Clock, MaybeFuture};

use crate::nanos::{Nanos, nanos};
use crate::{CasOutcome, RecordKey, RecordOwner, RecordValue, Store, StoreError};

/// The records of one process, which end with it. The default store.
///
/// It holds 100,000 live records, or as many as [`with_capacity`](Self::with_capacity)
/// says, and at most 256 MiB of values. What has expired makes room for what comes; what has
/// not never does: when all are live, another is [`StoreError::full`]. No operation waits
/// for anything but the others.
pub struct MemoryStore {
    records: RwLock<Records>,
    capacity: usize,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    /// An empty store, which judges expiry by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { records: RwLock::default(), capacity: CAPACITY, clock }
    }

    /// Sets how many live records there may be.
    #[must_use]
    pub fn with_capacity(mut self, records: usize) -> Self {
        self.capacity = records;
        self
    }

    /// Does something with the records, without expired ones among those asked for.
    fn change<T>(
        &self,
        key: &RecordKey,
        change: impl FnOnce(&mut Records, Nanos) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut records = self.records.write().map_err(|_| poisoned())?;
        let now = nanos(self.clock.now());
        if records.live(key, now).is_none() {
            records.remove(key.digest());
        }
        change(&mut records, now)
    }
}

impl Store for MemoryStore {
    fn put<'a>(
        &'a self,
        key: &'a RecordKey,
        value: RecordValue,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<(), StoreError>> {
        MaybeFuture::ready(self.change(key, |records, now| {
            records.put(key, value, nanos(expires_at), now, self.capacity)
        }))
    }

    fn is_empty(&self) -> bool {
        // Behind a broken lock nothing is known.
        self.records.read().is_ok_and(|records| records.by_key.is_empty())
    }

    fn ready(&self) -> MaybeFuture<'_, Result<(), StoreError>> {
        MaybeFuture::ready(match self.records.is_poisoned() {
            true => Err(poisoned()),
            false => Ok(()),
        })
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn get<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        MaybeFuture::ready(match self.records.read() {
            Ok(records) => Ok(records.live(key, nanos(self.clock.now())).cloned()),
            Err(_) => Err(poisoned()),
        })
    }

    fn take<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        MaybeFuture::ready(self.change(key, |records, _| Ok(records.remove(key.digest()))))
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Option<&'a RecordValue>,
        new: Option<RecordValue>,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<CasOutcome, StoreError>> {
        MaybeFuture::ready(self.change(key, |records, now| {
            if records.live(key, now) != expected {
                return Ok(CasOutcome::Conflict);
            }
            match new {
                Some(value) => records.put(key, value, nanos(expires_at), now, self.capacity)?,
                None => drop(records.remove(key.digest())),
            }
            Ok(CasOutcome::Done)
        }))
    }

    fn list<'a>(
        &'a self,
        owner: &'a RecordOwner,
        limit: usize,
    ) -> MaybeFuture<'a, Result<Vec<(RecordKey, RecordValue)>, StoreError>> {
        MaybeFuture::ready(match self.records.read() {
            Ok(records) => Ok(records.of(owner, nanos(self.clock.now())).take(limit).collect()),
            Err(_) => Err(poisoned()),
        })
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

type Digest = [u8; 32];
type Prefix = [u8; 8];

#[derive(Default)]
struct Records {
    /// A tree: a hash map of 100,000 records has more than twice as many places, each with room for
    /// one.
    by_key: BTreeMap<Digest, Record>,
    /// One for each record: of its digest the beginning, in a quarter of the bytes. Those that expire
    /// together and begin alike share one.
    by_expiry: BTreeSet<(Nanos, Prefix)>,
    /// One for each record that has an owner: the owner's digest and the record's.
    by_owner: BTreeSet<(Digest, Digest)>,
    /// Of all values together.
    bytes: usize,
}

struct Record {
    value: RecordValue,
    expires_at: Nanos,
    /// Most have none.
    owner: Option<Box<Digest>>,
}

impl Records {
    fn live(&self, key: &RecordKey, now: Nanos) -> Option<&RecordValue> {
        let record = self.by_key.get(key.digest())?;
        (record.expires_at > now).then_some(&record.value)
    }

    fn of(
        &self,
        owner: &RecordOwner,
        now: Nanos,
    ) -> impl Iterator<Item = (RecordKey, RecordValue)> {
        let digest = *owner.digest();
        self.by_owner.range((digest, [0; 32])..=(digest, [u8::MAX; 32])).filter_map(
            move |(_, key)| {
                let key = owner.key_of_digest(*key);
                Some((key, self.live(&key, now)?.clone()))
            },
        )
    }

    fn remove(&mut self, key: &Digest) -> Option<RecordValue> {
        let record = self.by_key.remove(key)?;
        self.by_expiry.remove(&(record.expires_at, prefix(key)));
        if let Some(owner) = record.owner {
            self.by_owner.remove(&(*owner, *key));
        }
        self.bytes -= record.value.as_bytes().len();
        Some(record.value)
    }

    fn put(
        &mut self,
        key: &RecordKey,
        value: RecordValue,
        expires_at: Nanos,
        now: Nanos,
        capacity: usize,
    ) -> Result<(), StoreError> {
        if expires_at <= now {
            self.remove(key.digest());
            return Ok(());
        }
        self.sweep(now);
        let size = value.as_bytes().len();
        while !self.fits(key, size, capacity) {
            if !self.remove_expired(now) {
                return Err(StoreError::full());
            }
        }
        self.remove(key.digest());
        self.bytes += size;
        self.by_expiry.insert((expires_at, prefix(key.digest())));
        let owner = key.owner().copied();
        if let Some(owner) = owner {
            self.by_owner.insert((owner, *key.digest()));
        }
        let owner = owner.map(Box::new);
        self.by_key.insert(*key.digest(), Record { value, expires_at, owner });
        Ok(())
    }

    /// Whether there is room for a value of `size` bytes in place of what `key` has.
    fn fits(&self, key: &RecordKey, size: usize, capacity: usize) -> bool {
        let old = self.by_key.get(key.digest());
        let old_size = old.map_or(0, |record| record.value.as_bytes().len());
        self.by_key.len() - usize::from(old.is_some()) < capacity
            && self.bytes - old_size + size <= MAX_BYTES
    }

    /// Removes more than one put brings, and never so many that the others have to wait.
    fn sweep(&mut self, now: Nanos) {
        for _ in 0..SWEPT_BY_A_PUT {
            if !self.remove_expired(now) {
                return;
            }
        }
    }

    /// Removes the record that expired first, if any has.
    fn remove_expired(&mut self, now: Nanos) -> bool {
        let Some(&(expires_at, prefix)) = self.by_expiry.first() else { return false };
        if expires_at > now {
            return false;
        }
        let (from, to) = (padded(prefix, 0), padded(prefix, u8::MAX));
        let found = self.by_key.range(from..=to);
        let expired: Vec<_> = found
            .filter(|(_, record)| record.expires_at == expires_at)
            .map(|(key, _)| *key)
            .collect();
        for key in &expired {
            self.remove(key);
        }
        // In any case, so that the next one comes.
        self.by_expiry.remove(&(expires_at, prefix));
        true
    }
}

fn prefix([a, b, c, d, e, f, g, h, ..]: &Digest) -> Prefix {
    [*a, *b, *c, *d, *e, *f, *g, *h]
}

/// The first digest or the last that begins so.
fn padded(prefix: Prefix, byte: u8) -> Digest {
    let mut digest = [byte; 32];
    for (place, byte) in digest.iter_mut().zip(prefix) {
        *place = byte;
    }
    digest
}

/// A lock is poisoned when the clock panicked: nobody knows then what is live.
fn poisoned() -> StoreError {
    StoreError::unavailable("the memory store's lock is poisoned")
}

const CAPACITY: usize = 100_000;
const MAX_BYTES: usize = 256 * 1024 * 1024;
const SWEPT_BY_A_PUT: usize = 8;

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use portcullis_guard::ManualClock;

    use super::*;
    use crate::{MAX_VALUE_BYTES, contract};

    fn end() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(2_000)
    }

    fn store(capacity: usize) -> (MemoryStore, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(1_000));
        (MemoryStore::new(clock.clone()).with_capacity(capacity), clock)
    }

    fn key(number: usize) -> RecordKey {
        RecordKey::new("test", [&number.to_be_bytes()])
    }

    async fn put(store: &MemoryStore, number: usize) -> Result<(), StoreError> {
        store.put(&key(number), RecordValue::new(*b"value").unwrap(), end()).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn it_keeps_the_contract() {
        contract::holds(async |clock| MemoryStore::new(clock)).await;
    }

    #[tokio::test]
    async fn a_full_store_keeps_what_is_live_and_refuses_more() {
        let (store, _) = store(2);
        put(&store, 0).await.unwrap();
        put(&store, 1).await.unwrap();
        assert_eq!(put(&store, 2).await, Err(StoreError::full()));
        let new = RecordValue::new(*b"new").unwrap();
        let swapped = store.compare_and_swap(&key(2), None, Some(new.clone()), end()).await;
        assert_eq!(swapped, Err(StoreError::full()));
        assert!(store.get(&key(0)).await.unwrap().is_some());
        assert!(store.get(&key(1)).await.unwrap().is_some());
        assert!(store.get(&key(2)).await.unwrap().is_none());
        // What is there may change.
        store.put(&key(1), new.clone(), end()).await.unwrap();
        assert_eq!(store.get(&key(1)).await, Ok(Some(new)));
    }

    #[tokio::test]
    async fn what_expired_makes_room() {
        let (store, clock) = store(1_000);
        for number in 0..1_000 {
            put(&store, number).await.unwrap();
        }
        clock.set(2_000);
        let later = end() + Duration::from_secs(1);
        for number in 1_000..2_000 {
            let value = RecordValue::new(*b"value").unwrap();
            store.put(&key(number), value, later).await.unwrap();
        }
        assert_eq!(put(&store, 2_000).await, Ok(()), "it has expired already");
        let value = RecordValue::new(*b"value").unwrap();
        assert_eq!(store.put(&key(2_000), value, later).await, Err(StoreError::full()));
    }

    #[tokio::test]
    async fn nothing_is_left_of_what_is_gone() {
        let (store, clock) = store(1_000);
        let owner = RecordOwner::new("test", ["alice"]);
        let keys: Vec<_> =
            (0..50).map(key).chain((0..50u8).map(|number| owner.key([&[number]]))).collect();
        for key in keys.iter().chain(&keys) {
            store.put(key, RecordValue::new(*b"value").unwrap(), end()).await.unwrap();
        }
        for key in keys.iter().step_by(2) {
            store.take(key).await.unwrap().unwrap();
        }
        clock.set(2_000);
        for key in keys.iter().skip(1).step_by(2) {
            assert_eq!(store.take(key).await, Ok(None));
        }
        let records = store.records.read().unwrap();
        assert_eq!((records.by_key.len(), records.by_expiry.len()), (0, 0));
        assert_eq!((records.by_owner.len(), records.bytes), (0, 0));
    }

    #[tokio::test]
    async fn values_take_256_mib_together_at_most() {
        let (store, clock) = store(100_000);
        let large = RecordValue::new(vec![0; MAX_VALUE_BYTES]).unwrap();
        for number in 0..4_096 {
            store.put(&key(number), large.clone(), end()).await.unwrap();
        }
        assert_eq!(put(&store, 4_096).await, Err(StoreError::full()));
        put(&store, 0).await.unwrap();
        put(&store, 4_096).await.unwrap();
        clock.set(2_000);
        let later = end() + Duration::from_secs(1);
        store.put(&key(4_097), large, later).await.unwrap();
    }

    #[derive(Debug)]
    struct Broken;

    impl Clock for Broken {
        fn now(&self) -> SystemTime {
            panic!("no time");
        }
    }

    #[tokio::test]
    async fn a_poisoned_lock_is_a_no() {
        let store = Arc::new(MemoryStore::new(Arc::new(Broken)));
        let broken = Arc::clone(&store);
        std::thread::spawn(move || drop(broken.take(&key(0)))).join().unwrap_err();
        let no = poisoned();
        assert_eq!(store.ready().await, Err(no.clone()));
        assert_eq!(put(&store, 0).await, Err(no.clone()));
        assert_eq!(store.get(&key(0)).await, Err(no.clone()));
        assert_eq!(store.take(&key(0)).await, Err(no.clone()));
        assert_eq!(store.compare_and_swap(&key(0), None, None, end()).await, Err(no.clone()));
        assert_eq!(store.list(&RecordOwner::new("test", ["alice"]), 1).await, Err(no));
    }
}
