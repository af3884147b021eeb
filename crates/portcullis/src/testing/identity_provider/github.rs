//! The same users as GitHub has them, under the addresses of a GitHub Enterprise Server: an OAuth app,
//! whose tokens have no end, and an API that says who a token is for.
//!
//! As the "GitHub Docs" say of OAuth apps, of REST's users, emails, organization members and OAuth
//! authorizations: errors of the token endpoint have status 200, scopes are separated by commas, and
//! no answer names an issuer.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get, post};
use serde_json::{Map, Value, json};

use super::request::{Parameters, answer, basic_client, is_client};
use super::sign_in::{redirected, redirection};
use super::{State, TestUser};

pub(super) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/login/oauth/authorize", get(authorize))
        .route("/login/oauth/access_token", post(token))
        .route("/api/v3/user", get(user))
        .route("/api/v3/user/emails", get(emails))
        .route("/api/v3/user/memberships/orgs/{organization}", get(membership))
        .route("/api/v3/applications/{client_id}/token", delete(revoke))
}

async fn authorize(Shared(state): Shared<Arc<State>>, uri: Uri) -> Response {
    let query = Parameters::read(uri.query().unwrap_or_default().as_bytes());
    let Some(to) = redirection(&query) else { return StatusCode::NOT_FOUND.into_response() };
    redirected(to, &state.code(&query), &query, None)
}

async fn token(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Parameters::read(&body);
    if !is_client(&state, &headers, &form) {
        return answer(json!({"error": "incorrect_client_credentials"}));
    }
    match state.redeem_for_good(&form) {
        Ok((access_token, scope)) => answer(json!({
            "access_token": access_token, "token_type": "bearer", "scope": scope.replace(' ', ","),
        })),
        Err(_) => answer(json!({"error": "bad_verification_code"})),
    }
}

async fn user(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    let Some((user, _)) = asking(&state, &headers) else { return bad_credentials() };
    // An account's number, where the test gave it one.
    let id = user.subject.parse::<u64>().map_or_else(|_| json!(user.subject), |id| json!(id));
    let mut members = Map::from_iter([("id".to_owned(), id), ("type".to_owned(), json!("User"))]);
    for name in ["login", "name"] {
        members.insert(name.to_owned(), user.claims.get(name).cloned().unwrap_or_default());
    }
    Json(Value::Object(members)).into_response()
}

async fn emails(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    let Some((user, scope)) = asking(&state, &headers) else { return bad_credentials() };
    if !scope.split(' ').any(|scope| scope == "user:email" || scope == "user") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let verified = user.claims.get("email_verified") == Some(&json!(true));
    let of = |email: &Value| json!({"email": email, "primary": true, "verified": verified});
    Json(Value::from_iter(user.claims.get("email").map(of))).into_response()
}

/// The organizations of a user are their claim `organizations`.
async fn membership(
    Shared(state): Shared<Arc<State>>,
    Path(organization): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some((user, scope)) = asking(&state, &headers) else { return bad_credentials() };
    let all = user.claims.get("organizations").and_then(Value::as_array);
    let is_member = all.is_some_and(|all| all.iter().any(|own| *own == organization.as_str()));
    match is_member && scope.split(' ').any(|scope| scope == "read:org") {
        true => Json(json!({"state": "active", "organization": {"login": organization}}))
            .into_response(),
        false => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn revoke(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    if !basic_client(&state, &headers) {
        return bad_credentials();
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let token = body.get("access_token").and_then(Value::as_str).unwrap_or_default();
    state.issued().end(|sign_in| sign_in.access_token == token);
    StatusCode::NO_CONTENT.into_response()
}

/// Whose token it is, and its scopes. GitHub takes both schemes, in any letter case.
fn asking(state: &State, headers: &HeaderMap) -> Option<(TestUser, String)> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let known = ["bearer", "token"].iter().any(|own| scheme.eq_ignore_ascii_case(own));
    known.then(|| state.user_of(token)).flatten()
}

fn bad_credentials() -> Response {
    (StatusCode::UNAUTHORIZED, Json(json!({"message": "Bad credentials"}))).into_response()
}
