//! What clients are told of the server before they sign in (RFC 8414).

use http::{Response, StatusCode};
use portcullis_auth::Algorithm;
use serde_json::json;

use crate::error::json_response;
use crate::server::AuthorizationServer;

/// Where clients look, for an issuer without a path: first at the first (RFC 8414 §3.1). Some know
/// the second alone (OpenID Connect Discovery §4); it gives the same document, and no ID tokens. A path
/// of the issuer goes behind each (RFC 8414 §3.1), or before the second (OpenID Connect Discovery §4).
pub(crate) const PATHS: [&str; 2] =
    ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

/// Whether the document is at `path`, from which a prefix of the public URL is taken away.
pub(super) fn is_at(server: &AuthorizationServer, path: &str) -> bool {
    let known = PATHS.iter().filter_map(|known| path.strip_prefix(known)).next();
    known.is_some_and(|rest| rest.is_empty() || rest == server.prefix)
}

/// The metadata document (RFC 8414 §2). It has neither null nor empty members, and no relative
/// addresses: each of these ends a sign-in with some clients.
pub(crate) fn metadata(server: &AuthorizationServer) -> Response<Vec<u8>> {
    let issuer = &server.issuer;
    let methods = server.clients.authentication_methods();
    let mut document = json!({
        // The bytes are compared (RFC 8414 §3.3, RFC 9207 §2.4).
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    let mut members = Vec::new();
    if server.clients.may_register() {
        members.push(("registration_endpoint", json!(format!("{issuer}/register"))));
    }
    if server.clients.take_documents() {
        members.push(("client_id_metadata_document_supported", json!(true)));
    }
    if methods.contains(&"private_key_jwt") {
        let algorithms = Algorithm::ALL.iter().filter(|algorithm| !algorithm.is_symmetric());
        let algorithms: Vec<_> = algorithms.map(|algorithm| algorithm.as_str()).collect();
        members.push(("token_endpoint_auth_signing_alg_values_supported", json!(algorithms)));
        members.push(("revocation_endpoint_auth_signing_alg_values_supported", json!(algorithms)));
    }
    if !server.scopes.is_empty() {
        let scopes: Vec<_> = server.scopes.iter().collect();
        members.push(("scopes_supported", json!(scopes)));
    }
    if let Some(document) = document.as_object_mut() {
        document.extend(members.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    json_response(StatusCode::OK, &document)
}
