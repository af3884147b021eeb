use std::fmt;

use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretBox};

use crate::digest;

/// A value that cannot be printed, serialised or compared in variable time, and that is
/// wiped from memory when it is dropped.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// use portcullis::guard::Secret;
///
/// let key = Secret::new("hunter2".to_owned());
/// assert_eq!(format!("{key:?}"), "Secret([redacted])");
/// assert!(key.matches("hunter2"));
/// assert_eq!(key.expose(), "hunter2"); // the one way to read it, easy to search for
/// ```
///
/// There is no `Display` and no `PartialEq`:
///
/// ```compile_fail
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// let key = portcullis::guard::Secret::new("hunter2".to_owned());
/// println!("{key}");
/// ```
pub struct Secret<T: Zeroize>(SecretBox<T>);

impl<T: Zeroize> Secret<T> {
    /// Keeps `value` as a secret.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(SecretBox::new(Box::new(value)))
    }

    /// The value itself, for the one place that has to send or use it.
    #[must_use]
    pub fn expose(&self) -> &T {
        self.0.expose_secret()
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Whether `candidate` equals the secret, in a time that depends on the lengths only.
    #[must_use]
    pub fn matches(&self, candidate: impl AsRef<[u8]>) -> bool {
        digest::equal(self.expose().as_ref(), candidate.as_ref())
    }
}

/// A copy is a secret of its own, wiped like the first.
impl<T: Zeroize + Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self::new(self.expose().clone())
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}
