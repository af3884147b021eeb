//! Why a server was not started.

use std::fmt;
use std::io;

/// Why a server was not started: it must not be served in this way, or cannot be.
pub struct StartError {
    kind: StartErrorKind,
    text: String,
    source: Option<io::Error>,
}

/// Why a server was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartErrorKind {
    /// The transport is neither `stdio` nor `http`, or it is not named, and options of HTTP are set for a
    /// server that serves stdio otherwise.
    InvalidTransport,
    /// The transport is HTTP, and the feature `http` is off.
    TransportNotBuilt,
    /// The address to listen on is not an IP address and a port.
    InvalidAddress,
    /// The address is taken, or not one of this machine.
    AddressUnavailable,
    /// The public URL is not an origin to which tokens may be sent.
    InvalidPublicUrl,
    /// A trusted proxy is neither an address nor a network.
    InvalidTrustedProxy,
    /// The feature `tls` is off, and a certificate was given.
    TlsNotBuilt,
    /// The certificate or its key cannot be used, or one of them is missing.
    InvalidCertificate,
    /// Beyond loopback a server needs a public URL.
    MissingPublicUrl,
    /// Others would reach a server whose verifier is for development.
    DevelopmentVerifierExposed,
    /// Others would reach a server without authentication.
    Unauthenticated,
    /// The authorization server or verifier cannot be used at the server's URL.
    UnusableAuthProvider,
    /// The endpoint could not be set up.
    UnusableEndpoint,
    /// What is in the store cannot be opened, or the store cannot be asked.
    UnusableStore,
}

impl StartError {
    pub(crate) fn new(kind: StartErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), source: None }
    }

    #[cfg(feature = "http")]
    pub(crate) fn with_source(mut self, source: io::Error) -> Self {
        self.source = Some(source);
        self
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> StartErrorKind {
        self.kind
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The same text, because that is what a `main` that returns it prints.
impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
