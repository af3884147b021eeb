//! How to run a server, from code or the environment.

#[cfg(feature = "http")]
use portcullis_auth::OneOrMany;
use portcullis_guard::Environment;
use portcullis_protocol::Transport;

use crate::error::{StartError, StartErrorKind};

/// How to run a server.
///
/// # Example
///
/// ```
/// use portcullis::guard::Environment;
/// use portcullis::RunOptions;
///
/// let environment = Environment::from_pairs([("PORTCULLIS_LISTEN", "127.0.0.1:9000")]);
/// let options = RunOptions::from_env(&environment)?.http();
/// # Ok::<(), portcullis::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    pub(crate) transport: Option<Transport>,
    #[cfg(feature = "http")]
    pub(crate) legacy_sse: bool,
    #[cfg(feature = "http")]
    pub(crate) listen: Option<String>,
    #[cfg(feature = "http")]
    pub(crate) public_url: Option<String>,
    #[cfg(feature = "http")]
    pub(crate) trusted_proxies: Option<String>,
    #[cfg(feature = "http")]
    pub(crate) tls_cert: Option<String>,
    #[cfg(feature = "http")]
    pub(crate) tls_key: Option<String>,
}

impl RunOptions {
    /// The default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `PORTCULLIS_TRANSPORT` (`stdio`, `http`, or `sse` for HTTP with the
    /// deprecated HTTP+SSE beside it), `PORTCULLIS_LISTEN`,
    /// `PORTCULLIS_PUBLIC_URL`, `PORTCULLIS_TRUSTED_PROXIES` (separated by commas),
    /// `PORTCULLIS_TLS_CERT` and `PORTCULLIS_TLS_KEY` (PEM files).
    ///
    /// # Errors
    ///
    /// [`InvalidTransport`](StartErrorKind::InvalidTransport) when it names another transport.
    pub fn from_env(environment: &Environment) -> Result<Self, StartError> {
        let named = environment.variable("PORTCULLIS_TRANSPORT");
        let transport = match named {
            None => None,
            Some("stdio") => Some(Transport::Stdio),
            Some("http" | "sse") => Some(Transport::Http),
            Some(other) => {
                return Err(StartError::new(
                    StartErrorKind::InvalidTransport,
                    format!("PORTCULLIS_TRANSPORT={other:?}: write `stdio`, `http` or `sse`"),
                ));
            }
        };
        #[cfg(feature = "http")]
        let variable = |name| environment.variable(name).map(str::to_owned);
        Ok(Self {
            transport,
            #[cfg(feature = "http")]
            legacy_sse: named == Some("sse"),
            #[cfg(feature = "http")]
            listen: variable("PORTCULLIS_LISTEN"),
            #[cfg(feature = "http")]
            public_url: variable("PORTCULLIS_PUBLIC_URL"),
            #[cfg(feature = "http")]
            trusted_proxies: variable("PORTCULLIS_TRUSTED_PROXIES"),
            #[cfg(feature = "http")]
            tls_cert: variable("PORTCULLIS_TLS_CERT"),
            #[cfg(feature = "http")]
            tls_key: variable("PORTCULLIS_TLS_KEY"),
        })
    }

    /// An option that only HTTP has, if one is set: by the name of its variable.
    #[cfg(feature = "http")]
    pub(crate) fn names_of_http(&self) -> Option<&'static str> {
        let options = [
            ("PORTCULLIS_LISTEN", &self.listen),
            ("PORTCULLIS_PUBLIC_URL", &self.public_url),
            ("PORTCULLIS_TRUSTED_PROXIES", &self.trusted_proxies),
            ("PORTCULLIS_TLS_CERT", &self.tls_cert),
            ("PORTCULLIS_TLS_KEY", &self.tls_key),
        ];
        options.into_iter().find(|(_, value)| value.is_some()).map(|(name, _)| name)
    }

    /// The transport that was named, if one was.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// Serves on standard input and output.
    #[must_use]
    pub fn stdio(mut self) -> Self {
        self.transport = Some(Transport::Stdio);
        self
    }

    /// Serves Streamable HTTP.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn http(mut self) -> Self {
        self.transport = Some(Transport::Http);
        self
    }

    /// Serves Streamable HTTP, and HTTP+SSE beside it, as a server does that was built
    /// [`with_legacy_sse`](crate::ServerBuilder::with_legacy_sse).
    #[cfg(feature = "http")]
    #[must_use]
    pub fn with_legacy_sse(mut self) -> Self {
        self.legacy_sse = true;
        self.http()
    }

    /// Listens on `address`: an IP address and a port, or `unix:` and the path of a socket, which
    /// only the server's own user may connect to. Default: `127.0.0.1:8000`. Port 0 lets the system
    /// choose.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Takes the place of the builder's [`public_url`](crate::ServerBuilder::public_url).
    #[cfg(feature = "http")]
    #[must_use]
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// Takes the place of the builder's [`trusted_proxies`](crate::ServerBuilder::trusted_proxies).
    #[cfg(feature = "http")]
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: impl OneOrMany) -> Self {
        self.trusted_proxies = Some(proxies.into_many().join(","));
        self
    }

    /// Speaks TLS, and nothing else, with the certificates in the PEM file `cert`, the server's own
    /// first, and the private key in the PEM file `key`, which only its owner and its group may read.
    ///
    /// Both are read again as they change, and a bad pair changes nothing. The
    /// [`public_url`](Self::public_url) has to be https then.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, cert: impl Into<String>, key: impl Into<String>) -> Self {
        (self.tls_cert, self.tls_key) = (Some(cert.into()), Some(key.into()));
        self
    }
}
