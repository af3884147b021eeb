//! Cross-origin reads by the pages that are allowed to (Fetch §3.3).

use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderValue, VARY,
};
use http::{Method, StatusCode};

const ALLOWED: &str = "authorization, content-type, mcp-method, mcp-name, mcp-protocol-version, mcp-session-id, last-event-id";
/// What clients send along with a request for something public.
const ALLOWED_TO_ANY: &str = "mcp-protocol-version, authorization";
const EXPOSED: &str = "www-authenticate, mcp-session-id, retry-after";

/// The answer to a preflight from an allowed `origin`. It needs no token and does nothing.
pub(crate) fn preflight() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// Which pages may read an answer.
#[derive(Debug)]
pub(crate) enum Readers {
    /// No page sent the request.
    NoPage,
    /// Those of this origin, which sent it.
    Page(HeaderValue),
    /// All: the answer is public.
    Anybody,
}

/// Lets pages read the response. Credentials are never allowed: there are no cookies here to send.
pub(crate) fn allow(response: &mut Response, readers: Readers) {
    let headers = response.headers_mut();
    match readers {
        Readers::NoPage => {}
        Readers::Page(origin) => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        Readers::Anybody => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            // The answer to a preflight has said it.
            headers
                .entry(ACCESS_CONTROL_ALLOW_HEADERS)
                .or_insert(HeaderValue::from_static(ALLOWED_TO_ANY));
        }
    }
}

/// Whether a request asks what it may ask.
pub(crate) fn is_preflight(method: &Method, headers: &http::HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key("access-control-request-method")
}
