//! The address that a server listens on: TCP, or a Unix socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use tokio::net::TcpListener;

use crate::http::connection::stream::Stream;
#[cfg(unix)]
use crate::http::connection::unix_socket::UnixSocket;

/// Where a server listens: an IP address and a port, or `unix:` and the path of a socket.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_protocol as server; }
/// use portcullis::server::http::ListenAddress;
///
/// let address: ListenAddress = "127.0.0.1:8000".parse()?;
/// assert!(address.is_local());
/// # #[cfg(unix)]
/// assert!("unix:/run/notes/mcp.sock".parse::<ListenAddress>()?.is_local());
/// # Ok::<(), &'static str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenAddress {
    /// An IP address and a port; with port 0 the system chooses one.
    Ip(SocketAddr),
    /// The path of a Unix socket. It begins with `/`.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether nobody but this machine reaches it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Ip(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.starts_with('/') {
                true if cfg!(unix) => Ok(Self::Unix(path.into())),
                true => Err("this system has no Unix sockets"),
                false => Err("write the whole path of the socket, from / on"),
            };
        }
        if text.starts_with("localhost") {
            return Err(
                "`localhost` is a name that may resolve to another address: write 127.0.0.1",
            );
        }
        let address = text.parse().map(Self::Ip);
        address.map_err(|_| "write an IP address and a port, such as 127.0.0.1:8000, or unix:/PATH")
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A socket that is bound.
pub(crate) enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixSocket),
}

impl Socket {
    #[expect(clippy::disallowed_methods, reason = "this is the door for connections that come in")]
    pub(crate) async fn bind(address: &ListenAddress) -> io::Result<Self> {
        match address {
            ListenAddress::Ip(address) => TcpListener::bind(address).await.map(Self::Tcp),
            #[cfg(unix)]
            ListenAddress::Unix(path) => UnixSocket::bind(path).map(Self::Unix),
            #[cfg(not(unix))]
            ListenAddress::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The next connection, and where it is from; a Unix socket does not say.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, remote) = socket.accept().await?;
                Ok((Stream::Tcp(stream), Some(remote)))
            }
            #[cfg(unix)]
            Self::Unix(socket) => Ok((Stream::Unix(socket.accept().await?), None)),
        }
    }

    pub(crate) fn local_address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(socket) => socket.local_addr().map(ListenAddress::Ip),
            #[cfg(unix)]
            Self::Unix(socket) => Ok(ListenAddress::Unix(socket.path().to_owned())),
        }
    }
}
