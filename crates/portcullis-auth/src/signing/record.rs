//! The keys as they rest in the store, and as they are published.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::digest;
use portcullis_guard::json::{self, Bounds};
use portcullis_guard::signature::{KeyKind, PublicKey, SigningKey};
use portcullis_store::RecordValue;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::SigningKeyError;
use crate::Algorithm;

const VERSION: u8 = 1;
const BOUNDS: Bounds = Bounds { values: 4_096, depth: 8 };

/// All keys, the oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Record {
    pub(super) keys: Vec<KeyRecord>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeyRecord {
    pub(super) id: String,
    pub(super) algorithm: Algorithm,
    public: PublicKey,
    pub(super) state: KeyState,
    /// The longest lifetime of a token that it may have signed, in seconds.
    pub(super) longest_lifetime: u64,
}

/// What a key is for. A revoked one is in no record.
#[derive(Clone, Debug)]
pub(super) enum KeyState {
    /// It signs from this time on, in seconds since 1970, until a newer one does.
    Valid { private: Arc<SigningKey>, signs_from: u64 },
    /// It is published until this time. There is no private half.
    Retained { until: u64 },
}

impl PartialEq for KeyState {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            // The public half, which is beside it, says which one the private half is.
            (Self::Valid { signs_from: a, .. }, Self::Valid { signs_from: b, .. }) => a == b,
            (Self::Retained { until: a }, Self::Retained { until: b }) => a == b,
            (Self::Valid { .. }, Self::Retained { .. })
            | (Self::Retained { .. }, Self::Valid { .. }) => false,
        }
    }
}

impl KeyRecord {
    pub(super) fn new(
        algorithm: Algorithm,
        signs_from: u64,
        longest_lifetime: u64,
    ) -> Result<Self, SigningKeyError> {
        let scheme = algorithm.scheme().ok_or_else(SigningKeyError::malformed)?;
        let private =
            SigningKey::generate(scheme).map_err(|_| SigningKeyError::without_random_bytes())?;
        let public = private.public_key().clone();
        let id = thumbprint(&public).ok_or_else(SigningKeyError::malformed)?;
        let state = KeyState::Valid { private: Arc::new(private), signs_from };
        Ok(Self { id, algorithm, public, state, longest_lifetime })
    }

    /// The public half (RFC 7517 §4, RFC 7518 §6.2, RFC 8037 §2).
    fn jwk(&self) -> Option<Value> {
        let mut jwk = members(&self.public)?;
        let of = jwk.as_object_mut()?;
        of.insert("use".to_owned(), json!("sig"));
        of.insert("alg".to_owned(), json!(self.algorithm.as_str()));
        of.insert("kid".to_owned(), json!(self.id));
        Some(jwk)
    }
}

/// The members that make up the key.
fn members(key: &PublicKey) -> Option<Value> {
    if let Some(point) = key.ed25519_point() {
        return Some(json!({"kty": "OKP", "crv": "Ed25519", "x": encode(point)}));
    }
    let (x, y) = key.coordinates().filter(|_| key.kind() == KeyKind::P256)?;
    Some(json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)}))
}

/// The SHA-256 thumbprint (RFC 7638 §3): over the members that make up the key, in the order of
/// their names, without white space.
fn thumbprint(key: &PublicKey) -> Option<String> {
    let members = members(key)?;
    let text = |name: &str| Some(format!("\"{name}\":{}", members.get(name)?));
    let sorted = ["crv", "kty", "x", "y"].into_iter().filter_map(text);
    let input = format!("{{{}}}", sorted.collect::<Vec<_>>().join(","));
    Some(encode(&digest::sha256(input.as_bytes())))
}

