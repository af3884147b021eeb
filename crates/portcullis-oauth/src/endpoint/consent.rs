//! The page on which a user signs in and decides, and `POST /consent`, its answer.

use http::header::{HeaderName, HeaderValue, ORIGIN, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use portcullis_auth::{EndpointRequest, Scopes};
use portcullis_guard::Secret;
use portcullis_guard::html::Escaped;
use portcullis_guard::text::quoted;
use url::{Host, Url};

use crate::browser::{Browser, Problem, form_action};
use crate::client::{Client, ClientSource};
use crate::endpoint::departure::{Departure, leading_on};
use crate::endpoint::form::read_form;
use crate::endpoint::noted::{self, Outcome};
use crate::endpoint::redirection::{Redirection, Refused};
use crate::error::{ErrorCode, OAuthError};
use crate::grant::{Approval, CodeChallenge};
use crate::record::sign_in::SignIn;
use crate::server::{AuthorizationServer, Users};
use crate::users::{SignInError, UserIdentity, WINDOW};

/// Takes the answer to the page.
///
/// What it decides, in this order:
///
/// 1. A browser that says where the form was sent from says: a page of this server. One that says
///    nothing has to pass 2 and 3 all the same.
/// 2. The browser has the cookie for which the form was sealed (CSRF, double submit).
/// 3. The form is not altered, and not older than ten minutes.
/// 4. The client is still registered, and the redirect URI is still one of its own.
/// 5. Deny needs no password. Allow needs one, and guesses are limited; or the user signs in at the
///    identity provider.
///
/// **Deployment caveat.** Behind a proxy all guesses come from one address.
pub(crate) async fn consent(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Response<Vec<u8>> {
    decide(server, request)
        .await
        .unwrap_or_else(|refused| refused.into_response(server, &request.notes))
}

async fn decide(
    server: &AuthorizationServer,
    request: &EndpointRequest,
) -> Result<Response<Vec<u8>>, Refused> {
    let in_place = |problem, cause: &str| Refused::InPlace(problem, cause.to_owned());
    let headers = &request.head.headers;
    if !is_own(headers, &server.origin) {
        return Err(in_place(Problem::Foreign, "a foreign Origin or Sec-Fetch-Site"));
    }
    let malformed = |error: OAuthError| in_place(Problem::Malformed, &error.description);
    let parameters = read_form(request).map_err(malformed)?;
    let browser = Browser::known(headers, &server.issuer)
        .ok_or_else(|| in_place(Problem::Expired, "no cookie of ours, or two"))?;
    let sealed = parameters.required("request").map_err(malformed)?;
    let sign_in = SignIn::open(server, &browser, sealed)?;
    let proven =
        Redirection::prove(server, &sign_in.client_id, &sign_in.redirect_uri, request.remote);
    let mut redirection = proven.await?;
    redirection.state.clone_from(&sign_in.state);
    noted::about_client(&request.notes, &sign_in.client_id, &redirection.client);
    let client = quoted(redirection.client.name.as_deref().unwrap_or_default());

    match parameters.required("decision").map_err(malformed)? {
        "deny" => {
            tracing::info!(client, "a user denied access");
            noted::happened(&request.notes, Outcome::SignInDenied);
            let error = OAuthError::new(ErrorCode::AccessDenied, "the user denied access");
            Err(Refused::AtClient(Box::new(redirection), error))
        }
        "allow" => {
            let users = match &server.users {
                Users::Local(users) => users,
                Users::Upstream(upstream) => {
                    tracing::info!(client, "a user allowed access, and signs in");
                    let (sign_in, browser) = (&sign_in, &browser);
                    let remote = request.remote;
                    let departure = Departure { sign_in, browser, remembered: None, remote };
                    let url = departure.begin(server, upstream, redirection).await?;
                    noted::happened(&request.notes, Outcome::SignInGoesOn);
                    return Ok(leading_on(server, upstream, &url));
                }
            };
            let user = parameters.value("user").unwrap_or_default();
            let password = parameters.value("password").unwrap_or_default().to_owned();
            match users.sign_in(user, &Secret::new(password), request.remote).await {
                Ok(signed_in) => {
                    tracing::info!(user = quoted(user), client, "a user allowed access");
                    noted::about_user(&request.notes, server, &signed_in.subject);
                    issue(server, request, &sign_in, redirection, signed_in).await
                }
                Err(error) => {
                    tracing::info!(user = quoted(user), client, ?error, "a user was not signed in");
                    noted::not_signed_in(&request.notes, error);
                    let asked = Asked { sealed, sign_in: &sign_in, redirection: &redirection };
                    Ok(form(server, &asked, Some((user, error))))
                }
            }
        }
        _ => Err(in_place(Problem::Malformed, "decision is neither allow nor deny")),
    }
}

async fn issue(
    server: &AuthorizationServer,
    request: &EndpointRequest,
    sign_in: &SignIn,
    redirection: Redirection,
    user: UserIdentity,
) -> Result<Response<Vec<u8>>, Refused> {
    let allowed = Scopes::from_iter(sign_in.scopes.iter().map(String::as_str));
    let scopes = match &user.scopes {
        None => allowed,
        Some(own) => allowed.iter().filter(|scope| own.contains(scope)).collect(),
    };
    noted::about_scopes(&request.notes, &scopes);
    let approval = Approval {
        client_id: sign_in.client_id.clone(),
        client_name: redirection.client.name.clone(),
        subject: user.subject,
        scopes,
        redirect_uri: sign_in.redirect_uri.clone(),
        code_challenge: CodeChallenge::from_record(sign_in.code_challenge.clone()),
        claims: user.claims,
        allowed_at: None,
        tokens: None,
    };
    match server.grants.issue_code(approval).await {
        Ok(code) => {
            noted::happened(&request.notes, Outcome::SignInAllowed);
            Ok(redirection.with_code(server, &code))
        }
        Err(error) => Err(Refused::AtClient(Box::new(redirection), error)),
    }
}

/// What a page asks about.
pub(super) struct Asked<'a> {
    /// The sealed `sign_in`.
    pub(super) sealed: &'a str,
    pub(super) sign_in: &'a SignIn,
    pub(super) redirection: &'a Redirection,
}

/// The page with its form: after a failed attempt, with what failed.
pub(super) fn form(
    server: &AuthorizationServer,
    asked: &Asked<'_>,
    failed: Option<(&str, SignInError)>,
) -> Response<Vec<u8>> {
    let (status, alert) = alert(failed.map(|(_, error)| error));
    let uri = &asked.redirection.uri;
    let body = format!(
        include_str!("../browser/consent.html"),
        prefix = Escaped::Own(&server.prefix),
        server = Escaped::Own(&server.name),
        alert = alert,
        client = client(asked.redirection),
        destination = destination(uri),
        scopes = scopes(server, &asked.sign_in.scopes),
        request = Escaped::Own(asked.sealed),
        credentials = credentials(server, failed.map(|(user, _)| user)),
    );
    let title = format!("Allow access to {}?", server.name);
    let form_action = form_action(uri);
    let page = server.page(&title, &body).form_action(&form_action);
    let mut response = page.into_response(status);
    if matches!(failed, Some((_, SignInError::TooMany))) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(WINDOW.as_secs()));
    }
    response
}

