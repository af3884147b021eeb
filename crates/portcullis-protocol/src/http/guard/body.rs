//! Request bodies, bounded in size and time, and their part of the budget.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

use crate::http::budget::{Budget, Held, Of, Whose};
use crate::http::fields::Fields;
use crate::http::rejection::{Rejection, Rule};
use crate::within;

/// The body of a request, as it comes from the client.
pub trait RequestBody:
    HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static
{
}

impl<B> RequestBody for B where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static
{
}

/// So much of a body is free: as much as all requests at once may have.
const FREE_BYTES: usize = 64 * 1024;

/// A body, and its part of the budget for as long as it is needed.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    account: Account,
}

impl Whole {
    /// Reads a body of `counts` of at most `limit` bytes within `time`: 413 or 408 otherwise, and 503
    /// when there are too many large ones. None is an empty one.
    ///
    /// A declared length over the limit is refused before a byte is read; an undeclared one is
    /// counted while it arrives.
    pub(crate) async fn read<B: RequestBody>(
        counts: Counts<'_>,
        fields: &Fields<'_>,
        body: Option<B>,
        limit: usize,
        time: Duration,
    ) -> Result<Self, Rejection> {
        let declared = fields
            .content_length
            .iter()
            .next()
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|declared| declared > limit as u64) {
            return Err(Rejection::too_large());
        }
        let mut whole = Self::default();
        let Some(body) = body else { return Ok(whole) };
        let gathered = within(time, gather(body, limit, counts, &mut whole.account)).await;
        whole.bytes = gathered.unwrap_or_else(|_| {
            let message = "The body took too long";
            Err(Rejection::new(Rule::Body, StatusCode::REQUEST_TIMEOUT, message))
        })?;
        Ok(whole)
    }
}

/// The budget that a body takes its part of, and for whom.
#[derive(Clone, Copy)]
pub(crate) struct Counts<'a> {
    pub(crate) budget: &'a Arc<Budget>,
    pub(crate) whose: &'a Whose,
}

/// What a body takes of the budget.
#[derive(Debug, Default)]
struct Account {
    bytes: usize,
    held: Option<Held>,
}

impl Account {
    /// Counts `more` bytes that arrived, and all bytes of the body once it is a large one.
    fn add(&mut self, Counts { budget, whose }: Counts<'_>, more: usize) -> bool {
        self.bytes = self.bytes.saturating_add(more);
        if self.bytes <= FREE_BYTES {
            return true;
        }
        if let Some(held) = &mut self.held {
            return held.more(more);
        }
        self.held = budget.take(Of::Bodies, whose.clone(), self.bytes);
        self.held.is_some()
    }
}

/// Most bodies come in one piece, which is not copied.
async fn gather<B: RequestBody>(
    mut body: B,
    limit: usize,
    counts: Counts<'_>,
    account: &mut Account,
) -> Result<Bytes, Rejection> {
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            let message = "The body could not be read";
            Rejection::new(Rule::Body, StatusCode::BAD_REQUEST, message)
        })?;
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else { continue };
        if first.len().max(all.len()) + data.len() > limit {
            return Err(Rejection::too_large());
        }
        if !account.add(counts, data.len()) {
            return Err(Rejection::busy());
        }
        if first.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Pieces of a body that are smaller than this are copied together, before a handler keeps them: each
/// holds all of the buffer that it was read into, however small it is.
const SMALL_PIECE: usize = 4 * 1024;

/// The body of a request to a custom route, which takes its part of the budget while it is read.
pub(crate) struct Counted<B> {
    body: B,
    /// Where small pieces are.
    small: BytesMut,
    counts: Arc<RouteBody>,
}

/// What the body of a request to a custom route takes, for as long as the request runs. It is among
/// the extensions of the request.
#[derive(Debug)]
pub struct RouteBody {
    budget: Arc<Budget>,
    whose: Whose,
    account: Mutex<Account>,
    exceeded: AtomicBool,
}

impl RouteBody {
    pub(crate) fn new(budget: &Arc<Budget>, whose: Whose) -> Arc<Self> {
        let budget = Arc::clone(budget);
        let (account, exceeded) = (Mutex::default(), AtomicBool::new(false));
        Arc::new(Self { budget, whose, account, exceeded })
    }

    /// Whether there was no room for it, so that the handler has read an error in its place. True
    /// once: whoever learns of it refuses the request, and records that.
    pub fn take_exceeded(&self) -> bool {
        self.exceeded.swap(false, Ordering::Relaxed)
    }

    fn add(&self, more: usize) -> bool {
        let counts = Counts { budget: &self.budget, whose: &self.whose };
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let added = account.add(counts, more);
        drop(account);
        if !added {
            self.exceeded.store(true, Ordering::Relaxed);
        }
        added
    }
}

impl<B> Counted<B> {
    pub(crate) fn new(body: B, counts: &Arc<RouteBody>) -> Self {
        Self { body, small: BytesMut::new(), counts: Arc::clone(counts) }
    }

    /// The piece, in a buffer that it shares with others if it is small.
    fn kept(&mut self, piece: Bytes) -> Bytes {
        if piece.len() >= SMALL_PIECE {
            return piece;
        }
        if self.small.capacity() < piece.len() {
            self.small = BytesMut::with_capacity(SMALL_PIECE);
        }
        self.small.extend_from_slice(&piece);
        self.small.split().freeze()
    }
}

