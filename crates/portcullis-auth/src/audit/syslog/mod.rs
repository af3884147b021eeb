//! The sink that sends records to a syslog server.

mod message;

use std::fmt;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;

use portcullis_guard::delivery::DeliveryError;
use portcullis_guard::syslog::SyslogServer;

use self::message::Origin;
use super::{AuditError, AuditRecord, AuditSink};

/// Sends one message for each record to a syslog server on this machine (RFC 5424).
///
/// Its text is the line that [`JsonLines`](super::JsonLines) writes, in ASCII: other characters, and those
/// that control a terminal, are written as `\uXXXX`, so that a record is one message whatever is in it. The
/// severity is 6 (informational) for what was allowed, 4 (warning) for what failed, and 5 (notice) for
/// every other verdict. The MSGID is the operation.
///
/// A message that would be longer than [`max_bytes`](Self::max_bytes) has fewer members, and says in
/// `left_out` which. What anybody may choose goes first, the subject last.
///
/// While the server is away or slow, records wait in memory, 8 MiB of them, and the log says so; beyond that
/// they are refused. With [`AuditFailure::Stop`](super::AuditFailure::Stop), operations are refused from the
/// first message that could not be sent.
///
/// **Deployment caveat.** What a server that ends has not read is lost
/// ([`SyslogServer`]). The messages are personal data: the default facility is the one that distributions
/// keep from other users.
///
/// # Example
///
/// ```no_run
/// # mod portcullis { pub use portcullis_auth::audit; }
/// use portcullis::audit::{Audit, AuditFailure, Facility, SyslogSink};
///
/// let sink = SyslogSink::local()?.app_name("my-server")?.facility(Facility::LogAudit);
/// let audit = Audit::new(AuditFailure::Stop).sink(sink);
/// assert!(audit.ready().is_ok());
/// # Ok::<(), portcullis::audit::AuditError>(())
/// ```
pub struct SyslogSink {
    server: SyslogServer,
    to: String,
    origin: Origin,
    max_bytes: usize,
}

/// Which part of a system a message is from (RFC 5424 §6.2.1, table 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Facility {
    /// 3: system daemons.
    Daemon,
    /// 10: security and authorization messages, which are private.
    AuthPriv,
    /// 13: log audit.
    LogAudit,
    /// 16 to 23: local use 0 to 7. A larger number is 7.
    Local(u8),
}

impl SyslogSink {
    /// The shortest limit of a message: 2,048 bytes, which every server should accept (RFC 5424 §6.1).
    pub const SHORTEST: usize = 2_048;
    /// The longest limit of a message: 65,536 bytes.
    pub const LONGEST: usize = 65_536;

    /// Messages to the server of this machine, at `/dev/log`.
    ///
    /// # Errors
    ///
    /// As [`unix`](Self::unix).
    #[cfg(unix)]
    pub fn local() -> Result<Self, AuditError> {
        Self::unix("/dev/log")
    }

    /// Messages as datagrams to the Unix socket at `path`.
    ///
    /// # Errors
    ///
    /// When no server listens there, or no thread can be started.
    #[cfg(unix)]
    pub fn unix(path: impl AsRef<Path>) -> Result<Self, AuditError> {
        let path = path.as_ref();
        let to = path.display().to_string();
        SyslogServer::unix(path).map(|server| Self::of(server, to)).map_err(AuditError::new)
    }

    /// Octet-counted messages over TCP (RFC 6587) to a loopback address, such as that of a relay that sends
    /// them on over TLS.
    ///
    /// # Errors
    ///
    /// When the address is another machine's, nothing listens there, or no thread can be started.
    pub fn tcp(address: SocketAddr) -> Result<Self, AuditError> {
        let to = address.to_string();
        SyslogServer::tcp(address).map(|server| Self::of(server, to)).map_err(AuditError::new)
    }

    fn of(server: SyslogServer, to: String) -> Self {
        Self { server, to, origin: Origin::default(), max_bytes: 8_192 }
    }

    /// Sets the facility. Default: [`Facility::AuthPriv`].
    #[must_use]
    pub fn facility(mut self, facility: Facility) -> Self {
        self.origin.facility = facility;
        self
    }

    /// Sets the APP-NAME: at most 48 visible characters of ASCII. Default: `portcullis`.
    ///
    /// # Errors
    ///
    /// When it is another text.
    pub fn app_name(mut self, name: &str) -> Result<Self, AuditError> {
        self.origin.app_name = message::header_field(name, 48)?;
        Ok(self)
    }

    /// Sets the HOSTNAME: at most 255 visible characters of ASCII. Default: `-`, upon which servers write
    /// their own.
    ///
    /// # Errors
    ///
    /// When it is another text.
    pub fn host_name(mut self, name: &str) -> Result<Self, AuditError> {
        self.origin.host_name = message::header_field(name, 255)?;
        Ok(self)
    }

    /// The longest message, in bytes. Less than [`SHORTEST`](Self::SHORTEST) counts as that, more than
    /// [`LONGEST`](Self::LONGEST) as that. It has to be what the server accepts. Default: 8,192, as that of
    /// rsyslog.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes.clamp(Self::SHORTEST, Self::LONGEST);
        self
    }
}

impl AuditSink for SyslogSink {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        let write = |line: &mut Vec<u8>| self.origin.append(line, record, self.max_bytes);
        Ok(self.server.send(write)?)
    }

    fn ready(&self) -> Result<(), AuditError> {
        Ok(self.server.ready()?)
    }

    fn flush(&self) -> Result<(), AuditError> {
        Ok(self.server.flush()?)
    }
}

impl fmt::Debug for SyslogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SyslogSink({})", self.to)
    }
}

impl From<DeliveryError> for AuditError {
    fn from(error: DeliveryError) -> Self {
        Self::new(error)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
