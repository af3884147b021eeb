//! A value that is ready, or has to be waited for.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A value that is ready, or a future that gives it.
///
/// Verifiers, checks and stores give one, so that those that need no waiting cost no
/// allocation.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// use portcullis::guard::MaybeFuture;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// assert_eq!(MaybeFuture::ready(1).await, 1);
/// assert_eq!(MaybeFuture::pending(async { 2 }).await, 2);
/// # });
/// ```
pub struct MaybeFuture<'a, T>(State<'a, T>);

enum State<'a, T> {
    Ready(Option<T>),
    Pending(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
}

impl<'a, T> MaybeFuture<'a, T> {
    /// A value that is ready.
    pub fn ready(value: T) -> Self {
        Self(State::Ready(Some(value)))
    }

    /// What `future` will give.
    pub fn pending(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self(State::Pending(Box::pin(future)))
    }

    /// The value, if it is ready.
    ///
    /// # Errors
    ///
    /// The future itself, when it has to be waited for.
    pub fn now(self) -> Result<T, Self> {
        match self.0 {
            State::Ready(Some(value)) => Ok(value),
            state => Err(Self(state)),
        }
    }
}

impl<T: Unpin> Future for MaybeFuture<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            // Polled again after it was ready, it gives nothing a second time.
            State::Ready(value) => value.take().map_or(Poll::Pending, Poll::Ready),
            State::Pending(future) => future.as_mut().poll(context),
        }
    }
}

impl<T> fmt::Debug for MaybeFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) => "MaybeFuture(ready)",
            State::Pending(_) => "MaybeFuture(pending)",
        })
    }
}
