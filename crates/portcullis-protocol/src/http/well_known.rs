//! Metadata and key documents that any page may read.

use std::sync::Arc;

use axum::response::Response;
use futures_util::future::BoxFuture;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use serde::Serialize;

use crate::http::{answer, rejection};

/// A document that any page may read. No token is needed, and one that is sent is not looked at.
pub(super) struct Document(Vec<u8>);

impl Document {
    pub(super) fn new(document: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::to_vec(document).map(Self)
    }

    pub(super) fn answer(&self, method: &Method) -> Response {
        let mut response = match is_read(method) {
            true => answer::json(StatusCode::OK, self.0.clone()),
            false => not_read(),
        };
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        // Short: a wrong configuration must not stick in clients after it is corrected.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
        response
    }
}

/// A document, and another one at an address of its own.
pub(super) struct Documents {
    pub(super) document: Document,
    /// Where, and what.
    pub(super) other: Option<(String, Document)>,
}

impl Documents {
    pub(super) fn at(&self, path: &str) -> &Document {
        let other = self.other.as_ref().filter(|(own, _)| own == path);
        other.map_or(&self.document, |(_, document)| document)
    }
}

/// Gives the JWK set of now, or nothing while it cannot be had.
pub type ReadJwkSet = dyn Fn() -> BoxFuture<'static, Option<String>> + Send + Sync;

/// The public keys of the server (RFC 7517 §5), which change. Any page may read them, without a
/// token.
pub(super) struct JwkSet(pub(super) Arc<ReadJwkSet>);

impl JwkSet {
    pub(super) async fn answer(&self, method: &Method) -> Response {
        let mut response = match is_read(method) {
            true => (self.0)().await.map_or_else(unavailable, |set| {
                let mut response = answer::json(StatusCode::OK, set.into_bytes());
                let headers = response.headers_mut();
                let media_type = HeaderValue::from_static("application/jwk-set+json");
                headers.insert(CONTENT_TYPE, media_type);
                // As long as a key that was revoked may go on verifying.
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
                response
            }),
            false => not_read(),
        };
        let allow = HeaderValue::from_static("GET, HEAD, OPTIONS");
        response.headers_mut().insert(ALLOW, allow);
        response
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn not_read() -> Response {
    rejection::outside(StatusCode::METHOD_NOT_ALLOWED, Some("Only GET is served here"))
}

fn unavailable() -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut response = rejection::outside(status, Some("The keys are not available now"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
