//! Private keys, and the signatures that they make.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use rustls_pki_types::pem::{PemObject, SectionKind};

use super::{KeyKind, KeyRejected, PublicKey, Scheme};
use crate::Secret;

/// A private key that signs: Ed25519, P-256 (ES256) or RSA of at least 2,048 bits (RS256).
///
/// `Debug` shows its kind only.
///
/// # Example
///
/// ```
/// use portcullis_guard::Secret;
/// use portcullis_guard::signature::{Scheme, SigningKey};
///
/// // `openssl genpkey -algorithm ed25519` writes one.
/// let pem = "-----BEGIN PRIVATE KEY-----\n\
///            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
///            -----END PRIVATE KEY-----\n";
/// let key = SigningKey::from_pem(&Secret::new(pem.to_owned()))?;
/// assert_eq!(key.scheme(), Scheme::Ed25519);
///
/// let signature = key.sign(b"message").unwrap();
/// let public = key.public_key().verifying(key.scheme())?;
/// assert!(public.verify(b"message", &signature).is_ok());
/// assert!(public.verify(b"another", &signature).is_err());
/// # Ok::<(), portcullis_guard::signature::KeyRejected>(())
/// ```
pub struct SigningKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl SigningKey {
    /// A new key, for Ed25519 or ES256.
    ///
    /// # Errors
    ///
    /// [`KeyRejected::Kind`] for another scheme: RSA keys take long to make, so they are brought.
    /// [`KeyRejected::NotSigning`] without random bytes.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis_guard::signature::{Scheme, SigningKey};
    ///
    /// let key = SigningKey::generate(Scheme::EcdsaP256Sha256)?;
    /// let kept = key.to_pkcs8()?;
    /// let again = SigningKey::from_pkcs8(kept.expose())?;
    /// assert_eq!(again.public_key(), key.public_key());
    /// # Ok::<(), portcullis_guard::signature::KeyRejected>(())
    /// ```
    pub fn generate(scheme: Scheme) -> Result<Self, KeyRejected> {
        let random = SystemRandom::new();
        let document = match scheme {
            Scheme::Ed25519 => Ed25519KeyPair::generate_pkcs8(&random),
            Scheme::EcdsaP256Sha256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            }
            _ => return Err(KeyRejected::Kind),
        };
        Self::from_pkcs8(document.map_err(|_| KeyRejected::NotSigning)?.as_ref())
    }

    /// The one key in a PEM text, in a section `PRIVATE KEY` (PKCS #8, RFC 5958).
    ///
    /// # Errors
    ///
    /// When there is no such section, more than one, or a key of another kind.
    pub fn from_pem(pem: &Secret<String>) -> Result<Self, KeyRejected> {
        let mut sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.expose().as_bytes());
        match (sections.next(), sections.next()) {
            (Some(Ok((SectionKind::PrivateKey, der))), None) => {
                Self::from_pkcs8(Secret::new(der).expose())
            }
            _ => Err(KeyRejected::NotPrivatePem),
        }
    }

    /// The key of a `PrivateKeyInfo` (PKCS #8, RFC 5958 §2).
    ///
    /// # Errors
    ///
    /// When it is not one, or of another kind of key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyRejected> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            let public = PublicKey::ed25519(pair.public_key().as_ref())?;
            return Ok(Self { pair: Pair::Ed25519(pair), public });
        }
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            let public = PublicKey::checked(KeyKind::P256, pair.public_key().as_ref().to_vec())?;
            return Ok(Self { pair: Pair::P256(pair), public });
        }
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| KeyRejected::NotSigning)?;
        let public = PublicKey::rsa_from_der(pair.public_key().as_ref())?;
        Ok(Self { pair: Pair::Rsa(Box::new(pair)), public })
    }

    /// The key as a `PrivateKeyInfo`, which [`from_pkcs8`](Self::from_pkcs8) takes.
    ///
    /// # Errors
    ///
    /// [`KeyRejected::Kind`] for RSA, which came from outside and is kept there.
    pub fn to_pkcs8(&self) -> Result<Secret<Vec<u8>>, KeyRejected> {
        let document = match &self.pair {
            Pair::Ed25519(pair) => pair.to_pkcs8(),
            Pair::P256(pair) => pair.to_pkcs8v1(),
            Pair::Rsa(_) => return Err(KeyRejected::Kind),
        };
        let document = document.map_err(|_| KeyRejected::NotSigning)?;
        Ok(Secret::new(document.as_ref().to_vec()))
    }

    /// How its signatures are made.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        match &self.pair {
            Pair::Ed25519(_) => Scheme::Ed25519,
            Pair::P256(_) => Scheme::EcdsaP256Sha256,
            Pair::Rsa(_) => Scheme::RsaPkcs1Sha256,
        }
    }

    /// The key that verifies them.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The signature over `message`.
    ///
    /// # Errors
    ///
    /// When aws-lc-rs makes none, as without random bytes.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ed25519(pair) => pair.try_sign(message).map(|made| made.as_ref().to_vec()),
            Pair::P256(pair) => pair.sign(&random, message).map(|made| made.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let made = pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                made.map(|()| signature)
            }
        }
        .map_err(|_| SigningFailed)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, [redacted])", self.public.kind())
    }
}

