//! The reasons why HTTP requests are refused, each with its status and headers.

use std::time::Duration;

use http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, StatusCode};

use super::{Rejection, Rule};
use crate::RpcError;
use crate::message::rpc_error::whole_seconds;

impl Rejection {
    /// Between the first look at the session and the second.
    pub(crate) const ENDED: &str = "the session has ended meanwhile";
    pub(crate) const NOT_THERE: &str =
        "the session does not exist, has ended, or was idle for too long";
    pub(crate) const OF_ANOTHER: &str = "the session belongs to another principal";

    pub(crate) fn busy() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let refusal = Self::new(Rule::Limits, status, "Too many requests at once");
        refusal.with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// Another server, or this one once it has been started again, will take it.
    pub(crate) fn stopping() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let refusal = Self::new(Rule::Limits, status, "The server is stopping");
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

    /// GET and DELETE are for sessions, and the stateless version has no sessions.
    pub(crate) fn method_not_allowed(stateless: bool) -> Self {
        let (message, allow) = match stateless {
            true => ("Only POST is served here", "POST, OPTIONS"),
            false => ("Only POST, GET and DELETE are served here", "GET, POST, DELETE, OPTIONS"),
        };
        let refusal = Self::new(Rule::Method, StatusCode::METHOD_NOT_ALLOWED, message);
        refusal.with(ALLOW, HeaderValue::from_static(allow))
    }

    /// One answer for every session that does not exist for the caller.
    pub(crate) fn no_session(reason: &'static str) -> Self {
        let message = "No such session: send `initialize` to start one";
        Self::new(Rule::Session, StatusCode::NOT_FOUND, message).because(reason)
    }

    /// As [`no_session`](Self::no_session), over HTTP+SSE: a stream makes a session there.
    pub(crate) fn no_event_stream(reason: &'static str) -> Self {
        let message = "No such session: open the event stream again to start one";
        Self::new(Rule::Session, StatusCode::NOT_FOUND, message).because(reason)
    }

    /// Over HTTP+SSE one path has the stream, and one takes messages.
    pub(crate) fn only(method: &Method) -> Self {
        let (message, allow) = match *method {
            Method::GET => ("Only GET is served here", "GET, OPTIONS"),
            _ => ("Only POST is served here", "POST, OPTIONS"),
        };
        let refusal = Self::new(Rule::Method, StatusCode::METHOD_NOT_ALLOWED, message);
        refusal.with(ALLOW, HeaderValue::from_static(allow))
    }

    /// The events that a client wants to go on from are not kept, or never were.
    pub(crate) fn not_resumable() -> Self {
        let message = "Last-Event-ID names nothing that can be resumed: send the request again";
        Self::new(Rule::Session, StatusCode::BAD_REQUEST, message)
    }

    /// The store that replicas share sessions in does not answer: nobody knows whether there is
    /// such a session.
    pub(crate) fn sessions_unavailable() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let refusal = Self::new(Rule::Session, status, "Sessions cannot be looked up now");
        refusal.with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// The caller has named so many sessions that are not there that this one is not looked up.
    pub(crate) fn too_many_unknown_sessions() -> Self {
        Self::sessions_unavailable().because("the caller named too many unknown sessions")
    }

    /// 429 for too many of one principal, 503 for too many altogether. Nobody knows when one of
    /// them ends.
    pub(crate) fn too_many_sessions(status: StatusCode) -> Self {
        Self::new(Rule::Session, status, "Too many sessions at once")
    }

    /// 429 for too many of one principal, 503 for too many altogether. Nobody knows when one of
    /// them ends.
    pub(crate) fn too_many_streams(status: StatusCode) -> Self {
        Self::new(Rule::Limits, status, "Too many streams at once")
    }

    /// As [`too_many_streams`](Self::too_many_streams), when many are ending: a stream that is
    /// not read ends within `time`.
    pub(crate) fn streams_are_ending(status: StatusCode, time: Duration) -> Self {
        let refusal = Self::too_many_streams(status).because("too many streams end unread");
        refusal.with(RETRY_AFTER, HeaderValue::from(whole_seconds(time)))
    }

    /// The service refuses something that is not an operation, such as a session.
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
}

impl From<portcullis_auth::Refusal> for Rejection {
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
