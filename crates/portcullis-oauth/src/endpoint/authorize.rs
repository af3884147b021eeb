//! `GET /authorize` (RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 8707 §2).

use http::Response;
use http::header::SET_COOKIE;
use portcullis_auth::{EndpointRequest, Scopes};

use crate::browser::{Browser, Problem};
use crate::consent::Consent;
use crate::endpoint::consent::{Asked, form};
use crate::endpoint::departure::{Departure, redirect};
use crate::endpoint::noted;
use crate::endpoint::redirection::{Redirection, Refused};
use crate::error::{ErrorCode, OAuthError};
use crate::grant::CodeChallenge;
use crate::parameters::Parameters;
use crate::record::sign_in::SignIn;
use crate::server::{AuthorizationServer, Users};

/// The longest `state`, in bytes.
const MAX_STATE: usize = 2_048;

/// Shows the page on which a user signs in and decides.
///
/// What it decides, in this order:
///
/// 1. Each parameter is there once at most.
/// 2. The client is registered, and the redirect URI is one of its own: until then no error is
///    redirected, and a person is told instead.
/// 3. What is wrong from here on is told to programs on the user's own device. To a website, nothing
///    leads from here without the user.
/// 4. `state` is visible ASCII, `response_type` is `code`, and `response_mode`, if it is there,
///    `query`.
/// 5. PKCE is there, by S256.
/// 6. `resource` is that of the server, or is left out.
/// 7. Of the scopes, those that the server has remain; where none does, all that it has.
///
/// Nothing is stored and nothing is counted: some clients open the page themselves before their user
/// does. Where all that is asked was allowed before in this browser, the page is left out
/// ([`remembered`](super::remembered)), and the user goes on at the identity provider.
pub(crate) async fn authorize(
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
    let malformed =
        |error: OAuthError| Refused::InPlace(Problem::Malformed, error.description.into_owned());
    let query = request.head.uri.query().unwrap_or_default();
    let parameters = Parameters::parse(query.as_bytes()).map_err(malformed)?;
    let client_id = parameters.required("client_id").map_err(malformed)?;
    let uri = parameters.required("redirect_uri").map_err(malformed)?;
    let mut redirection = Redirection::prove(server, client_id, uri, request.remote).await?;
    noted::about_client(&request.notes, client_id, &redirection.client);

    let read = state(&parameters).and_then(|state| {
        redirection.state = state;
        judge(server, &parameters)
    });
    let (code_challenge, scopes) = match read {
        Ok(read) => read,
        // Anybody can register a website, and would have a link of this server that leads there
        // by itself (open redirector, RFC 9700 §4.11.2).
        Err(error) if redirection.is_website() => return Err(malformed(error)),
        Err(error) => return Err(Refused::AtClient(Box::new(redirection), error)),
    };
    let sign_in = SignIn {
        client_id: client_id.to_owned(),
        redirect_uri: uri.to_owned(),
        state: redirection.state.clone(),
        scopes: scopes.iter().map(str::to_owned).collect(),
        code_challenge: code_challenge.as_str().to_owned(),
        expires_at: server.sign_in_expires_at(),
    };
    let failed = |cause: &str| Refused::InPlace(Problem::Unavailable, cause.to_owned());
    // The same browser in two tabs has one cookie, so that both pages are good (O13).
    let browser = match Browser::known(&request.head.headers, &server.issuer) {
        Some(browser) => browser,
        None => Browser::new().map_err(|error| failed(&error.to_string()))?,
    };
    let cookie = browser.set_cookie(&server.issuer, server.cookie_lifetime());
    let cookie = cookie.ok_or_else(|| failed("no cookie"))?;
    if let Users::Upstream(upstream) = &server.users {
        let headers = &request.head.headers;
        // Any program can claim the address or the scheme of a program on the user's device, whoever
        // decides about clients (RFC 8252 §8.6).
        let external = server.consent == Consent::External && redirection.is_website();
        let remembered = match server.consent {
            Consent::External => None,
            _ if server.remembers(&redirection) => {
                server.remembered(headers, &parameters, &browser, &sign_in).await
            }
            _ => None,
        };
        if remembered.is_some() || external {
            let (sign_in, browser, remote) = (&sign_in, &browser, request.remote);
            let departure = Departure { sign_in, browser, remembered, remote };
            let url = departure.begin(server, upstream, redirection).await?;
            let mut response = redirect(server, &url);
            response.headers_mut().insert(SET_COOKIE, cookie);
            return Ok(response);
        }
    }
    let sealed = sign_in.seal(server, &browser)?;
    let asked = Asked { sealed: &sealed, sign_in: &sign_in, redirection: &redirection };
    let mut response = form(server, &asked, None);
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// `state`, which is visible ASCII (RFC 6749 §A.5): what was mended while it was read could not be
/// given back as it was.
fn state(parameters: &Parameters) -> Result<Option<String>, OAuthError> {
    let invalid = |text| Err(OAuthError::new(ErrorCode::InvalidRequest, text));
    match parameters.value("state") {
        Some(state) if state.len() > MAX_STATE => invalid("state is longer than 2048 bytes"),
        Some(state) if !state.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
            invalid("state is not visible ASCII")
        }
        state => Ok(state.map(str::to_owned)),
    }
}

fn judge(
    server: &AuthorizationServer,
    parameters: &Parameters,
) -> Result<(CodeChallenge, Scopes), OAuthError> {
    if parameters.required("response_type")? != "code" {
        let text = "response_type has to be code";
        return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, text));
    }
    if parameters.value("response_mode").is_some_and(|mode| mode != "query") {
        return Err(OAuthError::new(
            ErrorCode::InvalidRequest,
            "response_mode has to be query, or left out",
        ));
    }
    // A signed request says the parameters once more, and they would not be read (RFC 9101 §5).
    if parameters.value("request").or(parameters.value("request_uri")).is_some() {
        return Err(OAuthError::new(
            ErrorCode::InvalidRequest,
            "request and request_uri are not supported: send plain parameters",
        ));
    }
    let code_challenge = CodeChallenge::parse(
        parameters.value("code_challenge_method"),
        parameters.value("code_challenge"),
    )?;
    server.grants.check_resource(parameters.value("resource"))?;
    Ok((code_challenge, scopes(&server.scopes, parameters.value("scope"))))
}

/// Those of the asked-for scopes that there are (RFC 6749 §3.3 lets a server ignore the others); all
/// that there are, where a client names none of them, since most never ask for more later.
pub(super) fn scopes(supported: &Scopes, asked: Option<&str>) -> Scopes {
    let asked = asked.unwrap_or_default().split(' ');
    let known: Scopes = asked.filter(|scope| supported.contains(scope)).collect();
    if known.is_empty() { supported.clone() } else { known }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_14_20_scopes_are_narrowed_in_silence_and_default_to_all() {
        let supported = Scopes::from_iter(["read", "write"]);
        let asked = |text| scopes(&supported, text).to_string();
        assert_eq!(asked(Some("write offline_access")), "write");
        assert_eq!(asked(Some("write read write")), "write read");
        for all in [None, Some(""), Some("\"\""), Some("openid email profile"), Some("READ")] {
            assert_eq!(asked(all), "read write", "{all:?}");
        }
        assert!(scopes(&Scopes::default(), Some("read")).is_empty());
    }
}
