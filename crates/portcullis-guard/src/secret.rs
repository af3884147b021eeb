//! Values that must not be shown.

use std::fmt;
use std::sync::Arc;

use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretBox};

use crate::digest;
use crate::redaction::Known;

/// A value that cannot be printed, serialised or compared in variable time, and that is
/// wiped from memory when it is dropped.
///
/// One that is [known](Self::known) is removed from results, errors, logs and audit records, too.
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
pub struct Secret<T: Zeroize> {
    value: SecretBox<T>,
    known: Option<Arc<Known>>,
}

impl<T: Zeroize> Secret<T> {
    /// Keeps `value` as a secret. Nothing looks for it elsewhere: that is for secrets that last,
    /// which are [known](Self::known).
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { value: SecretBox::new(Box::new(value)), known: None }
    }

    /// The value itself, for the one place that has to send or use it.
    #[must_use]
    pub fn expose(&self) -> &T {
        self.value.expose_secret()
    }

    /// Has `text`, which the value was made of, [removed](crate::redaction) from what leaves the
    /// server until the process ends. The log calls it `what`.
    pub(crate) fn kept_known_as(mut self, text: &[u8], what: &str) -> Self {
        self.known = Some(Known::kept(text, what));
        self
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Keeps `value` as a secret, and has it [removed](crate::redaction) from results, errors, logs
    /// and audit records, as long as it or a clone of it lives. One of fewer than 8 bytes is not
    /// looked for, with a warning.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_guard as guard; }
    /// use portcullis::guard::{Secret, redaction};
    ///
    /// let key = Secret::known("correct-horse-battery".to_owned());
    /// let url = format!("https://example.com/?key={}", key.expose());
    /// assert_eq!(redaction::redact(&url), "https://example.com/?key=[redacted]");
    /// ```
    #[must_use]
    pub fn known(value: T) -> Self {
        let secret = Self::new(value);
        let known = Some(Known::new(secret.expose().as_ref(), "Secret::known"));
        Self { known, ..secret }
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Whether `candidate` equals the secret, in a time that depends on the lengths only.
    #[must_use]
    pub fn matches(&self, candidate: impl AsRef<[u8]>) -> bool {
        digest::equal(self.expose().as_ref(), candidate.as_ref())
    }
}

/// A copy is a secret of its own, wiped like the first, and known as long as that.
impl<T: Zeroize + Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self { known: self.known.clone(), ..Self::new(self.expose().clone()) }
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
