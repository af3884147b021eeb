//! Removes the secrets that are known from what leaves the server: results, errors, logs and audit
//! records.
//!
//! What it decides:
//!
//! 1. A secret is known as long as a [`Secret`](crate::Secret) that was made by
//!    [`known`](crate::Secret::known) lives, or a clone of it. [`SecretFile`](crate::SecretFile) and
//!    [`SecretSource`](crate::secret_source::SecretSource) make theirs so. Those of the environment
//!    ([`FromEnv`](crate::FromEnv)) stay known until the process ends, or 256 others came after them.
//! 2. It is found as it is, and escaped as in JSON or by `{:?}`, once or twice, percent-encoded as in
//!    URLs and forms, in hexadecimal digits, and in base64 and base64url, padded or not, within a
//!    longer text too.
//! 3. `[redacted]` takes its place.
//! 4. A secret of several lines, such as a private key in PEM, is looked for line by line.
//! 5. Fewer than 8 bytes are not looked for, with a warning: they would be found by accident.
//!
//! It costs the load of one number where no secret is known, takes no lock otherwise, and reads a
//! text once however many secrets there are.
//!
//! **Deployment caveat.** This is a net below the rope: a secret that was encrypted, compressed,
//! reversed or sent in two pieces is not found. Whoever can have a text of their own repeated finds
//! out whether it is a secret: choose secrets that nobody guesses.
//!
//! # Example
//!
//! ```
//! use portcullis_guard::{Secret, redaction};
//!
//! let key = Secret::known("correct-horse-battery".to_owned());
//! assert_eq!(redaction::redact("?key=correct-horse-battery&q=1"), "?key=[redacted]&q=1");
//! assert_eq!(redaction::redact("Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"), "[redacted]"); // in base64
//!
//! drop(key);
//! assert_eq!(redaction::redact("correct-horse-battery"), "correct-horse-battery");
//! ```

mod known;
mod matcher;
mod spelling;
#[cfg(test)]
mod tests;
mod writer;

use std::borrow::Cow;

pub(crate) use self::known::{Known, KnownValues};
pub use self::writer::RedactingWriter;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Secrets of fewer bytes are not looked for.
const MIN_BYTES: usize = 8;

/// `text` without the secrets that are known.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    match known::matcher().and_then(|matcher| matcher.redact(text.as_bytes())) {
        None => Cow::Borrowed(text),
        Some(redacted) => Cow::Owned(into_text(redacted)),
    }
}

/// As [`redact`], for bytes.
#[must_use]
pub fn redact_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    match known::matcher().and_then(|matcher| matcher.redact(bytes)) {
        None => Cow::Borrowed(bytes),
        Some(redacted) => Cow::Owned(redacted),
    }
}

/// Whether a secret that is known is in `bytes`.
#[must_use]
pub fn holds_secret(bytes: &[u8]) -> bool {
    known::matcher().is_some_and(|matcher| matcher.finds(bytes))
}

/// Whether a secret that is known is in one of `texts`.
#[must_use]
pub fn any_holds_secret<'t>(texts: impl IntoIterator<Item = &'t [u8]>) -> bool {
    known::matcher().is_some_and(|matcher| texts.into_iter().any(|text| matcher.finds(text)))
}

/// Whether any secret is known.
#[must_use]
pub fn is_active() -> bool {
    known::matcher().is_some()
}

/// A secret that is not UTF-8 may end within a character.
fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
