use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use portcullis_auth::Principal;

use crate::answer::response;
use crate::http::request::{Asked, Caller};
use crate::message::envelope::RequestId;
use crate::message::rpc_error::{ErrorObject, whole_seconds};
use crate::{Identity, Outcome, ProtocolVersion, Refused, RpcError};

/// A request that was refused before the service was asked, with what its sender is told.
///
/// [`into_response`](Self::into_response) is the one function that writes such a response: a
/// JSON-RPC error, under the id of the request if one was read. Its code is that of the message,
/// or without one the HTTP status.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Parts>);

#[derive(Debug)]
struct Parts {
    rule: Rule,
    status: StatusCode,
    reason: Cow<'static, str>,
    id: Option<RequestId>,
    error: ErrorObject,
    header: Option<(HeaderName, HeaderValue)>,
    principal: Option<Arc<Principal>>,
}

/// The stage that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Limits,
    Host,
    Origin,
    Bearer,
    Method,
    Media,
    Body,
    Envelope,
    Session,
}

impl Rule {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Limits => "limits",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Bearer => "bearer",
            Self::Method => "method",
            Self::Media => "media",
            Self::Body => "body",
            Self::Envelope => "envelope",
            Self::Session => "session",
        }
    }
}

impl Refusal {
    /// Between the first look at the session and the second.
    pub(crate) const ENDED: &str = "the session has ended meanwhile";

    pub(crate) fn new(rule: Rule, status: StatusCode, message: &'static str) -> Self {
        let code = status.as_u16().into();
        let error = ErrorObject { code, message: message.to_owned(), data: None };
        Self::of_error(rule, status, message.into(), None, error)
    }

    /// A message that was refused, answered under its id if it has one.
    pub(crate) fn message(
        status: StatusCode,
        id: Option<&RequestId>,
        version: Option<ProtocolVersion>,
        error: &RpcError,
    ) -> Self {
        let reason = error.to_string().into();
        Self::of_error(Rule::Envelope, status, reason, id.cloned(), error.object(version))
    }

    fn of_error(
        rule: Rule,
        status: StatusCode,
        reason: Cow<'static, str>,
        id: Option<RequestId>,
        error: ErrorObject,
    ) -> Self {
        let (header, principal) = (None, None);
        Self(Box::new(Parts { rule, status, reason, id, error, header, principal }))
    }

    pub(crate) fn busy() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let refusal = Self::new(Rule::Limits, status, "Too many requests at once");
        refusal.with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    pub(crate) fn too_many_connections() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let refusal = Self::new(Rule::Limits, status, "Too many connections");
        refusal.with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    pub(crate) fn unread() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let refusal = Self::new(Rule::Limits, status, "Too many answers have not been read");
        refusal.with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// GET and DELETE are for sessions, which the stateless version has none of.
    pub(crate) fn method_not_allowed(stateless: bool) -> Self {
        let (message, allow) = match stateless {
            true => ("Only POST is served here", "POST, OPTIONS"),
            false => ("Only POST, GET and DELETE are served here", "GET, POST, DELETE, OPTIONS"),
        };
        let refusal = Self::new(Rule::Method, StatusCode::METHOD_NOT_ALLOWED, message);
        refusal.with(ALLOW, HeaderValue::from_static(allow))
    }

    /// Says the same of every session that is not there for the caller.
    pub(crate) fn no_session(reason: &'static str) -> Self {
        let message = "No such session: send `initialize` to start one";
        Self::new(Rule::Session, StatusCode::NOT_FOUND, message).because(reason)
    }

    /// 429 for too many of one principal, 503 for too many altogether. When one of them ends
    /// nobody knows.
    pub(crate) fn too_many_sessions(status: StatusCode) -> Self {
        Self::new(Rule::Session, status, "Too many sessions at once")
    }

    /// 429 for too many of one principal, 503 for too many altogether. When one of them ends
    /// nobody knows.
    pub(crate) fn too_many_streams(status: StatusCode) -> Self {
        Self::new(Rule::Limits, status, "Too many streams at once")
    }

    /// As [`too_many_streams`](Self::too_many_streams), when many are ending: a stream that is
    /// not read ends within `time`.
    pub(crate) fn streams_are_ending(status: StatusCode, time: Duration) -> Self {
        let refusal = Self::too_many_streams(status).because("too many streams end unread");
        refusal.with(RETRY_AFTER, HeaderValue::from(whole_seconds(time)))
    }

    /// The service lets something not happen that is not an operation.
    pub(crate) fn unadmitted(error: &RpcError) -> Self {
        match error {
            RpcError::RateLimited { retry_after } => {
                let (status, reason) = (StatusCode::TOO_MANY_REQUESTS, error.to_string().into());
                let refusal =
                    Self::of_error(Rule::Limits, status, reason, None, error.object(None));
                let seconds = HeaderValue::from(whole_seconds(*retry_after));
                refusal.with(RETRY_AFTER, seconds)
            }
            _ => Self::internal(Rule::Limits),
        }
    }

