//! Token buckets that replicas share, taken in pieces.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use portcullis_guard::{Clock, MaybeFuture};
use portcullis_store::{CasOutcome, RecordKey, RecordValue, Store, StoreError};
use tokio::time::Instant;

use super::buckets::Key;
use super::outage::{Asking, Outage};
use super::quota::{Nanos, Piece, Quota, nanos};
use super::{Limited, Requester};
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
    outage: Outage,
    /// Apart, so that callers without a token crowd out no principal.
    addresses: Mutex<Table>,
    principals: Mutex<Table>,
    capacity: usize,
}

#[derive(Default)]
struct Table {
    leases: HashMap<Key, Arc<Lease>>,
    /// Those that are known, in the order in which they are looked at again.
    queue: VecDeque<Key>,
    /// What all share that there is no room for.
    overflow: Arc<Lease>,
}

/// What this replica knows of one bucket.
#[derive(Default)]
struct Lease {
    held: Mutex<Held>,
    /// One asks for all who wait.
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Copy, Default)]
struct Held {
    /// What is left of the requests that were taken out of the bucket.
    left: Piece,
    /// The time at which the bucket is full, as the store was last seen to say.
    full: Nanos,
    /// When the record ends that this replica may have written last.
    recorded: Nanos,
    /// Before that the bucket has no request for anybody.
    empty_until: Nanos,
}

/// Whose bucket a request is counted in.
#[derive(Clone, Copy)]
enum Bucket {
    Own,
    /// That of all for whom there is no room.
    Overflow,
}

