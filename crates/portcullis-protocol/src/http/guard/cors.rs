//! Cross-origin reads by the pages that are allowed to (Fetch §3.3).

use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    HeaderName, HeaderValue, VARY,
};
use http::{HeaderMap, Method, StatusCode};

use crate::http::fields::PARAMETER;

const ALLOWED: &str = "authorization, content-type, mcp-method, mcp-name, mcp-protocol-version, mcp-session-id, last-event-id";
/// What clients send along with a request for something public.
const ALLOWED_TO_ANY: &str = "mcp-protocol-version, authorization";
const EXPOSED: &str = "www-authenticate, mcp-session-id, retry-after";
/// What answers say to those who send a request for something public.
const EXPOSED_TO_ANY: &str = "www-authenticate, retry-after";
const METHODS: &str = "GET, POST, DELETE";
/// Of routes, which say by themselves which of them they do not have.
const METHODS_OF_ROUTES: &str = "GET, POST, PUT, PATCH, DELETE";

/// How many headers that mirror arguments of tools (MCP 2026-07-28, `x-mcp-header`) a preflight may ask
/// for.
const PARAMETERS: usize = 64;

/// The answer to a preflight for the endpoint from an allowed origin. It needs no token and does nothing.
pub(crate) fn preflight(asked: &HeaderMap) -> Response {
    answer(asked, METHODS)
}

/// The same for routes.
pub(crate) fn preflight_for_routes(asked: &HeaderMap) -> Response {
    answer(asked, METHODS_OF_ROUTES)
}

fn answer(asked: &HeaderMap, methods: &'static str) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed(asked));
    headers.append(VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// The headers that a page may send: those of the protocol, and of what it asks for the parameters.
fn allowed(asked: &HeaderMap) -> HeaderValue {
    let asked = asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let names = asked.filter_map(|names| names.to_str().ok()).flat_map(|names| names.split(','));
    let parameters = names.filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok());
    let parameters = parameters.filter(|name| name.as_str().starts_with(PARAMETER));
    let mut allowed = ALLOWED.to_owned();
    for name in parameters.take(PARAMETERS) {
        allowed += ", ";
        allowed += name.as_str();
    }
    HeaderValue::try_from(allowed).unwrap_or(HeaderValue::from_static(ALLOWED))
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
            let exposed = HeaderValue::from_static(EXPOSED_TO_ANY);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
            // The answer to a preflight has said it.
            headers
                .entry(ACCESS_CONTROL_ALLOW_HEADERS)
                .or_insert(HeaderValue::from_static(ALLOWED_TO_ANY));
        }
    }
}

/// Whether a request asks what it may ask.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key("access-control-request-method")
}
