//! A digest that stands for a session, and does not open it.

use std::fmt;

use portcullis_guard::digest;

/// Identifies a session without being its id: the SHA-256 digest of it.
///
/// What is kept for a session is kept under this. Whoever sees it cannot use the session.
///
/// # Example
///
/// ```
/// # extern crate portcullis_protocol as portcullis;
/// use portcullis::SessionKey;
///
/// assert_eq!(SessionKey::LOCAL.bytes(), &[0; 32]);
/// assert_eq!(format!("{:?}", SessionKey::LOCAL), "SessionKey(…)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// The one session over stdio, in every version: the process serves one local user. No
    /// session over HTTP has this key.
    pub const LOCAL: Self = Self([0; 32]);

    /// The key of the session that `id` names.
    #[must_use]
    pub fn of(id: &str) -> Self {
        Self(digest::sha256(id.as_bytes()))
    }

    /// The digest.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(…)")
    }
}
