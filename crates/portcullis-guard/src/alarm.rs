//! Exact moments.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{LazyLock, OnceLock};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// How late a moment may come where the thread does not say that it has.
const LATE: Duration = Duration::from_millis(5);

/// Tasks that wait for moments of one slot are woken together, at its end.
const SLOT: Duration = Duration::from_millis(2);

/// From where slots are counted, by the clock of the machine: a runtime whose clock a test moves
/// may be the first that asks.
#[expect(clippy::disallowed_methods, reason = "an exact moment is what this is about")]
static START: LazyLock<Instant> = LazyLock::new(|| Instant::from_std(std::time::Instant::now()));

/// Wakes the tasks that wait for a moment at the end of its slot of two milliseconds, within about
/// a tenth of a millisecond.
///
/// The runtime's own timer counts whole milliseconds from when its thread went to rest: a task that
/// it wakes shows, to the microsecond, how long it worked before. Use this alarm where that time
/// has to stay hidden (CWE-208). A thread of its own watches the time, once a task waits.
///
/// The tasks of one slot are woken in random order. For two requests in one packet, the order of
/// their moments would tell how long the first has worked: the shorter its work, the more often the
/// second overtakes it.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use portcullis_guard::Alarm;
/// use tokio::time::Instant;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let alarm = Alarm::new();
/// let moment = Instant::now() + Duration::from_millis(2);
/// alarm.wait_until(moment).await;
/// assert!(Instant::now() >= moment);
/// # }
/// ```
#[derive(Default)]
pub struct Alarm(OnceLock<Option<Sender<Waiting>>>);

struct Waiting {
    moment: Instant,
    wake: oneshot::Sender<()>,
}

impl Alarm {
    /// An alarm that nobody waits for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until the end of the slot of `moment`; returns at once if `moment` has passed.
    pub async fn wait_until(&self, moment: Instant) {
        if moment <= Instant::now() {
            return;
        }
        let moment = end_of_slot(moment);
        let (wake, woken) = oneshot::channel();
        let sent = self.0.get_or_init(start).as_ref().map(|to| to.send(Waiting { moment, wake }));
        // Without the thread, or with a clock that a test has stopped, it is the runtime's timer.
        match sent {
            Some(Ok(())) => _ = timeout_at(moment + LATE, woken).await,
            Some(Err(_)) | None => tokio::time::sleep_until(moment + LATE).await,
        }
    }
}

fn end_of_slot(moment: Instant) -> Instant {
    let since = moment.saturating_duration_since(*START);
    let over = since.as_nanos() % SLOT.as_nanos();
    let over = u64::try_from(over).map_or(Duration::ZERO, Duration::from_nanos);
    if over.is_zero() { moment } else { moment + (SLOT - over) }
}

fn start() -> Option<Sender<Waiting>> {
    let (sender, waiting) = mpsc::channel();
    let thread = thread::Builder::new().name("portcullis-alarm".to_owned());
    match thread.spawn(move || watch(&waiting)) {
        Ok(_) => Some(sender),
        Err(error) => {
            tracing::error!(%error, "cannot start the timer thread: the times of answers will be inexact");
            None
        }
    }
}

