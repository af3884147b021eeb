//! A stand-in for a person's name in traces.

use std::fmt;
use std::sync::LazyLock;

use crate::{digest, random, text};

/// What stands for somebody in traces, where a name would be too much: the same for the same person, for as
/// long as the process lives.
///
/// It is a digest with a key that never leaves the process, so that nobody can find out who it is by trying
/// names. Another process, and the same one after a restart, has another for the same person.
///
/// # Example
///
/// ```
/// use portcullis_guard::Pseudonym;
///
/// let alice = Pseudonym::of(["https://idp.example.com", "alice"]);
/// assert_eq!(alice.to_string(), Pseudonym::of(["https://idp.example.com", "alice"]).to_string());
/// assert_ne!(alice.to_string(), Pseudonym::of(["https://idp.example.com", "bob"]).to_string());
/// assert_eq!(alice.to_string().len(), 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pseudonym([u8; 8]);

impl Pseudonym {
    /// The pseudonym of whom `parts` identify together.
    ///
    /// Without random bytes it is all zeroes, for everybody: without a key, names could be tried.
    #[must_use]
    pub fn of<const N: usize>(parts: [&str; N]) -> Self {
        static KEY: LazyLock<Option<[u8; 32]>> = LazyLock::new(|| random::bytes().ok());
        let Some(key) = &*KEY else { return Self([0; 8]) };
        let parts = parts.iter().map(|part| part.as_bytes());
        // What is cut off keeps the digest from being continued (length extension).
        let [a, b, c, d, e, f, g, h, ..] =
            digest::sha256_of_parts(std::iter::once(&key[..]).chain(parts));
        Self([a, b, c, d, e, f, g, h])
    }

    /// Its sixteen hexadecimal digits, in ASCII.
    #[must_use]
    pub fn digits(self) -> [u8; 16] {
        text::hex_digits(u64::from_be_bytes(self.0))
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.digits()).unwrap_or_default())
    }
}
