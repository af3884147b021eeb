//! An identity provider of the tests' own: it signs whatever it is told to.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use aws_lc_rs::{hmac, rsa};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Who issues the tokens.
pub const ISSUER: &str = "https://idp.example.com";
/// Whom they are meant for.
pub const AUDIENCE: &str = "https://mcp.example.com/mcp";

/// One key pair of each kind, published as a JWK set on loopback.
pub struct Issuer {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    url: String,
    documents: Arc<Mutex<HashMap<String, String>>>,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug)]
pub enum Signing<'a> {
    /// RSASSA-PKCS1-v1_5 with SHA-256
    Rs256,
    /// RSASSA-PSS with SHA-256
    Ps256,
    /// ECDSA on P-256
    Es256,
    /// ECDSA on P-384
    Es384,
    /// Ed25519
    EdDsa,
    /// HMAC with SHA-256 under this secret
    Hs256(&'a [u8]),
    /// These very bytes
    Bytes(&'a [u8]),
}

impl Issuer {
    /// An issuer with new keys.
    #[must_use]
    pub fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/jwks", socket.local_addr().unwrap());
        let issuer = Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
            ed25519: Ed25519KeyPair::generate().unwrap(),
            url,
            documents: Arc::default(),
        };
        let keys = json!({"keys": issuer.jwks()}).to_string();
        let documents = Arc::clone(&issuer.documents);
        std::thread::spawn(move || {
            for mut stream in socket.incoming().map_while(Result::ok) {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).unwrap_or_default();
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default();
                let body = documents.lock().unwrap().get(path).unwrap_or(&keys).clone();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream
                    .write_all(head.as_bytes())
                    .and_then(|()| stream.write_all(body.as_bytes()));
            }
        });
        issuer
    }

    /// Publishes metadata at `path`, as that of the issuer at `suffix` on this origin, and gives
    /// this issuer's name.
    pub fn publish_metadata(&self, path: &str, suffix: &str) -> String {
        let issuer = format!("{}{suffix}", self.url.trim_end_matches("/jwks"));
        let document = json!({"issuer": issuer, "jwks_uri": self.url});
        self.documents.lock().unwrap().insert(path.to_owned(), document.to_string());
        issuer
    }

    /// Where the JWK set is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The flags by which a testbed accepts the issuer's tokens.
    #[must_use]
    pub fn flags(&self) -> [&str; 8] {
        ["--auth", "jwt", "--issuer", ISSUER, "--audience", AUDIENCE, "--jwks", &self.url]
    }

    /// The public keys.
    #[must_use]
    pub fn jwks(&self) -> Vec<Value> {
        let point = |key: &EcdsaKeyPair, crv: &str, length: usize| {
            let point = key.public_key().as_ref();
            let (x, y) = (&point[1..=length], &point[length + 1..]);
            json!({"kty": "EC", "crv": crv, "kid": crv, "use": "sig", "x": encode(x), "y": encode(y)})
        };
        vec![
            self.rsa_jwk("rsa"),
            point(&self.p256, "P-256", 32),
            point(&self.p384, "P-384", 48),
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed25519", "x": encode(self.ed25519.public_key().as_ref())}),
        ]
    }

    fn rsa_jwk(&self, id: &str) -> Value {
        // RSAPublicKey of RFC 8017 §A.1.1, with lengths of two bytes and a zero in front.
        let der = self.rsa.public_key().as_ref();
        json!({"kty": "RSA", "kid": id, "n": encode(&der[9..9 + 256]), "e": "AQAB"})
    }

    /// The RSA key as others might write it: PEM with several line ends, DER, JWK.
    #[must_use]
    pub fn rsa_key_in_every_encoding(&self) -> Vec<Vec<u8>> {
        let public: &rsa::PublicKey = self.rsa.public_key();
        let spki: PublicKeyX509Der<'_> = public.as_der().unwrap();
        let lines: Vec<String> = STANDARD
            .encode(spki.as_ref())
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
        vec![
            pem.trim_end().as_bytes().to_vec(),
            pem.replace('\n', "\r\n").into_bytes(),
            spki.as_ref().to_vec(),
            public.as_ref().to_vec(),
            self.rsa_jwk("rsa").to_string().into_bytes(),
            pem.into_bytes(),
        ]
    }

    /// A good token with `claims`, signed with Ed25519.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        self.sign(
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"ed25519"}"#,
            &claims.to_string(),
            Signing::EdDsa,
        )
    }

    /// A token with this header and payload, signed as said, whatever they say.
    #[must_use]
    pub fn sign(&self, header: &str, payload: &str, signing: Signing<'_>) -> String {
        let input = format!("{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()));
        let random = SystemRandom::new();
        let rsa = |padding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(padding, &random, input.as_bytes(), &mut signature).unwrap();
            signature
        };
        let signature = match signing {
            Signing::Rs256 => rsa(&RSA_PKCS1_SHA256),
            Signing::Ps256 => rsa(&RSA_PSS_SHA256),
            Signing::Es256 => self.p256.sign(&random, input.as_bytes()).unwrap().as_ref().to_vec(),
            Signing::Es384 => self.p384.sign(&random, input.as_bytes()).unwrap().as_ref().to_vec(),
            Signing::EdDsa => self.ed25519.sign(input.as_bytes()).as_ref().to_vec(),
            Signing::Hs256(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, input.as_bytes()).as_ref().to_vec()
            }
            Signing::Bytes(bytes) => bytes.to_vec(),
        };
        format!("{input}.{}", encode(&signature))
    }
}

/// Base64url without padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The claims of a good token of `subject`.
#[must_use]
pub fn claims(subject: &str, scope: &str) -> Value {
    let now = now();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "client_id": "app",
        "exp": now + 600, "iat": now, "scope": scope,
    })
}

/// The claims of a good token of Alice, but for `changes`; null removes a member.
#[must_use]
pub fn changed(changes: &Value) -> Value {
    let mut claims = claims("alice", "read write admin");
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}
