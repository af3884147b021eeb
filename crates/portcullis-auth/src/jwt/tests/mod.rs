//! An issuer of tokens, and the tests that need one.

mod discovery;
mod file;
mod id_token;
mod publisher;
mod refused;
mod remote;
mod secrets;
mod trials;
mod vectors;
mod verifier;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::{ManualClock, Secret};
use serde_json::{Value, json};

use super::{
    Algorithm, JwtConfigError, JwtProblem, JwtProblemKind, JwtVerifier, JwtVerifierBuilder,
};
use crate::{Principal, TokenVerifier, VerifyError};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://idp.example.com";
const AUDIENCE: &str = "https://mcp.example.com/mcp";
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Signs with Ed25519.
struct Issuer {
    key: Ed25519KeyPair,
    id: &'static str,
}

impl Issuer {
    fn new(id: &'static str) -> Self {
        Self { key: Ed25519KeyPair::generate().unwrap(), id }
    }

    fn jwk(&self) -> Value {
        let x = encode(self.key.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.id, "use": "sig", "x": x})
    }

    fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.id});
        self.sign(&header.to_string(), &claims.to_string())
    }

    fn sign(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()));
        let signature = self.key.sign(input.as_bytes());
        format!("{input}.{}", encode(signature.as_ref()))
    }
}

/// Signs with HS256.
fn mac(header: &str, payload: &[u8]) -> String {
    let input = format!("{}.{}", encode(header.as_bytes()), encode(payload));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{input}.{}", encode(hmac::sign(&key, input.as_bytes()).as_ref()))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The claims of a good token.
fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "client_id": "app",
        "exp": NOW + 300, "iat": NOW, "scope": "read write",
    })
}

/// The claims of a good token, but for `changes`; null removes a member.
#[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!")]
fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn hmac_builder() -> JwtVerifierBuilder {
    let clock = Arc::new(ManualClock::at(NOW));
    let builder = JwtVerifier::hmac(Secret::new(SECRET.to_owned())).clock(clock);
    builder.issuer(ISSUER).audience(AUDIENCE)
}

async fn verify(verifier: &JwtVerifier, token: &str) -> Result<Arc<Principal>, VerifyError> {
    verifier.verify(&token.into()).await
}

/// Why a token with `header` and `payload` is refused.
async fn refused(verifier: &JwtVerifier, header: &str, payload: &[u8]) -> String {
    match verify(verifier, &mac(header, payload)).await {
        Err(error) if !error.is_unavailable() => error.reason().to_owned(),
        other => panic!("{header} {}: {other:?}", String::from_utf8_lossy(payload)),
    }
}

const HS256: &str = r#"{"alg":"HS256","typ":"at+jwt"}"#;
const MINUTE: Duration = Duration::from_secs(60);
