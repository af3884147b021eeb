//! Why a token was not signed, or keys were not opened.

use std::fmt;

use portcullis_store::StoreError;

/// Why there is no signing key or no token. The text never holds a key or a claim's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyError {
    kind: SigningKeyErrorKind,
    text: String,
}

/// The kind of a [`SigningKeyError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SigningKeyErrorKind {
    /// The issuer is not an https URL.
    InvalidIssuer,
    /// No key is made for this algorithm.
    UnsuitableAlgorithm,
    /// Keys would rotate too often or too rarely.
    InvalidRotation,
    /// A token would live for no time or for too long.
    InvalidLifetime,
    /// The store writes values as they are.
    UnsealedStore,
    /// The store cannot be read or written.
    Store,
    /// The record of the keys does not open: its sealing key is missing or revoked.
    Unopened,
    /// The record of the keys is not one that this version understands.
    MalformedRecord,
    /// There is no key with this id.
    UnknownKey,
    /// The type of a token is not one of its own.
    InvalidType,
    /// A token has no audience.
    InvalidAudience,
    /// A claim is one that the keys set.
    InvalidClaim,
    /// The token would be longer than 16 KiB.
    TooLarge,
    /// The operating system gave no random bytes.
    RandomUnavailable,
}

impl SigningKeyError {
    pub(super) fn new(kind: SigningKeyErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(super) fn of_store(error: &StoreError) -> Self {
        let kind = match error.is_unopened() {
            true => SigningKeyErrorKind::Unopened,
            false => SigningKeyErrorKind::Store,
        };
        Self::new(kind, format!("the signing keys cannot be had: {error}"))
    }

    /// Nobody knows which keys a thread left behind that panicked.
    pub(super) fn poisoned() -> Self {
        let text = "the lock on the signing keys is poisoned: restart the server";
        Self::new(SigningKeyErrorKind::Store, text)
    }

    pub(super) fn malformed() -> Self {
        let text = "the record of the signing keys is malformed, or was written by a newer version: \
                    it stays as it is";
        Self::new(SigningKeyErrorKind::MalformedRecord, text)
    }

    pub(super) fn without_random_bytes() -> Self {
        let text = "the operating system gave no random bytes";
        Self::new(SigningKeyErrorKind::RandomUnavailable, text)
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> SigningKeyErrorKind {
        self.kind
    }
}

impl fmt::Display for SigningKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for SigningKeyError {}
