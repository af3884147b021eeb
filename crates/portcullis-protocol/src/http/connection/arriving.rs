//! Bodies over HTTP/1 that have not arrived in full when the answer is given.
//!
//! hyper closes a connection on which a body is left unread, and a client that still sends is
//! told of the close by a reset, which takes the answer with it (RFC 9112 §9.6). A small rest is
//! read here and thrown away, so that the connection goes on; with a larger one, or one of
//! unknown length, the answer says `Connection: close`, and
//! [`timeout_stream`](super::timeout_stream) reads on until the client has seen it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::HttpBody;
use bytes::Bytes;
use http::Request;
use http::header::EXPECT;
use hyper::body::{Frame, Incoming, SizeHint};

use crate::http::peer::Peer;

/// The body of a request, whose rest is taken care of when it is dropped.
pub(crate) struct Arriving {
    body: Option<Incoming>,
    /// Without one, as over HTTP/2, the rest is let go.
    peer: Option<Arc<Peer>>,
    /// The client waits to be told to send it (RFC 9110 §10.1.1).
    is_awaited: bool,
}

impl Arriving {
    pub(crate) fn new(
        request: Request<Incoming>,
        peer: Option<Arc<Peer>>,
    ) -> Request<Option<Self>> {
        let is_awaited = peer.is_some() && request.headers().contains_key(EXPECT);
        request.map(|body| Some(Self { body: Some(body), peer, is_awaited }))
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
        // hyper may keep its end open until the next request, if the answer was quicker than this.
        if body.is_end_stream() {
            self.body = None;
            return Poll::Ready(None);
        }
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
