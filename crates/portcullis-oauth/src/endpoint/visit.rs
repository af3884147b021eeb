//! The way to the identity provider and back, for a user who wants to see their connections.

use std::net::IpAddr;
use std::sync::Arc;

use http::Response;
use http::header::SET_COOKIE;
use portcullis_auth::{EndpointRequest, Scopes};

use super::callback::{Expected, signed_in};
use super::connections::back;
use super::departure::leading_on;
use super::noted::{self, Outcome};
use super::redirection::Refused;
use crate::browser::{Browser, Problem, Session};
use crate::client::TooMany;
use crate::error::{ErrorCode, OAuthError};
use crate::grant::random_text;
use crate::parameters::Parameters;
use crate::record::visit::Visit;
use crate::server::AuthorizationServer;
use crate::upstream::{Upstream, UpstreamRequest};

/// Sends the browser to the provider, which is asked for what every sign-in asks for and for no scope
/// that a client would get.
pub(super) async fn depart(
    server: &AuthorizationServer,
    upstream: &Upstream,
    browser: &Browser,
    remote: Option<IpAddr>,
) -> Result<Response<Vec<u8>>, Refused> {
    server.departures.count(remote, server.clock.now()).map_err(|TooMany| {
        Refused::InPlace(Problem::TooMany, "too many sign-ins from one address".to_owned())
    })?;
    let url = begin(server, upstream, browser).await.map_err(told)?;
    Ok(leading_on(server, upstream, &url))
}

async fn begin(
    server: &AuthorizationServer,
    upstream: &Upstream,
    browser: &Browser,
) -> Result<String, OAuthError> {
    let visit = Visit {
        code_verifier: random_text::<32>()?,
        nonce: random_text::<16>()?,
        expires_at: server.grants.back_by(),
    };
    let leaving = server.grants.leaving(&visit, &browser.digest())?;
    let request = UpstreamRequest {
        state: leaving.state(),
        nonce: &visit.nonce,
        code_verifier: &visit.code_verifier,
        redirect_uri: &server.callback(),
        scopes: &Scopes::default(),
    };
    let url = upstream.authorization_url(&request).await?;
    server.grants.keep(&leaving, &visit).await?;
    Ok(url)
}

/// Signs in whoever comes back.
///
/// What it decides, in this order:
///
/// 1. `state` is that of a visit which began in this browser less than ten minutes ago (CSRF), and by
///    which nobody signed in. None is taken for a client's sign-in.
/// 2. As for a client: `iss`, errors of the provider, its code, and who may sign in.
pub(super) async fn come_back(
    server: &AuthorizationServer,
    request: &EndpointRequest,
    upstream: &Arc<Upstream>,
    parameters: &Parameters,
    (state, browser): (&str, &Browser),
) -> Result<Response<Vec<u8>>, Refused> {
    let visit: Visit = server.grants.returning(state, &browser.digest()).await.map_err(told)?;
    let _arrival = server.arriving.begin(&visit).ok_or_else(|| {
        Refused::InPlace(Problem::Stale, "the same state is being answered".to_owned())
    })?;
    server.grants.check_unused(&visit).await.map_err(told)?;
    let expected = Expected {
        nonce: visit.nonce.clone(),
        code_verifier: visit.code_verifier.clone(),
        scopes: Scopes::default(),
        remote: request.remote,
    };
    // Nobody needs the tokens that come with it: they are given back.
    let user = signed_in(server, upstream, parameters, expected).await.map_err(told)?;
    server.grants.use_up(&visit).await.map_err(told)?;
    noted::about_user(&request.notes, server, &user.subject);
    noted::happened(&request.notes, Outcome::ConnectionsOpened);
    tracing::info!("a user signed in to see their connections");
    let cookie = Session::begin(server, user.subject.clone()).set_cookie(server, browser);
    let cookie = cookie.ok_or_else(|| {
        Refused::InPlace(Problem::Unavailable, "the session cannot be sealed".to_owned())
    })?;
    let mut response = back(server);
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// There is no client to tell.
fn told(error: OAuthError) -> Refused {
    let problem = match error.code {
        ErrorCode::InvalidGrant => Problem::Stale,
        ErrorCode::AccessDenied => Problem::NotSignedIn,
        _ => Problem::Unavailable,
    };
    Refused::InPlace(problem, error.cause.unwrap_or(error.description).into_owned())
}
