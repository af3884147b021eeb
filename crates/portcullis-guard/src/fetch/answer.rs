//! The answer to a request, whole or piece by piece.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use tokio::time::{Instant, timeout_at};

use super::{FetchError, HeaderMap};

/// How much of a body is believed to come: a server that lies gets no more memory.
const MAX_BELIEVED: usize = 256 * 1024;

/// What came back. `Debug` does not show the body: a token endpoint answers with tokens.
#[derive(Clone)]
pub struct Fetched {
    /// The status code.
    pub status: u16,
    /// The value of `Cache-Control`, if there is one.
    pub cache_control: Option<String>,
    /// The value of `Content-Type`, if there is one.
    pub content_type: Option<String>,
    /// All headers, those two among them. Their values may be secrets, such as cookies.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Fetched {
    /// The body as text.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8.
    pub fn text(&self) -> Result<&str, FetchError> {
        str::from_utf8(&self.body).map_err(|_| FetchError::Unreadable("it is not UTF-8"))
    }
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("status", &self.status)
            .field("content_type", &self.content_type)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// An answer whose body is still to be read, piece by piece: what [`Fetch::stream`](super::Fetch::stream)
/// gives. `Debug` shows the status alone.
pub struct FetchStream {
    response: reqwest::Response,
    deadline: Option<Instant>,
    /// Nothing, once more came than may: no more is read.
    left: Option<usize>,
}

impl FetchStream {
    pub(super) fn new(
        response: reqwest::Response,
        deadline: Option<Instant>,
        max_body: usize,
    ) -> Self {
        Self { response, deadline, left: Some(max_body) }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The headers. Their values may be secrets, such as cookies.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// When the time of the whole exchange has passed, nothing came for the idle time, the body is
    /// larger than it may be, or the connection broke before its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let left = self.left.ok_or(FetchError::TooLarge)?;
        let mut next = pin!(self.response.chunk());
        // Most pieces are there already: no timer is set for them.
        let next = match (poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await, self.deadline) {
            (Poll::Ready(next), _) => next,
            (Poll::Pending, Some(deadline)) => {
                timeout_at(deadline, next).await.map_err(|_| FetchError::TimedOut)?
            }
            (Poll::Pending, None) => next.await,
        };
        let Some(piece) = next.map_err(FetchError::from_reqwest)? else { return Ok(None) };
        self.left = left.checked_sub(piece.len());
        self.left.map(|_| Some(piece)).ok_or(FetchError::TooLarge)
    }

    /// The rest of the answer at once.
    ///
    /// # Errors
    ///
    /// As those of [`chunk`](Self::chunk).
    pub async fn whole(mut self) -> Result<Fetched, FetchError> {
        let header = |name: HeaderName| {
            self.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (cache_control, content_type) = (header(CACHE_CONTROL), header(CONTENT_TYPE));
        let (status, headers) = (self.status(), std::mem::take(self.response.headers_mut()));
        let body = self.body().await?;
        Ok(Fetched { status, cache_control, content_type, headers, body })
    }

    async fn body(&mut self) -> Result<Bytes, FetchError> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let rest = self.believed_rest();
        let second = if rest == 0 { self.chunk().await? } else { Some(Bytes::new()) };
        // A body in one piece is not copied.
        let Some(second) = second else { return Ok(first) };
        let mut body = Vec::with_capacity(first.len().saturating_add(second.len().max(rest)));
        body.extend_from_slice(&first);
        body.extend_from_slice(&second);
        // Held no longer: the connection reads on into memory that nobody holds.
        drop((first, second));
        while let Some(piece) = self.chunk().await? {
            body.extend_from_slice(&piece);
        }
        Ok(body.into())
    }

    /// How much of the body is still to come, as the server says, if it may be that much.
    fn believed_rest(&self) -> usize {
        let said = self.response.content_length().and_then(|said| usize::try_from(said).ok());
        said.unwrap_or(0).min(self.left.unwrap_or(0)).min(MAX_BELIEVED)
    }
}

impl fmt::Debug for FetchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchStream").field("status", &self.status()).finish_non_exhaustive()
    }
}
