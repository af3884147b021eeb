//! One key of a JWK set, and the signatures that it verifies.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::Secret;
use portcullis_guard::signature::{
    BadSignature, KeyKind, KeyRejected, MacKey, PublicKey, VerifyingKey,
};
use serde_json::{Map, Value};

use super::Algorithm;
use super::algorithm::Primitive;
use super::compact::MAX_KEY_ID;

#[cfg(test)]
thread_local! {
    /// How often a signature was looked at.
    pub(super) static VERIFICATIONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A key, parsed once for each algorithm that it may be used with.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    uses: Vec<(Algorithm, Verifying)>,
    /// A secret is known, and so removed from what leaves the server, while it is in use.
    _known: Option<Secret<Vec<u8>>>,
}

enum Verifying {
    Signature(VerifyingKey),
    Mac(Box<MacKey>),
}

impl Key {
    /// A public key for those of `algorithms` that its kind is made for.
    pub(super) fn public(
        id: Option<String>,
        key: &PublicKey,
        algorithms: &[Algorithm],
    ) -> Result<Self, KeyRejected> {
        let mut uses = Vec::new();
        for algorithm in algorithms.iter().filter(|algorithm| algorithm.takes(key.kind())) {
            if let Primitive::Signature(scheme) = algorithm.primitive() {
                uses.push((*algorithm, Verifying::Signature(key.verifying(scheme)?)));
            }
        }
        if uses.is_empty() { Err(KeyRejected::Kind) } else { Ok(Self { id, uses, _known: None }) }
    }

    /// A secret for `algorithms`, which have to be symmetric.
    pub(super) fn secret(secret: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeyRejected> {
        let mut uses = Vec::new();
        for algorithm in algorithms {
            let Primitive::Mac(hash) = algorithm.primitive() else {
                return Err(KeyRejected::Kind);
            };
            let key = MacKey::new(hash, secret)?;
            uses.push((*algorithm, Verifying::Mac(Box::new(key))));
        }
        Ok(Self { id: None, uses, _known: Some(Secret::known(secret.to_vec())) })
    }

    /// A key of a JWK set (RFC 7517 §4), for those of `algorithms` that it may be used with.
    ///
    /// # Errors
    ///
    /// Why it verifies nothing here. Symmetric keys never do: whoever can read the set
    /// could sign with them.
    pub(super) fn from_jwk(
        jwk: &Map<String, Value>,
        algorithms: &[Algorithm],
    ) -> Result<Self, Unusable> {
        let text = |name: &'static str| match jwk.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Unusable::Member(name)),
        };
        if text("use")?.is_some_and(|usage| usage != "sig") {
            return Err(Unusable::NotForVerifying);
        }
        if let Some(operations) = jwk.get("key_ops") {
            let operations = operations.as_array().ok_or(Unusable::Member("key_ops"))?;
            if !operations.iter().any(|operation| operation == "verify") {
                return Err(Unusable::NotForVerifying);
            }
        }
        let id = text("kid")?.map(str::to_owned);
        if id.as_ref().is_some_and(|id| id.len() > MAX_KEY_ID) {
            return Err(Unusable::Member("kid"));
        }
        let bytes = |name: &'static str| {
            let text = text(name)?.ok_or(Unusable::Member(name))?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| Unusable::Member(name))
        };
        let key = match (text("kty")?, text("crv")?) {
            (Some("RSA"), _) => PublicKey::rsa(&bytes("n")?, &bytes("e")?),
            (Some("EC"), Some(curve)) => {
                let kind = match curve {
                    "P-256" => KeyKind::P256,
                    "P-384" => KeyKind::P384,
                    "P-521" => KeyKind::P521,
                    _ => return Err(Unusable::Unknown),
                };
                PublicKey::ec(kind, &bytes("x")?, &bytes("y")?)
            }
            (Some("OKP"), Some("Ed25519")) => PublicKey::ed25519(&bytes("x")?),
            (Some("oct"), _) => return Err(Unusable::Symmetric),
            _ => return Err(Unusable::Unknown),
        }
        .map_err(Unusable::Rejected)?;
        let algorithms: Vec<Algorithm> = match text("alg")? {
            None => algorithms.to_vec(),
            Some(alg) => {
                let named = Algorithm::parse(alg).ok_or(Unusable::Unknown)?;
                let same = |own: &&Algorithm| own.primitive() == named.primitive();
                algorithms.iter().filter(same).copied().collect()
            }
        };
        Self::public(id, &key, &algorithms).map_err(Unusable::Rejected)
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(super) fn takes(&self, algorithm: Algorithm) -> bool {
        self.uses.iter().any(|(own, _)| *own == algorithm)
    }

    /// Verifies that `signature` is the key's over `message` by `algorithm`.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let used = self.uses.iter().find(|(own, _)| *own == algorithm).ok_or(BadSignature)?;
        #[cfg(test)]
        VERIFICATIONS.set(VERIFICATIONS.get() + 1);
        match &used.1 {
            Verifying::Signature(key) => key.verify(message, signature),
            Verifying::Mac(key) => key.verify(message, signature),
        }
    }
}

impl fmt::Debug for Verifying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature(_) => "Signature",
            Self::Mac(_) => "Mac",
        })
    }
}

/// Why a key of a set verifies nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// A member that is missing or not what it has to be.
    Member(&'static str),
    /// Published for something else.
    NotForVerifying,
    /// A symmetric key, which a published set makes public.
    Symmetric,
    /// A key of a type, curve or algorithm that is not supported.
    Unknown,
    /// Not a safe key, or not one for the configured algorithms.
    Rejected(KeyRejected),
}

impl Unusable {
    /// Whether others could sign with the key.
    pub(super) fn is_weak(self) -> bool {
        matches!(self, Self::Rejected(KeyRejected::Size | KeyRejected::Weak))
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(name) => write!(f, "`{name}` is missing or malformed"),
            Self::NotForVerifying => f.write_str("not for verifying signatures"),
            Self::Symmetric => f.write_str("a symmetric key must not be in a public set"),
            Self::Unknown => f.write_str("a type, curve or algorithm that is not supported"),
            Self::Rejected(rejected) => rejected.fmt(f),
        }
    }
}
