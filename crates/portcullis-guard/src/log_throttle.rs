//! One log message a second, where untrusted clients cause them.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Lets one log record a second through, of those that untrusted clients can cause.
///
/// # Example
///
/// ```
/// use portcullis_guard::LogThrottle;
///
/// let throttle = LogThrottle::new();
/// assert_eq!(throttle.pass(), Some(0));
/// assert_eq!(throttle.pass(), None);
/// ```
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    passed: Option<Instant>,
    dropped: u64,
}

impl LogThrottle {
    /// Has let nothing through yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `None` if a record passed within this second; otherwise how many did not since the last one.
    #[must_use]
    pub fn pass(&self) -> Option<u64> {
        let now = Instant::now();
        // With a poisoned lock, all pass.
        let Ok(mut state) = self.0.lock() else { return Some(0) };
        if state.passed.is_some_and(|passed| now.saturating_duration_since(passed) < APART) {
            state.dropped += 1;
            return None;
        }
        state.passed = Some(now);
        Some(std::mem::take(&mut state.dropped))
    }
}

const APART: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_record_a_second_passes_and_the_others_are_counted() {
        let throttle = LogThrottle::new();
        assert_eq!(throttle.pass(), Some(0));
        assert_eq!([throttle.pass(), throttle.pass()], [None, None]);
        advance(APART - Duration::from_millis(1)).await;
        assert_eq!(throttle.pass(), None);
        advance(Duration::from_millis(1)).await;
        assert_eq!(throttle.pass(), Some(3));
        advance(APART).await;
        assert_eq!(throttle.pass(), Some(0));
    }
}
