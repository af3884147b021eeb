//! Errors of JSON-RPC: their codes, and the HTTP status of each.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use ::http::StatusCode;
use portcullis_auth::Scopes;
use portcullis_auth::challenge::insufficient_scope;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{ClientCapabilities, ProtocolVersion};

/// The longest part of a caller's own text that is repeated to them, in characters.
const MAX_ECHO_CHARS: usize = 256;

/// Why a request has no result: everything in it is meant for the caller.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RpcError {
    /// Not JSON (-32700).
    Parse,
    /// Not a request that this transport and version take (-32600).
    InvalidRequest(Cow<'static, str>),
    /// No such method in this version (-32601; HTTP 404).
    MethodNotFound,
    /// The parameters do not match the method (-32602; HTTP 400).
    InvalidParams(Cow<'static, str>),
    /// No such tool or prompt, for this caller (-32602).
    Unknown {
        /// What was looked for: `tool` or `prompt`.
        kind: &'static str,
        /// The name that the caller gave.
        name: String,
    },
    /// No such resource, for this caller (-32602; -32002 before 2026-07-28).
    ResourceNotFound {
        /// The URI that the caller gave.
        uri: String,
    },
    /// The arguments of a prompt or a resource template were refused (-32602).
    InvalidArguments(String),
    /// The operation failed; the text is the public one (-32603).
    Internal(Cow<'static, str>),
    /// Headers and body disagree (-32020).
    HeaderMismatch(Cow<'static, str>),
    /// The client did not declare a capability that the request needs (-32021; HTTP 400).
    MissingClientCapability(ClientCapabilities),
    /// A version that is not served here (-32022).
    UnsupportedVersion {
        /// What the caller asked for.
        requested: String,
        /// What is served, newest first.
        supported: &'static [ProtocolVersion],
    },
    /// The caller may not do this, and is told so in the words of an access check (403).
    Denied(Cow<'static, str>),
    /// The caller's token lacks some of these scopes, and a token with all of them would do
    /// (403; HTTP 403 with a challenge, where there is a token to speak of).
    InsufficientScope(Scopes),
    /// Too much in a time (429, with `Retry-After`; HTTP 429 in the stateless version, and 200
    /// in a session, which many clients take for ended by any other status).
    RateLimited {
        /// When the caller may try again, in whole seconds on the wire: rounded up, and at
        /// least one.
        retry_after: Duration,
    },
    /// Too much at once (503).
    Busy,
}

impl RpcError {
    /// A request that is not taken.
    #[cold]
    pub fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidRequest(message.into())
    }

    /// A version that is not served: with those that are, but for one that is served
    /// otherwise, which is not offered again.
    pub(crate) fn unsupported_version(
        requested: impl Into<String>,
        supported: &'static [ProtocolVersion],
    ) -> Self {
        let requested = requested.into();
        let supported = match ProtocolVersion::parse(&requested) {
            Some(version) if supported.contains(&version) => &ProtocolVersion::STATELESS,
            Some(_) | None => supported,
        };
        Self::UnsupportedVersion { requested, supported }
    }

    /// Parameters that do not match the method.
    #[cold]
    pub fn invalid_params(message: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidParams(message.into())
    }

    /// The JSON-RPC error code, in the newest version.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Parse => -32700,
            Self::InvalidRequest(_) => -32600,
            Self::MethodNotFound => -32601,
            Self::InvalidParams(_)
            | Self::Unknown { .. }
            | Self::ResourceNotFound { .. }
            | Self::InvalidArguments(_) => -32602,
            Self::Internal(_) => -32603,
            Self::HeaderMismatch(_) => -32020,
            Self::MissingClientCapability(_) => -32021,
            Self::UnsupportedVersion { .. } => -32022,
            Self::Denied(_) | Self::InsufficientScope(_) => 403,
            Self::RateLimited { .. } => 429,
            Self::Busy => 503,
        }
    }

    /// The HTTP status of what the transport refuses in a stateless version. What the
    /// operation answers has [`answer_status`](Self::answer_status).
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Parse
            | Self::InvalidRequest(_)
            | Self::InvalidParams(_)
            | Self::HeaderMismatch(_)
            | Self::MissingClientCapability(_)
            | Self::UnsupportedVersion { .. } => StatusCode::BAD_REQUEST,
            Self::MethodNotFound => StatusCode::NOT_FOUND,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unknown { .. }
            | Self::ResourceNotFound { .. }
            | Self::InvalidArguments(_)
            | Self::Internal(_)
            | Self::Denied(_)
            | Self::InsufficientScope(_)
            | Self::RateLimited { .. } => StatusCode::OK,
        }
    }

    /// The HTTP status of what the transport refuses in a version with sessions, where a 404
    /// means that the session has ended, and clients look for errors in a 200 only.
    pub(crate) fn status_in_session(&self) -> StatusCode {
        match self {
            Self::Parse | Self::InvalidRequest(_) | Self::UnsupportedVersion { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::Busy
            | Self::MethodNotFound
            | Self::InvalidParams(_)
            | Self::Unknown { .. }
            | Self::ResourceNotFound { .. }
            | Self::InvalidArguments(_)
            | Self::Internal(_)
            | Self::HeaderMismatch(_)
            | Self::MissingClientCapability(_)
            | Self::Denied(_)
            | Self::InsufficientScope(_)
            | Self::RateLimited { .. } => StatusCode::OK,
        }
    }

    /// The HTTP status of what the service answers: a 200, but for the errors that HTTP clients act
    /// upon. Without tokens, a client has no better one to send.
    ///
    /// In a session a rate limit is a 200, too: the SDKs for Python before 2.0 end the session
    /// at any other status, and their calls never return (MCP 2025-11-25 transports, §Sending
    /// Messages names error statuses for notifications and responses alone).
    pub(crate) fn answer_status(&self, version: ProtocolVersion, has_tokens: bool) -> StatusCode {
        match self {
            Self::InsufficientScope(_) if has_tokens => StatusCode::FORBIDDEN,
            Self::RateLimited { .. } if version.is_stateless() => StatusCode::TOO_MANY_REQUESTS,
            Self::HeaderMismatch(_) => StatusCode::BAD_REQUEST,
            Self::MissingClientCapability(_) if version.is_stateless() => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        }
    }

    /// The JSON-RPC error object as JSON, as the newest version words it.
    #[must_use]
    pub fn json(&self) -> Value {
        let ErrorObject { code, message, data } = self.object(None);
        let mut object = json!({ "code": code, "message": message });
        if let (Some(data), Some(object)) = (data, object.as_object_mut()) {
            object.insert("data".to_owned(), data);
        }
        object
    }

    /// The JSON-RPC error object, as `version` words it.
    pub(crate) fn object(&self, version: Option<ProtocolVersion>) -> ErrorObject {
        let before_stateless = version.is_some_and(|version| !version.is_stateless());
        let (code, data) = match self {
            Self::ResourceNotFound { uri } => {
                let code = if before_stateless { -32002 } else { self.code() };
                (code, Some(json!({ "uri": echo(uri) })))
            }
            Self::UnsupportedVersion { requested, supported } => {
                let supported: Vec<&str> = supported.iter().map(|v| v.as_str()).collect();
                let data = json!({ "supported": supported, "requested": echo(requested) });
                (self.code(), Some(data))
            }
            Self::MissingClientCapability(required) => {
                (self.code(), Some(json!({ "requiredCapabilities": required })))
            }
            Self::Parse
            | Self::InvalidRequest(_)
            | Self::MethodNotFound
            | Self::InvalidParams(_)
            | Self::Unknown { .. }
            | Self::InvalidArguments(_)
            | Self::Internal(_)
            | Self::HeaderMismatch(_)
            | Self::Denied(_)
            | Self::InsufficientScope(_)
            | Self::RateLimited { .. }
            | Self::Busy => (self.code(), None),
        };
        ErrorObject { code, message: self.to_string(), data }
    }
}

