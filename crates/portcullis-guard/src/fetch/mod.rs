//! SSRF-safe HTTP client for untrusted URLs.

mod cache_control;
mod destination;
mod request;
mod resolver;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use reqwest::header::HeaderMap;
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, LOCATION};
use reqwest::{Certificate, Method};
use url::{Host, Url};

use self::destination::Destinations;
pub use self::destination::Refusal;
pub use self::request::FetchRequest;
use self::resolver::Pinned;
pub use self::resolver::{Lookup, SystemLookup};
use crate::{Environment, EnvironmentError, ErrorChain};

/// The largest body that is read, in bytes: 64 KiB, far more than any key set or metadata.
const MAX_BODY: usize = 64 * 1024;
/// How long an exchange may take, redirects and body included.
const TIME: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next request: shorter than servers do (Node 5 s), since a request
/// on one that the server closes meanwhile fails, and a code is never sent twice.
const IDLE: Duration = Duration::from_secs(3);

/// An HTTP client for untrusted URLs, safe against server-side request forgery (SSRF) and DNS
/// rebinding.
///
/// What it decides about each request, and again about each redirect, in this order:
///
/// 1. The scheme is https. Plain http goes to loopback alone, where that is allowed at all.
/// 2. The URL has no user or password, and its host is not a name that only means something
///    inside (`localhost`, `*.internal`, `*.local`, a name without a dot).
/// 3. An address in the URL is public ([`address::judge`](crate::address::judge)), in
///    whichever way it is written.
/// 4. A name is resolved once, every address that it resolves to is public, and the
///    connection goes to those addresses: nothing is resolved a second time.
///
/// No proxy variable is read, no redirect is followed unless it was asked for, and the size
/// of the answer's body and the time of the whole exchange are bounded. A redirect of a request
/// that is no GET is refused, and one with headers of its own is sent on to its own origin alone.
///
/// **Deployment caveat.** Loopback is refused too. An identity provider on the same machine
/// needs [`allow_loopback`](FetchBuilder::allow_loopback), for development and tests; one on a
/// private network is named by [`allow_private_host`](FetchBuilder::allow_private_host).
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use portcullis::guard::Fetch;
///
/// let fetch = Fetch::builder().build()?;
/// let url = "http://169.254.169.254/latest/meta-data/".parse().unwrap();
/// assert!(fetch.get(&url).await.unwrap_err().is_refused());
/// # Ok::<(), portcullis_guard::FetchError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Fetch {
    client: reqwest::Client,
    destinations: Destinations,
    redirects: usize,
    redirects_returned: bool,
    max_body: usize,
    time: Duration,
}