impl Leases {
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        (quota, capacity): (Quota, usize),
        place: [String; 2],
        patience: Duration,
    ) -> Self {
        let (outage, [addresses, principals]) = (Outage::new(), Default::default());
        Self { store, clock, quota, place, patience, outage, addresses, principals, capacity }
    }

    /// Takes one request out of the bucket of `key`. `used` is the component whose number is in it.
    pub(super) fn take<'a>(
        self: &'a Arc<Self>,
        key: Key,
        used: Option<&'a Entry>,
    ) -> MaybeFuture<'a, Result<(), Limited>> {
        let Some(now) = self.now() else { return MaybeFuture::ready(Err(Limited::Unknown)) };
        let Some((lease, bucket)) = self.lease(key, now) else {
            return MaybeFuture::ready(Err(Limited::Unknown));
        };
        match lease.take(now, &self.quota) {
            Some(answer) => MaybeFuture::ready(answer),
            None => {
                let record = self.record(bucket, key, used);
                MaybeFuture::pending(self.ask(lease, record))
            }
        }
    }

    /// The lease of `key`, or the one of all for whom there is no room.
    fn lease(&self, key: Key, now: Nanos) -> Option<(Arc<Lease>, Bucket)> {
        let (table, kept) = match key.requester {
            Requester::Principal(_) => (&self.principals, 0),
            // An address costs its owner little: no more of them than this may have records at once.
            Requester::Address(_) | Requester::Local => (&self.addresses, KEPT_BY_REDIS),
        };
        let mut table = table.lock().ok()?;
        if let Some(lease) = table.leases.get(&key) {
            return Some((Arc::clone(lease), Bucket::Own));
        }
        table.forget_over(now, kept);
        if table.leases.len() >= self.capacity {
            return Some((Arc::clone(&table.overflow), Bucket::Overflow));
        }
        let lease = Arc::<Lease>::default();
        table.leases.insert(key, Arc::clone(&lease));
        table.queue.push_back(key);
        Some((lease, Bucket::Own))
    }

    /// Takes requests out of the shared bucket, and the first of them for the caller.
    async fn ask(self: &Arc<Self>, lease: Arc<Lease>, record: RecordKey) -> Result<(), Limited> {
        let may_ask = self.outage.may_ask().ok_or(Limited::Unknown)?;
        let asking = Arc::clone(&lease.asking).lock_owned();
        let asking = tokio::time::timeout(self.patience, asking).await;
        let asking = asking.map_err(|_| Limited::Unknown)?;
        // Another may have asked meanwhile.
        let now = self.now().ok_or(Limited::Unknown)?;
        if let Some(answer) = lease.take(now, &self.quota) {
            return answer;
        }
        if may_ask == Asking::Usual {
            self.outage.may_ask().ok_or(Limited::Unknown)?;
        }
        let leases = Arc::clone(self);
        // What is taken is held here, even if its caller is gone when the store answers.
        let refilling = tokio::spawn(async move {
            let _asking = asking;
            leases.refill(&lease, &record).await
        });
        refilling.await.unwrap_or(Err(Limited::Unknown))
    }

    async fn refill(&self, lease: &Lease, record: &RecordKey) -> Result<(), Limited> {
        let known = lease.held.lock().map_err(|_| Limited::Unknown)?.full;
        // A bucket that is full has no record.
        let now = self.now().ok_or(Limited::Unknown)?;
        let mut seen = (known > now).then_some(known);
        for _ in 0..ATTEMPTS {
            let now = self.now().ok_or(Limited::Unknown)?;
            let piece = match self.quota.piece(seen.unwrap_or_default(), now, PARTS) {
                Ok(piece) => piece,
                Err(wait) => return lease.refuse(now, wait),
            };
            let (before, new) = (seen.map(written).transpose()?, written(piece.to)?);
            let ends = UNIX_EPOCH + Duration::from_nanos(piece.to);
            lease.held.lock().map_err(|_| Limited::Unknown)?.recorded = piece.to;
            let swap = self.store.compare_and_swap(record, before.as_ref(), Some(new), ends);
            match self.asked(swap).await? {
                CasOutcome::Done => return lease.hold(piece, &self.quota),
                CasOutcome::Conflict => seen = self.full(record).await?,
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
        let asked = Instant::now();
        let reason = match tokio::time::timeout(self.patience, answer).await {
            Ok(Ok(answer)) => {
                self.outage.answered();
                return Ok(answer);
            }
            Ok(Err(error)) => error.reason().to_owned(),
            Err(_) => "the store takes too long".to_owned(),
        };
        self.outage.failed(asked, &reason);
        Err(Limited::Unknown)
    }

    fn record(&self, bucket: Bucket, key: Key, used: Option<&Entry>) -> RecordKey {
        let mut parts: Vec<&[u8]> = self.place.iter().map(String::as_bytes).collect();
        let requester = key.requester.bytes();
        match (bucket, key.requester) {
            (Bucket::Overflow, Requester::Principal(_)) => parts.push(b"other principals"),
            (Bucket::Overflow, _) => parts.push(b"other addresses"),
            (Bucket::Own, _) => parts.push(&requester),
        }
        // Its number is of this process.
        if let (Bucket::Own, Some(entry)) = (bucket, used) {
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
    /// How many are known of addresses.
    pub(super) fn known(&self) -> usize {
        self.addresses.lock().unwrap().leases.len()
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

impl Held {
    fn is_over(&self, now: Nanos, kept: Nanos) -> bool {
        let recorded = match self.recorded {
            0 => 0,
            end => end.saturating_add(kept),
        };
        self.full.max(self.empty_until).max(recorded) <= now
    }
}

impl Table {
    /// Forgets some of what says nothing any more, `kept` after its record has ended: more than there
    /// are new ones, and never so many that others have to wait.
    fn forget_over(&mut self, now: Nanos, kept: Nanos) {
        for _ in 0..LOOKED_AT_FOR_A_NEW_ONE {
            let Some(key) = self.queue.pop_front() else { return };
            let is_over = |lease: &Arc<Lease>| {
                let held = lease.held.lock();
                held.is_ok_and(|held| held.is_over(now, kept))
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
const ATTEMPTS: usize = 32;
/// How long Redis keeps a record after its end.
const KEPT_BY_REDIS: Nanos = 300_000_000_000;
const LOOKED_AT_FOR_A_NEW_ONE: usize = 16;
