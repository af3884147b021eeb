//! The body of a request of a program.

use portcullis_auth::EndpointRequest;

use crate::error::{ErrorCode, OAuthError};
use crate::media_type;
use crate::parameters::Parameters;

/// Reads a form. Parameters in the query are not read: they would be in every log (RFC 6749 §3.2).
///
/// # Errors
///
/// `invalid_request` for another media type, and for a parameter that is repeated.
pub(super) fn read_form(request: &EndpointRequest) -> Result<Parameters, OAuthError> {
    let media_type = media_type::of(&request.head.headers);
    let is_form = media_type.as_deref() == Some("application/x-www-form-urlencoded");
    match is_form {
        true => Parameters::parse(&request.body),
        false => Err(OAuthError::new(
            ErrorCode::InvalidRequest,
            "the body has to be application/x-www-form-urlencoded",
        )),
    }
}
