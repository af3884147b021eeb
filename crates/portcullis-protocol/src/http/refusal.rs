use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::envelope::RequestId;
use crate::{ProtocolVersion, RpcError, response};

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

    /// GET and DELETE are for sessions, which the stateless version has none of.
    pub(crate) fn method_not_allowed(stateless: bool) -> Self {
        let (message, allow) = match stateless {
            true => ("Only POST is served here", "POST, OPTIONS"),
            false => ("Only POST, GET and DELETE are served here", "GET, POST, DELETE, OPTIONS"),
        };
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, message);
        refusal.with(ALLOW, HeaderValue::from_static(allow))
    }

    /// Says the same of every session that is not there for the caller.
    pub(crate) fn no_session() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such session: `initialize` makes one")
    }

    /// 429 for too many of one principal, 503 for too many altogether.
    pub(crate) fn too_many_sessions(status: StatusCode) -> Self {
        let refusal = Self::new(status, "Too many sessions at once");
        refusal.with(RETRY_AFTER, HeaderValue::from_static("60"))
    }

    /// 429 for too many of one principal, 503 for too many altogether.
    pub(crate) fn too_many_streams(status: StatusCode) -> Self {
        let refusal = Self::new(status, "Too many streams at once");
        refusal.with(RETRY_AFTER, HeaderValue::from_static("60"))
    }

    pub(crate) fn second_stream() -> Self {
        Self::new(StatusCode::CONFLICT, "The session has a stream already")
    }

    /// The cause has been logged.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error")
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

/// A message that was refused, answered under its id if it has one.
pub(crate) fn refused(
    status: StatusCode,
    id: Option<&RequestId>,
    version: Option<ProtocolVersion>,
    error: &RpcError,
) -> Response {
    tracing::debug!(?error, "request refused: {status}");
    json(status, response::error(id, version, error))
}

/// A message that was taken and has no answer.
pub(crate) fn accepted() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// A response with a JSON body.
pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
