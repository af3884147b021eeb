//! Why there is no exchanged token, and what is wrong with the settings.

use std::borrow::Cow;
use std::fmt;

/// Why there is no token for another service. Its text is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenExchangeError {
    kind: TokenExchangeErrorKind,
    cause: Cow<'static, str>,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenExchangeErrorKind {
    /// The caller has no token of the issuer: there is nothing to exchange.
    Missing,
    /// The authorization server refuses it for this caller, audience or scopes.
    Refused,
    /// It does not answer at the moment.
    Unavailable,
    /// It answers what must not be used, such as a wider scope, or refuses this server itself.
    Unusable,
    /// The audience is not one that the exchange was built with.
    UnknownAudience,
}

impl TokenExchangeError {
    /// What is to be done about it.
    #[must_use]
    pub fn kind(&self) -> TokenExchangeErrorKind {
        self.kind
    }

    /// There is nothing to exchange; `cause` is for the log.
    pub fn missing(cause: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: TokenExchangeErrorKind::Missing, cause: cause.into() }
    }

    pub(super) fn refused(cause: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: TokenExchangeErrorKind::Refused, cause: cause.into() }
    }

    pub(super) fn unavailable(cause: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: TokenExchangeErrorKind::Unavailable, cause: cause.into() }
    }

    pub(super) fn unusable(cause: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: TokenExchangeErrorKind::Unusable, cause: cause.into() }
    }

    pub(super) fn unknown_audience() -> Self {
        let cause = "the audience is not one of TokenExchange: add .audience(…) or .resource(…)";
        Self { kind: TokenExchangeErrorKind::UnknownAudience, cause: cause.into() }
    }
}

impl fmt::Display for TokenExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no token was exchanged: {}", self.cause)
    }
}

impl std::error::Error for TokenExchangeError {}

/// What is missing or unsafe in the description of a token exchange: all of it at once, and never a
/// secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenExchangeConfigError {
    problems: Vec<TokenExchangeProblem>,
}

/// One thing that is missing or unsafe in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenExchangeProblem {
    kind: TokenExchangeProblemKind,
    text: String,
}

/// What is missing or unsafe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenExchangeProblemKind {
    /// The token endpoint is not a URL, or may not be requested.
    InvalidEndpoint,
    /// The HTTP client cannot be set up.
    UnusableClient,
    /// Nothing says how this server authenticates, or it is said twice.
    MissingCredentials,
    /// The credentials are empty, or cannot be used.
    UnusableCredentials,
    /// There is no issuer.
    MissingIssuer,
    /// No audience is named, or one is empty or named twice.
    InvalidAudience,
    /// Tokens would be given again for more than 5 minutes.
    CacheTooLong,
}

impl TokenExchangeConfigError {
    pub(super) fn new(problems: Vec<TokenExchangeProblem>) -> Self {
        Self { problems }
    }

    /// Everything that is missing or unsafe, in the order in which it was found.
    #[must_use]
    pub fn problems(&self) -> &[TokenExchangeProblem] {
        &self.problems
    }
}

impl TokenExchangeProblem {
    pub(super) fn new(kind: TokenExchangeProblemKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What is missing or unsafe.
    #[must_use]
    pub fn kind(&self) -> TokenExchangeProblemKind {
        self.kind
    }

    /// What is wrong in this case, and how to mend it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for TokenExchangeConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tokens cannot be exchanged:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {}", problem.text))
    }
}

/// The same text, because that is what a `main` that returns it prints.
impl fmt::Debug for TokenExchangeConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for TokenExchangeConfigError {}
