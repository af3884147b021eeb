//! The door to signatures and message authentication codes: aws-lc-rs.

mod public;
mod roca;
mod sign;
mod small_order;

use std::fmt;

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, VerificationAlgorithm};
use aws_lc_rs::{hmac, rsa};
use rustls_pki_types::pem::{PemObject, SectionKind};

pub use self::public::public_form;
pub use self::sign::{SigningFailed, SigningKey};

/// What comes before the 32 bytes in the `SubjectPublicKeyInfo` of an Ed25519 key (RFC 8410 §4).
const ED25519_INFO: &[u8] = &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// How a signature is made: the algorithm with its hash, and for ECDSA its curve.
///
/// ECDSA signatures are `r` and `s` side by side, each as long as the curve's order
/// (RFC 7518 §3.4), not DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
#[non_exhaustive]
pub enum Scheme {
    RsaPkcs1Sha256,
    RsaPkcs1Sha384,
    RsaPkcs1Sha512,
    RsaPssSha256,
    RsaPssSha384,
    RsaPssSha512,
    EcdsaP256Sha256,
    EcdsaP384Sha384,
    EcdsaP521Sha512,
    Ed25519,
}

/// The kind of a public key, which decides what it can verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
#[non_exhaustive]
pub enum KeyKind {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
}

impl Scheme {
    /// The kind of key that the scheme needs.
    #[must_use]
    pub fn key_kind(self) -> KeyKind {
        match self {
            Self::RsaPkcs1Sha256
            | Self::RsaPkcs1Sha384
            | Self::RsaPkcs1Sha512
            | Self::RsaPssSha256
            | Self::RsaPssSha384
            | Self::RsaPssSha512 => KeyKind::Rsa,
            Self::EcdsaP256Sha256 => KeyKind::P256,
            Self::EcdsaP384Sha384 => KeyKind::P384,
            Self::EcdsaP521Sha512 => KeyKind::P521,
            Self::Ed25519 => KeyKind::Ed25519,
        }
    }

    fn algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::RsaPkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::RsaPkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Self::RsaPssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
            Self::RsaPssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
            Self::RsaPssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
            Self::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_FIXED,
            Self::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_FIXED,
            Self::EcdsaP521Sha512 => &signature::ECDSA_P521_SHA512_FIXED,
            Self::Ed25519 => &signature::ED25519,
        }
    }
}

/// A public key that was found to be well-formed: RSA of 2,048 to 8,192 bits, a point on
/// its curve, or 32 bytes of Ed25519.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    encoded: Vec<u8>,
}

