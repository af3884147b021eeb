//! What the fuzz targets reach and no user does: built with `--cfg fuzzing` only.

use super::Algorithm;
use super::compact::CompactJws;
use super::key_set::KeySet;

/// The keys of a JWK set, for all asymmetric algorithms.
#[derive(Debug)]
pub struct PublishedKeys(KeySet);

impl PublishedKeys {
    /// Reads what an issuer published.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let asymmetric: Vec<Algorithm> =
            Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric()).collect();
        KeySet::read(text, &asymmetric).ok().map(Self)
    }

    /// Whether one of the keys verifies the signature of `token`. No claim is looked at.
    #[must_use]
    pub fn verify(&self, token: &str) -> bool {
        CompactJws::parse(token).is_ok_and(|jws| self.0.verify(&jws).is_ok())
    }
}