    /// The cause has been logged.
    pub(crate) fn internal(rule: Rule) -> Self {
        Self::new(rule, StatusCode::INTERNAL_SERVER_ERROR, "Internal error")
    }

    pub(crate) fn too_large() -> Self {
        Self::new(Rule::Body, StatusCode::PAYLOAD_TOO_LARGE, "The body is too large")
    }

    /// Gives the exact reason, where the sender is told less.
    pub(crate) fn because(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.0.reason = reason.into();
        self
    }

    /// Says which request it answers, if that is known.
    pub(crate) fn under(mut self, id: Option<RequestId>) -> Self {
        self.0.id = self.0.id.or(id);
        self
    }

    /// As an answer to a request of a version with sessions, for what is too much: many clients
    /// take any status but 200 for the end of their session, and show nobody the text of it.
    pub(crate) fn in_answer_to(mut self, id: &RequestId) -> Self {
        if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&self.0.status)
        {
            self.0.status = StatusCode::OK;
        }
        self.under(Some(id.clone()))
    }

    /// Says whose request it is.
    pub(crate) fn of(mut self, principal: Option<&Arc<Principal>>) -> Self {
        self.0.principal = principal.cloned();
        self
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    /// What the record of it says, beside what was `asked`.
    pub(crate) fn record<'a>(&'a self, asked: Asked<'a>) -> Refused<'a> {
        let Parts { rule, status, reason, principal, .. } = &*self.0;
        asked.refused(*rule, reason, *status, principal.as_deref())
    }

    pub(crate) fn into_response(self) -> Response {
        let Parts { status, reason, id, error, header, .. } = *self.0;
        refused(status, &reason, response::raw_error(id.as_ref(), error), header)
    }

    /// As [`into_response`](Self::into_response), for what was no request to the endpoint.
    pub(crate) fn into_response_outside(self) -> Response {
        let Parts { status, reason, error, header, .. } = *self.0;
        let body = response::outside(&error_name(status), Some(&error.message));
        refused(status, &reason, body, header)
    }
}

impl From<portcullis_auth::Refusal> for Refusal {
    fn from(refusal: portcullis_auth::Refusal) -> Self {
        let message = refusal.message();
        let refused = Self::new(Rule::Bearer, refusal.status, message)
            .because(refusal.reason)
            .of(refusal.principal.as_ref());
        match refusal.challenge {
            Some(challenge) => refused.with(WWW_AUTHENTICATE, challenge),
            None => refused.with(RETRY_AFTER, HeaderValue::from_static("5")),
        }
    }
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
    *response.status_mut() = error.answer_status(version, caller.authenticator.is_some());
    response.headers_mut().insert(header.0, header.1);
    response
}

/// What is said where nothing of MCP is served.
pub(crate) fn outside(status: StatusCode, description: Option<&'static str>) -> Response {
    let reason = description.unwrap_or("nothing is served at this path");
    refused(status, reason, response::outside(&error_name(status), description), None)
}

fn refused(
    status: StatusCode,
    reason: &str,
    body: Vec<u8>,
    header: Option<(HeaderName, HeaderValue)>,
) -> Response {
    tracing::debug!(%reason, "request refused: {status}");
    let mut response = json(status, body);
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, value);
    }
    response
}

