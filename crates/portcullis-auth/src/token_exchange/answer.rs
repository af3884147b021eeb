//! What a token endpoint answers to an exchange (RFC 8693 §2.2).

use std::time::Duration;

use portcullis_guard::json::{self, Bounds};
use portcullis_guard::text::quoted;
use portcullis_guard::{Fetched, Secret};
use serde_json::{Map, Value};

use super::{ACCESS_TOKEN, TokenExchangeError};
use crate::{MAX_TOKEN_BYTES, Scopes};

const BOUNDS: Bounds = Bounds { values: 1_024, depth: 16 };
/// Error codes that are repeated in the log (RFC 6749 §5.2, RFC 8693 §2.2.2). Any other text of an
/// answer may hold a token.
const ERRORS: [&str; 11] = [
    "access_denied",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_token_type",
];

/// A token, as it came.
pub(super) struct Answered {
    pub(super) token: Secret<String>,
    pub(super) scopes: Scopes,
    pub(super) lifetime: Option<Duration>,
}

/// Reads the answer to a question for `asked`.
///
/// # Errors
///
/// When it is a refusal, and when the token is of another type or for more than was asked for.
pub(super) fn read(fetched: &Fetched, asked: &Scopes) -> Result<Answered, TokenExchangeError> {
    let text = str::from_utf8(&fetched.body).ok();
    let object = text.and_then(|text| json::read_object(text, BOUNDS).ok());
    let object = match object {
        Some(object) if fetched.status == 200 && !object.contains_key("error") => object,
        object => return Err(refusal(fetched.status, &object.unwrap_or_default())),
    };
    let unusable = |why: String| Err(TokenExchangeError::unusable(why));
    // What was asked for is an access token, and no other type is one.
    match text_of(&object, "issued_token_type")? {
        Some(ACCESS_TOKEN) => {}
        Some(other) => return unusable(format!("the issued token has the type {}", quoted(other))),
        None => return unusable("the answer has no issued_token_type".to_owned()),
    }
    match text_of(&object, "token_type")? {
        Some(bearer) if bearer.eq_ignore_ascii_case("bearer") => {}
        Some(other) => return unusable(format!("the token is used as {}", quoted(other))),
        None => return unusable("the answer has no token_type".to_owned()),
    }
    let token = text_of(&object, "access_token")?.filter(|token| is_sendable(token));
    let Some(token) = token else {
        return unusable("there is no access_token that a header can hold".to_owned());
    };
    Ok(Answered {
        token: Secret::new(token.to_owned()),
        scopes: scopes(&object, asked)?,
        lifetime: lifetime(&object)?,
    })
}

/// Left out, they are those that were asked for (RFC 8693 §2.2.1).
fn scopes(answer: &Map<String, Value>, asked: &Scopes) -> Result<Scopes, TokenExchangeError> {
    let Some(text) = text_of(answer, "scope")? else { return Ok(asked.clone()) };
    let granted: Scopes = text.split(' ').filter(|scope| !scope.is_empty()).collect();
    let is_wider = granted.iter().any(|scope| !asked.contains(scope));
    match is_wider && !asked.is_empty() {
        true => Err(TokenExchangeError::unusable("the token has scopes that were not asked for")),
        false => Ok(granted),
    }
}

fn lifetime(answer: &Map<String, Value>) -> Result<Option<Duration>, TokenExchangeError> {
    match answer.get("expires_in") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(seconds)) if seconds.as_u64().is_some_and(|seconds| seconds > 0) => {
            Ok(seconds.as_u64().map(Duration::from_secs))
        }
        Some(_) => Err(TokenExchangeError::unusable("expires_in is not a number of seconds")),
    }
}

fn text_of<'a>(
    answer: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, TokenExchangeError> {
    match answer.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenExchangeError::unusable(format!("{name} is no text"))),
    }
}

/// Whether it can be in a header (RFC 6749 appendix A.12).
fn is_sendable(token: &str) -> bool {
    let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
    visible && !token.is_empty() && token.len() <= MAX_TOKEN_BYTES
}

fn refusal(status: u16, answer: &Map<String, Value>) -> TokenExchangeError {
    let code = match answer.get("error") {
        Some(Value::String(code)) => ERRORS.into_iter().find(|known| known == code),
        _ => None,
    };
    let named = code.map(|code| format!(", {code}")).unwrap_or_default();
    let cause = format!("the token endpoint answers {status}{named}");
    match (status, code) {
        (408 | 429 | 500.., _) | (_, Some("server_error" | "temporarily_unavailable")) => {
            TokenExchangeError::unavailable(cause)
        }
        // The last is for a subject token that is not good (RFC 8693 §2.2.2).
        (
            400..,
            Some(
                "access_denied" | "invalid_grant" | "invalid_scope" | "invalid_target"
                | "invalid_request",
            ),
        ) => TokenExchangeError::refused(cause),
        _ => TokenExchangeError::unusable(cause),
    }
}
