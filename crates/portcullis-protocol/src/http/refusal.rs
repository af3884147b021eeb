use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use super::caller::Caller;
use crate::envelope::RequestId;
use crate::{Identity, Outcome, ProtocolVersion, RpcError, response};

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

/// The answer of an operation: a 200, but for the two errors that HTTP clients act upon.
pub(crate) fn answered(
    caller: &Caller<'_>,
    id: &RequestId,
    version: ProtocolVersion,
    identity: &Identity,
    outcome: &Result<Outcome, RpcError>,
) -> Response {
    let mut response = json(StatusCode::OK, response::outcome(id, version, identity, outcome));
    let Err(error) = outcome else { return response };
    tracing::debug!(?error, "request answered with an error");
    let header = match (error, caller.authenticator) {
        (RpcError::InsufficientScope(scopes), Some(authenticator)) => {
            (WWW_AUTHENTICATE, authenticator.insufficient_scope(scopes))
        }
        (RpcError::RateLimited { retry_after }, _) => {
            (RETRY_AFTER, HeaderValue::from(whole_seconds(*retry_after)))
        }
        _ => return response,
    };
    *response.status_mut() = error.status();
    response.headers_mut().insert(header.0, header.1);
    response
}

/// What `Retry-After` can say: never a time at which it is too early still.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1)
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::edge::{Edge, METADATA, read};
    use super::*;

    fn call(name: &str) -> Value {
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name}})
    }

    /// A call in both eras: status, header, and error, which are the same in both.
    async fn called(edge: &Edge, name: &str, header: &str) -> (u16, Option<String>, Value) {
        let session = edge.begin("alice").await;
        let ask = edge.ask("alice", "tools/call", json!({"name": name})).await;
        let send = edge.send("POST", "alice", Some(&session), &call(name)).await;
        let mut answers = Vec::new();
        for response in [ask, send] {
            let header =
                response.headers().get(header).map(|value| value.to_str().unwrap().to_owned());
            let (status, body) = read(response).await;
            assert_eq!(body["id"], 1);
            answers.push((status, header, body["error"].clone()));
        }
        assert_eq!(answers[0], answers[1]);
        answers.remove(0)
    }

    #[tokio::test]
    async fn rfc6750_3_1_a_client_can_step_up_to_the_scopes_that_a_403_names() {
        let (status, header, error) = called(&Edge::new(), "scope", "www-authenticate").await;
        assert_eq!((status, &error["code"]), (403, &json!(403)));
        assert_eq!(error["message"], portcullis_auth::challenge::INSUFFICIENT_SCOPE);
        let description = portcullis_auth::challenge::INSUFFICIENT_SCOPE;
        let expected = format!(
            r#"Bearer error="insufficient_scope", error_description="{description}", scope="write admin", resource_metadata="{METADATA}""#
        );
        assert_eq!(header.as_deref(), Some(&*expected));
    }

    #[tokio::test]
    async fn where_no_token_would_help_none_is_asked_for() {
        let edge = Edge::with(false, |_| {});
        let (status, header, error) = called(&edge, "scope", "www-authenticate").await;
        assert_eq!((status, header, &error["code"]), (200, None, &json!(403)));
    }

    #[tokio::test]
    async fn rfc6585_4_too_many_requests_say_when_there_may_be_more() {
        let (status, header, error) = called(&Edge::new(), "often", "retry-after").await;
        assert_eq!((status, header.as_deref(), &error["code"]), (429, Some("2"), &json!(429)));
        for (milliseconds, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (59_999, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(milliseconds)), seconds);
        }
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }

    #[tokio::test]
    async fn a_check_that_chose_to_speak_is_quoted() {
        let (status, _, error) = called(&Edge::new(), "denied", "retry-after").await;
        assert_eq!((status, error), (200, json!({"code": 403, "message": "Only on weekdays"})));
    }

    #[tokio::test]
    async fn one_message_of_a_batch_does_not_speak_for_the_others() {
        let edge = Edge::new();
        let params = json!({"protocolVersion": "2025-03-26"});
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let response = edge.send("POST", "alice", None, &body).await;
        let id = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let mut second = call("often");
        second["id"] = json!(2);
        let response = edge.send("POST", "alice", Some(&id), &json!([call("scope"), second])).await;
        assert!(!response.headers().contains_key("www-authenticate"));
        assert!(!response.headers().contains_key("retry-after"));
        let (status, answers) = read(response).await;
        let codes = [&answers[0]["error"]["code"], &answers[1]["error"]["code"]];
        assert_eq!((status, codes), (200, [&json!(403), &json!(429)]));
    }
}