impl PublicKey {
    /// An RSA key of a modulus and an exponent, both big-endian without leading zeros.
    ///
    /// # Errors
    ///
    /// When they are not that, or the modulus is too short or too long.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyRejected> {
        // This says what is wrong with the key; aws-lc-rs only says that something is.
        if !(256..=1_024).contains(&modulus.len()) {
            return Err(KeyRejected::Size);
        }
        const PARAMETERS: &RsaParameters = &signature::RSA_PKCS1_2048_8192_SHA256;
        let components = signature::RsaPublicKeyComponents { n: modulus, e: exponent };
        let key =
            components.to_parsed_public_key(PARAMETERS).map_err(|_| KeyRejected::Malformed)?;
        Self::rsa_from_der(key.as_ref())
    }

    fn rsa_from_der(der: &[u8]) -> Result<Self, KeyRejected> {
        let key = Self::checked(KeyKind::Rsa, der.to_vec())?;
        let parsed = rsa::PublicKey::from_der(der).map_err(|_| KeyRejected::Malformed)?;
        let modulus = modulus(parsed.as_ref()).ok_or(KeyRejected::Size)?;
        if roca::has_fingerprint(modulus) { Err(KeyRejected::Weak) } else { Ok(key) }
    }

    /// A point on the curve of `kind`, by its coordinates, each as long as the curve's field
    /// (RFC 7518 §6.2.1.2).
    ///
    /// # Errors
    ///
    /// When `kind` is not a curve, or there is no such point on it.
    pub fn ec(kind: KeyKind, x: &[u8], y: &[u8]) -> Result<Self, KeyRejected> {
        let length = match kind {
            KeyKind::P256 => 32,
            KeyKind::P384 => 48,
            KeyKind::P521 => 66,
            KeyKind::Rsa | KeyKind::Ed25519 => return Err(KeyRejected::Malformed),
        };
        if x.len() != length || y.len() != length {
            return Err(KeyRejected::Malformed);
        }
        Self::checked(kind, [&[4], x, y].concat())
    }

    /// The coordinates of a point that [`ec`](Self::ec) or a [`SigningKey`] gave, each as long as
    /// the curve's field; nothing for other keys.
    #[must_use]
    pub fn coordinates(&self) -> Option<(&[u8], &[u8])> {
        match (self.kind, self.encoded.as_slice()) {
            (KeyKind::P256 | KeyKind::P384 | KeyKind::P521, [4, point @ ..]) => {
                Some(point.split_at(point.len() / 2))
            }
            _ => None,
        }
    }

    /// The 32 bytes of an Ed25519 key; nothing for other keys.
    #[must_use]
    pub fn ed25519_point(&self) -> Option<&[u8]> {
        (self.kind == KeyKind::Ed25519).then_some(self.encoded.as_slice())
    }

    /// An Ed25519 key of 32 bytes (RFC 8037 §2).
    ///
    /// # Errors
    ///
    /// When they are not 32 bytes, or a point of small order, under which anybody can sign.
    /// Bytes that are no point at all verify nothing.
    pub fn ed25519(point: &[u8]) -> Result<Self, KeyRejected> {
        let bytes: &[u8; 32] = point.try_into().map_err(|_| KeyRejected::Malformed)?;
        if small_order::is_one(bytes) {
            return Err(KeyRejected::Weak);
        }
        Self::checked(KeyKind::Ed25519, point.to_vec())
    }

    /// The one key in a PEM text, in a section `PUBLIC KEY` (RFC 7468 §13).
    ///
    /// # Errors
    ///
    /// When there is no such section, more than one, a certificate or a private key beside it,
    /// or a key of another kind.
    pub fn from_pem(pem: &str) -> Result<Self, KeyRejected> {
        let sections: Result<Vec<_>, _> =
            <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()).collect();
        let sections = sections.map_err(|_| KeyRejected::NotPem)?;
        let private = |kind: &SectionKind| {
            matches!(
                kind,
                SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey
            )
        };
        if sections.iter().any(|(kind, _)| private(kind)) {
            return Err(KeyRejected::Private);
        }
        match sections.as_slice() {
            [(SectionKind::PublicKey, der)] => Self::from_der(der),
            _ => Err(KeyRejected::NotPem),
        }
    }

    /// The key of a `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    ///
    /// # Errors
    ///
    /// When it is not one, or of another kind of key.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyRejected> {
        // aws-lc-rs would take a bare point too.
        if let Some(point) = der.strip_prefix(ED25519_INFO) {
            return Self::ed25519(point);
        }
        if der.first() != Some(&0x30) || der.len() < 64 {
            return Err(KeyRejected::Malformed);
        }
        let curves = [KeyKind::P256, KeyKind::P384, KeyKind::P521];
        let found = curves.into_iter().find_map(|kind| Self::checked(kind, der.to_vec()).ok());
        found.map_or_else(|| Self::rsa_from_der(der), Ok)
    }

    fn checked(kind: KeyKind, encoded: Vec<u8>) -> Result<Self, KeyRejected> {
        let scheme = match kind {
            KeyKind::Rsa => Scheme::RsaPkcs1Sha256,
            KeyKind::P256 => Scheme::EcdsaP256Sha256,
            KeyKind::P384 => Scheme::EcdsaP384Sha384,
            KeyKind::P521 => Scheme::EcdsaP521Sha512,
            KeyKind::Ed25519 => Scheme::Ed25519,
        };
        ParsedPublicKey::new(scheme.algorithm(), &encoded).map_err(|_| KeyRejected::Malformed)?;
        Ok(Self { kind, encoded })
    }

    /// What the key is of.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key, parsed once, for signatures of `scheme`.
    ///
    /// # Errors
    ///
    /// When the scheme needs another kind of key.
    pub fn verifying(&self, scheme: Scheme) -> Result<VerifyingKey, KeyRejected> {
        if scheme.key_kind() != self.kind {
            return Err(KeyRejected::Kind);
        }
        ParsedPublicKey::new(scheme.algorithm(), &self.encoded)
            .map(VerifyingKey)
            .map_err(|_| KeyRejected::Malformed)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.kind)
    }
}

/// The modulus of an `RSAPublicKey` (RFC 8017 §A.1.1) of 2,048 to 8,192 bits, whose lengths
/// all take two bytes.
fn modulus(der: &[u8]) -> Option<&[u8]> {
    let [0x30, 0x82, _, _, 0x02, 0x82, high, low, rest @ ..] = der else { return None };
    let integer = rest.get(..usize::from(u16::from_be_bytes([*high, *low])))?;
    // A zero in front says that the number is positive.
    let modulus = integer.strip_prefix(&[0]).unwrap_or(integer);
    (256..=1_024).contains(&modulus.len()).then_some(modulus)
}

