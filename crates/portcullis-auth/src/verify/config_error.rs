//! What is wrong with the settings of a verifier.

use std::fmt;

/// What is missing or unsafe in the description of a verifier: all of it at once, and never a
/// secret.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierConfigError {
    problems: Vec<VerifierProblem>,
}

/// One thing that is missing or unsafe in the description of a verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierProblem {
    kind: VerifierProblemKind,
    text: String,
}

/// What is missing or unsafe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VerifierProblemKind {
    /// A variable is not UTF-8, or is not what it should be.
    InvalidVariable,
    /// The address to ask at is not a URL, or may not be requested.
    InvalidEndpoint,
    /// The HTTP client cannot be set up.
    UnusableClient,
    /// Nothing says how this server authenticates to the provider.
    MissingCredentials,
    /// The credentials are empty, cannot be used, or are given in two ways.
    UnusableCredentials,
    /// There is no issuer.
    MissingIssuer,
    /// There is no audience, or it is empty.
    MissingAudience,
    /// A required scope is not a scope (RFC 6749 §3.3).
    InvalidScope,
    /// The name of a claim is empty.
    InvalidClaim,
    /// The leeway is more than 5 minutes.
    LeewayTooLong,
    /// Answers would be remembered for more than 5 minutes.
    CacheTooLong,
    /// A route of a [`MultiVerifier`](crate::MultiVerifier) has no name, or a verifier that
    /// accepts none of its tokens.
    InvalidRoute,
    /// Some tokens would go to two verifiers of a [`MultiVerifier`](crate::MultiVerifier).
    OverlappingRoutes,
    /// The verifiers of a [`MultiVerifier`](crate::MultiVerifier) require different scopes.
    ConflictingScopes,
}

impl VerifierConfigError {
    pub(super) fn new(problems: Vec<VerifierProblem>) -> Self {
        Self { problems }
    }

    /// Everything that is missing or unsafe, in the order in which it was found.
    #[must_use]
    pub fn problems(&self) -> &[VerifierProblem] {
        &self.problems
    }
}

impl VerifierProblem {
    pub(super) fn new(kind: VerifierProblemKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What is missing or unsafe.
    #[must_use]
    pub fn kind(&self) -> VerifierProblemKind {
        self.kind
    }

    /// What is wrong in this case, and how to mend it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for VerifierProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for VerifierConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tokens cannot be verified:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

/// The same text, because that is what a `main` that returns it prints.
impl fmt::Debug for VerifierConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for VerifierConfigError {}
