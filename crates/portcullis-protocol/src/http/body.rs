use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::refusal::{Refusal, Rule};
use crate::within;

/// Reads a body of at most `limit` bytes within `time`: 413 or 408 otherwise.
///
/// A declared length over the limit is refused before a byte is read; an undeclared one is
/// counted while it arrives.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    time: Duration,
) -> Result<Bytes, Refusal> {
    let declared =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > limit as u64) {
        return Err(Refusal::too_large());
    }
    let refused = |status, message| Err(Refusal::new(Rule::Body, status, message));
    match within(time, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::too_large()),
        Ok(Err(_)) => refused(StatusCode::BAD_REQUEST, "The body could not be read"),
        Err(_) => refused(StatusCode::REQUEST_TIMEOUT, "The body took too long"),
    }
}