/// An error as JSON-RPC words it (JSON-RPC 2.0 §5.1).
#[derive(Debug, Serialize)]
pub(crate) struct ErrorObject {
    pub(crate) code: i32,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Value>,
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse => f.write_str("Parse error: the message is not JSON"),
            Self::InvalidRequest(message) => write!(f, "Invalid request: {message}"),
            Self::MethodNotFound => f.write_str("Method not found"),
            Self::InvalidParams(message) => write!(f, "Invalid params: {message}"),
            Self::Unknown { kind, name } => write!(f, "Unknown {kind}: {}", echo(name)),
            Self::ResourceNotFound { .. } => f.write_str("Resource not found"),
            Self::InvalidArguments(message) => f.write_str(message),
            Self::Internal(message) => f.write_str(message),
            Self::HeaderMismatch(message) => write!(f, "Header mismatch: {message}"),
            Self::MissingClientCapability(required) => {
                write!(f, "Missing required client capability: {required}")
            }
            Self::UnsupportedVersion { supported, .. } => {
                let served: Vec<&str> = supported.iter().map(|version| version.as_str()).collect();
                write!(
                    f,
                    "Unsupported protocol version: this server supports {}",
                    served.join(", ")
                )
            }
            Self::Denied(message) => f.write_str(message),
            Self::InsufficientScope(scopes) => f.write_str(&insufficient_scope(scopes)),
            Self::RateLimited { retry_after } => {
                // Few hosts show a header, and most show the text.
                let wait = whole_seconds(*retry_after);
                write!(f, "Too many requests in a short time: try again in {wait} s")
            }
            Self::Busy => f.write_str("Too many requests at once"),
        }
    }
}

impl std::error::Error for RpcError {}

/// What `Retry-After` can say: never a time at which it is too early still.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1)
}

/// A caller's own text, cut to what is worth repeating.
fn echo(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_ECHO_CHARS) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_not_found_has_the_code_of_its_version() {
        let error = RpcError::ResourceNotFound { uri: "x://y".into() };
        let code = |version| error.object(Some(version)).code;
        assert_eq!(code(ProtocolVersion::V2026_07_28), -32602);
        assert_eq!(code(ProtocolVersion::V2025_11_25), -32002);
    }

    #[test]
    fn a_missing_capability_is_named_as_the_schema_has_it() {
        let error = RpcError::MissingClientCapability(ClientCapabilities::SAMPLING);
        let object = error.object(Some(ProtocolVersion::V2026_07_28));
        assert_eq!(object.code, -32021);
        assert_eq!(object.data, Some(json!({"requiredCapabilities": {"sampling": {}}})));
        let status = |version| error.answer_status(version, true).as_u16();
        assert_eq!(status(ProtocolVersion::V2026_07_28), 400);
        assert_eq!(status(ProtocolVersion::V2025_11_25), 200);
    }

    #[test]
    fn what_is_repeated_is_cut() {
        let error = RpcError::Unknown { kind: "tool", name: "ä".repeat(100_000) };
        assert!(error.to_string().chars().count() < 300);
    }
}