/// Wakes the waiting tasks, until no task can wait any more.
fn watch(waiting: &Receiver<Waiting>) {
    // Secret random keys: the hash of a number under them is random.
    let lots = RandomState::new();
    let mut moments = BTreeMap::new();
    for number in 0_u64.. {
        let next = moments.first_key_value().map(|((moment, _), _)| *moment);
        let arrived = match next.map(|moment: Instant| moment - Instant::now()) {
            None => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(Duration::ZERO) => Err(RecvTimeoutError::Timeout),
            Some(rest) => waiting.recv_timeout(rest),
        };
        match arrived {
            Ok(Waiting { moment, wake }) => {
                _ = moments.insert((moment, (lots.hash_one(number), number)), wake)
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some((_, wake)) = moments.pop_first() {
                    // A task that has gone meanwhile need not be woken.
                    let _: Result<(), ()> = wake.send(());
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alarm")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn moments_come_in_their_order_and_not_too_early() {
        let (alarm, woken) = (Arc::new(Alarm::new()), Arc::new(Mutex::new(Vec::new())));
        alarm.wait_until(Instant::now()).await;
        // Wide apart, for a machine that is busy; tasks of their own are run in the order in
        // which they are woken, however late that is.
        let start = Instant::now();
        let waiting = [300, 120, 240, 180, 60].map(|ms| {
            let (alarm, woken) = (Arc::clone(&alarm), Arc::clone(&woken));
            tokio::spawn(async move {
                let moment = start + Duration::from_millis(ms);
                alarm.wait_until(moment).await;
                woken.lock().unwrap().push((ms, Instant::now() >= moment));
            })
        });
        join_all(waiting).await;
        let expected = [60, 120, 180, 240, 300].map(|ms| (ms, true));
        assert_eq!(*woken.lock().unwrap(), expected);
    }

    /// In how many of these pairs the first is woken first. The second one waits for a moment
    /// that is so much later.
    async fn in_order(pairs: u32, later: Duration) -> u32 {
        let alarm = Arc::new(Alarm::new());
        let mut in_order = 0;
        for _ in 0..pairs {
            let woken = Arc::new(Mutex::new(Vec::new()));
            let moment = Instant::now() + Duration::from_millis(1);
            // Tasks of their own are run in the order in which they are woken.
            let waiting = [(moment, 1), (moment + later, 2)].map(|(moment, which)| {
                let (alarm, woken) = (Arc::clone(&alarm), Arc::clone(&woken));
                tokio::spawn(async move {
                    alarm.wait_until(moment).await;
                    woken.lock().unwrap().push(which);
                })
            });
            join_all(waiting).await;
            in_order += u32::from(woken.lock().unwrap()[0] == 1);
        }
        in_order
    }

    #[tokio::test]
    async fn trial_a9_the_order_of_two_of_a_slot_tells_nothing_of_their_moments() {
        let pairs = 600;
        let near = in_order(pairs, Duration::from_nanos(100)).await;
        let far = in_order(pairs, Duration::from_micros(100)).await;
        // Of 600 pairs in random order, 300 are, give or take 61 (five standard deviations); a
        // twentieth of the far pairs are not in one slot.
        for in_order in [near, far] {
            assert!((239..=376).contains(&in_order), "{near} and {far} of {pairs}");
        }
    }

    #[tokio::test]
    async fn moments_of_one_slot_end_together() {
        let start = *START;
        for (after, end) in [(0, 0), (1, 2_000), (1_999, 2_000), (2_000, 2_000), (2_001, 4_000)] {
            let moment = start + Duration::from_micros(after);
            assert_eq!(end_of_slot(moment), start + Duration::from_micros(end), "{after}");
        }
    }

    #[tokio::test]
    async fn who_no_longer_waits_keeps_nobody_waiting() {
        let alarm = Alarm::new();
        let far = Instant::now() + Duration::from_secs(3_600);
        let gone = tokio::time::timeout(Duration::from_millis(5), alarm.wait_until(far)).await;
        assert!(gone.is_err());
        let moment = Instant::now() + Duration::from_millis(5);
        let soon = tokio::time::timeout(Duration::from_secs(10), alarm.wait_until(moment)).await;
        assert!(soon.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_a_test_has_stopped_is_no_reason_to_wait() {
        tokio::time::advance(Duration::from_secs(3_600)).await;
        Alarm::new().wait_until(Instant::now() + Duration::from_secs(3_600)).await;
    }

    #[tokio::test]
    async fn without_its_thread_the_moment_comes_all_the_same() {
        let (sender, _) = mpsc::channel();
        for alarm in [Alarm(OnceLock::from(None)), Alarm(OnceLock::from(Some(sender)))] {
            let moment = Instant::now() + Duration::from_millis(5);
            alarm.wait_until(moment).await;
            assert!(Instant::now() >= moment);
        }
    }
}
