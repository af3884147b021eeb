//! The one stream of a session over HTTP+SSE.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::{self, BoxStream, SelectAll, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::link::{Delivery, Part, later};
use crate::answer::notification::News;
use crate::http::budget::Held;
use crate::http::session::sessions::{EndOfSession, Streaming};
use crate::http::sse::{self, Lease};

/// The events of one session: where its messages go to, and then everything that it is told and
/// answered.
///
/// The stream is pulled: while its client does not read, requests that run go on, but what they tell
/// waits with them, and little of that. With this they are dropped, and the session ends.
pub(super) struct Events {
    opening: Option<Bytes>,
    delivered: mpsc::Receiver<Delivery>,
    running: SelectAll<BoxStream<'static, Part>>,
    news: BoxStream<'static, News>,
    /// When the token ends that was shown last.
    ends: Option<SystemTime>,
    /// Until when its client may wait to send `initialize`.
    begins_by: Option<Instant>,
    /// What the part takes that was handed out last.
    taken: Option<Held>,
    /// The server stops: what runs is finished, and nothing else.
    drains: bool,
    place: Streaming,
    _end: EndOfSession,
}

impl Events {
    /// A stream that first says that messages are taken at `uri`.
    pub(super) fn new(
        uri: &str,
        (delivered, ends): (mpsc::Receiver<Delivery>, Option<SystemTime>),
        begins_within: Duration,
        (place, end): (Streaming, EndOfSession),
    ) -> Self {
        Self {
            opening: Some(format!("event: endpoint\ndata: {uri}\n\n").into()),
            delivered,
            running: SelectAll::new(),
            news: stream::pending().boxed(),
            ends,
            begins_by: Some(Instant::now() + begins_within),
            taken: None,
            drains: false,
            place,
            _end: end,
        }
    }

    pub(super) fn into_response(self) -> Response {
        sse::response(stream::unfold(self, async |mut events| {
            let next = events.next().await?;
            Some((Ok::<_, Infallible>(next), events))
        }))
    }

    async fn next(&mut self) -> Option<Bytes> {
        // Whoever asks for more has taken what was handed out.
        self.taken = None;
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        let comment = Instant::now() + sse::KEEP_ALIVE;
        loop {
            let left = self.left();
            if left.is_zero() || self.is_drained() {
                return None;
            }
            let silence = comment.saturating_duration_since(Instant::now());
            if silence.is_zero() {
                return Some(Bytes::from_static(sse::COMMENT));
            }
            let told = tokio::select! {
                biased;
                () = self.place.over(), if !self.drains => {
                    self.drains = self.place.server_stops();
                    if !self.drains {
                        return None;
                    }
                    continue;
                }
                // At the end of the last one there may be nothing left to wait for.
                part = self.running.next(), if !self.running.is_empty() => match part {
                    Some(part) => part,
                    None => continue,
                },
                delivery = self.delivered.recv() => match self.take(delivery?) {
                    Some(part) => part,
                    None => continue,
                },
                Some(news) = self.news.next() => Part { bytes: messages(&news.notifications()), held: None },
                () = sleep(silence.min(left)) => continue,
            };
            // After the end of its token, a stream sends nothing more.
            if !told.bytes.is_empty() && !self.left().is_zero() {
                self.taken = told.held;
                return Some(told.bytes);
            }
        }
    }

    fn take(&mut self, delivery: Delivery) -> Option<Part> {
        match delivery {
            Delivery::Message(message, held) => {
                Some(Part { bytes: messages(&[message]), held: Some(held) })
            }
            Delivery::Request(parts) => {
                self.running.push(parts);
                None
            }
            Delivery::News { answer, news, ends } => {
                let (answer, held) = answer.unzip();
                // What was there to tell is told.
                let mut told = Vec::from_iter(answer);
                while let Some(Some(news)) = self.news.next().now_or_never() {
                    told.extend(news.notifications());
                }
                self.news = news;
                self.ends = later(self.ends, ends);
                self.begins_by = None;
                Some(Part { bytes: messages(&told), held })
            }
        }
    }

    /// How long the stream may go on: until the very moment that its token names.
    fn left(&self) -> Duration {
        let token = self.ends.map(|ends| ends.duration_since(self.place.now()).unwrap_or_default());
        let begins = self.begins_by.map(|by| by.saturating_duration_since(Instant::now()));
        token.into_iter().chain(begins).min().unwrap_or(Duration::MAX)
    }

    fn is_drained(&self) -> bool {
        self.drains && self.running.is_empty() && self.delivered.is_empty()
    }
}

/// Writes each message as one event, whose name clients of that time look at.
pub(super) fn messages<M: AsRef<[u8]>>(messages: &[M]) -> Bytes {
    let mut events = Vec::new();
    for message in messages {
        events.extend_from_slice(b"event: message\ndata: ");
        events.extend_from_slice(message.as_ref());
        events.extend_from_slice(b"\n\n");
    }
    events.into()
}
