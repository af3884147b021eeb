//! What a token endpoint answers (RFC 6749 §5).

use portcullis_auth::Scopes;
use portcullis_guard::Fetched;
use portcullis_guard::json::{self, Bounds};
use portcullis_guard::redaction::REDACTED;
use portcullis_guard::text::quoted;
use serde_json::{Map, Value};

use super::UpstreamError;

const BOUNDS: Bounds = Bounds { values: 1_024, depth: 16 };
/// The longest token that is taken, in bytes.
const MAX_TOKEN: usize = 16 * 1024;
/// The longest lifetime that is taken, in seconds: that of a grant of this server.
const MAX_LIFETIME: u64 = 90 * 24 * 60 * 60;

/// Tokens, as they came.
pub(super) struct TokenResponse {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    /// In seconds, of at most 90 days.
    pub(super) expires_in: Option<u64>,
    pub(super) scope: Option<String>,
    pub(super) token_type: Option<String>,
    pub(super) id_token: Option<String>,
}

/// What was asked of the token endpoint: the same refusal means something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Code,
    Refresh,
}

impl TokenResponse {
    /// Reads an answer by its content: providers label it in many ways. What was `sent` is a secret, also
    /// where the answer repeats it.
    ///
    /// # Errors
    ///
    /// As [`refusal`] says, and for tokens that cannot be used.
    pub(super) fn read(
        fetched: &Fetched,
        asked: Asked,
        sent: &[String],
    ) -> Result<Self, UpstreamError> {
        let text = str::from_utf8(&fetched.body).ok();
        let object = text.and_then(|text| json::read_object(text, BOUNDS).ok());
        let object = match object {
            // Some answer 200 to what they refuse.
            Some(object) if fetched.status == 200 && !object.contains_key("error") => object,
            object => return Err(refusal(fetched, &object.unwrap_or_default(), asked, sent)),
        };
        let unusable =
            |why: &str| UpstreamError::Misconfigured(format!("the token endpoint's answer: {why}"));
        let access_token = token(&object, "access_token").map_err(unusable)?;
        let token_type = text_of(&object, "token_type").map_err(unusable)?;
        if let Some(other) = token_type.as_deref().filter(|typ| !typ.eq_ignore_ascii_case("bearer"))
        {
            return Err(unusable(&format!("the tokens have the type {}", quoted(other))));
        }
        Ok(Self {
            access_token: access_token.ok_or_else(|| unusable("there is no access_token"))?,
            refresh_token: token(&object, "refresh_token").map_err(unusable)?,
            expires_in: lifetime(&object).map_err(unusable)?,
            scope: text_of(&object, "scope").map_err(unusable)?,
            token_type,
            id_token: token(&object, "id_token").map_err(unusable)?,
        })
    }
}

/// The scopes of a `scope`; at some providers they have commas between.
pub(super) fn scopes_of(text: &str) -> Scopes {
    text.split([' ', ',']).filter(|scope| !scope.is_empty()).collect()
}

/// `text` without what was sent. Whoever chose a code of few bytes has no secret in it.
fn without(text: &str, sent: &[String]) -> String {
    let secrets = sent.iter().filter(|secret| secret.len() >= 8);
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED))
}

/// What a refusal means: for the user, who signs in again, or for the operator.
///
/// | what comes | what it means |
/// |---|---|
/// | 429, 408, 5xx, `temporarily_unavailable`, `server_error` | later |
/// | `invalid_client`, `unauthorized_client`, or words about the client | the client credentials |
/// | `invalid_grant`, whatever the status | sign in again |
/// | 401 or 403 otherwise | perhaps the client credentials |
/// | 400 to a refresh, even without a body | sign in again |
/// | anything else | the operator finds out |
fn refusal(
    fetched: &Fetched,
    answer: &Map<String, Value>,
    asked: Asked,
    sent: &[String],
) -> UpstreamError {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let (status, error, description) = (fetched.status, text("error"), text("error_description"));
    let said = match (error, fetched.body.is_empty()) {
        ("", true) => format!("the token endpoint answers {status}, without a body"),
        ("", false) => {
            let label = fetched.content_type.as_deref().map_or("no type".to_owned(), quoted);
            format!("the token endpoint answers {status}, {label}, without `error`")
        }
        _ => format!(
            "the token endpoint answers {status}, {}: {}",
            quoted(&without(error, sent)),
            quoted(&without(description, sent))
        ),
    };
    let credentials = || {
        UpstreamError::Misconfigured(format!(
            "{said}; the client id or secret may be wrong, or sent in another way than the provider \
             wants (TokenEndpointAuth)"
        ))
    };
    let of_client = description.to_ascii_lowercase().contains("client");
    match (status, error) {
        (408 | 429 | 500.., _) | (_, "temporarily_unavailable" | "server_error" | "slow_down") => {
            UpstreamError::Unavailable(said)
        }
        (_, "invalid_client" | "unauthorized_client" | "incorrect_client_credentials") => {
            credentials()
        }
        (_, "invalid_grant") if of_client => credentials(),
        // Others have words of their own for a code or token that is not good.
        (_, "invalid_grant" | "invalid_code" | "bad_verification_code" | "bad_refresh_token") => {
            UpstreamError::Refused(said)
        }
        (401 | 403, _) => credentials(),
        (400, "" | "invalid_request") if asked == Asked::Refresh => UpstreamError::Refused(said),
        _ => UpstreamError::Misconfigured(said),
    }
}

fn text_of(answer: &Map<String, Value>, name: &str) -> Result<Option<String>, &'static str> {
    match answer.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= MAX_TOKEN => Ok(Some(text.clone())),
        Some(_) => Err("a member is no text, or too long"),
    }
}

/// A token, which may be sent in a header and in a form (RFC 6749 appendix A.12).
fn token(answer: &Map<String, Value>, name: &str) -> Result<Option<String>, &'static str> {
    let token = text_of(answer, name)?.filter(|token| !token.is_empty());
    let visible = |token: &String| token.bytes().all(|b| (0x20..0x7f).contains(&b));
    match token {
        Some(token) if !visible(&token) => Err("a token has other characters than visible ASCII"),
        token => Ok(token),
    }
}

/// `expires_in`, which some write as a text.
fn lifetime(answer: &Map<String, Value>) -> Result<Option<u64>, &'static str> {
    let seconds = match answer.get("expires_in") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_u64().or_else(|| {
            let whole = number.as_f64().filter(|seconds| *seconds >= 0.0)?;
            Some(whole as u64)
        }),
        Some(Value::String(text)) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        Some(_) => None,
    };
    let seconds = seconds.ok_or("expires_in is not a number of seconds")?;
    Ok(Some(seconds.min(MAX_LIFETIME)))
}
