//! A running request with its messages, polled as one.

use std::future::poll_fn;
use std::task::{Context, Poll};
#[cfg(feature = "http")]
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Outgoing;

/// A request that runs, and what it tells its client meanwhile. It is dropped with this.
pub(crate) struct Run<T> {
    outgoing: Outgoing,
    serve: BoxFuture<'static, T>,
    has_ended: bool,
    ended: Option<T>,
}

/// What comes next of a request that runs.
pub(crate) enum Step<T> {
    /// Messages for its client.
    Messages(Vec<Vec<u8>>),
    /// It has ended; nothing more comes.
    Ended(T),
}

impl<T> Run<T> {
    /// A request that `serve` answers, which tells something through `outgoing`.
    pub(crate) fn new(outgoing: Outgoing, serve: BoxFuture<'static, T>) -> Self {
        Self { outgoing, serve, has_ended: false, ended: None }
    }

    /// What it tells its client by.
    #[cfg(feature = "http")]
    pub(crate) fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// Whether its client is to be sent away now, and when it is to come back.
    #[cfg(feature = "http")]
    pub(crate) fn comes_back(&self) -> Option<Duration> {
        self.outgoing.comes_back()
    }

    /// Everything that was told before the end comes before it.
    pub(crate) async fn next(&mut self) -> Step<T> {
        poll_fn(|cx| self.poll_next(cx, true)).await
    }

    /// As [`next`](Self::next); unless it `takes` messages, those wait while the request goes on.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>, takes: bool) -> Poll<Step<T>> {
        loop {
            if takes && let Poll::Ready(Some(messages)) = self.outgoing.poll_messages(cx) {
                return Poll::Ready(Step::Messages(messages));
            }
            if takes && let Some(ended) = self.ended.take() {
                return Poll::Ready(Step::Ended(ended));
            }
            if self.has_ended {
                return Poll::Pending;
            }
            match self.serve.poll_unpin(cx) {
                Poll::Ready(ended) => {
                    self.outgoing.end();
                    self.has_ended = true;
                    self.ended = Some(ended);
                }
                // What it has told meanwhile wakes this.
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<T> Drop for Run<T> {
    fn drop(&mut self) {
        // A task of the function may still hold the other end.
        self.outgoing.end();
    }
}
