//! What clients are told when a request is refused.

use std::borrow::Cow;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, PRAGMA};
use http::{Response, StatusCode};
use serde_json::json;

/// A refused request: what the client may know, and what the log does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OAuthError {
    pub(crate) code: ErrorCode,
    /// `error_description`: what to do about it. Visible ASCII without `"` and `\` (RFC 6749 §5.2).
    pub(crate) description: Cow<'static, str>,
    /// The exact cause, for the log: a client never sees it.
    pub(crate) cause: Option<Cow<'static, str>>,
    /// What it was, where it is more than a request that is refused.
    pub(crate) incident: Option<Box<Incident>>,
}

/// What happened to a grant, for the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incident {
    /// In a word.
    pub(crate) outcome: &'static str,
    pub(crate) grant: Granted,
}

/// Whose grant it was, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) subject: String,
    pub(crate) client_id: String,
    pub(crate) client_name: Option<String>,
    pub(crate) scope: String,
}

/// The value of `error`.
///
/// RFC 6749 §4.1.2.1 and §5.2, RFC 7591 §3.2.2, RFC 8707 §2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ErrorCode {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    InvalidTarget,
    InvalidRedirectUri,
    InvalidClientMetadata,
    UnsupportedGrantType,
    UnsupportedResponseType,
    AccessDenied,
    SlowDown,
    ServerError,
    TemporarilyUnavailable,
}

impl ErrorCode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::AccessDenied => "access_denied",
            // No specification has a word for it here: the status says what it is.
            Self::SlowDown => "temporarily_unavailable",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    /// The status where the error is the answer, and no redirect.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::AccessDenied => StatusCode::FORBIDDEN,
            Self::SlowDown => StatusCode::TOO_MANY_REQUESTS,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::InvalidRequest
            | Self::InvalidGrant
            | Self::InvalidTarget
            | Self::InvalidRedirectUri
            | Self::InvalidClientMetadata
            | Self::UnsupportedGrantType
            | Self::UnsupportedResponseType => StatusCode::BAD_REQUEST,
        }
    }
}

impl OAuthError {
    pub(crate) fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: description.into(), cause: None, incident: None }
    }

    /// Says for the log what the client is not told.
    pub(crate) fn because(mut self, cause: impl Into<Cow<'static, str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Says for the audit trail what happened to a grant.
    pub(crate) fn after(mut self, outcome: &'static str, grant: Granted) -> Self {
        self.incident = Some(Box::new(Incident { outcome, grant }));
        self
    }

    /// The error as the answer to a program (RFC 6749 §5.2). It has neither null nor empty members.
    pub(crate) fn into_response(self) -> Response<Vec<u8>> {
        let body = json!({"error": self.code.as_str(), "error_description": self.description});
        json_response(self.code.status(), &body)
    }
}

/// JSON that nobody keeps (RFC 6749 §5.1).
pub(crate) fn json_response(status: StatusCode, body: &serde_json::Value) -> Response<Vec<u8>> {
    let mut response = Response::new(body.to_string().into_bytes());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
