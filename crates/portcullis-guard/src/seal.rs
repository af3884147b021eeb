//! Sealing: authenticated encryption of what rests.
//!
//! A sealed value is a version (1 byte), the id of the key (8), a random nonce (12), and the value
//! by AES-256-GCM (NIST SP 800-38D) with its tag (16). The key is derived for each [`Binding`]
//! (HKDF, RFC 5869), so that random nonces serve 2^32 values of one record, not of a whole store;
//! version, key id and binding are the associated data as well.
//!
//! **Deployment caveat.** Whoever can write where sealed values rest can delete them, and bring
//! back older ones of the same record.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

use crate::digest::sha256_of_parts;
use crate::keys::{KeyId, KeyRing, RingKey};

/// How many bytes longer a sealed value is.
pub const OVERHEAD: usize = HEADER + NONCE_LEN + TAG;

const VERSION: u8 = 1;
const HEADER: usize = 1 + KeyId::LENGTH;
const TAG: usize = 16;

/// What a sealed value belongs to: it opens for the same binding only.
///
/// # Example
///
/// ```
/// use portcullis_guard::keys::KeyRing;
/// use portcullis_guard::seal::{Binding, SealErrorKind, open, seal};
///
/// let keys = KeyRing::ephemeral()?;
/// let alice = Binding::new("refresh-token", ["alice"]);
/// let sealed = seal(&keys, &alice, b"a token of the provider")?;
/// assert_eq!(open(&keys, &alice, &sealed)?, b"a token of the provider");
///
/// // Moved to another record, it does not open.
/// let error = open(&keys, &Binding::new("refresh-token", ["bob"]), &sealed).unwrap_err();
/// assert_eq!(error.kind(), SealErrorKind::Altered);
/// assert_eq!(error.key_id(), Some(keys.sealing_key()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Binding([u8; 32]);

impl Binding {
    /// The binding to the record of `purpose` that `parts` tell apart. No part runs into the next.
    #[must_use]
    pub fn new<P: AsRef<[u8]>>(purpose: &str, parts: impl IntoIterator<Item = P>) -> Self {
        let purpose = sha256_of_parts([purpose]);
        let parts = sha256_of_parts(parts);
        Self(sha256_of_parts([purpose, parts]))
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding")
    }
}

/// Seals `value` with the first valid key. Two sealed values are never the same.
///
/// # Errors
///
/// [`SealErrorKind::Failed`] when the operating system gives no random bytes.
pub fn seal(keys: &KeyRing, binding: &Binding, value: &[u8]) -> Result<Vec<u8>, SealError> {
    let keys = keys.keys();
    let key = keys.sealing();
    let failed = || SealError { kind: SealErrorKind::Failed, key_id: Some(key.id) };
    let header = header(key.id);
    let mut sealed = Vec::with_capacity(value.len() + OVERHEAD);
    sealed.extend_from_slice(&header);
    sealed.extend_from_slice(&[0; NONCE_LEN]);
    sealed.extend_from_slice(value);
    let (before, in_place) = sealed.split_at_mut(HEADER + NONCE_LEN);
    let cipher = cipher(key, binding).ok_or_else(failed)?;
    let (nonce, tag) = cipher
        .seal_in_place_separate_tag(associated(&header, binding), in_place)
        .map_err(|_| failed())?;
    let (_, place_of_nonce) = before.split_at_mut(HEADER);
    place_of_nonce.copy_from_slice(nonce.as_ref());
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Opens what [`seal`] made with one of the keys, for the same binding.
///
/// # Errors
///
/// [`SealErrorKind::Malformed`] for what is no sealed value, [`SealErrorKind::UnknownKey`] and
/// [`SealErrorKind::RevokedKey`] when its key does not open, [`SealErrorKind::Altered`] when it is
/// not as it was sealed, or belongs elsewhere.
pub fn open(keys: &KeyRing, binding: &Binding, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let malformed = SealError { kind: SealErrorKind::Malformed, key_id: None };
    let Some((header, rest)) = sealed.split_first_chunk::<HEADER>() else { return Err(malformed) };
    let Some((nonce, text)) = rest.split_first_chunk::<NONCE_LEN>() else { return Err(malformed) };
    let [VERSION, id @ ..] = *header else { return Err(malformed) };
    let id = KeyId::from_bytes(id);
    let error = |kind| SealError { kind, key_id: Some(id) };
    let keys = keys.keys();
    let key = keys.find(id).ok_or_else(|| error(SealErrorKind::UnknownKey))?;
    if key.derivation.is_none() {
        return Err(error(SealErrorKind::RevokedKey));
    }
    let cipher = cipher(key, binding).ok_or_else(|| error(SealErrorKind::Failed))?;
    let mut value = text.to_vec();
    let opened = cipher
        .open_in_place(Nonce::from(nonce), associated(header, binding), &mut value)
        .map_err(|_| error(SealErrorKind::Altered))?;
    let length = opened.len();
    value.truncate(length);
    Ok(value)
}

fn header(id: KeyId) -> [u8; HEADER] {
    let mut header = [VERSION; HEADER];
    if let Some((_, place_of_id)) = header.split_first_mut() {
        place_of_id.copy_from_slice(id.as_bytes());
    }
    header
}

/// Both parts have one length: neither runs into the other.
fn associated(header: &[u8; HEADER], binding: &Binding) -> Aad<Vec<u8>> {
    Aad::from([header.as_slice(), &binding.0].concat())
}

/// The cipher of one key for one binding; nothing for a revoked key, or without memory.
fn cipher(key: &RingKey, binding: &Binding) -> Option<RandomizedNonceKey> {
    let derived = key.derivation.as_ref()?.key(&[b"seal", &binding.0]).ok()?;
    RandomizedNonceKey::new(&AES_256_GCM, derived.expose()).ok()
}

/// Why a value was not sealed or opened. It holds nothing of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealError {
    kind: SealErrorKind,
    key_id: Option<KeyId>,
}

