//! A request body that is sent piece by piece.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt};
use http_body::{Body, Frame};

/// A body that is sent piece by piece: once, by whichever clone of its request is sent.
#[derive(Clone)]
pub(super) struct Upload(Arc<Mutex<Option<Pieces>>>);

type Pieces = BoxStream<'static, io::Result<Bytes>>;

impl Upload {
    pub(super) fn new(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(pieces.boxed()))))
    }

    /// The body, unless it was taken before.
    pub(super) fn take(&self) -> Option<reqwest::Body> {
        let pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(reqwest::Body::wrap(Streamed(Mutex::new(pieces))))
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upload(..)")
    }
}

/// The client wants a body that threads can share; nobody ever waits for this lock.
struct Streamed(Mutex<Pieces>);

impl Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let pieces = self.get_mut().0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let next = ready!(pieces.poll_next_unpin(context));
        Poll::Ready(next.map(|piece| piece.map(Frame::data)))
    }
}
