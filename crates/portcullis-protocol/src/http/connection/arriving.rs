//! Bodies over HTTP/1 that have not arrived in full when the answer is given.
//!
//! hyper closes a connection on which a body is left unread, and a client that still sends is
//! told of the close by a reset, which takes the answer with it (RFC 9112 §9.6). A small rest is
//! read here and thrown away, so that the connection goes on; with a larger one, or one of
//! unknown length, the answer says `Connection: close`, and
//! [`timeout_stream`](super::timeout_stream) reads on until the client has seen it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::HttpBody;
use bytes::Bytes;
use http::Request;
use http::header::EXPECT;
use hyper::body::{Frame, Incoming, SizeHint};

use crate::http::connection::peer::Peer;

/// The largest rest that a connection waits for.
const SMALL_BYTES: u64 = 64 * 1024;

/// The body of a request, whose rest is taken care of when it is dropped.
pub(crate) struct Arriving {
    body: Option<Incoming>,
    /// Without one, as over HTTP/2, the rest is let go.
    peer: Option<Arc<Peer>>,
    /// The client waits to be told to send it (RFC 9110 §10.1.1).
    is_awaited: bool,
}

impl Arriving {
    pub(crate) fn new(request: Request<Incoming>, peer: Option<Arc<Peer>>) -> Request<Self> {
        let is_awaited = peer.is_some() && request.headers().contains_key(EXPECT);
        request.map(|body| Self { body: Some(body), peer, is_awaited })
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if let (Some(body), Some(peer)) = (self.body.take(), &self.peer)
            && !body.is_end_stream()
        {
            peer.rest.leave(body, self.is_awaited);
        }
    }
}

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
    fn leave(&self, body: Incoming, is_awaited: bool) {
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