/// What came back. `Debug` does not show the body: a token endpoint answers with tokens.
#[derive(Clone)]
pub struct Fetched {
    /// The status code.
    pub status: u16,
    /// The value of `Cache-Control`, if there is one.
    pub cache_control: Option<String>,
    /// The value of `Content-Type`, if there is one.
    pub content_type: Option<String>,
    /// All headers, those two among them. Their values may be secrets, such as cookies.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("status", &self.status)
            .field("content_type", &self.content_type)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Fetch {
    /// A client with the defaults: https only, no redirects, 64 KiB, 10 s.
    pub fn builder() -> FetchBuilder {
        FetchBuilder {
            loopback: false,
            redirects: 0,
            redirects_returned: false,
            max_body: MAX_BODY,
            time: TIME,
            lookup: Arc::new(SystemLookup),
            private_host: None,
            trusted: None,
        }
    }

    /// Gets `url`.
    ///
    /// # Errors
    ///
    /// As those of [`send`](Self::send).
    pub async fn get(&self, url: &Url) -> Result<Fetched, FetchError> {
        self.send(FetchRequest::get(url)).await
    }

    /// Sends `request`. What the server says to it, errors included, is a [`Fetched`] with its
    /// status.
    ///
    /// # Errors
    ///
    /// When the request is malformed, the destination is refused, nothing answers in time, or the
    /// body of the answer is too large. The message holds neither URL, headers nor bodies, which
    /// may be secrets.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # mod portcullis { pub extern crate portcullis_guard as guard; }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use portcullis::guard::{Fetch, FetchRequest};
    ///
    /// let fetch = Fetch::builder().build()?;
    /// let url = "https://hooks.example.com/orders".parse().unwrap();
    /// let request = FetchRequest::post(&url)
    ///     .header("authorization", "Bearer hunter2")
    ///     .json(&["paid", "shipped"]);
    /// assert_eq!(fetch.send(request).await?.status, 202);
    /// # Ok::<(), portcullis_guard::FetchError>(()) }).unwrap();
    /// ```
    pub async fn send(&self, request: FetchRequest) -> Result<Fetched, FetchError> {
        tokio::time::timeout(self.time, self.follow(request.checked()?))
            .await
            .unwrap_or(Err(FetchError::TimedOut))
    }

    /// Whether `url` could be requested at all: what can be told before its name is resolved.
    ///
    /// # Errors
    ///
    /// When the destination is refused.
    pub fn judge(&self, url: &Url) -> Result<(), FetchError> {
        self.destinations.judge(url).map_err(FetchError::Refused)
    }

    async fn follow(&self, mut request: FetchRequest) -> Result<Fetched, FetchError> {
        for _ in 0..=self.redirects {
            self.judge(&request.url)?;
            let response = self.exchange(&request).await?;
            let status = response.status();
            let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            match location {
                Some(to) if status.is_redirection() && !self.redirects_returned => {
                    let refused = FetchError::Refused(Refusal::Redirect);
                    let Ok(next) = request.url.join(to) else { return Err(refused) };
                    let downgrade = request.url.scheme() == "https" && next.scheme() != "https";
                    if downgrade || !request.may_be_sent_on_to(&next) {
                        return Err(refused);
                    }
                    request.url = next;
                }
                _ => return self.read(response).await,
            }
        }
        Err(FetchError::Refused(Refusal::Redirect))
    }

    async fn exchange(&self, request: &FetchRequest) -> Result<reqwest::Response, FetchError> {
        let FetchRequest { method, url, headers, body, .. } = request.clone();
        let sent = self.client.request(method, url).headers(headers);
        // A length of 0 is for methods that may have a body.
        let sent =
            if request.method == Method::GET && body.is_empty() { sent } else { sent.body(body) };
        sent.send().await.map_err(FetchError::from_reqwest)
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Fetched, FetchError> {
        let header = |name: HeaderName| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (cache_control, content_type) = (header(CACHE_CONTROL), header(CONTENT_TYPE));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(FetchError::from_reqwest)? {
            if body.len() + chunk.len() > self.max_body {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched { status, cache_control, content_type, headers, body })
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch").field("destinations", &self.destinations).finish_non_exhaustive()
    }
}

/// Describes a [`Fetch`].
#[derive(Clone, Debug)]
#[must_use = "a client is built by .build()"]
pub struct FetchBuilder {
    loopback: bool,
    redirects: usize,
    redirects_returned: bool,
    max_body: usize,
    time: Duration,
    lookup: Arc<dyn Lookup>,
    private_host: Option<String>,
    /// Certificates of authorities, in PEM.
    trusted: Option<String>,
}

impl FetchBuilder {
    /// Lets requests go to this machine, in plain http too.
    pub fn allow_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Lets requests go to `host` even on a private network, and to no other host. It is a name or
    /// an address, without a port. The scheme stays https; loopback and the metadata of clouds stay
    /// refused.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_guard as guard; }
    /// use portcullis::guard::Fetch;
    ///
    /// let fetch = Fetch::builder().allow_private_host("idp.corp.internal").build()?;
    /// assert!(fetch.judge(&"https://idp.corp.internal:8443/jwks".parse().unwrap()).is_ok());
    /// assert!(fetch.judge(&"https://example.com/jwks".parse().unwrap()).unwrap_err().is_refused());
    /// # Ok::<(), portcullis_guard::FetchError>(())
    /// ```
    pub fn allow_private_host(mut self, host: impl Into<String>) -> Self {
        self.private_host = Some(host.into());
        self
    }

    /// Trusts the certificate authorities in `pem`, and no others. Default: those of the system.
    pub fn trust_only(mut self, pem: impl Into<String>) -> Self {
        self.trusted = Some(pem.into());
        self
    }

    /// As [`trust_only`](Self::trust_only), for the PEM file at `path`, which is read now.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is not a regular file, is empty or larger than 1 MiB, or is not
    /// UTF-8.
    pub fn trust_only_file(&self, path: &Path) -> Result<Self, EnvironmentError> {
        let file = Environment::default().with_variable_from_file("CA", path)?;
        Ok(self.clone().trust_only(file.variable("CA").unwrap_or_default()))
    }

    /// Follows up to `hops` redirects, each judged like the first request. Default: none.
    pub fn redirects(mut self, hops: usize) -> Self {
        self.redirects = hops;
        self
    }

    /// Returns a redirect like any other answer, with its `Location`: none is followed or refused.
    pub fn return_redirects(mut self) -> Self {
        self.redirects_returned = true;
        self
    }

    /// The largest body of an answer, in bytes. Default: 64 KiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// How long an exchange may take as a whole. Default: 10 s.
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// How names are resolved. Default: by the operating system.
    pub fn lookup(mut self, lookup: impl Lookup) -> Self {
        self.lookup = Arc::new(lookup);
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up, or what was allowed or trusted cannot be read.
    pub fn build(self) -> Result<Fetch, FetchError> {
        let Self { loopback, redirects, redirects_returned, max_body, time, .. } = self;
        let Self { lookup, private_host, trusted, .. } = self;
        let only = match private_host.map(|host| Host::parse(&host)) {
            Some(Ok(host)) => Some(Arc::new(host)),
            Some(Err(_)) => {
                let text = "the private host is a name or an address, without scheme, port or path";
                return Err(FetchError::Misconfigured(text));
            }
            None => None,
        };
        let destinations = Destinations { loopback, only };
        let mut client = reqwest::Client::builder();
        if let Some(pem) = trusted {
            let authorities = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
            if authorities.is_empty() {
                let text = "the trusted certificates are not PEM (`-----BEGIN CERTIFICATE-----`)";
                return Err(FetchError::Misconfigured(text));
            }
            client = client.tls_certs_only(authorities);
        }
        let client = client
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(time)
            .pool_idle_timeout(IDLE)
            .dns_resolver(Arc::new(Pinned { lookup, destinations: destinations.clone() }))
            .build()
            .map_err(FetchError::from_reqwest)?;
        Ok(Fetch { client, destinations, redirects, redirects_returned, max_body, time })
    }
}

/// Why nothing was fetched.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchError {
    /// The destination is not one that an untrusted URL may name.
    Refused(Refusal),
    /// The request cannot be sent: the text says what is wrong with it.
    Malformed(&'static str),
    /// The client cannot be set up: the text says what is wrong with its description.
    Misconfigured(&'static str),
    /// The request timed out.
    TimedOut,
    /// The body of the answer is over the limit.
    TooLarge,
    /// The exchange failed. The cause holds no URL.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl FetchError {
    /// Whether the destination was refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    fn from_reqwest(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let refusal = ErrorChain::new(&error).causes().find_map(|cause| cause.downcast_ref());
        if let Some(refusal) = refusal {
            return Self::Refused(*refusal);
        }
        if error.is_timeout() { Self::TimedOut } else { Self::Failed(error.into()) }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "the destination is refused: {refusal}"),
            Self::Malformed(problem) => write!(f, "the request is malformed: {problem}"),
            Self::Misconfigured(problem) => write!(f, "the client cannot be set up: {problem}"),
            Self::TimedOut => f.write_str("the request timed out"),
            Self::TooLarge => f.write_str("the body is too large"),
            // What it is made of says why: a refused connection, a certificate, a name.
            Self::Failed(cause) => {
                write!(f, "the exchange failed: {}", ErrorChain::new(&**cause))
            }
        }
    }
}

impl std::error::Error for FetchError {}

#[cfg(test)]
mod tests;