/// What kept a value from being sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SealErrorKind {
    /// It is no sealed value, or one of a newer version.
    Malformed,
    /// Its key is not in the ring.
    UnknownKey,
    /// Its key is revoked.
    RevokedKey,
    /// It is not as it was sealed, or was sealed for another record or purpose.
    Altered,
    /// The operating system gave no random bytes, or no memory.
    Failed,
}

impl SealError {
    /// What kept it.
    #[must_use]
    pub fn kind(&self) -> SealErrorKind {
        self.kind
    }

    /// The key that it was sealed with, or was to be.
    #[must_use]
    pub fn key_id(&self) -> Option<KeyId> {
        self.key_id
    }
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.key_id) {
            (SealErrorKind::UnknownKey, Some(id)) => {
                write!(f, "it was sealed with the key {id}, which is not among the keys: add it")
            }
            (SealErrorKind::RevokedKey, Some(id)) => {
                write!(f, "it was sealed with the key {id}, which is revoked")
            }
            (SealErrorKind::Altered, Some(id)) => write!(
                f,
                "it is not as it was sealed with the key {id}, or belongs to another record"
            ),
            (SealErrorKind::Failed, Some(id)) => {
                write!(f, "the key {id} could not be used: no random bytes, or no memory")
            }
            (_, _) => f.write_str("it is no sealed value, or one of a newer version"),
        }
    }
}

