//! Why a server was not built or could not run.

use std::fmt;

use super::{BuildError, SelectionError, StartError};

/// Why a server was not built or could not run. Every message says what to do.
///
/// `Debug` is the same text, because that is what a `main` that returns it prints.
///
/// # Example
///
/// ```
/// use portcullis::error::ProblemKind;
/// use portcullis::{Error, Server};
///
/// let Err(Error::Build(error)) = Server::builder("shop").no_auth().path("mcp").build() else {
///     panic!("it was built")
/// };
/// assert_eq!(error.problems()[0].kind(), ProblemKind::InvalidPath);
/// ```
#[non_exhaustive]
pub enum Error {
    /// The server can never be served as it is described. All problems are listed at once.
    Build(BuildError),
    /// The server must not, or cannot, be started in this way.
    Start(StartError),
    /// Components were named that are not there, or not clearly.
    Selection(SelectionError),
    /// The environment file could not be used.
    Environment(portcullis_guard::EnvironmentError),
    /// Tokens cannot be verified as described.
    #[cfg(feature = "jwt")]
    Jwt(portcullis_auth::JwtConfigError),
    /// Tokens cannot be verified as described, by introspection, a vendor or several verifiers.
    #[cfg(feature = "jwt")]
    Verifier(portcullis_auth::VerifierConfigError),
    /// API keys cannot be verified as described.
    #[cfg(feature = "jwt")]
    ApiKey(portcullis_auth::ApiKeyError),
    /// The audit file could not be opened.
    Audit(portcullis_auth::AuditError),
    /// The operating system refused.
    Io(std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => fmt::Display::fmt(error, f),
            Self::Start(error) => fmt::Display::fmt(error, f),
            Self::Selection(error) => fmt::Display::fmt(error, f),
            Self::Environment(error) => fmt::Display::fmt(error, f),
            #[cfg(feature = "jwt")]
            Self::Jwt(error) => fmt::Display::fmt(error, f),
            #[cfg(feature = "jwt")]
            Self::Verifier(error) => fmt::Display::fmt(error, f),
            #[cfg(feature = "jwt")]
            Self::ApiKey(error) => fmt::Display::fmt(error, f),
            Self::Audit(error) => fmt::Display::fmt(error, f),
            Self::Io(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    /// The cause of the error inside, whose own text is this one's.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Build(error) => error.source(),
            Self::Start(error) => error.source(),
            Self::Selection(error) => error.source(),
            Self::Environment(error) => error.source(),
            #[cfg(feature = "jwt")]
            Self::Jwt(error) => error.source(),
            #[cfg(feature = "jwt")]
            Self::Verifier(error) => error.source(),
            #[cfg(feature = "jwt")]
            Self::ApiKey(error) => error.source(),
            Self::Audit(error) => error.source(),
            Self::Io(error) => error.source(),
        }
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<SelectionError> for Error {
    fn from(error: SelectionError) -> Self {
        Self::Selection(error)
    }
}

impl From<portcullis_guard::EnvironmentError> for Error {
    fn from(error: portcullis_guard::EnvironmentError) -> Self {
        Self::Environment(error)
    }
}

#[cfg(feature = "jwt")]
impl From<portcullis_auth::JwtConfigError> for Error {
    fn from(error: portcullis_auth::JwtConfigError) -> Self {
        Self::Jwt(error)
    }
}

#[cfg(feature = "jwt")]
impl From<portcullis_auth::VerifierConfigError> for Error {
    fn from(error: portcullis_auth::VerifierConfigError) -> Self {
        Self::Verifier(error)
    }
}

#[cfg(feature = "jwt")]
impl From<portcullis_auth::ApiKeyError> for Error {
    fn from(error: portcullis_auth::ApiKeyError) -> Self {
        Self::ApiKey(error)
    }
}

impl From<portcullis_auth::AuditError> for Error {
    fn from(error: portcullis_auth::AuditError) -> Self {
        Self::Audit(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}
