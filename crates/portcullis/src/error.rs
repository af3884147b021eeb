use std::fmt;

/// Why a server was not built or could not run. Every message says what to do.
///
/// `Debug` is the same text, because that is what a `main` that returns it prints.
#[non_exhaustive]
pub enum Error {
    /// The server can never be served as it is described. All problems are listed at once.
    Build(Vec<String>),
    /// The server must not be served in this way.
    Refused(String),
    /// The environment file could not be used.
    Environment(portcullis_guard::EnvironmentError),
    /// Tokens cannot be verified as described.
    Jwt(portcullis_auth::JwtConfigError),
    /// The operating system refused.
    Io(std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(problems) => {
                f.write_str("the server cannot be built:")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
            Self::Refused(reason) => f.write_str(reason),
            Self::Environment(error) => error.fmt(f),
            Self::Jwt(error) => fmt::Display::fmt(error, f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Environment(error) => Some(error),
            Self::Jwt(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Build(_) | Self::Refused(_) => None,
        }
    }
}

impl From<portcullis_guard::EnvironmentError> for Error {
    fn from(error: portcullis_guard::EnvironmentError) -> Self {
        Self::Environment(error)
    }
}

impl From<portcullis_auth::JwtConfigError> for Error {
    fn from(error: portcullis_auth::JwtConfigError) -> Self {
        Self::Jwt(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}
