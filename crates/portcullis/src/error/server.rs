//! Why a server was not built or could not run.

use std::fmt;

use super::{BuildError, SelectionError, StartError};

/// The errors inside, each with the text that is shown.
macro_rules! errors {
    ($(
        $(#[doc = $doc:literal])+
        $(#[cfg($($cfg:tt)+)])?
        $variant:ident($inside:ty),
    )+) => {
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
            $(
                $(#[doc = $doc])+
                $(#[cfg($($cfg)+)])?
                $variant($inside),
            )+
        }

        impl fmt::Display for Error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(
                        $(#[cfg($($cfg)+)])?
                        Self::$variant(error) => fmt::Display::fmt(error, f),
                    )+
                }
            }
        }

        impl std::error::Error for Error {
            /// The cause of the error inside, whose own text is this one's.
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                match self {
                    $(
                        $(#[cfg($($cfg)+)])?
                        Self::$variant(error) => std::error::Error::source(error),
                    )+
                }
            }
        }

        $(
            $(#[cfg($($cfg)+)])?
            impl From<$inside> for Error {
                fn from(error: $inside) -> Self {
                    Self::$variant(error)
                }
            }
        )+
    };
}

// A variant with the name of a public type would have compilers write that type out by its path, in errors of theirs;
// `Environment` and `Audit` are as they were.
errors! {
    /// The server can never be served as it is described. All problems are listed at once.
    Build(BuildError),
    /// The server must not, or cannot, be started in this way.
    Start(StartError),
    /// Components were named that are not there, or not clearly.
    Selection(SelectionError),
    /// The environment file could not be used.
    Environment(portcullis_guard::EnvironmentError),
    /// A source gives no secret.
    NoSecret(portcullis_guard::secret_source::SecretSourceError),
    /// A file with a secret could not be read.
    NoSecretFile(portcullis_guard::PrivateFileError),
    /// A file that is read again as it changes could not be read or watched.
    NotWatched(portcullis_guard::WatchedFileError),
    /// A program cannot be run as described.
    #[cfg(all(unix, feature = "commands"))]
    NoCommand(portcullis_guard::CommandError),
    /// The client for requests that go out cannot be set up.
    #[cfg(feature = "fetch")]
    NoFetch(portcullis_guard::FetchError),
    /// There are no keys to seal with.
    #[cfg(feature = "keys")]
    NoKeys(portcullis_guard::keys::KeyError),
    /// The file of records could not be opened.
    #[cfg(feature = "redb")]
    StoreOpen(portcullis_store::StoreOpenError),
    /// Redis could not be opened.
    #[cfg(feature = "redis")]
    RedisOpen(portcullis_store::RedisOpenError),
    /// A workspace could not be opened.
    #[cfg(feature = "files")]
    WorkspaceOpen(portcullis_guard::WorkspaceError),
    /// Tokens cannot be verified as described.
    #[cfg(feature = "jwt")]
    Jwt(portcullis_auth::JwtConfigError),
    /// Tokens cannot be verified as described, by introspection, a vendor or several verifiers.
    #[cfg(feature = "jwt")]
    Verifier(portcullis_auth::VerifierConfigError),
    /// The authorization server cannot be used as described.
    NoAuthProvider(portcullis_auth::AuthProviderError),
    /// API keys cannot be verified as described.
    #[cfg(feature = "jwt")]
    ApiKey(portcullis_auth::ApiKeyError),
    /// Nothing can be signed as described.
    #[cfg(feature = "jwt")]
    NoSigningKey(portcullis_auth::SigningKeyError),
    /// Tokens cannot be exchanged as described.
    #[cfg(feature = "jwt")]
    TokenExchangeConfig(portcullis_auth::TokenExchangeConfigError),
    /// The audit file could not be opened.
    Audit(portcullis_auth::AuditError),
    /// The process has a recorder of metrics already.
    #[cfg(feature = "metrics")]
    Recorder(portcullis_guard::metrics::RecorderInstalled),
    /// The operating system refused.
    Io(std::io::Error),
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(all(test, feature = "keys"))]
mod tests {
    use portcullis_guard::keys::KeyRing;

    use super::*;

    #[test]
    fn a_main_that_returns_one_prints_the_text_of_what_is_inside() {
        let refused = || KeyRing::from_text("no key").map(drop);
        let error = (|| -> Result<(), Error> { Ok(refused()?) })().unwrap_err();
        let text = refused().unwrap_err().to_string();
        assert_eq!((format!("{error:?}"), error.to_string()), (text.clone(), text));
        assert!(matches!(error, Error::NoKeys(_)));
    }
}
