//! The door to syslog servers on this machine.

mod tcp;
#[cfg(unix)]
mod unix;

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;

use self::tcp::Tcp;
#[cfg(unix)]
use self::unix::Unix;
use crate::delivery::{Deliveries, DeliveryError};

/// A syslog server on this machine, to which messages are sent in the order of the calls.
///
/// [`send`](Self::send) puts a message in memory; a thread sends it ([`Deliveries`]). While the server is
/// away or slow, up to 8 MiB wait, and it is tried again every second, on a connection of its own.
///
/// | | what a server that ends has not read |
/// |---|---|
/// | [`unix`](Self::unix) | up to as many messages as its socket holds (`net.unix.max_dgram_qlen`) are lost |
/// | [`tcp`](Self::tcp) | what both ends of the connection buffer is lost, for syslog has no acknowledgement (RFC 6587 §3.2); the log says that the connection broke |
///
/// UDP is not there: it loses messages without a word (RFC 5426 §4.4). Nor is a server elsewhere: neither
/// of the two is encrypted. A relay on this machine (rsyslog, syslog-ng) sends messages on over TLS
/// (RFC 5425).
///
/// # Example
///
/// ```no_run
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// use std::io::Write;
/// use portcullis::guard::syslog::SyslogServer;
///
/// let server = SyslogServer::unix("/dev/log")?;
/// server.send(|message| write!(message, "<86>1 - - example - - - hello"))?;
/// server.flush()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SyslogServer(Deliveries);

impl SyslogServer {
    /// Connects to the datagram socket at `path`: `/dev/log` on Linux, `/var/run/syslog` on macOS. A message
    /// that is longer than the system sends a datagram (about 200 KB on Linux, 2 KB on macOS) is lost, and
    /// the log says so.
    ///
    /// # Errors
    ///
    /// When no server listens there, or no thread can be started.
    #[cfg(unix)]
    pub fn unix(path: impl AsRef<Path>) -> io::Result<Self> {
        Deliveries::start(Unix::connect(path.as_ref())?).map(Self)
    }

    /// Connects to a server that reads octet-counted messages (RFC 6587 §3.4.1). The address is
    /// loopback.
    ///
    /// # Errors
    ///
    /// When the address is another machine's, nothing listens there, or no thread can be started.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        Deliveries::start(Tcp::connect(address)?).map(Self)
    }

    /// Sends a message: what `write` appends to the vector, without control characters.
    ///
    /// The vector may hold other messages already.
    ///
    /// # Errors
    ///
    /// When the message will not be sent: `write` failed, a control character is in it, or more than
    /// 8 MiB wait.
    pub fn send(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> Result<(), DeliveryError> {
        self.0.push(|message| {
            let begin = message.len();
            write(message)?;
            let written = message.get(begin..).unwrap_or_default();
            match written.iter().any(u8::is_ascii_control) || written.is_empty() {
                true => Err(io::Error::other("a message holds control characters, or nothing")),
                false => Ok(()),
            }
        })
    }

    /// Whether a message would be taken, and the last one was sent.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn ready(&self) -> Result<(), DeliveryError> {
        self.0.ready()
    }

    /// Waits until every message that was taken before is with the operating system, for five seconds at
    /// most.
    ///
    /// # Errors
    ///
    /// When the time is over. Sending them is still tried.
    pub fn flush(&self) -> Result<(), DeliveryError> {
        self.0.flush()
    }
}

/// The first of `lines`, without its line feed.
fn first(lines: &[u8]) -> &[u8] {
    lines.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// Whether the server is there, and only slow.
fn is_slow(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