/// What is written. Members that are not known are refused: a newer version has more states.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest {
    version: u8,
    keys: Vec<RestingKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RestingKey {
    algorithm: String,
    /// The coordinates or the point.
    public: String,
    longest_lifetime: u64,
    state: RestingState,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum RestingState {
    /// The private half is a `PrivateKeyInfo` (RFC 5958).
    Valid {
        private: String,
        signs_from: u64,
    },
    Retained {
        until: u64,
    },
}

impl Record {
    pub(super) fn read(value: &RecordValue) -> Result<Self, SigningKeyError> {
        Self::parse(value.as_bytes()).ok_or_else(SigningKeyError::malformed)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let object = json::read_object(str::from_utf8(bytes).ok()?, BOUNDS).ok()?;
        let rest: Rest = serde_json::from_value(Value::Object(object)).ok()?;
        if rest.version != VERSION {
            return None;
        }
        let keys: Option<Vec<_>> = rest.keys.into_iter().map(RestingKey::wake).collect();
        Some(Self { keys: keys? })
    }

    pub(super) fn write(&self) -> Result<RecordValue, SigningKeyError> {
        let keys: Option<Vec<_>> = self.keys.iter().map(RestingKey::of).collect();
        let keys = keys.ok_or_else(SigningKeyError::malformed)?;
        let written = serde_json::to_vec(&Rest { version: VERSION, keys })
            .map_err(|_| SigningKeyError::malformed())?;
        RecordValue::new(written).map_err(|error| SigningKeyError::of_store(&error))
    }

    /// The public halves (RFC 7517 §5).
    pub(super) fn jwk_set(&self) -> String {
        let keys: Vec<_> = self.keys.iter().filter_map(KeyRecord::jwk).collect();
        json!({ "keys": keys }).to_string()
    }
}

impl RestingKey {
    fn of(key: &KeyRecord) -> Option<Self> {
        let public = match (key.public.coordinates(), key.public.ed25519_point()) {
            (Some((x, y)), _) => [x, y].concat(),
            (None, Some(point)) => point.to_vec(),
            (None, None) => return None,
        };
        let state = match &key.state {
            KeyState::Valid { private, signs_from } => {
                let private = encode(private.to_pkcs8().ok()?.expose());
                RestingState::Valid { private, signs_from: *signs_from }
            }
            KeyState::Retained { until } => RestingState::Retained { until: *until },
        };
        Some(Self {
            algorithm: key.algorithm.as_str().to_owned(),
            public: encode(&public),
            longest_lifetime: key.longest_lifetime,
            state,
        })
    }

    fn wake(self) -> Option<KeyRecord> {
        let algorithm = Algorithm::parse(&self.algorithm)?;
        let public = URL_SAFE_NO_PAD.decode(self.public).ok()?;
        let public = match algorithm.scheme()?.key_kind() {
            KeyKind::P256 => {
                let (x, y) = public.split_at_checked(32)?;
                PublicKey::ec(KeyKind::P256, x, y).ok()?
            }
            KeyKind::Ed25519 => PublicKey::ed25519(&public).ok()?,
            _ => return None,
        };
        let state = match self.state {
            RestingState::Valid { private, signs_from } => {
                let private = URL_SAFE_NO_PAD.decode(private).ok()?;
                let private = SigningKey::from_pkcs8(&private).ok()?;
                let ours = *private.public_key() == public;
                ours.then(|| KeyState::Valid { private: Arc::new(private), signs_from })?
            }
            RestingState::Retained { until } => KeyState::Retained { until },
        };
        let id = thumbprint(&public)?;
        Some(KeyRecord { id, algorithm, public, state, longest_lifetime: self.longest_lifetime })
    }
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8037_a_3_a_key_is_known_by_its_thumbprint() {
        let point = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = PublicKey::ed25519(&point).unwrap();
        let thumbprint = thumbprint(&key);
        assert_eq!(thumbprint.as_deref(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    }

    #[test]
    fn what_was_written_is_read_again_and_nothing_else_is() {
        for algorithm in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::Ed25519] {
            let mut old = KeyRecord::new(algorithm, 1, 2).unwrap();
            old.state = KeyState::Retained { until: 7 };
            let record = Record { keys: vec![old, KeyRecord::new(algorithm, 5, 6).unwrap()] };
            let written = record.write().unwrap();
            assert_eq!(Record::read(&written).unwrap(), record, "{algorithm}");

            let text = str::from_utf8(written.as_bytes()).unwrap();
            for (from, to) in [
                ("\"version\":1", "\"version\":2"),
                ("\"version\":1", "\"version\":1,\"more\":1"),
                ("\"valid\":{", "\"revoked\":{"),
                ("\"until\":7", "\"until\":\"7\""),
                (algorithm.as_str(), "RS256"),
            ] {
                let other = text.replace(from, to);
                assert_ne!(other, text, "{from}");
                let value = RecordValue::new(other.into_bytes()).unwrap();
                assert_eq!(Record::read(&value), Err(SigningKeyError::malformed()), "{to}");
            }
            // The private half of another key.
            let other = Record { keys: vec![KeyRecord::new(algorithm, 5, 6).unwrap()] };
            let private = |record: &Record| RestingKey::of(record.keys.last().unwrap()).unwrap();
            let RestingState::Valid { private: ours, .. } = private(&record).state else {
                panic!()
            };
            let RestingState::Valid { private: theirs, .. } = private(&other).state else {
                panic!()
            };
            let value = RecordValue::new(text.replace(&ours, &theirs).into_bytes()).unwrap();
            assert_eq!(Record::read(&value), Err(SigningKeyError::malformed()));
        }
    }
}
