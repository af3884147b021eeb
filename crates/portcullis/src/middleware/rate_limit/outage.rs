//! A circuit breaker for a store that does not answer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use portcullis_guard::LogThrottle;
use tokio::time::Instant;

use super::quota::{Nanos, nanos};

/// Whether the store keeps requests waiting for nothing (a circuit breaker). After a slow failure one
/// request in 200 ms asks, and the others are refused at once (fail closed).
///
/// A quick failure holds up nobody, and may be about one record alone.
pub(super) struct Outage {
    since: Instant,
    /// When a request may ask again; 0 while the store answers.
    until: AtomicU64,
    log: LogThrottle,
}

/// That a request may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// The store answers, as far as is known.
    Usual,
    /// To see whether it answers again.
    Trial,
}

impl Outage {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), until: AtomicU64::new(0), log: LogThrottle::new() }
    }

    /// `None` if the request is refused.
    pub(super) fn may_ask(&self) -> Option<Asking> {
        let (now, until) = (self.now(), self.until.load(Relaxed));
        if until == 0 {
            return Some(Asking::Usual);
        }
        if now < until {
            return None;
        }
        // One of those who come at once.
        let claimed = self.until.compare_exchange(until, now + REFUSED, Relaxed, Relaxed);
        claimed.is_ok().then_some(Asking::Trial)
    }

    pub(super) fn answered(&self) {
        if self.until.load(Relaxed) != 0 {
            self.until.store(0, Relaxed);
        }
    }

    /// Notes a failure of what was asked at `asked`.
    pub(super) fn failed(&self, asked: Instant, reason: &str) {
        if asked.elapsed() >= SLOW {
            self.until.store(self.now() + REFUSED, Relaxed);
        }
        if let Some(unlogged) = self.log.pass() {
            tracing::error!(reason, unlogged, "cannot ask the store for a rate limit");
        }
    }

    fn now(&self) -> Nanos {
        nanos(self.since.elapsed())
    }
}

const REFUSED: Nanos = 200_000_000;
const SLOW: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const REFUSED: Duration = Duration::from_nanos(super::REFUSED);

    #[tokio::test(start_paused = true)]
    async fn after_a_slow_failure_one_request_in_a_while_asks() {
        let outage = Outage::new();
        let asked = Instant::now();
        outage.failed(asked, "quick");
        assert_eq!(outage.may_ask(), Some(Asking::Usual));
        advance(SLOW).await;
        outage.failed(asked, "slow");
        assert_eq!(outage.may_ask(), None);
        for _ in 0..3 {
            advance(REFUSED - Duration::from_nanos(1)).await;
            assert_eq!(outage.may_ask(), None);
            advance(Duration::from_nanos(1)).await;
            assert_eq!(outage.may_ask(), Some(Asking::Trial));
            assert_eq!(outage.may_ask(), None, "another tries");
        }
        outage.answered();
        assert_eq!(outage.may_ask(), Some(Asking::Usual));
    }
}
