use axum::response::Response;
use http::header::{ALLOW, CACHE_CONTROL, HeaderValue};
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
        let mut response = match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => {
                answer::json(StatusCode::OK, self.0.clone())
            }
            _ => {
                rejection::outside(StatusCode::METHOD_NOT_ALLOWED, Some("Only GET is served here"))
            }
        };
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        // Short: a wrong configuration must not stick in clients after it is corrected.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
        response
    }
}
