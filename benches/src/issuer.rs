//! The issuer of the tokens: a key made for this run.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::Result;

/// `iss`.
pub const ISSUER: &str = "https://idp.example.com";
/// `aud`.
pub const AUDIENCE: &str = "https://mcp.example.com/mcp";
const LIFETIME: u64 = 24 * 60 * 60;

/// What tokens are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA of 2,048 bits.
    Rs256,
    /// P-256.
    Es256,
}

impl Algorithm {
    /// The name in a token's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// Signs tokens, and has written its public key where servers find it.
pub struct Issuer {
    algorithm: Algorithm,
    key: Key,
    public_key: PathBuf,
}

enum Key {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl Issuer {
    /// An issuer with a new key, whose public half is written into `folder`.
    ///
    /// # Errors
    ///
    /// When there is no key or the file cannot be written.
    pub fn new(algorithm: Algorithm, folder: &Path) -> Result<Self> {
        let (key, der) = match algorithm {
            Algorithm::Rs256 => {
                let key = RsaKeyPair::generate(KeySize::Rsa2048)?;
                let der: PublicKeyX509Der<'_> = key.public_key().as_der()?;
                let der = der.as_ref().to_vec();
                (Key::Rsa(key), der)
            }
            Algorithm::Es256 => {
                let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
                let der: PublicKeyX509Der<'_> = key.public_key().as_der()?;
                let der = der.as_ref().to_vec();
                (Key::Ec(key), der)
            }
        };
        let public_key = folder.join(format!("{}.pem", algorithm.name()));
        let text = STANDARD.encode(der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|line| str::from_utf8(line).ok()).collect();
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
        std::fs::write(&public_key, pem)?;
        Ok(Self { algorithm, key, public_key })
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The file with the public key.
    pub fn public_key(&self) -> &Path {
        &self.public_key
    }

    /// A token for Alice, with the scope `read`.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn token(&self) -> Result<String> {
        let input = self.signing_input("alice")?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.sign(&input)?)))
    }

    /// The same token for Mallory, with the signature of Alice's.
    ///
    /// # Errors
    ///
    /// When Alice's cannot be signed.
    pub fn forged(&self) -> Result<String> {
        let signature = self.sign(&self.signing_input("alice")?)?;
        Ok(format!("{}.{}", self.signing_input("mallory")?, URL_SAFE_NO_PAD.encode(signature)))
    }

    fn signing_input(&self, subject: &str) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let header = json!({"alg": self.algorithm.name(), "typ": "at+jwt"});
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "client_id": "bench",
            "iat": now, "exp": now + LIFETIME, "scope": "read",
        });
        let part = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        Ok(format!("{}.{}", part(&header), part(&claims)))
    }

    fn sign(&self, input: &str) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        Ok(match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature)?;
                signature
            }
            Key::Ec(key) => key.sign(&random, input.as_bytes())?.as_ref().to_vec(),
        })
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Issuer").field(&self.algorithm).finish()
    }
}
