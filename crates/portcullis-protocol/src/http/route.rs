//! Who sent a request to a custom route, and why it is refused.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use portcullis_auth::challenge::INSUFFICIENT_SCOPE;
use portcullis_auth::{Authenticator, LastBearer, Principal};

use crate::http::answer::json;
use crate::http::bearer::{self, Visitor};
use crate::http::budget::{Budget, Party};
use crate::http::oauth_error;
use crate::http::peer::Standing;
use crate::message::rpc_error::whole_seconds;
use crate::{Limits, RpcError};

/// Why a request to a custom route that is not public is refused.
///
/// [`into_response`](Self::into_response) is the one function that writes such a response: an
/// object whose `error` names it, and whose `error_description` is a text (RFC 6749 §5.2).
#[derive(Debug)]
#[non_exhaustive]
pub enum RouteRejection {
    /// The bearer stage lets nobody in: 401, 403 or 503.
    Bearer(portcullis_auth::Refusal),
    /// Scopes are missing, which the `WWW-Authenticate` header names: 403.
    InsufficientScope(HeaderValue),
    /// A check says no, and perhaps why: 403.
    Denied(Option<Cow<'static, str>>),
    /// Over a rate limit: 429.
    TooOften {
        /// How long until there is room again.
        retry_after: Duration,
    },
    /// There was no room for the body: 503.
    Busy,
    /// The body is larger than the route takes: 413.
    TooLarge,
    /// The server does not authenticate, so the route does not exist: 404.
    Absent,
    /// Something broke: 500. The cause has been logged.
    Failed,
}

/// Who sent a request to a route, as the endpoint decides it. A verifier that panics or takes
/// too long lets nobody in.
///
/// # Errors
///
/// [`RouteRejection::Bearer`], already logged with its exact cause.
pub async fn authenticate(
    authenticator: &Authenticator,
    limits: &Limits,
    head: &Parts,
) -> Result<Arc<Principal>, RouteRejection> {
    let visitor: Option<RouteVisitor> = head.extensions.get().cloned();
    let RouteVisitor { budget, address, standing } = visitor.unwrap_or_else(|| RouteVisitor {
        budget: Budget::new(limits),
        address: None,
        standing: Arc::default(),
    });
    let visitor = Visitor { budget: &budget, address: address.as_ref(), standing: &standing };
    let (last, headers, uri) = (LastBearer::default(), &head.headers, &head.uri);
    let principal = bearer::authenticate(authenticator, limits, headers, uri, &last, visitor);
    principal.await.map_err(RouteRejection::Bearer)
}

/// The connection of a request to a route, among its extensions.
#[derive(Clone, Debug)]
pub(super) struct RouteVisitor {
    pub(super) budget: Arc<Budget>,
    pub(super) address: Option<Arc<Party>>,
    pub(super) standing: Arc<Standing>,
}

impl RouteRejection {
    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Bearer(refusal) => refusal.status,
            Self::InsufficientScope(_) | Self::Denied(_) => StatusCode::FORBIDDEN,
            Self::TooOften { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Absent => StatusCode::NOT_FOUND,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The text for the caller.
    #[must_use]
    pub fn into_response(self) -> Response {
        let status = self.status();
        let message: Option<Cow<'static, str>> = match &self {
            Self::Bearer(refusal) => Some(refusal.message().into()),
            Self::InsufficientScope(_) => Some(INSUFFICIENT_SCOPE.into()),
            Self::Denied(spoken) => {
                Some(spoken.clone().unwrap_or_else(|| "You may not use this".into()))
            }
            Self::TooOften { retry_after } => {
                Some(RpcError::RateLimited { retry_after: *retry_after }.to_string().into())
            }
            Self::Busy => Some(RpcError::Busy.to_string().into()),
            Self::TooLarge => Some("The body is too large".into()),
            // Exactly as for a path where nothing is served.
            Self::Absent => None,
            Self::Failed => Some("Internal error".into()),
        };
        let body = oauth_error::body(&self.name(), message.as_deref());
        let header: Option<(HeaderName, HeaderValue)> = match self {
            Self::Bearer(refusal) => Some(match refusal.challenge {
                Some(challenge) => (WWW_AUTHENTICATE, challenge),
                None => (RETRY_AFTER, HeaderValue::from_static("5")),
            }),
            Self::InsufficientScope(challenge) => Some((WWW_AUTHENTICATE, challenge)),
            Self::TooOften { retry_after } => {
                Some((RETRY_AFTER, HeaderValue::from(whole_seconds(retry_after))))
            }
            Self::Busy => Some((RETRY_AFTER, HeaderValue::from_static("1"))),
            Self::Denied(_) | Self::TooLarge | Self::Absent | Self::Failed => None,
        };
        let mut response = json(status, body);
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }

    /// What stands in `error`: of a token, in the words of RFC 6750 §3.1.
    fn name(&self) -> Cow<'static, str> {
        match (self, self.status()) {
            (Self::Bearer(_), StatusCode::UNAUTHORIZED) => "invalid_token".into(),
            (Self::Bearer(_) | Self::InsufficientScope(_), StatusCode::FORBIDDEN) => {
                "insufficient_scope".into()
            }
            (_, status) => oauth_error::name(status).into(),
        }
    }
}
