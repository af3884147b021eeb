//! `POST /token`: codes and refresh tokens become access tokens (RFC 6749 §3.2).

use http::{Response, StatusCode};
use portcullis_auth::EndpointRequest;

use super::client_authentication::{authenticate, refused};
use super::form::read_form;
use super::noted::{self, Outcome};
use crate::error::{ErrorCode, OAuthError, json_response};
use crate::grant::{CodeRedemption, Refresh, TokenResponse};
use crate::server::AuthorizationServer;

/// What it decides, in this order:
///
/// 1. The body is a form without a repeated parameter: else `invalid_request`.
/// 2. The client is one that this server knows, and proves it where it can: else `invalid_client`.
/// 3. `grant_type` is `authorization_code` or `refresh_token`: else `unsupported_grant_type`.
/// 4. The code or the refresh token is good, and this client's ([`Grants`](crate::grant::Grants)).
pub(crate) async fn token(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Response<Vec<u8>> {
    match answer(server, request).await {
        Ok(response) => json_response(StatusCode::OK, &response.to_json()),
        Err(error) => {
            noted::refused(&request.notes, server, &error);
            refused(server, &request.head.headers, error)
        }
    }
}

async fn answer(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Result<TokenResponse, OAuthError> {
    let form = read_form(request)?;
    let client_id = authenticate(server, request, &form).await?;
    let resource = form.value("resource");
    let (tokens, outcome) = match form.required("grant_type")? {
        "authorization_code" => {
            let shown = CodeRedemption {
                code: form.required("code")?,
                // Without one the code is used up, as with a wrong one.
                code_verifier: form.value("code_verifier").unwrap_or_default(),
                client_id: &client_id,
                redirect_uri: form.value("redirect_uri"),
                resource,
            };
            (server.grants.redeem(&shown).await?, Outcome::CodeRedeemed)
        }
        "refresh_token" => {
            let shown = Refresh {
                refresh_token: form.required("refresh_token")?,
                client_id: &client_id,
                scope: form.value("scope"),
                resource,
            };
            (server.grants.refresh(&shown).await?, Outcome::TokenRefreshed)
        }
        _ => {
            let description = "grant_type is authorization_code or refresh_token";
            return Err(OAuthError::new(ErrorCode::UnsupportedGrantType, description));
        }
    };
    noted::about_grant(&request.notes, server, &tokens.grant);
    noted::about_scopes(&request.notes, &tokens.scopes);
    noted::happened(&request.notes, outcome);
    Ok(tokens)
}
