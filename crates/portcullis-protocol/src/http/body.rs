use std::time::Duration;

use axum::BoxError;
use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;

use super::refusal::{Refusal, Rule};
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

/// Reads a body of at most `limit` bytes within `time`: 413 or 408 otherwise. None is an empty
/// one.
///
/// A declared length over the limit is refused before a byte is read; an undeclared one is
/// counted while it arrives.
pub(super) async fn read<B: RequestBody>(
    headers: &HeaderMap,
    body: Option<B>,
    limit: usize,
    time: Duration,
) -> Result<Bytes, Refusal> {
    let declared =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > limit as u64) {
        return Err(Refusal::too_large());
    }
    let Some(body) = body else { return Ok(Bytes::new()) };
    within(time, gather(body, limit)).await.unwrap_or_else(|_| {
        let message = "The body took too long";
        Err(Refusal::new(Rule::Body, StatusCode::REQUEST_TIMEOUT, message))
    })
}

/// Most bodies come in one piece, which is not copied.
async fn gather<B: RequestBody>(mut body: B, limit: usize) -> Result<Bytes, Refusal> {
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            let message = "The body could not be read";
            Refusal::new(Rule::Body, StatusCode::BAD_REQUEST, message)
        })?;
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else { continue };
        if first.len().max(all.len()) + data.len() > limit {
            return Err(Refusal::too_large());
        }
        if first.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures_util::{StreamExt, stream};

    use super::*;

    async fn read(parts: &[&'static str]) -> Result<Bytes, u16> {
        let parts = stream::iter(parts.to_vec()).map(Ok::<_, std::io::Error>);
        let body = Some(Body::from_stream(parts));
        let read = super::read(&HeaderMap::new(), body, 4, Duration::from_secs(1)).await;
        read.map_err(|refusal| refusal.into_response().status().as_u16())
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
        let none = super::read::<Body>(&HeaderMap::new(), None, 4, Duration::ZERO).await;
        assert_eq!(none.map_err(drop), Ok(Bytes::new()));
    }
}