/// The name of an error outside of the endpoint: `not_found` for a 404.
pub(crate) fn error_name(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or("error");
    reason.to_ascii_lowercase().replace([' ', '-'], "_")
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

    use super::*;
    use crate::http::test_server::{Edge, METADATA, read};

    fn call(name: &str) -> Value {
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name}})
    }

    /// A call in both eras: the statuses, and header and error, which are the same in both.
    async fn called(edge: &Edge, name: &str, header: &str) -> ([u16; 2], Option<String>, Value) {
        let session = edge.begin("alice").await;
        let end = || edge.send("DELETE", "alice", Some(&session), &Value::Null);
        let ask = edge.ask("alice", "tools/call", json!({"name": name})).await;
        let send = edge.send("POST", "alice", Some(&session), &call(name)).await;
        let (mut statuses, mut answers) = (Vec::new(), Vec::new());
        for response in [ask, send] {
            let header =
                response.headers().get(header).map(|value| value.to_str().unwrap().to_owned());
            let (status, body) = read(response).await;
            assert_eq!(body["id"], 1);
            statuses.push(status);
            answers.push((header, body["error"].clone()));
        }
        end().await;
        assert_eq!(answers[0], answers[1]);
        let (header, error) = answers.remove(0);
        ([statuses[0], statuses[1]], header, error)
    }

    #[tokio::test]
    async fn rfc6750_3_1_a_client_can_step_up_to_the_scopes_that_a_403_names() {
        let (status, header, error) = called(&Edge::new(), "scope", "www-authenticate").await;
        assert_eq!((status, &error["code"]), ([403, 403], &json!(403)));
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
        assert_eq!((status, header, &error["code"]), ([200, 200], None, &json!(403)));
    }

    #[tokio::test]
    async fn rfc6585_4_too_many_requests_say_when_there_may_be_more() {
        let (status, header, error) = called(&Edge::new(), "often", "retry-after").await;
        let expected = ([429, 200], Some("2"), &json!(429));
        assert_eq!((status, header.as_deref(), &error["code"]), expected);
        assert_eq!(error["message"], "Too many requests in a short time: try again in 2 s");
        for (milliseconds, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (59_999, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(milliseconds)), seconds);
        }
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }

    #[tokio::test]
    async fn a_check_that_chose_to_speak_is_quoted() {
        let (status, _, error) = called(&Edge::new(), "denied", "retry-after").await;
        assert_eq!(
            (status, error),
            ([200, 200], json!({"code": 403, "message": "Only on weekdays"}))
        );
    }

    #[tokio::test]
    async fn one_message_of_a_batch_does_not_speak_for_the_others() {
        let edge = Edge::new();
        let id = edge.begin_in("2025-03-26", "alice").await;
        let mut second = call("often");
        second["id"] = json!(2);
        let response = edge.send("POST", "alice", Some(&id), &json!([call("scope"), second])).await;
        assert!(!response.headers().contains_key("www-authenticate"));
        assert!(!response.headers().contains_key("retry-after"));
        let (status, answers) = read(response).await;
        let codes = [&answers[0]["error"]["code"], &answers[1]["error"]["code"]];
        assert_eq!((status, codes), (200, [&json!(403), &json!(429)]));
    }

    #[tokio::test]
    async fn what_is_refused_before_the_service_is_noted_once_and_nothing_else_is() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
        let unknown = json!({"jsonrpc": "2.0", "id": 1, "method": "secret-word"});
        let post = |token: &str| edge.request("POST", token);
        let with = |name: &str, value: &str| post("alice").header(name, value);
        for (request, body, refused) in [
            (with("origin", "https://evil.test"), &list, "origin 403 -: a foreign Origin"),
            (with("host", "evil.test"), &list, "host 400 -: more than one Host"),
            (post("a b"), &list, "bearer 401 -: the Authorization header is not one bearer token"),
            (post("alice.999"), &list, "bearer 401 -: the token has expired"),
            (
                edge.request("PUT", "alice"),
                &list,
                "method 405 alice: Only POST, GET and DELETE are served here",
            ),
            (with("accept", "a/b"), &list, "media 406 alice: Accept must allow application/json"),
            (
                with("content-encoding", "br"),
                &list,
                "media 415 alice: The body must not be compressed",
            ),
            (post("alice"), &json!("x".repeat(5 << 20)), "body 413 alice: The body is too large"),
            (
                post("alice"),
                &json!(5),
                "envelope 400 alice: Invalid request: not a JSON-RPC message",
            ),
            (
                with("mcp-protocol-version", "2026-07-28").header("mcp-protocol-version", "x"),
                &list,
                "envelope 400 alice: Header mismatch: mcp-protocol-version is repeated",
            ),
            (with("mcp-session-id", &session), &unknown, "envelope 200 alice: Method not found"),
        ] {
            edge.answer(request, body).await;
            assert_eq!(edge.service.refusals(), [refused]);
        }
        for name in ["scope", "often", "denied", "missing"] {
            called(&edge, name, "x").await;
            assert!(!edge.service.asked().is_empty());
        }
        assert_eq!(edge.service.refusals(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn each_message_of_a_batch_that_is_refused_is_noted() {
        let edge = Edge::new();
        let id = edge.begin_in("2025-03-26", "alice").await;
        let unknown = json!({"jsonrpc": "2.0", "id": 5, "method": "x"});
        edge.send("POST", "alice", Some(&id), &json!([call("denied"), unknown, 5])).await;
        let not_a_message = "envelope 200 alice: Invalid request: not a JSON-RPC message";
        assert_eq!(
            edge.service.refusals(),
            ["envelope 200 alice: Method not found", not_a_message]
        );
        edge.send("POST", "alice", Some(&id), &json!([])).await;
        let empty = "envelope 400 alice: Invalid request: a batch holds 1 to 64 messages";
        assert_eq!(edge.service.refusals(), [empty]);
    }
}