impl<B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin> HttpBody for Counted<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                match self.counts.add(bytes) {
                    true => Some(Ok(frame.map_data(|piece| self.kept(piece)))),
                    false => Some(Err("too many large bodies at once".into())),
                }
            }
            other => other.map(|frame| frame.map_err(Into::into)),
        })
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
    use axum::body::Body;
    use futures_util::{StreamExt, stream};

    use http::HeaderMap;

    use super::*;
    use crate::Limits;

    async fn read(parts: &[&'static str]) -> Result<Bytes, u16> {
        let parts = stream::iter(parts.to_vec()).map(Ok::<_, std::io::Error>);
        let body = Some(Body::from_stream(parts));
        read_within(&Budget::new(&Limits::default()), body, 4).await
    }

    async fn read_within(
        budget: &Arc<Budget>,
        body: Option<Body>,
        limit: usize,
    ) -> Result<Bytes, u16> {
        let counts = Counts { budget, whose: &Whose::default() };
        let (headers, time) = (HeaderMap::new(), Duration::from_secs(1));
        let read = Whole::read(counts, &Fields::of(&headers), body, limit, time).await;
        let status = |refusal: Rejection| refusal.into_response().status().as_u16();
        read.map(|whole| whole.bytes).map_err(status)
    }

    #[tokio::test]
    async fn trial_a12_large_bodies_are_counted_while_they_are_held_and_small_ones_are_free() {
        let most = 3 * FREE_BYTES;
        let budget = Budget::new(&Limits { waiting_body_bytes: most, ..Limits::default() });
        let body = |bytes: usize| {
            let parts = (0..bytes / 1024).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024]));
            Some(Body::from_stream(stream::iter(parts)))
        };
        let counts = Counts { budget: &budget, whose: &Whose::default() };
        let (headers, time) = (HeaderMap::new(), Duration::from_secs(1));
        let fields = Fields::of(&headers);
        let held = Whole::read(counts, &fields, body(2 * FREE_BYTES), usize::MAX, time).await;
        let held = held.unwrap();
        assert_eq!(read_within(&budget, body(2 * FREE_BYTES), usize::MAX).await, Err(503));
        assert!(read_within(&budget, body(FREE_BYTES), usize::MAX).await.is_ok(), "small");
        let counts = RouteBody::new(&budget, Whose::default());
        let route = |bytes| Counted::new(body(bytes).unwrap(), &counts).collect();
        assert!(route(FREE_BYTES).await.is_ok() && !counts.take_exceeded());
        assert!(route(2 * FREE_BYTES).await.is_err() && counts.take_exceeded());
        assert!(!counts.take_exceeded(), "once");
        drop((held, counts));
        let bytes = read_within(&budget, body(most), usize::MAX).await.map(|bytes| bytes.len());
        assert_eq!(bytes, Ok(most));
        assert_eq!(read_within(&budget, body(most + 1024), usize::MAX).await, Err(503));
    }

    /// The buffer of a connection, which a piece of it holds.
    struct Buffer(#[expect(dead_code, reason = "whether it is held is counted")] Arc<()>);

    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            &[b'x'; 8 * 1024]
        }
    }

    #[tokio::test]
    async fn trial_a12_small_pieces_of_a_body_hold_no_buffers_of_their_connection() {
        let budget = Budget::new(&Limits::default());
        let counts = RouteBody::new(&budget, Whose::default());
        let is_read_into = Arc::new(());
        let sizes = [1, 4_000, 90, 6, 3_000, 0, SMALL_PIECE];
        let pieces = sizes.map(|size| {
            let buffer = Bytes::from_owner(Buffer(Arc::clone(&is_read_into)));
            Ok::<_, std::io::Error>(Frame::data(buffer.slice(..size)))
        });
        let mut body = Counted::new(http_body_util::StreamBody::new(stream::iter(pieces)), &counts);
        let mut kept = Vec::new();
        while let Some(frame) = body.frame().await {
            kept.push(frame.unwrap().into_data().unwrap());
        }
        drop(body);
        let lengths: Vec<usize> = kept.iter().map(Bytes::len).collect();
        assert_eq!(lengths, sizes);
        assert!(kept.iter().all(|piece| piece.iter().all(|byte| *byte == b'x')));
        assert_eq!(Arc::strong_count(&is_read_into), 1 + 1, "the large piece alone is as it came");
    }

    #[tokio::test]
    async fn n19_a_body_is_the_sum_of_its_parts_and_that_is_limited() {
        for parts in [&["abcd"][..], &["ab", "cd"], &["", "a", "", "bc", "d", ""]] {
            assert_eq!(read(parts).await.unwrap(), "abcd", "{parts:?}");
        }
        for parts in [&["abcde"][..], &["abcd", "e"], &["ab", "cd", "e"], &["", "ab", "cde"]] {
            assert_eq!(read(parts).await, Err(413), "{parts:?}");
        }
        assert_eq!(read(&[]).await.unwrap(), "");
        let none = read_within(&Budget::new(&Limits::default()), None, 4).await;
        assert_eq!(none, Ok(Bytes::new()));
    }
}
