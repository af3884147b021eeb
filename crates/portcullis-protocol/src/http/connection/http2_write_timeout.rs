//! Answers over HTTP/2 that their client does not read.
//!
//! Over HTTP/2 a client makes room for each stream separately. A client that makes none for one
//! stream may be a good client otherwise, or a proxy with good clients behind it: the stream is
//! dropped, and the connection goes on. Over HTTP/1, [`timeout_stream`](super::timeout_stream) does
//! this.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Sleep, sleep};

use crate::http::budget::SMALL;
use crate::http::peer::{Running, Untaken};

/// Runs each stream of HTTP/2 until it ends, or until a part of its answer was not taken
/// for `write`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams {
    pub(crate) write: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let (unread, write) = (Unread::default(), self.write);
        tokio::spawn(UNREAD.scope(unread.clone(), run(stream, unread, write)));
    }
}

async fn run(stream: impl Future<Output = ()>, unread: Unread, write: Duration) {
    let mut stream = pin!(stream);
    let mut waiting: Option<(usize, Pin<Box<Sleep>>)> = None;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let part = unread.0.load(Ordering::Relaxed);
        if part == NOTHING {
            waiting = None;
            return Poll::Pending;
        }
        let deadline = match &mut waiting {
            Some((waits, deadline)) if *waits == part => deadline,
            waiting => &mut waiting.insert((part, Box::pin(sleep(write)))).1,
        };
        deadline.as_mut().poll(cx)
    })
    .await;
}

const NOTHING: usize = 0;
/// The largest part of an answer that is handed out at once: a client that makes room for one byte
/// can leave so much unread without being noticed.
pub(crate) const PART: usize = 8 * 1024;
/// The same over HTTP/1, where what is handed out waits in one buffer.
const LARGE_PART: usize = 64 * 1024;

tokio::task_local! {
    /// Of the stream that the current task runs.
    static UNREAD: Unread;
}

/// Which part of an answer waits for room: hyper asks for the next one once there was some.
#[derive(Clone, Debug, Default)]
struct Unread(Arc<AtomicUsize>);

/// Whether the current task runs a stream that has to be watched, which is one of HTTP/2.
pub(crate) fn is_watched() -> bool {
    UNREAD.try_with(|_| ()).is_ok()
}

/// An answer in parts, which the task that runs it keeps an eye on.
pub(crate) struct Watched {
    body: Body,
    /// Bytes of the body that were not handed out yet.
    rest: Bytes,
    part: usize,
    unread: Option<Unread>,
    untaken: Option<Untaken>,
    _running: Option<Running>,
}

impl Watched {
    /// An answer of `running`, whose bytes are `untaken` until this is dropped.
    pub(crate) fn new(body: Body, untaken: Option<Untaken>, running: Option<Running>) -> Self {
        let unread = UNREAD.try_with(Unread::clone).ok();
        let (rest, _running) = (Bytes::new(), running);
        Self { body, rest, part: NOTHING, unread, untaken, _running }
    }

    /// Hands out the next part of `bytes`, and keeps the rest.
    fn hand_out(&mut self, mut bytes: Bytes) -> Frame<Bytes> {
        let most = if self.unread.is_some() { PART } else { LARGE_PART };
        let mut part = bytes.len().min(most);
        // hyper asks for the last byte of an answer of HTTP/2 once there was room for all before
        // it, and is done with it then: so nothing is out of sight before it was taken.
        if self.unread.is_some() && part == bytes.len() && part > SMALL {
            part -= 1;
        }
        self.rest = bytes.split_off(part);
        self.part += 1;
        self.note(self.part);
        if let Some(untaken) = &self.untaken {
            untaken.moved();
        }
        Frame::data(bytes)
    }

    fn note(&self, part: usize) {
        if let Some(unread) = &self.unread {
            unread.0.store(part, Ordering::Relaxed);
        }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.note(NOTHING);
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return Poll::Ready(Some(Ok(self.hand_out(rest))));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                Ok(bytes) => self.hand_out(bytes),
                Err(other) => other,
            })),
            end => end,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, inner) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;

    /// Takes a body of three parts, with `pause` after each; returns how many were taken.
    async fn taken(pause: Duration) -> usize {
        let parts = stream::iter(["a", "b", "c"].map(Ok::<_, std::io::Error>));
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        Streams { write: Duration::from_secs(30) }.execute(async move {
            let mut body = Watched::new(Body::from_stream(parts), None, None);
            while let Some(Ok(_)) = body.frame().await {
                sleep(pause).await;
                sender.send(()).unwrap();
            }
        });
        let mut parts = 0;
        while receiver.recv().await.is_some() {
            parts += 1;
        }
        parts
    }

    #[tokio::test]
    async fn answers_are_handed_out_in_parts_and_arrive_whole() {
        let whole: Bytes = (0..20_000_u32).flat_map(u32::to_be_bytes).collect();
        let mut body = Watched::new(Body::from(whole.clone()), None, None);
        assert_eq!(body.size_hint().exact(), Some(80_000));
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            let part = frame.unwrap().into_data().unwrap();
            assert!(part.len() <= LARGE_PART);
            read.extend_from_slice(&part);
            assert_eq!(body.size_hint().exact(), Some(80_000 - read.len() as u64));
            assert_eq!(body.is_end_stream(), read.len() == whole.len());
        }
        assert_eq!(read, whole);
    }

    #[tokio::test]
    async fn trial_a5_the_last_byte_is_handed_out_by_itself_over_http2() {
        for (bytes, parts) in
            [(SMALL, vec![SMALL]), (5_000, vec![4_999, 1]), (PART + 1, vec![PART, 1])]
        {
            let mut body = UNREAD.sync_scope(Unread::default(), || {
                Watched::new(Body::from(vec![b'x'; bytes]), None, None)
            });
            let mut handed_out = Vec::new();
            while let Some(frame) = body.frame().await {
                handed_out.push(frame.unwrap().into_data().unwrap().len());
            }
            assert_eq!(handed_out, parts);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn n16_a_part_that_is_not_taken_in_time_ends_its_stream() {
        assert_eq!(taken(Duration::from_secs(29)).await, 3, "slow, and it goes on");
        assert_eq!(taken(Duration::from_secs(31)).await, 0);
    }
}
