//! The way from a POST to the stream of its session.

use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;

use crate::answer::notification::News;
use crate::http::budget::Held;

/// Messages of one session that wait for its stream, and requests that run in it.
pub(in crate::http::session) const AT_ONCE: usize = 64;

/// From the requests that name a session to its stream.
pub(in crate::http::session) struct Link {
    pub(in crate::http::session) deliveries: mpsc::Sender<Delivery>,
    /// Whether its client has sent `initialize`.
    pub(in crate::http::session) has_begun: bool,
    /// When the last token ends that its owner has shown: the stream ends with it.
    pub(in crate::http::session) ends: Option<SystemTime>,
}

/// What a stream is given.
pub(in crate::http::session) enum Delivery {
    /// A message for its client, and what that takes of the budget until it has been taken.
    Message(Vec<u8>, Held),
    /// A request that runs: all that it tells, and its answer.
    Request(BoxStream<'static, Part>),
    /// What its client is told without asking from here on, until that ends; after the answer to
    /// `initialize`, if that is what it begins with.
    News {
        answer: Option<(Vec<u8>, Held)>,
        news: BoxStream<'static, News>,
        ends: Option<SystemTime>,
    },
}

/// What is told at once, and what that takes of the budget until it has been taken.
pub(in crate::http::session) struct Part {
    pub(super) bytes: Bytes,
    pub(super) held: Option<Held>,
}

impl Link {
    /// One whose stream ends then, and the other end of it.
    pub(super) fn new(ends: Option<SystemTime>) -> (Self, mpsc::Receiver<Delivery>) {
        let (deliveries, delivered) = mpsc::channel(AT_ONCE);
        (Self { deliveries, has_begun: false, ends }, delivered)
    }
}

/// The later of two times at which a stream may end; without any it does not.
pub(super) fn later(one: Option<SystemTime>, other: Option<SystemTime>) -> Option<SystemTime> {
    Some(one?.max(other?))
}
