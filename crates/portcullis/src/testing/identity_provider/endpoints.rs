//! What the identity provider answers over HTTP.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::State;

/// The client that may introspect tokens.
pub(super) const CLIENT_ID: &str = "test-resource-server";

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/jwks", get(keys))
        .route("/introspect", post(introspect))
        .with_state(state)
}

/// Who signs in elsewhere finds no endpoint for it (RFC 8414 §2).
async fn metadata(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let issuer = &state.issuer;
    Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/jwks"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "response_types_supported": [],
        "grant_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

async fn keys(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let keys: Vec<Value> = state.issued().keys.iter().filter_map(super::Key::jwk).collect();
    Json(json!({ "keys": keys }))
}

/// RFC 7662 §2.
async fn introspect(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form: Vec<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(&body).collect();
    let value = |name: &str| form.iter().find(|(own, _)| own == name).map(|(_, value)| &**value);
    let posted = value("client_id").zip(value("client_secret"));
    let posted = posted.map(|(id, secret)| (id.to_owned(), secret.to_owned()));
    let known = basic(&headers)
        .or(posted)
        .is_some_and(|(id, secret)| id == CLIENT_ID && state.client_secret.matches(secret));
    if !known {
        let error = Json(json!({"error": "invalid_client"}));
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic")], error).into_response();
    }
    let Some(token) = value("token") else {
        let error = Json(json!({"error": "invalid_request"}));
        return (StatusCode::BAD_REQUEST, error).into_response();
    };
    let now = state.now();
    let claims = state.issued().tokens.get(token).cloned();
    let begun = |claim: &Value| claim.as_u64().is_some_and(|at| at <= now);
    let claims = claims.filter(|claims| {
        claims.get("exp").and_then(Value::as_u64).is_some_and(|end| now < end)
            && claims.get("nbf").is_none_or(begun)
    });
    let answer = claims.map_or_else(
        || json!({"active": false}),
        |mut claims| {
            claims.insert("active".to_owned(), json!(true));
            claims.insert("token_type".to_owned(), json!("Bearer"));
            Value::Object(claims)
        },
    );
    Json(answer).into_response()
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
