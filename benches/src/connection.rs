//! One keep-alive connection: a request, and its answer.

use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::Result;

/// A connection over which requests of HTTP/1.1 go, each after the answer to the one before.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Whether the last answer said so.
    closes: bool,
}

/// What came back.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The status line and the fields.
    pub head: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    ///
    /// When nobody listens.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        Self::of(TcpStream::connect(address).await?)
    }

    /// Opens one from another address of this machine, such as `127.0.0.2`.
    ///
    /// # Errors
    ///
    /// When nobody listens, or the machine has no such address.
    pub async fn open_from(source: IpAddr, address: SocketAddr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(source, 0))?;
        Self::of(socket.connect(address).await?)
    }

    fn of(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024), closes: false })
    }

    /// Sends `request`, and waits for all of its answer: over a new connection, if the last answer said that
    /// it would close this one, as after many refused tokens.
    ///
    /// # Errors
    ///
    /// When no answer comes that says its length, or more than one.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        if self.closes {
            *self = Self::open(self.stream.peer_addr()?).await?;
        }
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("a connection was closed".into());
            }
            let Some(head) = Head::read(&self.buffer)? else { continue };
            match self.buffer.len().cmp(&head.end) {
                Ordering::Less => {}
                Ordering::Equal => break head,
                Ordering::Greater => return Err("more was answered than asked".into()),
            }
        };
        let answer = Answer {
            status: head.status,
            head: str::from_utf8(self.buffer.get(..head.body).unwrap_or_default())?,
            body: self.buffer.get(head.body..head.end).unwrap_or_default(),
        };
        self.closes = answer.values("connection").any(|value| value.eq_ignore_ascii_case("close"));
        Ok(answer)
    }
}

impl Answer<'_> {
    /// The values of a field, in their order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// Where an answer ends.
#[derive(Clone, Copy, Debug)]
struct Head {
    status: u16,
    body: usize,
    end: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = str::from_utf8(bytes.get(..end).unwrap_or_default())?;
        let status = head.get(9..12).and_then(|code| code.parse().ok());
        let length = head.lines().filter_map(|line| line.split_once(": ")).find_map(|line| {
            line.0.eq_ignore_ascii_case("content-length").then(|| line.1.parse::<usize>().ok())?
        });
        let (Some(status), Some(length)) = (status, length) else {
            return Err(format!("an answer without a status or a length: {head}").into());
        };
        let body = end + 4;
        Ok(Some(Self { status, body, end: body + length }))
    }
}
