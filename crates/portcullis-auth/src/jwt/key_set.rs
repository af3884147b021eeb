//! A JWK set, and the choice of its keys for a token.

use std::fmt;

use portcullis_guard::json::{self, Bounds};
use portcullis_guard::signature::BadSignature;
use portcullis_guard::text::quoted;
use serde_json::{Map, Value};

use super::Algorithm;
use super::compact::CompactJws;
use super::key::Key;

/// The most keys that a set may hold.
pub(super) const MAX_KEYS: usize = 100;
/// The most keys that one token is tried with.
const MAX_CANDIDATES: usize = 8;
const BOUNDS: Bounds = Bounds { values: 16_384, depth: 8 };
/// Members that only a private key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The keys of one issuer.
#[derive(Debug)]
pub(crate) struct KeySet(Vec<Key>);

impl KeySet {
    pub(super) fn of(key: Key) -> Self {
        Self(vec![key])
    }

    /// Reads a JWK set (RFC 7517 §5). A key that verifies nothing here is left out; the
    /// others stay.
    ///
    /// # Errors
    ///
    /// When it is not a set, too large, or holds no key that verifies anything here.
    pub(crate) fn read(text: &str, algorithms: &[Algorithm]) -> Result<Self, NotAKeySet> {
        Self::read_at_most(text, algorithms, MAX_KEYS)
    }

    /// As [`read`](Self::read), of at most so many keys.
    pub(super) fn read_at_most(
        text: &str,
        algorithms: &[Algorithm],
        most: usize,
    ) -> Result<Self, NotAKeySet> {
        let set = json::read_object(text, BOUNDS).map_err(NotAKeySet::Json)?;
        let entries = match (set.get("keys").and_then(Value::as_array), set.get("jwks_uri")) {
            (Some(entries), _) => entries,
            (None, Some(Value::String(url))) => return Err(NotAKeySet::Discovery(url.clone())),
            (None, _) => return Err(NotAKeySet::NoKeys),
        };
        if entries.len() > most {
            return Err(NotAKeySet::TooMany(most));
        }
        let keys: Vec<Key> =
            entries.iter().filter_map(|entry| usable(entry.as_object()?, algorithms)).collect();
        if keys.is_empty() { Err(NotAKeySet::NothingUsable) } else { Ok(Self(keys)) }
    }

    /// Verifies the signature of `jws` with the keys that may have made it: those with its
    /// key id, or those without any where none has it.
    ///
    /// A token without a key id is tried with all of them, up to a bound. Where there are
    /// several, it has to have one (OpenID Connect Core §10.1), so newer keys are not asked for
    /// on its account.
    pub(crate) fn verify(&self, jws: &CompactJws<'_>) -> Result<(), Unverified> {
        let header = &jws.header;
        let takes = |key: &&Key| key.takes(header.algorithm);
        let named = |key: &&Key| key.id().is_some() && key.id() == header.key_id.as_deref();
        let identified = self.0.iter().any(|key| named(&key));
        let candidates = self.0.iter().filter(|key| match (&header.key_id, identified) {
            (Some(_), true) => named(key),
            (Some(_), false) => key.id().is_none(),
            (None, _) => true,
        });
        let mut tried = 0_usize;
        for key in candidates.filter(takes).take(MAX_CANDIDATES) {
            tried += 1;
            let verified =
                key.verify(header.algorithm, jws.signing_input.as_bytes(), &jws.signature);
            if let Ok(()) = verified {
                return Ok(());
            }
        }
        match (tried, identified, &header.key_id) {
            (0, true, _) => Err(Unverified::Algorithm),
            (_, true, _) | (2.., false, None) => Err(Unverified::Signature(BadSignature)),
            (_, false, Some(_)) | (0 | 1, false, None) => Err(Unverified::UnknownKey),
        }
    }
}

fn usable(jwk: &Map<String, Value>, algorithms: &[Algorithm]) -> Option<Key> {
    let key = match Key::from_jwk(jwk, algorithms) {
        Ok(key) => key,
        Err(unusable) => {
            let key_id = jwk.get("kid").and_then(Value::as_str).map(quoted);
            // An attacker who can break such a key could sign tokens, if not for us then for
            // others.
            if unusable.is_weak() {
                tracing::warn!(key_id, %unusable, "a weak key of the set is left out");
            } else {
                tracing::debug!(key_id, %unusable, "a key of the set is left out");
            }
            return None;
        }
    };
    if PRIVATE.iter().any(|member| jwk.contains_key(*member)) {
        tracing::warn!("the JWK set publishes a private key: whoever reads it can sign tokens");
    }
    Some(key)
}

/// Why no key of a set verifies a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unverified {
    /// No key with the token's key id; a newer set may have it.
    UnknownKey,
    /// The key is not for the token's algorithm.
    Algorithm,
    /// The key is there, and the signature is not its.
    Signature(BadSignature),
}

/// Why a document is not a set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotAKeySet {
    Json(json::Refused),
    /// A discovery document, with the address of the set.
    Discovery(String),
    NoKeys,
    /// More than so many.
    TooMany(usize),
    NothingUsable,
}

impl fmt::Display for NotAKeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(refused) => write!(f, "the document is refused: {refused}"),
            Self::Discovery(url) => write!(
                f,
                "this is a discovery document, not a JWK set: use the address in its \
                 `jwks_uri`, {}",
                quoted(url)
            ),
            Self::NoKeys => f.write_str("the document has no list `keys`"),
            Self::TooMany(most) => write!(f, "the set has more than {most} keys"),
            Self::NothingUsable => f.write_str("the set has no key for the configured algorithms"),
        }
    }
}
