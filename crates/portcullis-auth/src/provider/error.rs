//! What is wrong with the settings of a provider.

use std::fmt;

/// Why an [`AuthProvider`](super::AuthProvider) cannot be used: everything at once, and never a
/// secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthProviderError {
    problems: Vec<AuthProviderProblem>,
}

/// One thing that is missing or wrong in the description of an
/// [`AuthProvider`](super::AuthProvider).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthProviderProblem {
    kind: AuthProviderProblemKind,
    text: String,
}

/// What is missing or wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthProviderProblemKind {
    /// No authorization server is named.
    MissingAuthorizationServer,
    /// The issuer of an authorization server is not one to which clients can be sent.
    InvalidAuthorizationServer,
    /// The address of the documentation is not a URL.
    InvalidDocumentation,
    /// The verifier cannot be built.
    UnusableVerifier,
    /// The provider says so.
    Unusable,
}

impl AuthProviderError {
    /// That of a provider of your own; `text` says what to do.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self::of(vec![AuthProviderProblem::new(AuthProviderProblemKind::Unusable, text)])
    }

    pub(super) fn of(problems: Vec<AuthProviderProblem>) -> Self {
        Self { problems }
    }

    /// Everything that is missing or wrong, in the order in which it was found.
    #[must_use]
    pub fn problems(&self) -> &[AuthProviderProblem] {
        &self.problems
    }
}

impl AuthProviderProblem {
    pub(super) fn new(kind: AuthProviderProblemKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What is missing or wrong.
    #[must_use]
    pub fn kind(&self) -> AuthProviderProblemKind {
        self.kind
    }

    /// What is wrong in this case, and how to mend it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for AuthProviderProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for AuthProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("callers cannot be authenticated:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

/// The same text, because that is what a `main` that returns it prints.
impl fmt::Debug for AuthProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for AuthProviderError {}
