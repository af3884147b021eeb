//! `POST /register` (RFC 7591 §3).

use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use portcullis_auth::{EndpointRequest, short_client_id};
use portcullis_guard::text::quoted;
use serde_json::{Value, json};

use crate::client::ClientMetadata;
use crate::endpoint::authorize::scopes;
use crate::endpoint::noted::{self, Outcome};
use crate::error::{ErrorCode, OAuthError, json_response};
use crate::media_type;
use crate::server::AuthorizationServer;

/// Registers a client.
///
/// What it decides, in this order:
///
/// 1. The body is `application/json`, which no form of a page can be.
/// 2. The metadata is such that the client can sign a user in ([`ClientMetadata`]).
/// 3. No address registers more often than 120 times a minute.
///
/// Anybody may register, since no client gets anything by it: a user decides, and sees where the
/// answer goes. Every client is public, whatever it asks for: one secret would be in many hands.
///
/// **Deployment caveat.** Behind a proxy all clients come from one address.
pub(crate) fn register(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Response<Vec<u8>> {
    answer(server, request).unwrap_or_else(|error| {
        noted::refused(&request.notes, server, &error);
        let (cause, slow_down) = (error.cause.as_deref(), error.code == ErrorCode::SlowDown);
        let cause = cause.unwrap_or(&error.description);
        // Anybody can cause it.
        if let Some(dropped) = server.clients.throttle.pass() {
            let (error, cause) = (error.code.as_str(), quoted(cause));
            tracing::info!(error, cause, dropped, "client not registered");
        }
        let mut response = error.into_response();
        if slow_down {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    })
}

fn answer(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Result<Response<Vec<u8>>, OAuthError> {
    server.clients.check_registration()?;
    if media_type::of(&request.head.headers).as_deref() != Some("application/json") {
        let text = "the Content-Type has to be application/json";
        return Err(OAuthError::new(ErrorCode::InvalidClientMetadata, text));
    }
    let metadata = ClientMetadata::parse(&request.body)?;
    let registration = server.clients.register(&metadata, request.remote)?;
    let name = quoted(metadata.name.as_deref().unwrap_or_default());
    request.notes.note(|record| {
        record.client_id = Some(registration.client_id.clone());
        record.client_name.clone_from(&metadata.name);
    });
    noted::happened(&request.notes, Outcome::ClientRegistered);
    if let Some(dropped) = server.clients.throttle.pass() {
        let client_id = &*short_client_id(&registration.client_id);
        tracing::info!(client = name, client_id, dropped, "client registered");
    }
    let scope = scopes(&server.scopes, metadata.scope.as_deref()).to_string();
    let uris: Vec<_> = metadata.redirect_uris.iter().map(|uri| uri.as_str()).collect();
    // What was registered, which is not all that was asked for (RFC 7591 §3.2.1): neither null nor
    // empty members, at which clients stop.
    let mut body = metadata.echoed;
    body.extend(
        [
            ("client_id", json!(registration.client_id)),
            ("client_id_issued_at", json!(registration.issued_at)),
            ("redirect_uris", json!(uris)),
            ("grant_types", json!(["authorization_code", "refresh_token"])),
            ("response_types", json!(["code"])),
            ("token_endpoint_auth_method", json!("none")),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    if let Some(name) = metadata.name {
        body.insert("client_name".to_owned(), name.into());
    }
    if !scope.is_empty() {
        body.insert("scope".to_owned(), scope.into());
    }
    Ok(json_response(StatusCode::CREATED, &Value::Object(body)))
}