/// The status and the words for whoever was not signed in.
pub(super) fn alert(failed: Option<SignInError>) -> (StatusCode, &'static str) {
    match failed {
        None => (StatusCode::OK, ""),
        Some(SignInError::Wrong) => (StatusCode::FORBIDDEN, WRONG),
        Some(SignInError::TooMany) => (StatusCode::TOO_MANY_REQUESTS, TOO_MANY),
        Some(SignInError::Unavailable) => (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE),
    }
}

const WRONG: &str =
    "<p class=\"alert\" role=\"alert\">The user name or the password is not right.</p>";
const TOO_MANY: &str = "<p class=\"alert\" role=\"alert\">There were too many wrong passwords. Try again in \
                        ten minutes.</p>";

/// What the user signs in with.
pub(super) fn credentials(server: &AuthorizationServer, user: Option<&str>) -> String {
    match &server.users {
        Users::Local(_) => format!(
            include_str!("../browser/password.html"),
            user = user.map_or(Escaped::Own(""), Escaped::Untrusted)
        ),
        Users::Upstream(upstream) => format!(
            "<p>If you allow it, you sign in at <strong><bdi>{}</bdi></strong> next.</p>",
            Escaped::Own(upstream.name())
        ),
    }
}

const UNAVAILABLE: &str = "<p class=\"alert\" role=\"alert\">Nobody can tell at the moment whether that is \
                           right. Try again in a minute.</p>";

/// Who asks, and who says so: only a website and the operator can be believed.
fn client(redirection: &Redirection) -> String {
    let Client { name, source, .. } = &redirection.client;
    let name = name.as_deref().map(Escaped::Untrusted);
    match (source, name) {
        (ClientSource::Registered, Some(name)) => format!(
            "A program that calls itself <strong><bdi>{name}</bdi></strong>. Nobody has checked that name."
        ),
        (ClientSource::Configured, Some(name)) => format!(
            "<strong><bdi>{name}</bdi></strong>, a program that the operator of this server has \
             registered."
        ),
        (ClientSource::Document { website }, name) => {
            let website = Escaped::Own(website);
            let called = name.map(|name| format!(", which calls it <bdi>{name}</bdi>"));
            let called = called.unwrap_or_default();
            // Its document is public, and so is what such a program sends.
            let pretended = match redirection.is_website() {
                true => "",
                false => " Another program on your device could pretend to be it.",
            };
            format!(
                "A program of the website <strong><bdi>{website}</bdi></strong>{called}.{pretended}"
            )
        }
        (ClientSource::Registered | ClientSource::Configured, None) => {
            "A program that gives no name.".to_owned()
        }
    }
}

