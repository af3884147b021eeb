//! Why a store did not do what it was asked.

use std::fmt;

/// The largest value, in bytes: 64 KiB.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// Why a store did not do as it was told. The reason is for the log; a caller never sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    kind: Kind,
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Full,
    TooLarge,
    Unavailable,
    Unopened,
}

impl StoreError {
    /// The store has no room, and nothing in it has expired.
    #[must_use]
    pub fn full() -> Self {
        Self { kind: Kind::Full, reason: "the store is full".to_owned() }
    }

    /// The value is larger than a record may be.
    #[must_use]
    pub fn too_large() -> Self {
        let reason = format!("the value is larger than {} bytes", MAX_VALUE_BYTES);
        Self { kind: Kind::TooLarge, reason }
    }

    /// The store cannot be asked at the moment, or its answer makes no sense. Whether
    /// anything was written is not known.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self { kind: Kind::Unavailable, reason: reason.into() }
    }

    /// The value that is there does not open: its key is missing or revoked, or it is not as it was
    /// sealed. It stays.
    pub fn unopened(reason: impl Into<String>) -> Self {
        Self { kind: Kind::Unopened, reason: reason.into() }
    }

    /// The reason, for the log.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether the store has no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.kind == Kind::Full
    }

    /// Whether the value is larger than a record may be.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.kind == Kind::TooLarge
    }

    /// Whether there is a value that does not open.
    #[must_use]
    pub fn is_unopened(&self) -> bool {
        self.kind == Kind::Unopened
    }

    /// Whether the store cannot be asked at the moment.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Unavailable
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for StoreError {}
