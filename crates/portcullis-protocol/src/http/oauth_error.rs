//! Errors where no JSON-RPC is spoken, in the form that OAuth clients read (RFC 6749 §5.2).

use http::StatusCode;
use serde::Serialize;

use crate::answer::json_rpc::write;

/// The body of such an error.
pub(crate) fn body(error: &str, description: Option<&str>) -> Vec<u8> {
    #[derive(Serialize)]
    struct OAuthError<'a> {
        error: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_description: Option<&'a str>,
    }

    write(&OAuthError { error, error_description: description })
}

/// The name of an error outside of the endpoint: `not_found` for a 404.
pub(crate) fn name(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or("error");
    reason.to_ascii_lowercase().replace([' ', '-'], "_")
}