/// A public key, parsed, that verifies the signatures of one scheme.
pub struct VerifyingKey(ParsedPublicKey);

impl VerifyingKey {
    /// Verifies that `signature` is the key's over `message`.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        self.0.verify_sig(message, signature).map_err(|_| BadSignature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey")
    }
}

/// The hash of a message authentication code (FIPS 198-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
#[non_exhaustive]
pub enum MacHash {
    Sha256,
    Sha384,
    Sha512,
}

impl MacHash {
    /// How long the code is, in bytes, and how long a key must be at least (RFC 7518 §3.2).
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A key that makes and verifies message authentication codes.
pub struct MacKey(hmac::Key);

impl MacKey {
    /// A key for codes with `hash`.
    ///
    /// # Errors
    ///
    /// When `secret` is shorter than the hash.
    pub fn new(hash: MacHash, secret: &[u8]) -> Result<Self, KeyRejected> {
        if secret.len() < hash.length() {
            return Err(KeyRejected::Size);
        }
        let algorithm = match hash {
            MacHash::Sha256 => hmac::HMAC_SHA256,
            MacHash::Sha384 => hmac::HMAC_SHA384,
            MacHash::Sha512 => hmac::HMAC_SHA512,
        };
        Ok(Self(hmac::Key::new(algorithm, secret)))
    }

    /// The code of `message`.
    #[must_use]
    pub fn code(&self, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.0, message).as_ref().to_vec()
    }

    /// Verifies the code, in a time that depends on lengths only.
    ///
    /// # Errors
    ///
    /// When `code` is not that of `message`.
    pub fn verify(&self, message: &[u8], code: &[u8]) -> Result<(), BadSignature> {
        hmac::verify(&self.0, message, code).map_err(|_| BadSignature)
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey([redacted])")
    }
}

/// The signature does not verify for the message and the key. The error has no further detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSignature;

impl fmt::Display for BadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature does not verify")
    }
}

impl std::error::Error for BadSignature {}

/// Why a key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyRejected {
    /// Not one `PUBLIC KEY` section of PEM.
    NotPem,
    /// Not one `PRIVATE KEY` section of PEM.
    NotPrivatePem,
    /// Not a private key that signs here.
    NotSigning,
    /// A private key, which does not belong here.
    Private,
    /// Not a key.
    Malformed,
    /// Too short to be safe, or too long to be quick.
    Size,
    /// Made by hardware whose keys can be factored (CVE-2017-15361), or of small order.
    Weak,
    /// The scheme needs another kind of key.
    Kind,
}

impl fmt::Display for KeyRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPem => {
                "not one `-----BEGIN PUBLIC KEY-----` section of PEM (`openssl pkey -pubin` and \
                 `openssl x509 -pubkey -noout` write one)"
            }
            Self::NotPrivatePem => {
                "not one `-----BEGIN PRIVATE KEY-----` section of PEM (PKCS #8; \
                 `openssl genpkey -algorithm ed25519` and `openssl pkcs8 -topk8 -nocrypt` write one)"
            }
            Self::NotSigning => "not a well-formed Ed25519, P-256 or RSA private key",
            Self::Private => "a private key, where only the public one belongs",
            Self::Malformed => "not a well-formed RSA, P-256, P-384, P-521 or Ed25519 key",
            Self::Size => "too short to be safe, or too long",
            Self::Weak => "weak: others can sign with it (CVE-2017-15361, or small order)",
            Self::Kind => "not of the kind that the algorithm needs",
        })
    }
}

impl std::error::Error for KeyRejected {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modulus_has_between_2048_and_8192_bits() {
        for (length, fits) in [(255, false), (256, true), (1_024, true), (1_025, false)] {
            let [high, low] = u16::try_from(length + 1).unwrap().to_be_bytes();
            let der = [&[0x30, 0x82, 0, 0, 0x02, 0x82, high, low, 0], &[0xff; 2_000][..]].concat();
            assert_eq!(modulus(&der).is_some(), fits, "{length}");
        }
        assert_eq!(modulus(&[0x30, 0x81, 0x89]), None);
    }

    #[test]
    fn a_point_is_on_its_curve() {
        assert_eq!(PublicKey::ec(KeyKind::P256, &[1; 32], &[1; 32]), Err(KeyRejected::Malformed));
        assert_eq!(PublicKey::ec(KeyKind::P256, &[1; 31], &[1; 32]), Err(KeyRejected::Malformed));
        assert_eq!(PublicKey::ec(KeyKind::Rsa, &[1; 32], &[1; 32]), Err(KeyRejected::Malformed));
        assert_eq!(PublicKey::ed25519(&[1; 31]), Err(KeyRejected::Malformed));
    }
}
