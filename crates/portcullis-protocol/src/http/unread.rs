//! Streams of HTTP/2 that their client does not read.
//!
//! Over HTTP/2 a client makes room for each stream by itself, and one that makes none for a
//! stream is a good client otherwise, or a proxy with good ones behind it: the connection
//! goes on, and the stream is dropped. Over HTTP/1 [`patience`](super::patience) does it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Sleep, sleep};

/// Runs each stream of HTTP/2 until it ends, or until a part of its answer was not taken
/// for `write`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    pub(super) write: Duration,
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

tokio::task_local! {
    /// Of the stream that the current task runs.
    static UNREAD: Unread;
}

/// Which part of an answer waits for room: hyper asks for the next one once there was some.
#[derive(Clone, Debug, Default)]
struct Unread(Arc<AtomicUsize>);

/// An answer in parts, which the task that runs it keeps an eye on.
pub(super) struct Watched<T> {
    body: Body,
    part: usize,
    unread: Option<Unread>,
    _held: T,
}

impl<T> Watched<T> {
    /// Drops `held` when the body is dropped.
    pub(super) fn new(body: Body, held: T) -> Self {
        Self { body, part: NOTHING, unread: UNREAD.try_with(Unread::clone).ok(), _held: held }
    }

    fn note(&self, part: usize) {
        if let Some(unread) = &self.unread {
            unread.0.store(part, Ordering::Relaxed);
        }
    }
}

impl<T: Unpin> HttpBody for Watched<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.note(NOTHING);
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(_))) = &frame {
            self.part += 1;
            self.note(self.part);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;

    /// A body of three parts, of which each is taken after `pause`.
    async fn taken(pause: Duration) -> usize {
        let parts = stream::iter(["a", "b", "c"].map(Ok::<_, std::io::Error>));
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        Streams { write: Duration::from_secs(30) }.execute(async move {
            let mut body = Watched::new(Body::from_stream(parts), ());
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

    #[tokio::test(start_paused = true)]
    async fn n16_a_part_that_is_not_taken_in_time_ends_its_stream() {
        assert_eq!(taken(Duration::from_secs(29)).await, 3, "slow, and it goes on");
        assert_eq!(taken(Duration::from_secs(31)).await, 0);
    }
}
