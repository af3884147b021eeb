//! Octet-counted messages over TCP (RFC 6587 §3.4.1).

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{first, is_slow};
use crate::delivery::Delivery;

/// How long a server may take to accept a connection, or to read on.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many bytes are sent with one call.
const AT_ONCE: usize = 64 * 1024;

pub(super) struct Tcp {
    address: SocketAddr,
    stream: Option<TcpStream>,
    /// How much of the first message is sent already.
    sent: usize,
}

impl Tcp {
    pub(super) fn connect(address: SocketAddr) -> io::Result<Self> {
        if !address.ip().to_canonical().is_loopback() {
            let text =
                "a syslog server is reached in plain text, so its address has to be loopback";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(Self { address, stream: Some(connected(address)?), sent: 0 })
    }

    /// Goes on with the connection, or with another one, if the server has left that of before.
    fn go_on(&mut self) -> io::Result<TcpStream> {
        match self.stream.take() {
            Some(stream) if is_open(&stream) => return Ok(stream),
            Some(_) => self.warn("the server closed it"),
            None => {}
        }
        // What was torn on the connection of before is sent again.
        self.sent = 0;
        connected(self.address)
    }

    fn warn(&self, cause: &str) {
        tracing::error!(
            to = self.name(),
            cause,
            "the connection broke: messages that the server had not read are lost"
        );
    }
}

impl Delivery for Tcp {
    fn deliver(&mut self, lines: &[u8]) -> io::Result<usize> {
        let (mut stream, frames) = (self.go_on()?, frames(lines));
        match stream.write(frames.get(self.sent..).unwrap_or_default()) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => self.sent += written,
            Err(error) if is_slow(&error) => {
                self.stream = Some(stream);
                return Err(error);
            }
            Err(error) => {
                self.warn(&error.to_string());
                return Err(error);
            }
        }
        self.stream = Some(stream);
        let mut delivered = 0;
        for message in lines.split_inclusive(|byte| *byte == b'\n') {
            let frame = frame_length(first(message));
            if frame > self.sent {
                break;
            }
            self.sent -= frame;
            delivered += message.len();
        }
        match delivered {
            // The rest of the first message comes next.
            0 => Err(io::ErrorKind::Interrupted.into()),
            _ => Ok(delivered),
        }
    }

    fn name(&self) -> String {
        format!("the syslog server at {}", self.address)
    }
}

/// As many of `lines` as are sent with one call, each behind its length.
fn frames(lines: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    for message in lines.split_inclusive(|byte| *byte == b'\n').map(first) {
        if frames.len() >= AT_ONCE {
            break;
        }
        frames.extend_from_slice(length(message).as_bytes());
        frames.extend_from_slice(message);
    }
    frames
}

/// What stands before a message: its length, and a space.
fn length(message: &[u8]) -> String {
    format!("{} ", message.len())
}

fn frame_length(message: &[u8]) -> usize {
    length(message).len() + message.len()
}

/// Whether the server has not closed its end. It never says anything: what there is to read is its end.
fn is_open(stream: &TcpStream) -> bool {
    let peek = || {
        stream.set_nonblocking(true)?;
        let read = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        read
    };
    match peek() {
        Ok(read) => read > 0,
        Err(error) => is_slow(&error),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the door to syslog servers")]
fn connected(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
