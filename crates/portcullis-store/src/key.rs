//! What a record is found by, and what several records are listed by.

use std::{fmt, iter};

use portcullis_guard::digest;

/// What a record is found by: a purpose, and what sets the record apart from others of it.
///
/// Only the SHA-256 digest of both is kept, each part after its length. A part may
/// therefore hold anything, `:`, `/` and line breaks included, and be of any length, and it
/// never runs into the next; and what is stored does not say whose it is. `Debug` shows the
/// purpose only.
///
/// # Example
///
/// ```
/// use portcullis_store::RecordKey;
///
/// let key = RecordKey::new("visibility", ["https://idp.example.com", "alice"]);
/// assert_eq!(format!("{key:?}"), "RecordKey(visibility)");
/// assert_ne!(RecordKey::new("state", ["a:b", "c"]), RecordKey::new("state", ["a", "b:c"]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordKey {
    purpose: &'static str,
    owner: Option<[u8; 32]>,
    digest: [u8; 32],
}

impl RecordKey {
    /// The key of the record of `purpose` that `parts` tell apart.
    ///
    /// Subjects are unique for one issuer only: where one is a part, its issuer is another.
    #[must_use]
    pub fn new<'p, P: AsRef<[u8]> + ?Sized + 'p>(
        purpose: &'static str,
        parts: impl IntoIterator<Item = &'p P>,
    ) -> Self {
        let parts = parts.into_iter().map(AsRef::as_ref);
        let digest = digest::sha256_of_parts(iter::once(purpose.as_bytes()).chain(parts));
        Self { purpose, owner: None, digest }
    }

    /// The digest of the [`RecordOwner`] that made this key, if one did.
    #[must_use]
    pub fn owner(&self) -> Option<&[u8; 32]> {
        self.owner.as_ref()
    }

    /// What the record is for.
    #[must_use]
    pub fn purpose(&self) -> &'static str {
        self.purpose
    }

    /// What a backend keeps the record under. The purpose is in it.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordKey({})", self.purpose)
    }
}

/// What several records of one purpose belong to, so that they can be
/// [listed](crate::Store::list): the tokens of a client, the keys of a user.
///
/// A key that an owner makes is never one that [`RecordKey::new`] or another owner makes.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, SystemTime};
/// use portcullis_guard::{Clock, SystemClock};
/// use portcullis_store::{MemoryStore, RecordOwner, RecordValue, Store};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryStore::new(Arc::new(SystemClock));
/// let alice = RecordOwner::new("api-key", ["https://idp.example.com", "alice"]);
/// let in_an_hour = SystemClock.now() + Duration::from_secs(3600);
/// store.put(&alice.key(["laptop"]), RecordValue::new(*b"one")?, in_an_hour).await?;
/// store.put(&alice.key(["phone"]), RecordValue::new(*b"two")?, in_an_hour).await?;
///
/// for (key, _) in store.list(&alice, 100).await? {
///     store.take(&key).await?;
/// }
/// assert!(store.list(&alice, 100).await?.is_empty());
/// # Ok::<(), portcullis_store::StoreError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordOwner {
    purpose: &'static str,
    digest: [u8; 32],
}

impl RecordOwner {
    /// The owner of records of `purpose` that `parts` tell apart.
    #[must_use]
    pub fn new<'p, P: AsRef<[u8]> + ?Sized + 'p>(
        purpose: &'static str,
        parts: impl IntoIterator<Item = &'p P>,
    ) -> Self {
        let parts = parts.into_iter().map(AsRef::as_ref);
        let begin = [b"owner".as_slice(), purpose.as_bytes()];
        Self { purpose, digest: digest::sha256_of_parts(begin.into_iter().chain(parts)) }
    }

    /// The key of the owner's record that `parts` tell apart.
    #[must_use]
    pub fn key<'p, P: AsRef<[u8]> + ?Sized + 'p>(
        &'p self,
        parts: impl IntoIterator<Item = &'p P>,
    ) -> RecordKey {
        let parts = parts.into_iter().map(AsRef::as_ref);
        // No purpose is the digest of an owner: no other key has this one's first part.
        self.key_of_digest(digest::sha256_of_parts(iter::once(self.digest.as_slice()).chain(parts)))
    }

    /// The key of the owner's record that a backend keeps under `digest`.
    ///
    /// For backends alone, in [`list`](crate::Store::list): with the digest of somebody else's key,
    /// one record would have two owners.
    #[must_use]
    pub fn key_of_digest(&self, digest: [u8; 32]) -> RecordKey {
        RecordKey { purpose: self.purpose, owner: Some(self.digest), digest }
    }

    /// What the records are for.
    #[must_use]
    pub fn purpose(&self) -> &'static str {
        self.purpose
    }

    /// What a backend lists the records by. The purpose is in it.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl fmt::Debug for RecordOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordOwner({})", self.purpose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c20_no_part_runs_into_the_next() {
        let keys = [
            RecordKey::new("state", ["a:b", "c"]),
            RecordKey::new("state", ["a", "b:c"]),
            RecordKey::new("state", ["a", "b", "c"]),
            RecordKey::new("state", ["a:b:c"]),
            RecordKey::new("state", ["a:b", "c", ""]),
            RecordKey::new("state", ["", "a:b", "c"]),
            RecordKey::new("statea:b", ["", "c"]),
            RecordKey::new("state2", ["a:b", "c"]),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].iter().any(|other| other.digest == key.digest), "{index}");
        }
    }

    #[test]
    fn a_key_does_not_say_whose_record_it_is() {
        let debug = format!("{:?}", RecordKey::new("state", ["alice"]));
        assert_eq!(debug, "RecordKey(state)");
    }

    #[test]
    fn c20_no_owner_makes_the_key_of_another() {
        let owner = RecordOwner::new("state", ["a"]);
        let keys = [
            owner.key(["b"]),
            owner.key(["b", ""]),
            RecordOwner::new("state", ["a", "b"]).key([""; 0]),
            RecordOwner::new("state2", ["a"]).key(["b"]),
            RecordKey::new("state", ["a", "b"]),
            RecordKey::new("state", [owner.digest().as_slice(), b"b"]),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].iter().any(|other| other.digest == key.digest), "{index}");
        }
        assert_eq!(owner.key_of_digest(*owner.key(["b"]).digest()), owner.key(["b"]));
        assert_eq!(
            format!("{owner:?} {:?}", owner.key(["b"])),
            "RecordOwner(state) RecordKey(state)"
        );
    }
}
