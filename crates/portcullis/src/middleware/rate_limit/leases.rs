use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use portcullis_guard::{Clock, MaybeFuture};
use portcullis_store::{CasOutcome, RecordKey, RecordValue, Store, StoreError};

use super::Limited;
use super::buckets::Key;
use super::quota::{Nanos, Piece, Quota, nanos};
use crate::catalogue::Entry;

/// Buckets in a store that the replicas of a server share.
///
/// A replica takes several requests out of a bucket at once, the more the fuller it is, and lets
/// them through without asking again. They are the piece of time in which the bucket refills them,
/// and end with it, each after its own part. No two pieces overlap, so all replicas together never
/// let more through than one bucket would.
///
/// Times are those of the wall clock, which replicas have in common.
pub(super) struct Leases {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    quota: Quota,
    /// The server, by the name that its replicas have in common, and which of its limits this is.
    place: [String; 2],
    patience: Duration,
    table: Mutex<Table>,
    capacity: usize,
}

#[derive(Default)]
struct Table {
    leases: HashMap<Key, Arc<Lease>>,
    /// Those that are known, in the order in which they are looked at again.
    queue: VecDeque<Key>,
}

/// What this replica knows of one bucket.
#[derive(Default)]
struct Lease {
    held: Mutex<Held>,
    /// One asks for all who wait.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Default)]
struct Held {
    /// What is left of the requests that were taken out of the bucket.
    left: Piece,
    /// The time at which the bucket is full, as the store was last seen to say.
    full: Nanos,
    /// Before that the bucket has no request for anybody.
    empty_until: Nanos,
}

/// Whether a lease is for a single request, or for further ones too.
#[derive(Clone, Copy)]
enum Size {
    One,
    Part,
}

impl Leases {
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        quota: Quota,
        place: [String; 2],
        patience: Duration,
    ) -> Self {
        let (table, capacity) = (Mutex::default(), CAPACITY);
        Self { store, clock, quota, place, patience, table, capacity }
    }

    /// Takes one request out of the bucket of `key`. `used` is the component whose number is in it.
    pub(super) fn take<'a>(
        &'a self,
        key: Key,
        used: Option<&'a Entry>,
    ) -> MaybeFuture<'a, Result<(), Limited>> {
        let Some(now) = self.now() else { return MaybeFuture::ready(Err(Limited::Unknown)) };
        let Some((lease, size)) = self.lease(key, now) else {
            return MaybeFuture::ready(Err(Limited::Unknown));
        };
        match lease.take(now, &self.quota) {
            Some(answer) => MaybeFuture::ready(answer),
            None => MaybeFuture::pending(async move { self.ask(&lease, size, key, used).await }),
        }
    }

    /// The lease of `key`; where there is no room for another, one that is forgotten at once.
    fn lease(&self, key: Key, now: Nanos) -> Option<(Arc<Lease>, Size)> {
        let mut table = self.table.lock().ok()?;
        if let Some(lease) = table.leases.get(&key) {
            return Some((Arc::clone(lease), Size::Part));
        }
        table.forget_over(now);
        let lease = Arc::<Lease>::default();
        if table.leases.len() >= self.capacity {
            return Some((lease, Size::One));
        }
        table.leases.insert(key, Arc::clone(&lease));
        table.queue.push_back(key);
        Some((lease, Size::Part))
    }

    /// Takes requests out of the shared bucket, and the first of them for the caller.
    async fn ask(
        &self,
        lease: &Lease,
        size: Size,
        key: Key,
        used: Option<&Entry>,
    ) -> Result<(), Limited> {
        let asking = tokio::time::timeout(self.patience, lease.asking.lock()).await;
        let _asking = asking.map_err(|_| Limited::Unknown)?;
        let record = self.record(key, used);
        let known = lease.held.lock().map_err(|_| Limited::Unknown)?.full;
        // A bucket that is full has no record.
        let now = self.now().ok_or(Limited::Unknown)?;
        let mut seen = (known > now).then_some(known);
        for _ in 0..ATTEMPTS {
            let now = self.now().ok_or(Limited::Unknown)?;
            if let Some(answer) = lease.take(now, &self.quota) {
                return answer;
            }
            let parts = match size {
                Size::One => ONE_EACH,
                Size::Part => PARTS,
            };
            let piece = match self.quota.piece(seen.unwrap_or_default(), now, parts) {
                Ok(piece) => piece,
                Err(wait) => return lease.refuse(now, wait),
            };
            let (before, new) = (seen.map(written).transpose()?, written(piece.to)?);
            let ends = UNIX_EPOCH + Duration::from_nanos(piece.to);
            let swap = self.store.compare_and_swap(&record, before.as_ref(), Some(new), ends);
            match self.asked(swap).await? {
                CasOutcome::Done => return lease.hold(piece, &self.quota),
                CasOutcome::Conflict => seen = self.full(&record).await?,
            }
        }
        tracing::error!("other replicas keep changing the same rate limit");
        Err(Limited::Unknown)
    }

    /// The time at which the shared bucket is full, if it is not.
    async fn full(&self, record: &RecordKey) -> Result<Option<Nanos>, Limited> {
        let Some(value) = self.asked(self.store.get(record)).await? else { return Ok(None) };
        let bytes = <[u8; 8]>::try_from(value.as_bytes()).map_err(|_| {
            tracing::error!("the stored rate limit is malformed");
            Limited::Unknown
        })?;
        Ok(Some(Nanos::from_be_bytes(bytes)))
    }

    /// Without the store, nobody knows what other replicas let through.
    async fn asked<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Limited> {
        let reason = match tokio::time::timeout(self.patience, answer).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error.reason().to_owned(),
            Err(_) => "the store takes too long".to_owned(),
        };
        tracing::error!(reason, "cannot ask the store for a rate limit");
        Err(Limited::Unknown)
    }

    fn record(&self, key: Key, used: Option<&Entry>) -> RecordKey {
        let requester = key.requester.bytes();
        let mut parts: Vec<&[u8]> = self.place.iter().map(String::as_bytes).collect();
        parts.push(&requester);
        // Its number is of this process.
        if let Some(entry) = used {
            parts.extend([entry.kind.as_str().as_bytes(), entry.key.as_bytes()]);
        }
        RecordKey::new("rate limit", parts)
    }

    /// None by a clock that cannot be right.
    fn now(&self) -> Option<Nanos> {
        self.clock.now().duration_since(UNIX_EPOCH).ok().map(nanos).filter(|now| *now > 0)
    }
}

