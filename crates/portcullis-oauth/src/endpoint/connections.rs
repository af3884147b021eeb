//! `/connections`: the pages on which a user sees what they allowed, and takes it back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE};
use http::{Response, StatusCode};
use portcullis_auth::EndpointRequest;
use portcullis_auth::audit::Timestamp;
use portcullis_guard::Secret;
use portcullis_guard::html::Escaped;
use portcullis_guard::seal::{Binding, open, seal};
use portcullis_guard::text::quoted;

use super::consent::{alert, credentials, is_own, scopes};
use super::form::read_form;
use super::noted::{self, Outcome};
use super::redirection::Refused;
use super::visit::depart;
use crate::browser::{Browser, Problem, Session};
use crate::connection::{Connection, ConnectionList, Connections, ConnectionsError};
use crate::error::OAuthError;
use crate::parameters::Parameters;
use crate::server::{AuthorizationServer, Users};
use crate::users::{SignInError, WINDOW};

/// Shows the page: the connections of whoever signed in to it in this browser less than ten minutes
/// ago, and else the form to sign in. Nothing changes.
pub(crate) async fn connections(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Response<Vec<u8>> {
    page(server, request)
        .await
        .unwrap_or_else(|refused| refused.into_response(server, &request.notes))
}

async fn page(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Result<Response<Vec<u8>>, Refused> {
    let headers = &request.head.headers;
    let browser = match Browser::known(headers, &server.issuer) {
        Some(browser) => browser,
        None => Browser::new().map_err(|error| unavailable(&error.to_string()))?,
    };
    let mut response = match Session::known(server, &browser, headers) {
        Some(session) => {
            let found = server.connections().of_subject(&session.subject).await;
            list(server, &browser, &session, &found.map_err(|error| away(&error))?)?
        }
        None => sign_in_form(server, &browser, None)?,
    };
    let cookie = browser.set_cookie(&server.issuer, server.cookie_lifetime());
    response.headers_mut().insert(SET_COOKIE, cookie.ok_or_else(|| unavailable("no cookie"))?);
    Ok(response)
}

/// `POST /connections/sign-in`: signs a user in to the page, as to allow a client.
///
/// What it decides, in this order:
///
/// 1. A browser that says where the form was sent from says: a page of this server.
/// 2. The browser has the cookie for which the form was sealed less than ten minutes ago: nobody is
///    signed in as somebody else (CSRF).
/// 3. The password is right; guesses are limited together with those of other pages. Or the user signs in
///    at the identity provider, and comes back ([`visit`](super::visit)).
pub(crate) async fn sign_in(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Response<Vec<u8>> {
    signed_in(server, request)
        .await
        .unwrap_or_else(|refused| refused.into_response(server, &request.notes))
}

async fn signed_in(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Result<Response<Vec<u8>>, Refused> {
    let (browser, form) = sent(server, request)?;
    check(server, &browser, NOBODY, &form)?;
    let users = match &server.users {
        Users::Local(users) => users,
        Users::Upstream(upstream) => {
            return depart(server, upstream, &browser, request.remote).await;
        }
    };
    let name = form.value("user").unwrap_or_default();
    let password = Secret::new(form.value("password").unwrap_or_default().to_owned());
    match users.sign_in(name, &password, request.remote).await {
        Ok(user) => {
            tracing::info!(user = quoted(name), "a user signed in to see their connections");
            noted::about_user(&request.notes, server, &user.subject);
            noted::happened(&request.notes, Outcome::ConnectionsOpened);
            let session = Session::begin(server, user.subject);
            let cookie = session.set_cookie(server, &browser);
            let mut response = back(server);
            let cookie = cookie.ok_or_else(|| unavailable("the session cannot be sealed"))?;
            response.headers_mut().insert(SET_COOKIE, cookie);
            Ok(response)
        }
        Err(error) => {
            tracing::info!(user = quoted(name), ?error, "a user was not signed in");
            noted::not_signed_in(&request.notes, error);
            sign_in_form(server, &browser, Some((name, error)))
        }
    }
}

/// `POST /connections/revoke`: revokes one connection, or all.
///
/// What it decides, in this order:
///
/// 1. As for [`sign_in`].
/// 2. The form was sealed for the user who is signed in, so that an older page does nothing to
///    another one's connections.
/// 3. The connection is that user's own. One that has ended already is left alone.
pub(crate) async fn revoke(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Response<Vec<u8>> {
    revoked(server, request)
        .await
        .unwrap_or_else(|refused| refused.into_response(server, &request.notes))
}

async fn revoked(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Result<Response<Vec<u8>>, Refused> {
    let (session, form) = of_user(server, request)?;
    let connections = server.connections();
    if form.value("all").is_some() {
        let ended = connections.revoke_all_own(&session.subject).await;
        let ended = ended.map_err(|error| away(&error))?;
        tracing::info!(user = quoted(&session.subject), ended, "a user signed out everywhere");
        noted::happened(&request.notes, Outcome::SignedOutEverywhere);
        return left(
            server,
            "You are signed out everywhere",
            "No program may use this server in your name any more. It takes a few seconds until \
             each one notices.",
        );
    }
    let id = form.required("connection").map_err(malformed)?;
    let ended = connections.revoke_own(&session.subject, id).await;
    if let Some(ended) = ended.map_err(|error| away(&error))? {
        noted::about_connection(&request.notes, &ended);
        noted::happened(&request.notes, Outcome::ConnectionRevoked);
        let client = quoted(ended.client_name.as_deref().unwrap_or_default());
        tracing::info!(user = quoted(&session.subject), client, "a user revoked a connection");
    }
    Ok(back(server))
}

/// `POST /connections/sign-out`: ends the page in this browser.
pub(crate) async fn sign_out(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Response<Vec<u8>> {
    let text = "Your programs go on as before.";
    let signed_out = of_user(server, request)
        .and_then(|_| left(server, "You have left the page of your connections", text));
    signed_out.unwrap_or_else(|refused| refused.into_response(server, &request.notes))
}

/// A form of a page of this server, and the browser that sent it.
fn sent(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Result<(Browser, Parameters), Refused> {
    let headers = &request.head.headers;
    if !is_own(headers, &server.origin) {
        let cause = "a foreign Origin or Sec-Fetch-Site".to_owned();
        return Err(Refused::InPlace(Problem::Foreign, cause));
    }
    let form = read_form(request).map_err(malformed)?;
    let browser = Browser::known(headers, &server.issuer);
    Ok((browser.ok_or_else(|| stale("no cookie of ours, or two"))?, form))
}

/// A form of the user who is signed in.
fn of_user(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Result<(Session, Parameters), Refused> {
    let (browser, form) = sent(server, request)?;
    let session = Session::known(server, &browser, &request.head.headers);
    let session = session.ok_or_else(|| stale("nobody is signed in"))?;
    check(server, &browser, &session.subject, &form)?;
    noted::about_user(&request.notes, server, &session.subject);
    Ok((session, form))
}

/// Stands for the user where nobody is signed in: no subject is empty.
const NOBODY: &str = "";

/// The value of a form's hidden field: when it is too old, sealed for one browser and one user.
fn sealed(server: &AuthorizationServer, browser: &Browser, user: &str) -> Result<String, Refused> {
    let expires_at = server.sign_in_expires_at().to_be_bytes();
    let sealed = seal(&server.keys, &binding(server, browser, user), &expires_at);
    Ok(URL_SAFE_NO_PAD.encode(sealed.map_err(|error| unavailable(&error.to_string()))?))
}

fn check(
    server: &AuthorizationServer,
    browser: &Browser,
    user: &str,
    form: &Parameters,
) -> Result<(), Refused> {
    let sealed = URL_SAFE_NO_PAD.decode(form.required("request").map_err(malformed)?);
    let sealed = sealed.map_err(|_| stale("the form is not a sealed one"))?;
    let opened = open(&server.keys, &binding(server, browser, user), &sealed);
    let opened = opened.map_err(|error| stale(&error.to_string()))?;
    let expires_at = opened.as_array().ok_or_else(|| stale("the form is of another version"))?;
    let expires_at = UNIX_EPOCH + Duration::from_secs(u64::from_be_bytes(*expires_at));
    match server.clock.now() < expires_at {
        true => Ok(()),
        false => Err(stale("the form is older than ten minutes")),
    }
}

fn binding(server: &AuthorizationServer, browser: &Browser, user: &str) -> Binding {
    Binding::new("oauth-connections-form", [server.issuer.as_str(), browser.as_str(), user])
}

fn sign_in_form(
    server: &AuthorizationServer,
    browser: &Browser,
    failed: Option<(&str, SignInError)>,
) -> Result<Response<Vec<u8>>, Refused> {
    let (status, alert) = alert(failed.map(|(_, error)| error));
    let body = format!(
        include_str!("../browser/connections_sign_in.html"),
        prefix = Escaped::Own(&server.prefix),
        server = Escaped::Own(&server.name),
        alert = alert,
        request = Escaped::Own(&sealed(server, browser, NOBODY)?),
        credentials = with_what(server, failed.map(|(user, _)| user)),
    );
    let mut response = own_page(server, status, &title(server), &body);
    if matches!(failed, Some((_, SignInError::TooMany))) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(WINDOW.as_secs()));
    }
    Ok(response)
}

/// What the user signs in with.
fn with_what(server: &AuthorizationServer, user: Option<&str>) -> String {
    match &server.users {
        Users::Local(_) => credentials(server, user),
        Users::Upstream(upstream) => format!(
            "<p>You do that at <strong><bdi>{}</bdi></strong>, and come back here.</p>\n",
            Escaped::Own(upstream.name())
        ),
    }
}

fn list(
    server: &AuthorizationServer,
    browser: &Browser,
    session: &Session,
    found: &ConnectionList,
) -> Result<Response<Vec<u8>>, Refused> {
    let introduction = match (found.connections.is_empty(), found.more) {
        (true, _) => "No program may use this server in your name.".to_owned(),
        (false, false) => "These programs may use this server in your name.".to_owned(),
        (false, true) => format!(
            "More than {} programs may use this server in your name; here are some of them.",
            Connections::MOST_LISTED
        ),
    };
    let connections = found.connections.iter().map(|connection| entry(server, connection));
    let body = format!(
        include_str!("../browser/connections.html"),
        prefix = Escaped::Own(&server.prefix),
        server = Escaped::Own(&server.name),
        subject = Escaped::Untrusted(&session.subject),
        introduction = introduction,
        request = Escaped::Own(&sealed(server, browser, &session.subject)?),
        connections = connections.collect::<String>(),
    );
    Ok(own_page(server, StatusCode::OK, &title(server), &body))
}

fn entry(server: &AuthorizationServer, connection: &Connection) -> String {
    let (client, name) = match &connection.client_name {
        Some(name) => (name.as_str(), "That is what it calls itself. "),
        None => ("A program that gives no name", ""),
    };
    let scopes_of: Vec<_> = connection.scopes.iter().map(str::to_owned).collect();
    format!(
        include_str!("../browser/connection.html"),
        client = Escaped::Untrusted(client),
        name = name,
        leads_to = Escaped::Own(&connection.leads_to),
        scopes = scopes(server, &scopes_of),
        allowed_at = date(connection.allowed_at),
        refreshed_at = date(connection.refreshed_at),
        id = Escaped::Own(&connection.id),
    )
}

/// A time to the minute, for people and for programs.
fn date(time: SystemTime) -> String {
    let time = Timestamp::from(time);
    let shown = format!("{time:.16}").replace('T', " ");
    format!("<time datetime=\"{time:.19}Z\">{shown} UTC</time>")
}

/// What follows the end of a session in this browser.
fn left(
    server: &AuthorizationServer,
    title: &str,
    text: &str,
) -> Result<Response<Vec<u8>>, Refused> {
    let body = format!(
        include_str!("../browser/connections_left.html"),
        prefix = Escaped::Own(&server.prefix),
        title = title,
        text = text,
    );
    let mut response = own_page(server, StatusCode::OK, title, &body);
    let cookie = Session::end_cookie(server).ok_or_else(|| unavailable("no cookie"))?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

fn own_page(
    server: &AuthorizationServer,
    status: StatusCode,
    title: &str,
    body: &str,
) -> Response<Vec<u8>> {
    server.page(title, body).form_action("'self'").into_response(status)
}

fn title(server: &AuthorizationServer) -> String {
    format!("Your connections to {}", server.name)
}

/// To the page, which a reload then shows again instead of sending a form twice.
pub(super) fn back(server: &AuthorizationServer) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    // The prefix is plain: it fits into a header.
    let page = HeaderValue::try_from(format!("{}{}", server.prefix, super::CONNECTIONS));
    headers.insert(LOCATION, page.unwrap_or(HeaderValue::from_static(super::CONNECTIONS)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn malformed(error: OAuthError) -> Refused {
    Refused::InPlace(Problem::Malformed, error.description.into_owned())
}

fn stale(cause: &str) -> Refused {
    Refused::InPlace(Problem::Stale, cause.to_owned())
}

fn unavailable(cause: &str) -> Refused {
    Refused::InPlace(Problem::Unavailable, cause.to_owned())
}

fn away(error: &ConnectionsError) -> Refused {
    unavailable(&error.to_string())
}

impl AuthorizationServer {
    fn connections(&self) -> Connections {
        Connections::of(self.grants.clone())
    }
}
