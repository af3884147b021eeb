//! `GET /auth/callback`: a user comes back from the identity provider (RFC 6749 §4.1.2, as its client).

use std::net::IpAddr;
use std::sync::Arc;

use http::Response;
use http::header::SET_COOKIE;
use portcullis_auth::{EndpointRequest, Scopes};
use portcullis_guard::text::quoted;
use serde_json::{Map, Value};

use crate::browser::{Browser, Problem};
use crate::client::TooMany;
use crate::endpoint::consent::{Asked, form};
use crate::endpoint::noted::{self, Outcome};
use crate::endpoint::redirection::{Redirection, Refused};
use crate::endpoint::visit::come_back as come_back_to_connections;
use crate::error::{ErrorCode, OAuthError};
use crate::grant::{Approval, CodeChallenge, Fresh};
use crate::parameters::Parameters;
use crate::record::departed::Departed;
use crate::record::server_error;
use crate::record::transaction::Transaction;
use crate::record::visit::Visit;
use crate::server::AuthorizationServer;
use crate::upstream::{SignedIn, Upstream, UpstreamAnswer, UpstreamError};

/// Gives the client a code, once the provider says who its user is.
///
/// What it decides, in this order:
///
/// 1. Each parameter is there once at most.
/// 2. `state` is that of a sign-in which a user allowed less than ten minutes ago, and this browser is
///    the one in which they did: whoever sends somebody else here signs nobody in (CSRF). Nobody has
///    signed in by it.
/// 3. The client is still registered, and the redirect URI is still one of its own. Until then nothing
///    is redirected.
/// 4. `iss`, where it is there or has to be, is the provider (RFC 9207 §2.4, mix-up).
/// 5. An error of the provider is told to the client, by its code alone.
/// 6. No address comes back more often than 60 times a minute, and not twice with one `state` at once.
/// 7. The provider redeems the code, for this server's own verifier, and says who the user is. With
///    that the `state` is used up: nothing was stored until now.
/// 8. Where nobody was asked this time, the user is the one who allowed the client before. Another one
///    is asked.
/// 9. Neither has the user taken anything back since they allowed it, nor the operator all from the
///    client. Otherwise the user is asked again.
pub(crate) async fn callback(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Response<Vec<u8>> {
    come_back(server, request)
        .await
        .unwrap_or_else(|refused| refused.into_response(server, &request.notes))
}

async fn come_back(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Result<Response<Vec<u8>>, Refused> {
    let in_place = |problem, cause: &str| Refused::InPlace(problem, cause.to_owned());
    let upstream = server.users.upstream();
    let upstream = upstream.ok_or_else(|| in_place(Problem::Malformed, "there is no provider"))?;
    let malformed = |error: OAuthError| in_place(Problem::Malformed, &error.description);
    let query = request.head.uri.query().unwrap_or_default();
    let parameters = Parameters::parse(query.as_bytes()).map_err(malformed)?;
    let Some(state) = parameters.value("state") else {
        // Some providers send errors so.
        let error = quoted(parameters.value("error").unwrap_or_default());
        return Err(in_place(Problem::Malformed, &format!("no state, and the error {error:?}")));
    };
    let browser = Browser::known(&request.head.headers, &server.issuer)
        .ok_or_else(|| in_place(Problem::Expired, "no cookie of ours, or two"))?;
    if state.starts_with(Visit::PREFIX) {
        return come_back_to_connections(server, request, upstream, &parameters, (state, &browser))
            .await;
    }
    let expired = |error: OAuthError| {
        let cause = error.cause.unwrap_or(error.description);
        match error.code {
            ErrorCode::InvalidGrant => in_place(Problem::Expired, &cause),
            _ => in_place(Problem::Unavailable, &cause),
        }
    };
    let returning = server.grants.returning(state, &browser.digest()).await;
    let transaction: Transaction = returning.map_err(expired)?;
    let _arrival = server
        .arriving
        .begin(&transaction)
        .ok_or_else(|| in_place(Problem::Expired, "the same state is being answered"))?;
    server.grants.check_unused(&transaction).await.map_err(expired)?;
    let sign_in = &transaction.sign_in;
    let proven =
        Redirection::prove(server, &sign_in.client_id, &sign_in.redirect_uri, request.remote);
    let mut redirection = proven.await?;
    redirection.state.clone_from(&sign_in.state);
    noted::about_client(&request.notes, &sign_in.client_id, &redirection.client);

    let expected = Expected {
        nonce: transaction.nonce.clone(),
        code_verifier: transaction.code_verifier.clone(),
        scopes: Scopes::from_iter(sign_in.scopes.iter().map(String::as_str)),
        remote: request.remote,
    };
    let signed_in = match signed_in(server, upstream, &parameters, expected).await {
        Ok(signed_in) => signed_in,
        Err(error) => return Err(Refused::AtClient(Box::new(redirection), error)),
    };
    server.grants.use_up(&transaction).await.map_err(expired)?;
    noted::about_user(&request.notes, server, &signed_in.subject);
    noted::about_scopes(&request.notes, &signed_in.scopes);
    let subject = &signed_in.subject;
    let taken_back =
        server.grants.taken_back(subject, &sign_in.client_id, transaction.allowed_at).await;
    match taken_back {
        Ok(false) => {}
        Ok(true) => {
            tracing::info!("what a user allowed was taken back before they came back");
            return ask_again(server, &browser, &transaction, &redirection).await;
        }
        Err(error) => return Err(Refused::AtClient(Box::new(redirection), error)),
    }
    let mut cookie = None;
    match &transaction.remembered {
        Some(subject) if *subject != signed_in.subject => {
            tracing::info!("another user signed in than the one who allowed the client");
            return ask_again(server, &browser, &transaction, &redirection).await;
        }
        Some(_) => {}
        None if server.remembers(&redirection) => {
            let allowed = (&*signed_in.subject, transaction.allowed_at);
            server.remember(&browser, sign_in, allowed).await;
            cookie = browser.set_cookie(&server.issuer, server.cookie_lifetime());
        }
        None => {}
    }
    let mut response = issue(server, &transaction, redirection, signed_in).await?;
    noted::happened(&request.notes, Outcome::SignInAllowed);
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// What the provider's answer has to belong to.
pub(super) struct Expected {
    pub(super) nonce: String,
    pub(super) code_verifier: String,
    /// Those that the user allowed a client.
    pub(super) scopes: Scopes,
    pub(super) remote: Option<IpAddr>,
}

/// Who signed in at the provider. Unless somebody takes the tokens that came with it, they are given back.
pub(super) struct Arrived {
    pub(super) subject: String,
    claims: Map<String, Value>,
    scopes: Scopes,
    fresh: Fresh,
}

pub(super) async fn signed_in(
    server: &AuthorizationServer,
    upstream: &Arc<Upstream>,
    parameters: &Parameters,
    expected: Expected,
) -> Result<Arrived, OAuthError> {
    let error = parameters.value("error");
    let iss = parameters.value("iss");
    upstream.check_issuer(iss, error.is_some()).await?;
    if let Some(error) = error {
        let description = quoted(parameters.value("error_description").unwrap_or_default());
        let hint = upstream.hint(error).await;
        tracing::info!(error = quoted(error), description, hint, "the identity provider refused");
        return Err(refused_there(error));
    }
    let code = parameters.value("code").ok_or_else(|| {
        let text = "the identity provider sent neither a code nor an error";
        OAuthError::new(ErrorCode::ServerError, text)
    })?;
    server.returns.count(expected.remote, server.clock.now()).map_err(|TooMany| {
        let text = "too many sign-ins from one address: try again in a minute";
        OAuthError::new(ErrorCode::SlowDown, text)
    })?;
    server.grants.check_provider(upstream.identifier()).await?;
    let (code, iss, redirect_uri) = (code.to_owned(), iss.map(str::to_owned), server.callback());
    let (upstream, grants) = (Arc::clone(upstream), server.grants.clone());
    // A task of its own: the browser may go away meanwhile, and nobody else knows the tokens that come.
    let exchanged = tokio::spawn(async move {
        let answer = UpstreamAnswer {
            code: &code,
            iss: iss.as_deref(),
            nonce: &expected.nonce,
            code_verifier: &expected.code_verifier,
            redirect_uri: &redirect_uri,
            scopes: &expected.scopes,
        };
        let signed_in = upstream.exchange(&answer).await?;
        let fresh = Fresh::of(&grants, &signed_in);
        let SignedIn { subject, claims, scopes, .. } = signed_in;
        Ok::<_, OAuthError>(Arrived { subject, claims, scopes, fresh })
    });
    exchanged.await.unwrap_or_else(|_| Err(server_error("the task failed")))
}

/// Who has signed in has not allowed the client, or no longer: what was remembered is forgotten, and the
/// page asks.
async fn ask_again(
    server: &AuthorizationServer,
    browser: &Browser,
    transaction: &Transaction,
    redirection: &Redirection,
) -> Result<Response<Vec<u8>>, Refused> {
    server.forget(browser, &transaction.sign_in).await?;
    let sign_in = server.begun_again(&transaction.sign_in);
    let sealed = sign_in.seal(server, browser)?;
    Ok(form(server, &Asked { sealed: &sealed, sign_in: &sign_in, redirection }, None))
}

async fn issue(
    server: &AuthorizationServer,
    transaction: &Transaction,
    redirection: Redirection,
    signed_in: Arrived,
) -> Result<Response<Vec<u8>>, Refused> {
    let sign_in = &transaction.sign_in;
    // Without them, a grant would outlive what the provider gave.
    let Some(tokens) = signed_in.fresh.take() else {
        let error = server_error("the tokens of the provider are gone");
        return Err(Refused::AtClient(Box::new(redirection), error));
    };
    let approval = Approval {
        client_id: sign_in.client_id.clone(),
        client_name: redirection.client.name.clone(),
        subject: signed_in.subject,
        scopes: signed_in.scopes,
        redirect_uri: sign_in.redirect_uri.clone(),
        code_challenge: CodeChallenge::from_record(sign_in.code_challenge.clone()),
        claims: signed_in.claims,
        allowed_at: Some(transaction.allowed_at),
        tokens: Some(tokens),
    };
    match server.grants.issue_code(approval).await {
        Ok(code) => Ok(redirection.with_code(server, &code)),
        Err(error) => Err(Refused::AtClient(Box::new(redirection), error)),
    }
}

/// What the client is told of an error of the provider. Its words are untrusted, and
/// stay in the log.
fn refused_there(error: &str) -> OAuthError {
    let (code, text) = match error {
        "access_denied"
        | "consent_required"
        | "login_required"
        | "interaction_required"
        | "account_selection_required" => {
            (ErrorCode::AccessDenied, "the user did not sign in at the identity provider")
        }
        "temporarily_unavailable" => {
            (ErrorCode::TemporarilyUnavailable, "the identity provider does not work at the moment")
        }
        _ => (
            ErrorCode::ServerError,
            "the identity provider refused the sign-in: its administrator finds out why in the log",
        ),
    };
    OAuthError::new(code, text)
}

impl From<UpstreamError> for OAuthError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Refused(cause) => {
                Self::new(ErrorCode::AccessDenied, "the identity provider does not let the user in")
                    .because(cause)
            }
            UpstreamError::Misconfigured(cause) => {
                tracing::error!(cause, "the identity provider refuses this server");
                let text = "the server is not set up for its identity provider: tell its operator";
                Self::new(ErrorCode::ServerError, text).because(cause)
            }
            UpstreamError::Unavailable(cause) => {
                let text = "the identity provider does not answer at the moment: try again";
                Self::new(ErrorCode::TemporarilyUnavailable, text).because(cause)
            }
        }
    }
}