#[cfg(test)]
impl Leases {
    /// How many are known.
    pub(super) fn known(&self) -> usize {
        self.table.lock().unwrap().leases.len()
    }
}

impl Lease {
    /// Answers without the store, where it is known what it would say.
    fn take(&self, now: Nanos, quota: &Quota) -> Option<Result<(), Limited>> {
        let Ok(mut held) = self.held.lock() else { return Some(Err(Limited::Unknown)) };
        if let Some(left) = quota.take_of(held.left, now) {
            held.left = left;
            return Some(Ok(()));
        }
        let wait = held.empty_until.checked_sub(now).filter(|wait| *wait > 0)?;
        Some(Err(Limited::Wait(Duration::from_nanos(wait.min(quota.interval())))))
    }

    /// Keeps what was taken, but for the request that it was taken for.
    fn hold(&self, piece: Piece, quota: &Quota) -> Result<(), Limited> {
        let mut held = self.held.lock().map_err(|_| Limited::Unknown)?;
        held.full = piece.to;
        held.left = quota.take_of(piece, piece.from).ok_or(Limited::Unknown)?;
        Ok(())
    }

    fn refuse(&self, now: Nanos, wait: Nanos) -> Result<(), Limited> {
        let mut held = self.held.lock().map_err(|_| Limited::Unknown)?;
        held.empty_until = now.saturating_add(wait);
        Err(Limited::Wait(Duration::from_nanos(wait)))
    }
}

impl Table {
    /// Forgets some of what says nothing any more: more than there are new ones, and never so many
    /// that others have to wait.
    fn forget_over(&mut self, now: Nanos) {
        for _ in 0..LOOKED_AT_FOR_A_NEW_ONE {
            let Some(key) = self.queue.pop_front() else { return };
            let is_over = |lease: &Arc<Lease>| {
                let held = lease.held.lock();
                held.is_ok_and(|held| held.full.max(held.empty_until) <= now)
                    // Somebody asks.
                    && Arc::strong_count(lease) == 1
            };
            match self.leases.get(&key) {
                Some(lease) if is_over(lease) => drop(self.leases.remove(&key)),
                Some(_) => self.queue.push_back(key),
                None => {}
            }
        }
    }
}

fn written(full: Nanos) -> Result<RecordValue, Limited> {
    RecordValue::new(full.to_be_bytes()).map_err(|_| Limited::Unknown)
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases").field("place", &self.place).finish_non_exhaustive()
    }
}

/// A lease is this part of what a bucket holds, so the last requests are taken one by one.
const PARTS: u64 = 8;
const ONE_EACH: u64 = u64::MAX;
const ATTEMPTS: usize = 32;
const CAPACITY: usize = 65_536;
const LOOKED_AT_FOR_A_NEW_ONE: usize = 16;
