//! Timeouts that cost nothing when the answer is there at once.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

/// Waits for `future`, at most for `time`.
///
/// What is ready at once, as most is on the path of a request, sets no timer.
///
/// # Errors
///
/// When the time is over.
pub async fn within<F: Future>(time: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    match poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => tokio::time::timeout(time, future).await,
    }
}

/// As [`within`], and besides for as long as `besides` says: the time that the future has waited for
/// somebody who has a time of its own.
///
/// # Errors
///
/// When the time is over.
pub async fn within_besides<F: Future>(
    time: Duration,
    besides: impl Fn() -> Duration,
    future: F,
) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    match poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        Poll::Ready(output) => return Ok(output),
        Poll::Pending => {}
    }
    let begun = Instant::now();
    loop {
        let end = begun + time + besides();
        match timeout_at(end, future.as_mut()).await {
            Ok(output) => return Ok(output),
            Err(elapsed) if begun + time + besides() <= end => return Err(elapsed),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_of_others_is_besides() {
        let second = Duration::from_secs(1);
        let begun = Instant::now();
        let over = within_besides(second, || Duration::ZERO, std::future::pending::<()>()).await;
        assert!(over.is_err());
        assert_eq!(begun.elapsed(), second);
        let begun = Instant::now();
        let waited = Cell::new(Duration::ZERO);
        let asked = || begun.elapsed().min(10 * second);
        let over = within_besides(second, asked, std::future::pending::<()>()).await;
        assert!(over.is_err());
        assert_eq!(begun.elapsed(), 11 * second);
        let sleeps = async {
            tokio::time::sleep(5 * second).await;
            waited.set(5 * second);
        };
        let begun = Instant::now();
        assert!(within_besides(second, || begun.elapsed(), sleeps).await.is_ok());
    }
}