impl std::error::Error for SealError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::new_key;

    fn binding() -> Binding {
        Binding::new("state", ["alice"])
    }

    fn kind(opened: Result<Vec<u8>, SealError>) -> SealErrorKind {
        opened.unwrap_err().kind()
    }

    #[test]
    fn e23_what_was_sealed_opens_as_it_was() {
        let keys = KeyRing::ephemeral().unwrap();
        for value in [&b""[..], b"\0", b"hunter2", &[0xa5; 70_000]] {
            let sealed = seal(&keys, &binding(), value).unwrap();
            assert_eq!(sealed.len(), value.len() + OVERHEAD);
            assert_eq!(open(&keys, &binding(), &sealed).as_deref(), Ok(value));
            if value.len() > 4 {
                assert!(!sealed.windows(5).any(|part| part == &value[..5]));
            }
        }
        let twice =
            [seal(&keys, &binding(), b"a").unwrap(), seal(&keys, &binding(), b"a").unwrap()];
        assert_ne!(twice[0], twice[1]);
    }

    #[test]
    fn e23_no_byte_of_a_sealed_value_can_be_changed_or_cut_off() {
        let keys = KeyRing::ephemeral().unwrap();
        let sealed = seal(&keys, &binding(), b"hunter2").unwrap();
        for place in 0..sealed.len() {
            for bit in 0..8 {
                let mut altered = sealed.clone();
                altered[place] ^= 1 << bit;
                let expected = match place {
                    0 => SealErrorKind::Malformed,
                    1..9 => SealErrorKind::UnknownKey,
                    _ => SealErrorKind::Altered,
                };
                assert_eq!(kind(open(&keys, &binding(), &altered)), expected, "{place}.{bit}");
            }
            assert!(open(&keys, &binding(), &sealed[..place]).is_err(), "cut at {place}");
            assert!(open(&keys, &binding(), &sealed[place + 1..]).is_err(), "from {place}");
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        assert_eq!(kind(open(&keys, &binding(), &longer)), SealErrorKind::Altered);
    }

    #[test]
    fn e23_a_value_opens_for_its_own_binding_only() {
        let keys = KeyRing::ephemeral().unwrap();
        let sealed = seal(&keys, &binding(), b"hunter2").unwrap();
        for other in [
            Binding::new("state", ["bob"]),
            Binding::new("state", ["alice", ""]),
            Binding::new("state", [] as [&str; 0]),
            Binding::new("code", ["alice"]),
            Binding::new("statealice", [""]),
            Binding::new("", ["state", "alice"]),
        ] {
            assert_eq!(kind(open(&keys, &other, &sealed)), SealErrorKind::Altered);
        }
    }

    #[test]
    fn the_first_valid_key_seals_and_all_that_are_not_revoked_open() {
        let [new, old] = [new_key().unwrap(), new_key().unwrap()];
        let (new, old) = (new.expose(), old.expose());
        let retained = old.replace(" valid ", " retained ");
        let only_old = KeyRing::from_text(old).unwrap();
        let both = KeyRing::from_text(&format!("{new}\n{retained}")).unwrap();
        let staged =
            KeyRing::from_text(&format!("{}\n{old}", new.replace(" valid ", " retained ")))
                .unwrap();
        let revoked = &old[..16];
        let without = KeyRing::from_text(&format!("{new}\n{revoked} revoked")).unwrap();
        let only_new = KeyRing::from_text(new).unwrap();

        let of_old = seal(&only_old, &binding(), b"a").unwrap();
        let of_new = seal(&both, &binding(), b"a").unwrap();
        assert!(open(&both, &binding(), &of_old).is_ok());
        assert!(open(&staged, &binding(), &of_new).is_ok(), "a key opens before it seals");
        assert_eq!(staged.sealing_key(), only_old.sealing_key());

        let error = open(&without, &binding(), &of_old).unwrap_err();
        assert_eq!(error.kind(), SealErrorKind::RevokedKey);
        assert_eq!(error.key_id(), Some(only_old.sealing_key()));
        assert!(error.to_string().contains(revoked), "{error}");
        let kept = old.replace(" valid ", " revoked ");
        let kept = KeyRing::from_text(&format!("{new}\n{kept}")).unwrap();
        assert_eq!(kind(open(&kept, &binding(), &of_old)), SealErrorKind::RevokedKey);
        let error = open(&only_new, &binding(), &of_old).unwrap_err();
        assert_eq!(error.kind(), SealErrorKind::UnknownKey);
        assert!(error.to_string().contains(revoked), "{error}");
    }

    /// Sealed by Python's hmac and cryptography 50.0.2, with the nonce 00 to 0b: what rests has to
    /// open for ever.
    #[test]
    fn what_rests_since_version_1_opens() {
        let keys = KeyRing::from_text(crate::keys::KNOWN.0).unwrap();
        let sealed = RESTING
            .as_bytes()
            .chunks(2)
            .map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap());
        let sealed: Vec<u8> = sealed.collect();
        assert_eq!(open(&keys, &binding(), &sealed).as_deref(), Ok(&b"hunter2"[..]));
    }

    const RESTING: &str =
        "018a32caa555d10204000102030405060708090a0b14025638f11bdb327af17971691a9fc131c43f2b7c2d30";
}
