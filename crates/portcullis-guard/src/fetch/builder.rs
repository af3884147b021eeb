//! The settings of a `Fetch`: which destinations, how large, how long.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Proxy};
use url::{Host, Url};

use super::destination::Destinations;
use super::host_rule::HostRule;
use super::resolver::{Lookup, Pinned, SystemLookup};
use super::{Fetch, FetchError};
use crate::address::Network;
use crate::{Environment, EnvironmentError};

/// The largest body that is read, in bytes: 64 KiB, far more than any key set or metadata.
const MAX_BODY: usize = 64 * 1024;
/// How long an exchange may take, redirects and body included.
const TIME: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next request: shorter than servers do (Node 5 s), since a request
/// on one that the server closes meanwhile fails, and a code is never sent twice.
const KEPT: Duration = Duration::from_secs(3);

/// Describes a [`Fetch`].
#[derive(Clone)]
#[must_use = "a client is built by .build()"]
pub struct FetchBuilder {
    loopback: bool,
    ports: Option<Vec<u16>>,
    hosts: Vec<String>,
    private_hosts: Vec<String>,
    private_networks: Vec<String>,
    redirects: usize,
    redirects_returned: bool,
    max_body: usize,
    time: Duration,
    idle_time: Option<Duration>,
    lookup: Arc<dyn Lookup>,
    /// Certificates of authorities, in PEM.
    trusted: Option<String>,
    /// May hold a password.
    proxy: Option<String>,
}

impl Default for FetchBuilder {
    fn default() -> Self {
        Self {
            loopback: false,
            ports: None,
            hosts: Vec::new(),
            private_hosts: Vec::new(),
            private_networks: Vec::new(),
            redirects: 0,
            redirects_returned: false,
            max_body: MAX_BODY,
            time: TIME,
            idle_time: None,
            lookup: Arc::new(SystemLookup),
            trusted: None,
            proxy: None,
        }
    }
}

