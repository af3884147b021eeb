use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::Abortable;
use futures_util::stream::{self, Stream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use portcullis_guard::Clock;

use super::super::caller::Caller;
use super::super::media;
use super::super::refusal::Refusal;
use super::sessions::Streaming;

/// How often a stream says that it is there: more often than proxies give up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A comment (HTML §9.2.6): clients skip it.
const COMMENT: &[u8] = b": keep-alive\n\n";

/// Opens the stream of the session that a GET names (MCP Streamable HTTP §Listening for
/// Messages from the Server).
///
/// It ends with the session, with the token that opened it, and when the server stops.
/// `Last-Event-ID` is not looked at: events here have no ids and none is kept, so there is
/// nothing that could be sent again, to its owner or to anybody else.
pub(in crate::http) fn open_stream(caller: &Caller<'_>) -> Result<Response, Refusal> {
    media::check_accept_stream(caller.headers)?;
    let (registration, place) = caller.sessions.stream(&caller.session()?)?;
    let ends = caller.principal.as_ref().and_then(|principal| principal.expires_at());
    let comments = Comments { _place: place, ends, clock: caller.sessions.clock() }.into_stream();
    let mut response = Response::new(Body::from_stream(Abortable::new(comments, registration)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What a buffering proxy would hold back (nginx).
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// A stream on which there is nothing to say.
struct Comments {
    _place: Streaming,
    ends: Option<SystemTime>,
    clock: Arc<dyn Clock>,
}

impl Comments {
    /// One comment at once, so that the client sees the stream open, and then one after
    /// each silence, until the token has expired.
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold((self, Duration::ZERO), async |(comments, silence)| {
            tokio::time::sleep(silence.min(comments.left())).await;
            if comments.left().is_zero() {
                return None;
            }
            Some((Ok(Bytes::from_static(COMMENT)), (comments, KEEP_ALIVE)))
        })
    }

    /// How long the token is still good: as the authenticator sees it, until the very
    /// moment that it names.
    fn left(&self) -> Duration {
        match self.ends {
            Some(ends) => ends.duration_since(self.clock.now()).unwrap_or_default(),
            None => Duration::MAX,
        }
    }
}
