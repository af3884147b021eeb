//! What is left of a body whose request has been answered.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::HttpBody;
use hyper::body::Incoming;

/// The largest rest that a connection waits for.
const SMALL_BYTES: u64 = 64 * 1024;

/// What is left of the body of a request that has its answer: one at a time, as over HTTP/1.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    left: AtomicBool,
    body: Mutex<Option<Incoming>>,
    /// The connection does not go on.
    closes: AtomicBool,
}

impl Rest {
    /// Of a client that has asked whether to send it, the rest may never come: what came in its
    /// place would be the next request.
    pub(crate) fn leave(&self, body: Incoming, is_awaited: bool) {
        self.left.store(true, Ordering::Relaxed);
        let is_small = body.size_hint().exact().is_some_and(|rest| rest <= SMALL_BYTES);
        if is_small && !is_awaited {
            *self.body.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        } else {
            self.close();
        }
    }

    /// Whether some is left that has not arrived.
    pub(crate) fn is_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Lets the connection end with the current answer, and that reach the client.
    pub(crate) fn close(&self) {
        self.closes.store(true, Ordering::Relaxed);
        drop(self.body.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Whether the connection ends with the current answer.
    pub(crate) fn closes(&self) -> bool {
        self.closes.load(Ordering::Relaxed)
    }

    /// Takes what has arrived of it. It never wakes the caller by itself: a rest that another
    /// task leaves is found when the connection is looked at next.
    pub(crate) fn poll_discard(&self, cx: &mut Context<'_>) -> Poll<Infallible> {
        if self.is_left() && !self.closes() {
            let mut rest = self.body.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(body) = &mut *rest {
                match Pin::new(body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(None | Some(Err(_))) => *rest = None,
                    Poll::Pending => return Poll::Pending,
                }
            }
            self.left.store(false, Ordering::Relaxed);
        }
        Poll::Pending
    }
}
