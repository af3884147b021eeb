//! What a client of the identity provider sends, and how an answer is written.

use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::State;

/// The client that the provider knows.
pub(super) const CLIENT_ID: &str = "test-resource-server";

/// A query or a form.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn read(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The value of `name`; nothing where it is left out or empty.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(own, _)| own == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Whether the request is the known client's, by `client_secret_basic` or `client_secret_post`.
pub(super) fn is_client(state: &State, headers: &HeaderMap, form: &Parameters) -> bool {
    let posted = form.value("client_id").zip(form.value("client_secret"));
    let posted = posted.map(|(id, secret)| (id.to_owned(), secret.to_owned()));
    is_known(state, basic(headers).or(posted))
}

/// Whether it is, by `client_secret_basic` alone.
pub(super) fn basic_client(state: &State, headers: &HeaderMap) -> bool {
    is_known(state, basic(headers))
}

fn is_known(state: &State, shown: Option<(String, String)>) -> bool {
    shown.is_some_and(|(id, secret)| id == CLIENT_ID && state.client_secret.matches(secret))
}

/// The client's credentials, each form-encoded (RFC 6749 §2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |text: &str| {
        form_urlencoded::parse(text.as_bytes()).next().map(|(decoded, _)| decoded.into_owned())
    };
    Some((decode(id)?, decode(secret)?))
}

/// The access token of a request (RFC 6750 §2.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// JSON that nobody keeps (RFC 6749 §5.1).
pub(super) fn answer(body: Value) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// RFC 6749 §5.2.
pub(super) fn refused(error: &str) -> Response {
    let status = match error {
        "invalid_client" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut response = (status, answer(json!({"error": error}))).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    }
    response
}
