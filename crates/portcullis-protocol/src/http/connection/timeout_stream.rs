//! Timeouts that hyper does not keep: the first bytes, and answers that are not read.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::Limits;
use crate::http::connection::handover::Handover;
use crate::http::connection::stream::Stream;
use crate::http::peer::Peer;

/// The length of the HTTP/2 preface: what has to arrive before the two versions of HTTP
/// can be told apart, during which hyper keeps no time.
const PREFACE_BYTES: usize = 24;

/// An answer of so few bytes is copied into one piece: to send one piece takes less of the
/// kernel's time than to gather several.
const SMALL_BYTES: usize = 2048;

/// How much is read and thrown away of what a client still sends when it has its answer: as much
/// as an upload that somebody might well have started.
const LINGER_BYTES: usize = 64 * 1024 * 1024;
/// How much of it at once.
const DISCARD_BYTES: usize = 16 * 1024;

/// A connection whose client has to send its first bytes, and to take every answer, within
/// a limit. hyper keeps neither time.
pub(crate) struct Patient {
    stream: Stream,
    missing: usize,
    first_bytes: Option<Pin<Box<Sleep>>>,
    peer: Arc<Peer>,
    write: Duration,
    unread: Option<Pin<Box<Sleep>>>,
    /// How many bytes more are read and thrown away once the answers have been sent.
    linger: Option<usize>,
    /// Where the stream goes once an answer takes it over.
    handover: Option<Arc<Handover>>,
}

impl Patient {
    /// Notes of `peer` what it sends and takes.
    pub(crate) fn new(stream: Stream, limits: &Limits, peer: Arc<Peer>) -> Self {
        let first_bytes = Some(Box::pin(sleep(limits.header_timeout)));
        Self {
            stream,
            missing: PREFACE_BYTES,
            first_bytes,
            peer,
            write: limits.write_timeout,
            unread: None,
            linger: None,
            handover: None,
        }
    }

    /// One whose client has sent its first bytes.
    pub(crate) fn heard(stream: Stream, limits: &Limits, peer: Arc<Peer>) -> Self {
        Self { missing: 0, first_bytes: None, ..Self::new(stream, limits, peer) }
    }

    /// Hands its stream over to an answer that waits for it, once everything before was sent.
    pub(crate) fn with_handover(self, handover: Arc<Handover>) -> Self {
        Self { handover: Some(handover), ..self }
    }

    /// A write that waits for the client may wait for so long.
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.unread.take().is_some() {
                self.peer.waits(false);
            }
            return written;
        }
        let write = self.write;
        if self.unread.is_none() {
            self.peer.waits(true);
        }
        let deadline = self.unread.get_or_insert_with(|| Box::pin(sleep(write)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            let bytes = buffer.filled().len() - before;
            if bytes > 0 {
                self.peer.heard();
            }
            self.missing = self.missing.saturating_sub(bytes);
            if self.missing == 0 {
                self.first_bytes = None;
            }
            return Poll::Ready(read);
        }
        if let Some(deadline) = &mut self.first_bytes {
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        ready!(self.bounded(cx, flushed))?;
        let Self { handover, stream, .. } = &mut *self;
        if let Some(handover) = handover {
            handover.take(stream);
        }
        Poll::Ready(Ok(()))
    }

    /// Says that no more comes, and reads on where the client is still sending: to close then
    /// would reset the connection, and a reset takes the answer with it (RFC 9112 §9.6). The
    /// connection is quiet meanwhile, which ends it in time.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.bounded(cx, closed))?;
        }
        let sending = self.peer.is_sending();
        let mut left = *self.linger.get_or_insert(if sending { LINGER_BYTES } else { 0 });
        let mut room = [MaybeUninit::uninit(); DISCARD_BYTES];
        while left > 0 {
            let mut discarded = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut discarded))?;
            let ended = discarded.filled().is_empty();
            left = if ended { 0 } else { left.saturating_sub(discarded.filled().len()) };
            self.linger = Some(left);
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut room = [MaybeUninit::uninit(); SMALL_BYTES];
        let mut together = ReadBuf::uninit(&mut room);
        let written = match put_together(slices, &mut together) {
            Some(bytes) => Pin::new(&mut self.stream).poll_write(cx, bytes),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
        };
        self.bounded(cx, written)
    }
}

/// All of `slices` in one piece, if there is room for them.
fn put_together<'a>(slices: &[io::IoSlice<'_>], room: &'a mut ReadBuf<'_>) -> Option<&'a [u8]> {
    for slice in slices {
        if slice.len() > room.remaining() {
            return None;
        }
        room.put_slice(slice);
    }
    Some(room.filled())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A patient connection with short limits, and its client.
    #[expect(clippy::disallowed_methods, reason = "the test is both ends")]
    async fn connection() -> (Patient, TcpStream) {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
        let (stream, _) = socket.accept().await.unwrap();
        let short = Duration::from_millis(50);
        let limits = Limits { header_timeout: short, write_timeout: short, ..Limits::default() };
        (Patient::new(stream.into(), &limits, Arc::default()), client)
    }

    #[test]
    fn what_is_small_is_put_together_and_nothing_else_is() {
        let (half, more) = ([b'x'; SMALL_BYTES / 2], [b'y'; SMALL_BYTES / 2 + 1]);
        let together = |slices: &[&[u8]]| {
            let slices: Vec<_> = slices.iter().map(|slice| io::IoSlice::new(slice)).collect();
            let mut room = [MaybeUninit::uninit(); SMALL_BYTES];
            put_together(&slices, &mut ReadBuf::uninit(&mut room)).map(<[u8]>::to_vec)
        };
        assert_eq!(together(&[]), Some(Vec::new()));
        assert_eq!(together(&[b"a", b"", b"bc"]), Some(b"abc".to_vec()));
        assert_eq!(together(&[&half, &half]), Some([half, half].concat()));
        assert_eq!(together(&[&half, &more]), None);
    }

    #[tokio::test]
    async fn a_client_has_to_send_its_first_bytes_in_time() {
        let (mut patient, mut client) = connection().await;
        client.write_all(b"POST").await.unwrap();
        let error = patient.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_has_to_take_its_answers_in_time() {
        let (mut patient, client) = connection().await;
        let endless = async {
            loop {
                if let Err(error) = patient.write_all(&[0; 65_536]).await {
                    return error;
                }
            }
        };
        let error =
            tokio::time::timeout(Duration::from_secs(5), endless).await.expect("waited for");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
