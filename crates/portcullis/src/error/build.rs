//! What is wrong with the description of a server.

use std::fmt;

/// Everything that is wrong with the description of a server, all at once.
#[derive(Clone, PartialEq, Eq)]
pub struct BuildError {
    problems: Vec<Problem>,
}

impl BuildError {
    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// What is wrong, in the order in which it was found.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server cannot be built:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

/// The same text, because that is what a `main` that returns it prints.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for BuildError {}

/// One thing that is wrong with the description of a server.
///
/// It displays as `subject: text`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    subject: String,
    kind: ProblemKind,
    text: String,
}

impl Problem {
    /// A problem of what the caller is about to [name](Self::within).
    pub(crate) fn new(kind: ProblemKind, text: impl Into<String>) -> Self {
        Self { subject: String::new(), kind, text: text.into() }
    }

    /// The same problem, with the name of what it is a part of.
    pub(crate) fn within(mut self, subject: impl fmt::Display) -> Self {
        self.subject = match self.subject.as_str() {
            "" => subject.to_string(),
            part => format!("{subject}: {part}"),
        };
        self
    }

    /// The same problem of a rule, which it makes useless.
    pub(crate) fn unused(mut self) -> Self {
        if self.kind == ProblemKind::UnusedRule {
            self.text.push_str(" (unused rule)");
        }
        self
    }

    /// What the problem is with, as the program wrote it: ``tool `add` ``, `path "mcp"`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What is wrong with it.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// What is wrong in this case, and how to mend it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject.as_str() {
            "" => f.write_str(&self.text),
            subject => write!(f, "{subject}: {}", self.text),
        }
    }
}

/// What is wrong with the description of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The server or a component has no name that every client takes.
    InvalidName,
    /// A path is not plain text that begins with `/`.
    InvalidPath,
    /// The protocol uses this path.
    ReservedPath,
    /// The public URL is not an origin to which tokens may be sent.
    InvalidPublicUrl,
    /// A host is not `host` or `host:port`.
    InvalidHost,
    /// An origin is not one that browsers send.
    InvalidOrigin,
    /// A trusted proxy is neither an address nor a network.
    InvalidTrustedProxy,
    /// Limits under which nothing could be served.
    InvalidLimits,
    /// Pages of a list without entries.
    InvalidPageSize,
    /// A text is not a scope (RFC 6749 §3.3).
    InvalidScope,
    /// `offline_access` is named as a scope of the server.
    OfflineAccess,
    /// The store writes values as they are, for whoever can read a file or a network to see.
    UnsealedStore,
    /// Tokens are to be exchanged, and nobody has one.
    UnusedTokenExchange,
    /// Credentials of callers are declared for what is no origin, or twice for one.
    InvalidCredentialOrigin,
    /// Credentials of callers are declared, and nobody is authenticated.
    UnusedCredentials,
    /// `serde_json` reads numbers as texts, which breaks validation.
    ArbitraryPrecision,
    /// A route contradicts itself, or does not say why it is public.
    InvalidRoute,
    /// Two routes have the same method and path.
    DuplicateRoute,
    /// A check requires nothing, is never true, or reads what is not there.
    InvalidCheck,
    /// A middleware would refuse everything, or says that it is wrong.
    InvalidMiddleware,
    /// A timeout is longer than the server's own, so that it never fires.
    IneffectiveTimeout,
    /// A rate limit allows nothing, or its period is out of range.
    InvalidRateLimit,
    /// A rule names a tag, a component or a scope that does not exist: probably a typing mistake.
    UnusedRule,
    /// A list that selects components is empty.
    EmptySelector,
    /// Two components have the same name.
    DuplicateComponent,
    /// A tag is empty.
    EmptyTag,
    /// An icon, a key of `_meta`, an annotation, a size or a URL for people is not one of the
    /// specification.
    InvalidMetadata,
    /// A function takes a `State<T>` that was not added.
    MissingState,
    /// The URI of a resource has no scheme, is too long, or is malformed.
    InvalidUri,
    /// A URI template is not one of level 1 (RFC 6570).
    InvalidUriTemplate,
    /// A variable has no parameter, or a parameter no variable.
    UnmatchedVariable,
    /// A parameter cannot be an argument here, or is declared twice.
    InvalidParameter,
    /// A form that a function takes has what no form may have.
    InvalidForm,
    /// A constraint is not for the type of its argument, or nothing meets it.
    InvalidConstraint,
    /// A default breaks the constraints of its argument.
    InvalidDefault,
    /// An input schema does not compile, or has what is not supported.
    InvalidInputSchema,
    /// An output schema does not compile.
    InvalidOutputSchema,
    /// An argument, or a field of a form, is named like a credential, or has no reason for being secret.
    CredentialArgument,
    /// A text that every caller can read looks like a secret.
    ExposedSecret,
    /// A component cannot be written as JSON.
    Unwritable,
}