impl FetchBuilder {
    /// Lets requests go to this machine, in plain http too.
    pub fn allow_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Lets requests go to these hosts alone, each a name or an address without a port.
    /// `*.example.com` stands for every name below `example.com`, and not for that itself. Hosts that
    /// mean something inside are named by [`allow_private_host`](Self::allow_private_host) instead.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_guard as guard; }
    /// use portcullis::guard::Fetch;
    ///
    /// let fetch = Fetch::builder().allow_hosts(["api.example.com", "*.example.org"]).build()?;
    /// assert!(fetch.judge(&"https://api.example.com/orders".parse().unwrap()).is_ok());
    /// assert!(fetch.judge(&"https://eu.example.org/".parse().unwrap()).is_ok());
    /// for other in ["https://api.example.com.evil.example/", "https://evilexample.org/"] {
    ///     assert!(fetch.judge(&other.parse().unwrap()).unwrap_err().is_refused());
    /// }
    /// # Ok::<(), portcullis_guard::FetchError>(())
    /// ```
    pub fn allow_hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.hosts.extend(hosts.into_iter().map(Into::into));
        self
    }

    /// Lets requests go to `host` even on a private network, and to no host that is not named, by this
    /// or by [`allow_hosts`](Self::allow_hosts). It is a name or an address, without a port. The
    /// scheme stays https; loopback and the metadata of clouds stay refused.
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
        self.private_hosts.push(host.into());
        self
    }

    /// Lets requests go to a part of a private network, in CIDR notation: `10.1.0.0/16`. Where private
    /// hosts are named, they alone reach it, and they reach no other. Without, every URL does: name
    /// [hosts](Self::allow_private_host) wherever URLs are untrusted.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_guard as guard; }
    /// use portcullis::guard::Fetch;
    ///
    /// let fetch = Fetch::builder().allow_private_network("10.1.0.0/16").build()?;
    /// assert!(fetch.judge(&"https://10.1.2.3/".parse().unwrap()).is_ok());
    /// assert!(fetch.judge(&"https://10.2.0.1/".parse().unwrap()).unwrap_err().is_refused());
    /// # Ok::<(), portcullis_guard::FetchError>(())
    /// ```
    pub fn allow_private_network(mut self, network: impl Into<String>) -> Self {
        self.private_networks.push(network.into());
        self
    }

    /// Lets requests go to these ports alone. Default: to all.
    pub fn ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.ports = Some(ports.into_iter().collect());
        self
    }

    /// Sends every request through the proxy at `url`, whose scheme is http or https; a user and a
    /// password in it are for the proxy. Default: no proxy, whatever the environment says.
    ///
    /// The proxy resolves the names then: URLs are judged here, addresses of names are not. It has to
    /// refuse what is inside itself.
    pub fn egress_proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
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

    /// How long a server may send nothing, before the head of its answer and within its body. Default:
    /// as long as the [whole exchange](Self::time) may take.
    pub fn idle_time(mut self, time: Duration) -> Self {
        self.idle_time = Some(time);
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
        let destinations = self.destinations()?;
        let Self { redirects, redirects_returned, max_body, time, idle_time, .. } = self;
        let Self { lookup, trusted, proxy, .. } = self;
        let mut client = reqwest::Client::builder().no_proxy();
        if let Some(pem) = trusted {
            let authorities = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
            if authorities.is_empty() {
                let text = "the trusted certificates are not PEM (`-----BEGIN CERTIFICATE-----`)";
                return Err(FetchError::Misconfigured(text));
            }
            client = client.tls_certs_only(authorities);
        }
        let proxy_host = match proxy.map(|url| proxy_of(&url)).transpose()? {
            Some((proxy, host)) => {
                client = client.proxy(proxy);
                Some(host)
            }
            None => None,
        };
        let pinned = Pinned { lookup, destinations: destinations.clone(), proxy: proxy_host };
        let client = client
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(time)
            .pool_idle_timeout(KEPT)
            .dns_resolver(Arc::new(pinned));
        // Without one the whole exchange has its end, and a second timer would cost each piece.
        let client = match idle_time {
            Some(idle) => client.read_timeout(idle),
            None => client,
        };
        let client = client.build().map_err(FetchError::from_reqwest)?;
        Ok(Fetch { client, destinations, redirects, redirects_returned, max_body, time })
    }

    pub(super) fn destinations(&self) -> Result<Destinations, FetchError> {
        let read = |text: &'static str| FetchError::Misconfigured(text);
        let hosts = self.hosts.iter().map(|host| HostRule::parse(host)).collect::<Option<_>>();
        let private = self.private_hosts.iter().map(|host| Host::parse(host).ok());
        let networks = self.private_networks.iter().map(|network| Network::parse(network));
        Ok(Destinations {
            loopback: self.loopback,
            ports: self.ports.as_deref().map(Arc::from),
            hosts: hosts.ok_or_else(|| {
                read("an allowed host is a name, an address or `*.` and a name, without a port")
            })?,
            private: private.collect::<Option<_>>().ok_or_else(|| {
                read("the private host is a name or an address, without scheme, port or path")
            })?,
            networks: networks.collect::<Option<_>>().ok_or_else(|| {
                read("the private network is its first address and a length, as `10.1.0.0/16`")
            })?,
        })
    }
}

/// A proxy, and its host.
fn proxy_of(url: &str) -> Result<(Proxy, Host<String>), FetchError> {
    let malformed = || FetchError::Misconfigured("the proxy is no http or https URL");
    let parsed = Url::parse(url).map_err(|_| malformed())?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(malformed());
    }
    let host = parsed.host().ok_or_else(malformed)?.to_owned();
    Ok((Proxy::all(url).map_err(|_| malformed())?, host))
}

impl fmt::Debug for FetchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchBuilder")
            .field("loopback", &self.loopback)
            .field("ports", &self.ports)
            .field("hosts", &self.hosts)
            .field("private_hosts", &self.private_hosts)
            .field("private_networks", &self.private_networks)
            .field("has_proxy", &self.proxy.is_some())
            .finish_non_exhaustive()
    }
}
