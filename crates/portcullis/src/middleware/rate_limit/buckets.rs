use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::state::StateStore;
use tokio::time::Instant;

use super::Requester;

/// The buckets that are not full, up to a limit.
///
/// Times count from when the limiter was made. Each bucket is stored as the time at which it is
/// full again: the theoretical arrival time of the algorithm.
pub(super) struct Buckets {
    table: Mutex<Table>,
    capacity: usize,
    /// The time in which a bucket gains one request.
    interval: Nanos,
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
    shared: Option<Nanos>,
}

impl Buckets {
    pub(super) fn new(capacity: usize, interval: Duration) -> Self {
        Self { table: Mutex::default(), capacity, interval: interval.into() }
    }
}

#[cfg(test)]
impl Buckets {
    /// How many are known, and how many are queued.
    pub(super) fn sizes(&self) -> (usize, usize) {
        let table = self.table.lock().unwrap();
        (table.known.len(), table.queue.len())
    }
}

impl StateStore for Buckets {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let Ok(mut table) = self.table.lock() else {
            return measure(Some(NEVER)).map(|(answer, _)| answer);
        };
        if let Some(bucket) = table.known.get_mut(key) {
            let (answer, full) = measure(Some(*bucket))?;
            *bucket = full;
            return Ok(answer);
        }
        let (answer, full) = measure(None)?;
        // The bucket was full, and lacks one request now.
        table.forget_full(full.saturating_sub(self.interval));
        if table.known.len() < self.capacity {
            table.known.insert(*key, full);
            table.queue.push(Reverse((full, *key)));
            return Ok(answer);
        }
        let (answer, full) = measure(table.shared)?;
        table.shared = Some(full);
        Ok(answer)
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

/// The age of the limiter, by tokio's clock: tests pause it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uptime {
    since: Instant,
}

impl Uptime {
    pub(super) fn begin() -> Self {
        Self { since: Instant::now() }
    }
}

impl Clock for Uptime {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.since.elapsed().into()
    }
}

/// 292 years from the start: no such bucket has room.
const NEVER: Nanos = Nanos::new(u64::MAX / 2);
const LOOKED_AT_FOR_A_NEW_ONE: usize = 16;
