//! The settings of a Redis store, and its URL.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_guard::{Clock, Secret, SystemClock};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::connection::Connection;
use super::layout::Prefix;
use super::open::{RedisOpenError, RedisOpenErrorKind, check};
use super::script::Scripts;
use super::watch::Watch;
use super::{RedisStore, Settings};

/// The shortest and the longest deadline of a request.
const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60);

/// How long an unused connection is silent before the operating system asks whether it is alive.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Where the store is and how it is asked, before it is opened: see [`RedisStore::builder`].
#[must_use = "nothing happens before it is opened"]
pub struct RedisStoreBuilder {
    url: Secret<String>,
    prefix: String,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    ca_certificate: Option<Vec<u8>>,
    accepts_eviction: bool,
    may_be_unsealed: bool,
}

impl RedisStoreBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: Secret::new(url.to_owned()),
            prefix: "portcullis:".to_owned(),
            timeout: Duration::from_secs(2),
            clock: Arc::new(SystemClock),
            ca_certificate: None,
            accepts_eviction: false,
            may_be_unsealed: false,
        }
    }

    /// Sets what the store's keys begin with: letters, digits and `:-_./`, 64 at most. Default:
    /// `portcullis:`.
    ///
    /// Servers with one prefix share their records. Servers that share none need prefixes of
    /// their own, or a Redis each: the number of a database does not work in a cluster.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how long one request may take, connecting included: 10 ms to 60 s. Default: 2 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock that expiry is judged by. Default: that of the system.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Trusts this certificate (PEM), in place of those of the system, for `rediss://`.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificate = Some(pem.into());
        self
    }

    /// Accepts a Redis that removes live records when its memory is full.
    ///
    /// A replay mark, a revocation or a spent code that was removed is one that never was: a
    /// replayed token is accepted. So the store refuses such a Redis otherwise, also where its policy
    /// is changed while it runs.
    pub fn dangerously_accept_eviction(mut self) -> Self {
        self.accepts_eviction = true;
        self
    }

    /// Lets a server use the store as it is, for tests: whoever can ask this Redis, or has a file of
    /// it, reads what is stored.
    pub fn dangerously_unsealed(mut self) -> Self {
        self.may_be_unsealed = true;
        self
    }

    /// Connects, and looks whether this Redis keeps what it is given.
    ///
    /// It reads `INFO`, then writes, reads and takes a record of its own.
    ///
    /// # Errors
    ///
    /// [`RedisOpenError`] with what to do: the address is wrong, nobody is there, the password is
    /// wrong or missing, the server is too old, a replica, one of several nodes of a cluster, or
    /// would evict records.
    pub async fn open(self) -> Result<RedisStore, RedisOpenError> {
        let prefix = Prefix::new(&self.prefix).map_err(|_| {
            RedisOpenError::new(
                RedisOpenErrorKind::Option,
                "the prefix has to be 1 to 64 letters, digits and `:-_./`",
            )
        })?;
        if !TIMEOUTS.contains(&self.timeout) {
            return Err(RedisOpenError::new(
                RedisOpenErrorKind::Option,
                "the timeout has to be between 10 ms and 60 s",
            ));
        }
        let info = address(self.url.expose(), self.timeout)?;
        let database = info.redis_settings().db();
        let is_plain =
            matches!(info.addr(), redis::ConnectionAddr::Tcp(host, _) if !is_loopback(host));
        let is_tls = is_tls(&info);
        let client = client(info, self.ca_certificate)?;
        let connection = Connection::new(client, self.timeout)
            .map_err(|error| RedisOpenError::of_redis(error, database))?;
        if is_plain {
            tracing::warn!("the connection to Redis is not encrypted: use rediss://");
        }
        let settings = Settings {
            prefix,
            clock: self.clock,
            scripts: Scripts::new(),
            may_be_unsealed: self.may_be_unsealed,
        };
        let watch = Arc::new(Watch::new(connection, self.accepts_eviction));
        let store = RedisStore { watch, settings };
        check(&store, database).await.map_err(|error| error.of_connection(is_tls))?;
        Ok(store)
    }
}

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("url", &self.url)
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

fn is_tls(info: &ConnectionInfo) -> bool {
    matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What the URL says. The crate ignores what it does not know, so that is refused here.
fn address(url: &str, timeout: Duration) -> Result<ConnectionInfo, RedisOpenError> {
    let wrong = |text| RedisOpenError::new(RedisOpenErrorKind::Address, text);
    let url = redis::parse_redis_url(url)
        .ok_or_else(|| wrong("the URL of Redis does not parse: write redis://HOST:PORT"))?;
    if !["redis", "rediss", "valkey", "valkeys"].contains(&url.scheme()) {
        return Err(wrong("the URL of Redis begins with redis://, or rediss:// for TLS"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("the URL of Redis has no part after `?` or `#`"));
    }
    let info = url.into_connection_info().map_err(|_| {
        wrong("the URL of Redis has the form redis://NAME:PASSWORD@HOST:PORT/NUMBER")
    })?;
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3));
    // A peer that is gone without a word breaks the connection, which is then made again.
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(timeout.saturating_mul(2));
    #[cfg(not(target_os = "linux"))]
    let _ = timeout;
    Ok(info.set_redis_settings(redis).set_tcp_settings(tcp))
}

fn client(info: ConnectionInfo, ca: Option<Vec<u8>>) -> Result<Client, RedisOpenError> {
    let is_tls = is_tls(&info);
    if is_tls && rustls::crypto::CryptoProvider::get_default().is_none() {
        // The crate takes the one of the process. Another that was installed meanwhile is one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let client = match ca {
        Some(_) if !is_tls => {
            return Err(RedisOpenError::new(
                RedisOpenErrorKind::Option,
                "a certificate is of use with rediss:// alone",
            ));
        }
        // A text without a certificate would pass, and then nobody be trusted.
        Some(pem) if !has_certificate(&pem) => {
            return Err(RedisOpenError::new(
                RedisOpenErrorKind::Option,
                "the certificate is no PEM certificate",
            ));
        }
        Some(pem) => {
            Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem) })
        }
        None => Client::open(info),
    };
    client.map_err(|_| {
        RedisOpenError::new(RedisOpenErrorKind::Option, "the certificate is no PEM certificate")
    })
}

fn has_certificate(pem: &[u8]) -> bool {
    CertificateDer::pem_slice_iter(pem).next().is_some_and(|certificate| certificate.is_ok())
}
