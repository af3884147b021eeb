//! Which client sends a request to the token or revocation endpoint (RFC 6749 §2.3, §3.2.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Response};
use portcullis_guard::text::quoted;

use crate::error::{ErrorCode, OAuthError};
use crate::parameters::Parameters;

/// The id of the client, from the body, or from the user name of Basic credentials.
///
/// Clients here are public (RFC 6749 §2.1): they have no secret, and what stands in the place of one
/// proves nothing. Some send Basic credentials all the same (rule 22).
///
/// # Errors
///
/// `invalid_client` where it is in neither, or they differ.
pub(super) fn client_id(headers: &HeaderMap, form: &Parameters) -> Result<String, OAuthError> {
    let refused =
        |description: &'static str| Err(OAuthError::new(ErrorCode::InvalidClient, description));
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let named = match (values.next(), values.next()) {
        (_, Some(_)) => return refused("there is more than one Authorization header"),
        (Some(value), None) => {
            let Some(name) = value.to_str().ok().and_then(user_name) else {
                return refused("the Authorization header has no Basic credentials of a client");
            };
            Some(name)
        }
        (None, None) => None,
    };
    match (named, form.value("client_id")) {
        (None, Some(id)) => Ok(id.to_owned()),
        (Some(name), None) => Ok(name),
        (Some(name), Some(id)) if name == id => Ok(name),
        (Some(_), Some(_)) => refused("client_id differs from the Basic credentials"),
        (None, None) => refused("client_id is missing"),
    }
}

/// The answer to a request that is refused. A client that sent credentials in a header is told
/// which ones are meant (RFC 6749 §5.2).
pub(super) fn refused(headers: &HeaderMap, error: OAuthError) -> Response<Vec<u8>> {
    let cause = quoted(error.cause.as_deref().unwrap_or(&error.description));
    tracing::info!(error = error.code.as_str(), cause, "refused by the token endpoint");
    let challenged = error.code == ErrorCode::InvalidClient && headers.contains_key(AUTHORIZATION);
    let mut response = error.into_response();
    if challenged {
        let basic = HeaderValue::from_static("Basic realm=\"token\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, basic);
    }
    response
}

/// The user name of Basic credentials (RFC 7617 §2), which may be encoded as in a form (RFC 6749
/// §2.3.1). The ids of clients have no character that any of the spellings would change.
fn user_name(header: &str) -> Option<String> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (name, _) = text.split_once(':')?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[&str], body: &str) -> Result<String, ErrorCode> {
        let headers =
            headers.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap()));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| {
            map.append(name, value);
        });
        let form = Parameters::parse(body.as_bytes()).unwrap();
        client_id(&map, &form).map_err(|error| error.code)
    }

    #[test]
    fn rule_22_the_client_is_named_in_the_body_or_by_basic_credentials_which_agree() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(of(&[], "client_id=a").as_deref(), Ok("a"));
        for credentials in ["a:", "a:secret", "a:with:colons"] {
            assert_eq!(of(&[&basic(credentials)], "").as_deref(), Ok("a"), "{credentials}");
            assert_eq!(of(&[&basic(credentials)], "client_id=a").as_deref(), Ok("a"));
        }
        let refused = Err(ErrorCode::InvalidClient);
        assert_eq!(of(&[], ""), refused);
        assert_eq!(of(&[&basic("a:")], "client_id=b"), refused);
        assert_eq!(of(&[&basic("a:"), &basic("a:")], ""), refused);
        for header in ["Bearer a", "Basic", "Basic !", &basic("a"), &basic(":x")] {
            assert_eq!(of(&[header], "client_id=a"), refused, "{header}");
        }
    }
}
