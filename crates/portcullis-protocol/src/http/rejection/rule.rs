//! The stages that refuse, as audit records name them.

/// The stage that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Limits,
    Host,
    Origin,
    Bearer,
    Method,
    Media,
    Body,
    Envelope,
    Session,
}

impl Rule {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Limits => "limits",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Bearer => "bearer",
            Self::Method => "method",
            Self::Media => "media",
            Self::Body => "body",
            Self::Envelope => "envelope",
            Self::Session => "session",
        }
    }
}
