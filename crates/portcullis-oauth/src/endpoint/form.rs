//! The body of a request of a program.

use http::header::CONTENT_TYPE;
use portcullis_auth::EndpointRequest;

use crate::error::{ErrorCode, OAuthError};
use crate::parameters::Parameters;

/// Reads a form. Parameters in the query are not read: they would be in every log (RFC 6749 §3.2).
///
/// # Errors
///
/// `invalid_request` for another media type, and for a parameter that is repeated.
pub(super) fn read_form(request: &EndpointRequest) -> Result<Parameters, OAuthError> {
    let mut values = request.head.headers.get_all(CONTENT_TYPE).iter();
    let one = values.next().filter(|_| values.next().is_none());
    // A charset may stand behind it (rule 22).
    let media_type =
        one.and_then(|value| value.to_str().ok()).and_then(|text| text.split(';').next());
    let is_form = media_type.is_some_and(|media_type| {
        media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    match is_form {
        true => Parameters::parse(&request.body),
        false => Err(OAuthError::new(
            ErrorCode::InvalidRequest,
            "the body has to be application/x-www-form-urlencoded",
        )),
    }
}
