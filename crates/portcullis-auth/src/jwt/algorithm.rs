//! The signature algorithms, and the keys that each takes.

use std::fmt;

use portcullis_guard::signature::{KeyKind, MacHash, Scheme};

/// A signature algorithm, by its name in a JWS header (RFC 7518 §3.1, RFC 8037 §3.1,
/// RFC 9864 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the RFCs")]
#[non_exhaustive]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
    Ed25519,
}

/// What an algorithm is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Primitive {
    Mac(MacHash),
    Signature(Scheme),
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
        Self::Ed25519,
        Self::HS256,
        Self::HS384,
        Self::HS512,
    ];

    /// The algorithm with this name; names are case-sensitive (RFC 7515 §4.1.1).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// The algorithm's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// Whether one secret both signs and verifies.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        matches!(self.primitive(), Primitive::Mac(_))
    }

    /// How its signatures are made, unless one secret both signs and verifies.
    pub(crate) fn scheme(self) -> Option<Scheme> {
        match self.primitive() {
            Primitive::Mac(_) => None,
            Primitive::Signature(scheme) => Some(scheme),
        }
    }

    /// Whether signatures of the algorithm are verified by public keys of `kind`.
    pub(super) fn takes(self, kind: KeyKind) -> bool {
        matches!(self.primitive(), Primitive::Signature(scheme) if scheme.key_kind() == kind)
    }

    pub(super) fn primitive(self) -> Primitive {
        match self {
            Self::HS256 => Primitive::Mac(MacHash::Sha256),
            Self::HS384 => Primitive::Mac(MacHash::Sha384),
            Self::HS512 => Primitive::Mac(MacHash::Sha512),
            Self::RS256 => Primitive::Signature(Scheme::RsaPkcs1Sha256),
            Self::RS384 => Primitive::Signature(Scheme::RsaPkcs1Sha384),
            Self::RS512 => Primitive::Signature(Scheme::RsaPkcs1Sha512),
            Self::PS256 => Primitive::Signature(Scheme::RsaPssSha256),
            Self::PS384 => Primitive::Signature(Scheme::RsaPssSha384),
            Self::PS512 => Primitive::Signature(Scheme::RsaPssSha512),
            Self::ES256 => Primitive::Signature(Scheme::EcdsaP256Sha256),
            Self::ES384 => Primitive::Signature(Scheme::EcdsaP384Sha384),
            Self::ES512 => Primitive::Signature(Scheme::EcdsaP521Sha512),
            Self::EdDSA | Self::Ed25519 => Primitive::Signature(Scheme::Ed25519),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
