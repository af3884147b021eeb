//! Token buckets in the memory of one process.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::Requester;
use super::quota::{Nanos, Quota, nanos};

/// The buckets that are not full, up to a limit.
///
/// Times count from when the limiter was made, by tokio's clock: tests pause it. Each bucket is
/// stored as the time at which it is full again.
pub(super) struct Buckets {
    table: Mutex<Table>,
    capacity: usize,
    quota: Quota,
    since: Instant,
}

/// The requester and, for a limit per component, the component that a bucket belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) requester: Requester,
    pub(super) component: Option<u32>,
}

#[derive(Default)]
struct Table {
    known: HashMap<Key, Nanos>,
    /// An entry for each known bucket: a time before which it is not full.
    queue: BinaryHeap<Reverse<(Nanos, Key)>>,
    /// The shared bucket of all requesters who came when there was no room for another.
    shared: Nanos,
}

impl Buckets {
    pub(super) fn new(capacity: usize, quota: Quota) -> Self {
        Self { table: Mutex::default(), capacity, quota, since: Instant::now() }
    }

    pub(super) fn quota(&self) -> Quota {
        self.quota
    }

    /// How many there may be.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes one request out of the bucket of `key`, or says in how long it holds one.
    pub(super) fn take(&self, key: Key) -> Result<(), Duration> {
        self.take_at(key, nanos(self.since.elapsed())).map_err(Duration::from_nanos)
    }

    fn take_at(&self, key: Key, now: Nanos) -> Result<(), Nanos> {
        let Ok(mut table) = self.table.lock() else {
            return Err(self.quota.interval());
        };
        if let Some(full) = table.known.get_mut(&key) {
            *full = self.quota.take(*full, now)?;
            return Ok(());
        }
        table.forget_full(now);
        if table.known.len() < self.capacity {
            let full = self.quota.take(now, now)?;
            table.known.insert(key, full);
            table.queue.push(Reverse((full, key)));
        } else {
            table.shared = self.quota.take(table.shared, now)?;
        }
        Ok(())
    }
}

#[cfg(test)]
impl Buckets {
    /// How many are known, and how many are queued.
    pub(super) fn sizes(&self) -> (usize, usize) {
        let table = self.table.lock().unwrap();
        (table.known.len(), table.queue.len())
    }

    /// Panics with the lock held.
    pub(super) fn poison(&self) {
        let _table = self.table.lock().unwrap();
        panic!("in the lock")
    }
}

impl Table {
    /// Forgets some of the buckets that are full: more than there are new ones, and never so
    /// many that others have to wait.
    fn forget_full(&mut self, now: Nanos) {
        for _ in 0..LOOKED_AT_FOR_A_NEW_ONE {
            match self.queue.peek() {
                Some(&Reverse((time, key))) if time <= now => {
                    self.queue.pop();
                    match self.known.get(&key) {
                        Some(&full) if full > now => self.queue.push(Reverse((full, key))),
                        _ => drop(self.known.remove(&key)),
                    }
                }
                _ => return,
            }
        }
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

const LOOKED_AT_FOR_A_NEW_ONE: usize = 16;
