//! A denial: its rule, its reason, and what the caller is shown.

use std::borrow::Cow;

use portcullis_auth::{AuthorizationError, Scopes};

/// Why somebody may not see or use a component, and what they may know of it.
#[derive(Debug)]
pub(crate) struct Denied {
    pub(crate) rule: RuleId,
    pub(crate) reason: Cow<'static, str>,
    pub(crate) face: Face,
}

/// The part of a denial that may leave the server.
#[derive(Debug)]
pub(crate) enum Face {
    /// Nothing: for the caller, the component does not exist.
    Absent,
    /// The scopes that are missing.
    Challenge(Scopes),
    /// What the check's author chose to say.
    Spoken(AuthorizationError),
}

/// Names a rule in audit records, counts and tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RuleId(u32);

impl RuleId {
    /// The component is disabled, for this session or principal.
    pub(crate) const VISIBILITY: Self = Self(0);

    /// The rule whose text is the one at `index`.
    pub(crate) fn at(index: usize) -> Self {
        // There are no four thousand million of them.
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}
