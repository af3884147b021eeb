//! Requests that the protocol refuses: the stage, the response, and the record for the audit
//! trail.

mod causes;
pub(crate) mod page;
mod rule;

use std::borrow::Cow;
use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use portcullis_auth::Principal;

pub(crate) use self::rule::Rule;
use crate::answer::json_rpc;
use crate::http::answer::json;
use crate::http::oauth_error;
use crate::http::request_info::RequestInfo;
use crate::message::envelope::RequestId;
use crate::message::rpc_error::ErrorObject;
use crate::{ProtocolVersion, RejectionRecord, RpcError, Transport};

/// A request that was refused before the service was asked, with what its sender is told.
///
/// [`into_response`](Self::into_response) is the one function that writes such a response: a
/// JSON-RPC error, under the id of the request if one was read. Its code is that of the message,
/// or without one the HTTP status.
#[derive(Debug)]
pub(crate) struct Rejection(Box<Parts>);

/// The form of errors at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorFormat {
    /// That of JSON-RPC, at the endpoint.
    JsonRpc,
    /// That of RFC 6749 §5.2, everywhere else.
    OAuth,
    /// A page, where people come with a browser; for whoever does not ask for pages, that of RFC 6749.
    Html,
}

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

impl Rejection {
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

    // Cold, as whatever is made for a refusal alone: the compiler moves what leads here out of the way.
    #[cold]
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

    /// Sets the exact reason, for the record, where the sender is told less.
    pub(crate) fn because(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.0.reason = reason.into();
        self
    }

    /// Says which request it answers, if that is known.
    pub(crate) fn under(mut self, id: Option<RequestId>) -> Self {
        self.0.id = self.0.id.or(id);
        self
    }

    /// Makes this the answer to a request of a version with sessions that is over a limit: many
    /// clients take any status but 200 for the end of their session, and show nobody its text.
    pub(crate) fn in_answer_to(mut self, id: &RequestId) -> Self {
        if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&self.0.status)
        {
            self.0.status = StatusCode::OK;
        }
        self.under(Some(id.clone()))
    }

    /// Sets the principal whose request it is.
    pub(crate) fn of(mut self, principal: Option<&Arc<Principal>>) -> Self {
        self.0.principal = principal.cloned();
        self
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    /// Its record, together with what is known of the request.
    pub(crate) fn record<'a>(&'a self, info: RequestInfo<'a>) -> RejectionRecord<'a> {
        let Parts { rule, status, reason, principal, .. } = &*self.0;
        record(info, *rule, *status, reason, principal.as_deref())
    }

    pub(crate) fn into_response(self) -> Response {
        let Parts { status, reason, id, error, header, .. } = *self.0;
        refused(status, &reason, json_rpc::raw_error(id.as_ref(), error), header)
    }

    /// As [`into_response`](Self::into_response), in the form that is used where it was refused.
    pub(crate) fn into_response_in(self, format: ErrorFormat) -> Response {
        match format {
            ErrorFormat::JsonRpc => self.into_response(),
            ErrorFormat::OAuth => {
                let Parts { status, reason, error, header, .. } = *self.0;
                let body = oauth_error::body(&oauth_error::name(status), Some(&error.message));
                refused(status, &reason, body, header)
            }
            ErrorFormat::Html => {
                let Parts { rule, status, reason, header, .. } = *self.0;
                with_header(page::refused(rule, status, &reason), header)
            }
        }
    }
}

/// The record of a refusal.
pub(crate) fn record<'a>(
    info: RequestInfo<'a>,
    rule: Rule,
    status: StatusCode,
    reason: &'a str,
    principal: Option<&'a Principal>,
) -> RejectionRecord<'a> {
    let RequestInfo { http_method, path, remote, trace } = info;
    let (transport, rule, status) = (Transport::Http, rule.name(), Some(status.as_u16()));
    RejectionRecord { transport, rule, reason, status, http_method, path, remote, principal, trace }
}

/// The text for paths where MCP is not served.
pub(crate) fn outside(status: StatusCode, description: Option<&'static str>) -> Response {
    let reason = description.unwrap_or("nothing is served at this path");
    refused(status, reason, oauth_error::body(&oauth_error::name(status), description), None)
}

fn refused(
    status: StatusCode,
    reason: &str,
    body: Vec<u8>,
    header: Option<(HeaderName, HeaderValue)>,
) -> Response {
    tracing::debug!(%reason, "request refused: {status}");
    with_header(json(status, body), header)
}

fn with_header(mut response: Response, header: Option<(HeaderName, HeaderValue)>) -> Response {
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests;
