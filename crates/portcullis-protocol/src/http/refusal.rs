use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::response;

/// A request that was refused before the protocol, with what its sender is told.
///
/// [`into_response`](Self::into_response) is the one function that writes such a response:
/// a JSON-RPC error without an id, whose code is the HTTP status.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: &'static str,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: &'static str) -> Self {
        Self { status, message, header: None }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found")
    }

    pub(crate) fn busy() -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "Too many requests at once");
        refusal.with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    pub(crate) fn method_not_allowed() -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "Only POST is served here");
        refusal.with(ALLOW, HeaderValue::from_static("POST, OPTIONS"))
    }

    pub(crate) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large")
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    pub(crate) fn into_response(self) -> Response {
        tracing::debug!(reason = self.message, "request refused: {}", self.status);
        let mut response = json(self.status, response::refused(self.status.as_u16(), self.message));
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<portcullis_auth::Refusal> for Refusal {
    fn from(refusal: portcullis_auth::Refusal) -> Self {
        let refused = Self::new(refusal.status, refusal.message());
        match refusal.challenge {
            Some(challenge) => refused.with(WWW_AUTHENTICATE, challenge),
            None => refused.with(RETRY_AFTER, HeaderValue::from_static("5")),
        }
    }
}

/// A response with a JSON body.
pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
