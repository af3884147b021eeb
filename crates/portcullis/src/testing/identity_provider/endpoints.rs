//! What the identity provider answers over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::HeaderMap;
use axum::response::{Json, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::request::{Parameters, answer, is_client, refused};
use super::{State, github, sign_in};

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/jwks", get(keys))
        .route("/introspect", post(introspect))
        .merge(sign_in::router())
        .merge(github::router())
        .with_state(state)
}

/// RFC 8414 §2, OpenID Connect Discovery §3.
async fn metadata(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let issuer = &state.issuer;
    let mut members = super::token::members(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/jwks"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }));
    members.extend(sign_in::metadata(issuer));
    Json(Value::Object(members))
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
    let form = Parameters::read(&body);
    if !is_client(&state, &headers, &form) {
        return refused("invalid_client");
    }
    let Some(token) = form.value("token") else { return refused("invalid_request") };
    let now = state.now();
    let claims = state.issued().tokens.get(token).cloned();
    let begun = |claim: &Value| claim.as_u64().is_some_and(|at| at <= now);
    let claims = claims.filter(|claims| {
        claims.get("exp").and_then(Value::as_u64).is_some_and(|end| now < end)
            && claims.get("nbf").is_none_or(begun)
    });
    answer(claims.map_or_else(
        || json!({"active": false}),
        |mut claims| {
            claims.insert("active".to_owned(), json!(true));
            claims.insert("token_type".to_owned(), json!("Bearer"));
            Value::Object(claims)
        },
    ))
}
