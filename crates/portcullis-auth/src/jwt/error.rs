//! What is wrong with the settings of a JWT verifier.

use std::fmt;

/// What is missing or unsafe in the description of a [`JwtVerifier`](super::JwtVerifier): all of
/// it at once, and never a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JwtConfigError {
    problems: Vec<JwtProblem>,
}

/// One thing that is missing or unsafe in the description of a
/// [`JwtVerifier`](super::JwtVerifier).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtProblem {
    kind: JwtProblemKind,
    text: String,
}

/// What is missing or unsafe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JwtProblemKind {
    /// No variable says where the keys come from.
    MissingKeys,
    /// Several variables say where the keys come from.
    ConflictingKeys,
    /// A variable is not UTF-8, or is not what it should be.
    InvalidVariable,
    /// There is no issuer.
    MissingIssuer,
    /// There is no audience, or it is empty.
    MissingAudience,
    /// A required scope is not a scope (RFC 6749 §3.3).
    InvalidScope,
    /// The name of a scope claim is empty.
    InvalidScopeClaim,
    /// The type of the tokens is not one of their own.
    InvalidTokenType,
    /// Two options contradict each other.
    ConflictingOptions,
    /// The longest lifetime of a token refuses every token.
    MaxTokenLifetimeTooShort,
    /// The leeway is more than 5 minutes.
    LeewayTooLong,
    /// Keys may be stale for more than a day.
    StaleKeysTooLong,
    /// The list of algorithms is empty.
    NoAlgorithm,
    /// There is no algorithm of this name.
    UnknownAlgorithm,
    /// An algorithm needs a secret where public keys are configured, or the other way round.
    UnsuitableAlgorithm,
    /// The address of the JWK set is not a URL, or may not be requested.
    InvalidJwksUri,
    /// The issuer is not a URL at which its metadata may be looked for.
    UndiscoverableIssuer,
    /// The file with the public key or the secret cannot be read.
    UnusableKeyFile,
    /// The file with the JWK set cannot be read, or holds none.
    UnusableJwksFile,
    /// What is given is no JWK set.
    InvalidJwkSet,
    /// The HTTP client for the JWK set cannot be set up.
    UnusableClient,
    /// The public key cannot be used.
    InvalidPublicKey,
    /// The secret is too short, or not a secret.
    WeakSecret,
}

impl JwtConfigError {
    pub(super) fn new(problems: Vec<JwtProblem>) -> Self {
        Self { problems }
    }

    /// Everything that is missing or unsafe, in the order in which it was found.
    #[must_use]
    pub fn problems(&self) -> &[JwtProblem] {
        &self.problems
    }
}

impl JwtProblem {
    pub(super) fn new(kind: JwtProblemKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What is missing or unsafe.
    #[must_use]
    pub fn kind(&self) -> JwtProblemKind {
        self.kind
    }

    /// What is wrong in this case, and how to mend it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for JwtProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for JwtConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tokens cannot be verified:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

/// The same text, because that is what a `main` that returns it prints.
impl fmt::Debug for JwtConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for JwtConfigError {}