/// Who gets the code, whatever the client calls itself: the host, or the scheme of an app. Both are
/// shown whole, since the end of a host says whose it is; a redirect URI has plain ones alone.
fn destination(uri: &str) -> String {
    let url = Url::parse(uri).ok();
    let host = url.as_ref().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some((url, host)) = host.and_then(|url| Some((url, url.host()?))) else {
        let scheme = uri.split(':').next().unwrap_or_default();
        return format!(
            "<p class=\"note\">To the app on your device that opens <strong><bdi>{}:</bdi></strong> links. \
             Any app can claim them: allow this only if you have just begun to sign in from \
             yours.</p>",
            Escaped::Own(scheme)
        );
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let authority = format!("{host}{port}");
    let authority = Escaped::Own(&authority);
    let loopback = match &host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    match loopback {
        true => format!(
            "<p class=\"note\">To a program on your own computer, at <strong><bdi>{authority}</bdi></strong>. \
             Any program there can listen: allow this only if you have just begun to sign in \
             from yours.</p>"
        ),
        false => format!("<p>To the website <strong><bdi>{authority}</bdi></strong>.</p>"),
    }
}

/// What a client may do: in the operator's words, where there are any, and never in others.
pub(super) fn scopes(server: &AuthorizationServer, scopes: &[String]) -> String {
    if scopes.is_empty() {
        return "<p>All that your account may do here.</p>".to_owned();
    }
    let items = scopes.iter().map(|scope| {
        let name = Escaped::Untrusted(scope);
        match server.descriptions.get(scope) {
            Some(words) => format!(
                "<li class=\"words\"><bdi>{}</bdi> <code class=\"small\"><bdi>{name}</bdi></code></li>",
                Escaped::Own(words)
            ),
            None => format!("<li><code><bdi>{name}</bdi></code></li>"),
        }
    });
    // Without markers, some screen readers need the role to call it a list.
    format!("<ul class=\"scopes\" role=\"list\">{}</ul>", items.collect::<String>())
}

/// Whether a browser says that a page of the server sent the form, or says nothing.
pub(super) fn is_own(headers: &HeaderMap, issuer: &str) -> bool {
    static SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    headers.get_all(ORIGIN).iter().all(|origin| origin == issuer)
        && headers.get_all(&SITE).iter().all(|site| site == "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o17_a_page_says_which_host_gets_the_answer_and_warns_where_anybody_could() {
        for (uri, shown) in [
            ("http://localhost:33418/callback", "localhost:33418"),
            ("http://127.0.0.1/callback", "127.0.0.1"),
            ("http://[::1]:9/callback", "[::1]:9"),
            ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor:"),
            ("com.example.app:/cb", "com.example.app:"),
        ] {
            let html = destination(uri);
            assert!(html.contains(&format!("<strong><bdi>{shown}</bdi></strong>")), "{html}");
            assert!(html.contains("class=\"note\""), "{html}");
        }
        for (uri, shown) in [
            ("https://claude.ai/api/mcp/auth_callback", "claude.ai"),
            ("https://localhost.example.com:444/cb", "localhost.example.com:444"),
            ("https://xn--pple-43d.com/cb", "xn--pple-43d.com"),
        ] {
            let html = destination(uri);
            assert_eq!(html, format!("<p>To the website <strong><bdi>{shown}</bdi></strong>.</p>"));
        }
        let long = format!("accounts.example.com.{}evil.example", "a.".repeat(60));
        assert!(destination(&format!("https://{long}/cb")).contains(&long), "whose it is");
    }

    #[test]
    fn a_form_of_another_page_is_not_heard() {
        let own = |fields: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, value.parse().unwrap());
            }
            is_own(&headers, "http://127.0.0.1:8000")
        };
        let (origin, site) =
            (("origin", "http://127.0.0.1:8000"), ("sec-fetch-site", "same-origin"));
        for heard in [&[][..], &[origin], &[site], &[origin, site]] {
            assert!(own(heard), "{heard:?}");
        }
        for refused in [
            &[("origin", "null")][..],
            &[("origin", "http://127.0.0.1:8001")],
            &[("origin", "http://localhost:8000")],
            &[("origin", "https://127.0.0.1:8000")],
            &[origin, ("origin", "http://evil.example")],
            &[origin, ("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(!own(refused), "{refused:?}");
        }
    }
}
