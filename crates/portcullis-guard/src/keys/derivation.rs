//! Keys that are derived from one key, each for one purpose.

use aws_lc_rs::hkdf::{self, HKDF_SHA256};

use super::KeyId;
use crate::Secret;

/// Derives keys from one key, each for one purpose, by HKDF with SHA-256 (RFC 5869).
pub(crate) struct Derivation(hkdf::Prk);

impl Derivation {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        // The salt tells our use of the bytes from another program's.
        Self(hkdf::Salt::new(HKDF_SHA256, b"portcullis keys 1").extract(secret))
    }

    pub(super) fn id(&self) -> Result<KeyId, DerivationFailed> {
        let derived = self.key(&[b"id"])?;
        let [a, b, c, d, e, f, g, h, ..] = *derived.expose();
        Ok(KeyId::from_bytes([a, b, c, d, e, f, g, h]))
    }

    /// The key for what `info` says. No `info` may be the beginning of another one.
    pub(crate) fn key(&self, info: &[&[u8]]) -> Result<Secret<[u8; 32]>, DerivationFailed> {
        let mut key = [0; 32];
        let okm = self.0.expand(info, HKDF_SHA256).map_err(|_| DerivationFailed)?;
        okm.fill(&mut key).map_err(|_| DerivationFailed)?;
        Ok(Secret::new(key))
    }
}

/// aws-lc-rs derived no key, which happens when memory ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DerivationFailed;
