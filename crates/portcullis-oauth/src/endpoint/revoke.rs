//! `POST /revoke`: a client gives back what a user allowed (RFC 7009).

use http::Response;
use http::header::{CACHE_CONTROL, HeaderValue};
use portcullis_auth::EndpointRequest;

use super::client_authentication::{authenticate, refused};
use super::form::read_form;
use super::noted::{self, Outcome};
use crate::error::OAuthError;
use crate::server::AuthorizationServer;

/// Revokes the grant of a refresh or access token. The answer to a token that is not known, or of
/// another client, is that of success: there is nothing left to revoke (RFC 7009 §2.2).
pub(crate) async fn revoke(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Response<Vec<u8>> {
    match answer(server, request).await {
        Ok(()) => {
            let mut response = Response::new(Vec::new());
            let no_store = HeaderValue::from_static("no-store");
            response.headers_mut().insert(CACHE_CONTROL, no_store);
            response
        }
        Err(error) => {
            noted::refused(&request.notes, server, &error);
            refused(server, &request.head.headers, error)
        }
    }
}

async fn answer(server: &AuthorizationServer, request: &EndpointRequest) -> Result<(), OAuthError> {
    let form = read_form(request)?;
    let client_id = authenticate(server, request, &form).await?;
    let ended = server.grants.revoke(form.required("token")?, &client_id).await?;
    if let Some(ended) = ended {
        noted::about_grant(&request.notes, server, &ended);
        noted::happened(&request.notes, Outcome::GrantRevoked);
    }
    Ok(())
}
