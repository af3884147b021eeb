//! Why keys are not read or changed.

use std::fmt;
use std::path::Path;

use super::KeyId;
use crate::ErrorChain;
use crate::locked_file::{LockedFileError, LockedFileErrorKind};

/// Why there are no keys, or a file of them was not changed.
///
/// Its text says what to do, and holds ids, but never a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError {
    kind: KeyErrorKind,
    text: String,
}

/// What is wrong with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyErrorKind {
    /// Neither `PORTCULLIS_KEYS` nor `PORTCULLIS_KEY_FILE` is set.
    Missing,
    /// Both are set.
    Ambiguous,
    /// There is a text, and no key in it.
    Empty,
    /// A line is not a key, or its id is not that of its key.
    Malformed,
    /// A key is a duplicate.
    Duplicate,
    /// No key is valid.
    NoValidKey,
    /// The file cannot be read or written, or is no regular file.
    Unusable,
    /// Others may read, write or replace the file: a mode, its owner or a second name lets them.
    Exposed,
    /// The file is there already.
    Exists,
    /// No key has this id.
    Unknown,
    /// The key is the one that seals.
    InUse,
    /// A key is staged already, or there are too many.
    Full,
    /// The operating system gave no random bytes.
    NoRandomBytes,
}

impl KeyError {
    fn new(kind: KeyErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(super) fn missing() -> Self {
        Self::new(
            KeyErrorKind::Missing,
            "there are no keys to seal what is stored: make some with `portcullis keys new --file \
             keys`, and set PORTCULLIS_KEY_FILE to the file, or PORTCULLIS_KEYS to what \
             `portcullis keys new` prints",
        )
    }

    pub(super) fn ambiguous() -> Self {
        Self::new(
            KeyErrorKind::Ambiguous,
            "PORTCULLIS_KEYS and PORTCULLIS_KEY_FILE are both set: unset one",
        )
    }

    pub(super) fn empty() -> Self {
        Self::new(KeyErrorKind::Empty, "there is no key in it: `portcullis keys new` makes one")
    }

    pub(super) fn malformed(text: &str) -> Self {
        Self::new(KeyErrorKind::Malformed, text)
    }

    pub(super) fn of_api_keys() -> Self {
        Self::malformed(
            "these are API keys, which seal nothing: name a file that `portcullis keys new` made, or \
             use `portcullis keys api` for them",
        )
    }

    pub(super) fn duplicate(id: KeyId) -> Self {
        Self::new(KeyErrorKind::Duplicate, format!("the key {id} is a duplicate: remove one"))
    }

    pub(super) fn no_valid_key() -> Self {
        Self::new(
            KeyErrorKind::NoValidKey,
            "no key is valid, so nothing could be sealed: `portcullis keys rotate` adds one",
        )
    }

    pub(super) fn no_random_bytes() -> Self {
        Self::new(KeyErrorKind::NoRandomBytes, "the operating system gave no random bytes")
    }

    pub(super) fn staged(id: KeyId) -> Self {
        let text = format!("the key {id} is staged already: `portcullis keys rotate` to it first");
        Self::new(KeyErrorKind::Full, text)
    }

    pub(super) fn full() -> Self {
        Self::new(KeyErrorKind::Full, "there are too many keys: delete the lines of revoked ones")
    }

    pub(super) fn in_use(id: KeyId) -> Self {
        let text = format!("the key {id} is the one that seals: `portcullis keys rotate` first");
        Self::new(KeyErrorKind::InUse, text)
    }

    pub(super) fn unknown(id: KeyId) -> Self {
        Self::new(KeyErrorKind::Unknown, format!("there is no key {id}: `portcullis keys list`"))
    }

    pub(super) fn file(kind: KeyErrorKind, path: &Path, text: impl fmt::Display) -> Self {
        Self::new(kind, format!("the file {} {text}", path.display()))
    }

    pub(super) fn of_change(error: &LockedFileError) -> Self {
        Self::new(kind(error), error.to_string())
    }

    pub(super) fn unwatched(error: &ErrorChain<'_>) -> Self {
        Self::new(KeyErrorKind::Unusable, error.to_string())
    }

    pub(super) fn in_line(mut self, number: usize) -> Self {
        self.text = format!("line {number}: {}", self.text);
        self
    }

    /// Says where the text came from.
    pub(super) fn of(mut self, source: impl fmt::Display) -> Self {
        self.text = format!("{source}: {}", self.text);
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> KeyErrorKind {
        self.kind
    }
}

/// What it means for keys that a file of them is not read or changed.
pub(super) fn kind(error: &LockedFileError) -> KeyErrorKind {
    match error.kind() {
        LockedFileErrorKind::Exposed => KeyErrorKind::Exposed,
        LockedFileErrorKind::Exists => KeyErrorKind::Exists,
        _ => KeyErrorKind::Unusable,
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for KeyError {}
