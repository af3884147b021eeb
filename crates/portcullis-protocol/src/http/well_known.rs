use axum::response::Response;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, HeaderValue};
use http::{Method, StatusCode};
use portcullis_auth::{EndpointPath, ProtectedResourceMetadata, PublicUrl};

use crate::http::{answer, rejection};

/// The protected-resource metadata document (RFC 9728 §3), at the path form and the root
/// form. Any page may read it; no token is needed, and one that is sent is not looked at.
#[derive(Debug)]
pub(super) struct Metadata {
    path: String,
    document: Vec<u8>,
}

impl Metadata {
    pub(super) fn new(
        endpoint: &EndpointPath,
        document: &ProtectedResourceMetadata,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            path: format!("{}{}", PublicUrl::ROOT_METADATA_PATH, endpoint.as_str()),
            document: serde_json::to_vec(document)?,
        })
    }

    pub(super) fn is_at(&self, path: &str) -> bool {
        let path = path.strip_suffix('/').unwrap_or(path);
        path == self.path || path == PublicUrl::ROOT_METADATA_PATH
    }

    pub(super) fn answer(&self, method: &Method) -> Response {
        let mut response = match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => {
                answer::json(StatusCode::OK, self.document.clone())
            }
            _ => {
                rejection::outside(StatusCode::METHOD_NOT_ALLOWED, Some("Only GET is served here"))
            }
        };
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(
            "access-control-allow-headers",
            HeaderValue::from_static("mcp-protocol-version, authorization"),
        );
        // Short: a wrong configuration must not stick in clients after it is corrected.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
        response
    }
}
