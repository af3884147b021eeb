//! Records that a collector refused: counted, logged, and a reason to stop.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_guard::{LogThrottle, metrics};
use tokio::time::Instant;

use super::AuditError;
use super::request::Signal;

/// How long the sink counts as failing after a loss, unless a request is taken before.
const FAILING: Duration = Duration::from_secs(10);

/// The records that a collector refused for good.
pub(super) struct Losses {
    signal: &'static Signal,
    all: AtomicU64,
    /// Those that the log has not told of.
    untold: AtomicU64,
    log: LogThrottle,
    /// When the last ones were lost, until a request is taken.
    last: Mutex<Option<Instant>>,
}

impl Losses {
    pub(super) fn new(signal: &'static Signal) -> Self {
        let (all, untold) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { signal, all, untold, log: LogThrottle::default(), last: Mutex::default() }
    }

    /// Counts `records` that are lost, and says so, once a second at most.
    pub(super) fn add(&self, to: &str, records: u64, why: &impl Display) {
        *self.last() = Some(Instant::now());
        self.all.fetch_add(records, Ordering::Relaxed);
        self.untold.fetch_add(records, Ordering::Relaxed);
        (0..records).for_each(|_| metrics::count(self.signal.lost, &[]));
        if self.log.pass().is_some() {
            let records = self.untold.swap(0, Ordering::Relaxed);
            let what = self.signal.name;
            tracing::error!(to, records, %why, "{what} are lost: the collector refused them");
        }
    }

    /// Notes that a request was taken.
    pub(super) fn end(&self) {
        *self.last() = None;
    }

    pub(super) fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    /// Fails for a while after a loss.
    pub(super) fn ready(&self) -> Result<(), AuditError> {
        match *self.last() {
            Some(last) if last.elapsed() < FAILING => Err(refused()),
            Some(_) | None => Ok(()),
        }
    }

    /// Fails unless a request was taken since the last loss.
    pub(super) fn flush(&self) -> Result<(), AuditError> {
        self.last().map_or(Ok(()), |_| Err(refused()))
    }

    /// Nothing panics while it holds the lock.
    fn last(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused() -> AuditError {
    AuditError::new("the collector refused the last records for good")
}
