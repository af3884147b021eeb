//! The one place that redirects, to a proven address alone (open redirector).

use std::net::IpAddr;

use http::header::{CACHE_CONTROL, HeaderValue, LOCATION, REFERRER_POLICY};
use http::{Response, StatusCode};
use portcullis_auth::EndpointNotes;
use portcullis_guard::Secret;

use super::noted;
use crate::browser::Problem;
use crate::client::{Client, is_website};
use crate::error::{ErrorCode, OAuthError};
use crate::server::AuthorizationServer;

/// Where an answer may be redirected to: a client and a redirect URI of its own.
///
/// Nothing else redirects. It exists once both are proven, so that no error can be sent to an
/// address that somebody else chose (open redirector, RFC 6749 §4.1.2.1, RFC 9700 §4.11).
#[derive(Debug)]
pub(crate) struct Redirection {
    pub(crate) client: Client,
    /// The URI as the client asked for it.
    pub(crate) uri: String,
    pub(crate) state: Option<String>,
}

/// Why a request is not answered with a code.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The person is told: nothing is proven, or nothing can be sent.
    InPlace(Problem, String),
    /// The client is told.
    AtClient(Box<Redirection>, OAuthError),
}

impl Redirection {
    /// Proves that `uri` is one of the client's, for somebody at `remote`.
    pub(crate) async fn prove(
        server: &AuthorizationServer,
        client_id: &str,
        uri: &str,
        remote: Option<IpAddr>,
    ) -> Result<Self, Refused> {
        let client = server.clients.find(client_id, remote).await.map_err(|error| {
            let problem = match error.code {
                ErrorCode::InvalidClient => Problem::UnknownClient,
                ErrorCode::SlowDown => Problem::TooMany,
                _ => Problem::Unavailable,
            };
            Refused::InPlace(problem, error.cause.unwrap_or(error.description).into_owned())
        })?;
        let refused =
            |cause: &str| Refused::InPlace(Problem::UnknownRedirectUri, format!("{cause}: {uri}"));
        if !server.clients.may_redirect(&client, uri) {
            return Err(refused("not a redirect URI of the client that is allowed"));
        }
        Ok(Self { client, uri: uri.to_owned(), state: None })
    }

    /// Whether it leads to a website, and to no program on the user's device.
    pub(crate) fn is_website(&self) -> bool {
        is_website(&self.uri)
    }

    /// The success (RFC 6749 §4.1.2).
    pub(crate) fn with_code(
        &self,
        server: &AuthorizationServer,
        code: &Secret<String>,
    ) -> Response<Vec<u8>> {
        self.answer(server, &[("code", code.expose())])
    }

    fn with_error(&self, server: &AuthorizationServer, error: &OAuthError) -> Response<Vec<u8>> {
        self.answer(
            server,
            &[("error", error.code.as_str()), ("error_description", &error.description)],
        )
    }

    /// `iss` goes with every answer, success or error (RFC 9207 §2).
    fn answer(&self, server: &AuthorizationServer, first: &[(&str, &str)]) -> Response<Vec<u8>> {
        let state = self.state.as_deref().map(|state| ("state", state));
        let parameters = first.iter().copied().chain(state).chain([("iss", &*server.issuer)]);
        let location = HeaderValue::try_from(with_query(&self.uri, parameters));
        let Ok(location) = location else {
            return Problem::UnknownRedirectUri.into_response(server, "a header cannot carry it");
        };
        see_other(location)
    }
}

/// A redirect after which nothing of the request goes on: where a form was sent, 307 would send it, with
/// the password, to the client (RFC 9700 §4.12).
pub(super) fn see_other(location: HeaderValue) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

impl Refused {
    /// The answer, which is noted as well.
    pub(crate) fn into_response(
        self,
        server: &AuthorizationServer,
        notes: &EndpointNotes,
    ) -> Response<Vec<u8>> {
        match self {
            Self::InPlace(problem, cause) => {
                let response = problem.into_response(server, &cause);
                noted::in_place(notes, problem, cause, response.extensions().get().copied());
                response
            }
            Self::AtClient(redirection, error) => {
                noted::refused(notes, server, &error);
                redirection.with_error(server, &error)
            }
        }
    }
}

/// The URI with `parameters` after its own query, which stays as it is (RFC 6749 §3.1.2).
fn with_query<'a>(uri: &str, parameters: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    // Codex shows a plus where it stands for a space.
    let encoded = |text: &str| {
        form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
    };
    let mut to = uri.to_owned();
    let mut next = match uri.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    for (name, value) in parameters {
        to.extend([next, name, "=", &encoded(value)]);
        next = "&";
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_21_the_query_of_a_client_stays_and_spaces_are_percent_20() {
        let with = |uri| with_query(uri, [("a", "x y+ä&"), ("iss", "http://h:1")].into_iter());
        let added = "a=x%20y%2B%C3%A4%26&iss=http%3A%2F%2Fh%3A1";
        assert_eq!(with("http://h/cb"), format!("http://h/cb?{added}"));
        assert_eq!(with("http://h/cb?"), format!("http://h/cb?{added}"));
        assert_eq!(with("http://h/cb?b=%7E~+c"), format!("http://h/cb?b=%7E~+c&{added}"));
        assert_eq!(with("com.example.app:/cb"), format!("com.example.app:/cb?{added}"));
    }
}
