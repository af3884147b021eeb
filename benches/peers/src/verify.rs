//! Bearer tokens, by jsonwebtoken.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use crate::options::{Options, Switch};

/// What is read of a token.
#[derive(Debug, Deserialize)]
pub struct Claims {
    exp: u64,
    #[serde(default)]
    scope: String,
}

impl Claims {
    /// Whether the token grants `scope`.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|granted| granted == scope)
    }
}

/// Verifies tokens, each time or once.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
    /// Tokens that were verified, as they are: the least that a cache can be. It grows.
    cache: Option<Mutex<HashMap<String, Arc<Claims>>>>,
}

impl Verifier {
    /// A verifier as the flags say.
    pub fn new(options: &Options) -> Result<Self, Box<dyn Error>> {
        let pem = std::fs::read(&options.public_key)?;
        let key = match options.algorithms {
            Algorithm::ES256 => DecodingKey::from_ec_pem(&pem)?,
            _ => DecodingKey::from_rsa_pem(&pem)?,
        };
        let mut validation = Validation::new(options.algorithms);
        validation.set_issuer(&[&options.issuer]);
        validation.set_audience(&[&options.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        let cache = (options.token_cache == Switch::On).then(Mutex::default);
        Ok(Self { key, validation, cache })
    }

    /// The claims of the bearer token, if it is good.
    pub fn verify(&self, headers: &HeaderMap) -> Option<Arc<Claims>> {
        let token = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let Some(cache) = &self.cache else { return self.decode(token) };
        let cached = cache.lock().ok()?.get(token).cloned();
        if let Some(claims) = cached {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
            return (claims.exp > now.as_secs()).then_some(claims);
        }
        let claims = self.decode(token)?;
        cache.lock().ok()?.insert(token.to_owned(), Arc::clone(&claims));
        Some(claims)
    }

    fn decode(&self, token: &str) -> Option<Arc<Claims>> {
        decode(token, &self.key, &self.validation).ok().map(|decoded| Arc::new(decoded.claims))
    }
}

/// What a request without a good token gets.
pub fn unauthorized() -> Response {
    let body =
        r#"{"jsonrpc":"2.0","error":{"code":401,"message":"A valid access token is needed"}}"#;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
    response
}
