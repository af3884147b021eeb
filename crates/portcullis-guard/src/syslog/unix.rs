//! Messages as datagrams of a Unix socket.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use super::{first, is_slow};
use crate::delivery::Delivery;

/// How long a server may take to make room for a message.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Unix {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Unix {
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), socket: Some(connected(path)?) })
    }

    /// Sends `message` over the socket of before, or over another one.
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connected(&self.path)?,
        };
        let sent = socket.send(message);
        // A datagram is taken whole or not at all.
        if sent.as_ref().err().is_none_or(is_slow) {
            self.socket = Some(socket);
        }
        sent.map(|_| ())
    }
}

impl Delivery for Unix {
    fn deliver(&mut self, lines: &[u8]) -> io::Result<usize> {
        let message = first(lines);
        let sent = match self.send(message) {
            // A server that was started again listens on another socket.
            Err(error) if !is_slow(&error) && !is_too_long(&error) => self.send(message),
            sent => sent,
        };
        match sent {
            // It never will be sent, and would keep all others back.
            Err(error) if is_too_long(&error) => tracing::error!(
                to = self.name(),
                bytes = message.len(),
                "a message is lost: it is longer than a datagram may be"
            ),
            sent => sent?,
        }
        Ok(message.len() + 1)
    }

    fn name(&self) -> String {
        format!("the syslog server at {}", self.path.display())
    }
}

/// Whether a datagram is longer than the operating system sends one.
fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error())
}

#[expect(clippy::disallowed_methods, reason = "this is the door to syslog servers")]
fn connected(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}
