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
        Self { purpose, digest }
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
}
