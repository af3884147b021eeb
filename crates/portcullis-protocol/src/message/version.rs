//! The versions of the protocol, and what each can do.

use std::fmt;

/// A version of the Model Context Protocol, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProtocolVersion {
    /// The first version.
    V2024_11_05,
    /// Streamable HTTP, batches, tool annotations.
    V2025_03_26,
    /// Structured results, titles; no batches.
    V2025_06_18,
    /// The last version with sessions.
    V2025_11_25,
    /// The first stateless version.
    V2026_07_28,
}

impl ProtocolVersion {
    /// All versions, newest first.
    pub const ALL: [Self; 5] = [
        Self::V2026_07_28,
        Self::V2025_11_25,
        Self::V2025_06_18,
        Self::V2025_03_26,
        Self::V2024_11_05,
    ];

    /// The versions in which each request names its own, newest first.
    pub const STATELESS: [Self; 1] = [Self::V2026_07_28];

    /// The versions that are served over Streamable HTTP, newest first.
    pub const OVER_HTTP: [Self; 4] =
        [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26];

    /// The versions with sessions, newest first: those that are served over HTTP+SSE.
    #[cfg(feature = "http")]
    pub(crate) const WITH_SESSIONS: [Self; 4] =
        [Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26, Self::V2024_11_05];

    /// The version in the answer to an `initialize` that asks for a version that is not served.
    pub const NEWEST_WITH_SESSIONS: Self = Self::V2025_11_25;

    /// The version with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == name)
    }

    /// The version's name, which is a date.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether each request carries its own version and capabilities, with no handshake.
    #[must_use]
    pub fn is_stateless(self) -> bool {
        self >= Self::V2026_07_28
    }

    /// Whether several messages may be sent as one array.
    #[must_use]
    pub fn has_batches(self) -> bool {
        self == Self::V2025_03_26
    }

    /// Whether a client may be sent away while its request runs, and comes back for the answer.
    #[cfg(feature = "http")]
    pub(crate) fn polls(self) -> bool {
        self == Self::V2025_11_25
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