/// No signature was made. The error has no further detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningFailed;

impl fmt::Display for SigningFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no signature could be made")
    }
}

impl std::error::Error for SigningFailed {}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;

    use super::*;

    #[test]
    fn each_kind_of_key_signs_what_its_public_half_verifies() {
        let random = SystemRandom::new();
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
        for (der, scheme, length) in [
            (ed25519.as_ref(), Scheme::Ed25519, 64),
            (p256.as_ref(), Scheme::EcdsaP256Sha256, 64),
            (rsa.as_ref(), Scheme::RsaPkcs1Sha256, 256),
        ] {
            let key = SigningKey::from_pkcs8(der).unwrap();
            assert_eq!(key.scheme(), scheme);
            let signature = key.sign(b"message").unwrap();
            assert_eq!(signature.len(), length, "{scheme:?}");
            let public = key.public_key().verifying(scheme).unwrap();
            assert!(public.verify(b"message", &signature).is_ok());
            assert!(public.verify(b"messagf", &signature).is_err());
        }
    }

    #[test]
    fn a_key_that_was_kept_signs_as_before() {
        for scheme in [Scheme::Ed25519, Scheme::EcdsaP256Sha256] {
            let (key, other) =
                (SigningKey::generate(scheme).unwrap(), SigningKey::generate(scheme).unwrap());
            let kept = SigningKey::from_pkcs8(key.to_pkcs8().unwrap().expose()).unwrap();
            let signature = kept.sign(b"message").unwrap();
            let verify = |key: &SigningKey| {
                key.public_key().verifying(scheme).unwrap().verify(b"message", &signature)
            };
            assert!(verify(&key).is_ok() && verify(&other).is_err(), "{scheme:?}");
        }
        let rsa = SigningKey::generate(Scheme::RsaPkcs1Sha256).map(drop);
        assert_eq!(rsa, Err(KeyRejected::Kind));
    }

    #[test]
    fn a_public_key_gives_the_bytes_that_a_jwk_is_made_of() {
        let key = SigningKey::generate(Scheme::EcdsaP256Sha256).unwrap();
        let (x, y) = key.public_key().coordinates().unwrap();
        assert_eq!(PublicKey::ec(KeyKind::P256, x, y).as_ref(), Ok(key.public_key()));
        assert_eq!(key.public_key().ed25519_point(), None);
        let key = SigningKey::generate(Scheme::Ed25519).unwrap();
        let point = key.public_key().ed25519_point().unwrap();
        assert_eq!(PublicKey::ed25519(point).as_ref(), Ok(key.public_key()));
        assert_eq!(key.public_key().coordinates(), None);
    }

    #[test]
    fn what_is_no_private_key_is_refused_and_none_is_shown() {
        let pem = |text: &str| SigningKey::from_pem(&Secret::new(text.to_owned())).map(drop);
        for text in ["", "hunter2", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"] {
            assert_eq!(pem(text), Err(KeyRejected::NotPrivatePem), "{text}");
        }
        let one = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                   -----END PRIVATE KEY-----\n";
        assert_eq!(pem(one), Ok(()));
        assert_eq!(pem(&one.repeat(2)), Err(KeyRejected::NotPrivatePem), "which of the two?");
        assert_eq!(SigningKey::from_pkcs8(&[7; 64]).map(drop), Err(KeyRejected::NotSigning));
        let key = SigningKey::from_pem(&Secret::new(one.to_owned())).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(Ed25519, [redacted])");
    }
}
