//! Answers of operations as HTTP responses.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use portcullis_auth::Authenticator;

use crate::answer::response;
use crate::message::envelope::RequestId;
use crate::message::rpc_error::whole_seconds;
use crate::{Identity, Outcome, ProtocolVersion, RpcError};

/// The answer of an operation: a 200, but for the errors that HTTP clients act upon.
pub(crate) fn answered(
    authenticator: Option<&Authenticator>,
    id: &RequestId,
    version: ProtocolVersion,
    identity: &Identity,
    outcome: &Result<Outcome, RpcError>,
) -> Response {
    let mut response = json(StatusCode::OK, response::outcome(id, version, identity, outcome));
    let Err(error) = outcome else { return response };
    tracing::debug!(?error, "request answered with an error");
    *response.status_mut() = error.answer_status(version, authenticator.is_some());
    let (name, value) = match (error, authenticator) {
        (RpcError::InsufficientScope(scopes), Some(authenticator)) => {
            (WWW_AUTHENTICATE, authenticator.insufficient_scope(scopes))
        }
        (RpcError::RateLimited { retry_after }, _) => {
            (RETRY_AFTER, HeaderValue::from(whole_seconds(*retry_after)))
        }
        _ => return response,
    };
    response.headers_mut().insert(name, value);
    response
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
