use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::app::App;
use super::connection;
use crate::{Limits, Service, response};

/// Connections over the limit that are told so at once; further ones are just closed.
const REFUSALS_AT_ONCE: usize = 64;

/// The one socket that the server listens on, with its limits.
///
/// A connection has [`Limits::header_read`] to send the head of a request, and is closed soon
/// after that, however little has arrived.
pub struct Listener {
    socket: TcpListener,
    limits: Limits,
}

impl Listener {
    /// Binds `address`.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    #[expect(clippy::disallowed_methods, reason = "this is the door for connections that come in")]
    pub async fn bind(address: SocketAddr, limits: Limits) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, limits })
    }

    /// The address that is bound: with port 0, the one that the system chose.
    ///
    /// # Errors
    ///
    /// When the system cannot tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves `app` until `stop` is ready, then drains: no further connection is accepted,
    /// idle ones are closed, streams of sessions end, running requests have [`Limits::drain`] to finish.
    pub async fn serve<S: Service>(self, app: Arc<App<S>>, stop: impl Future<Output = ()>) {
        let Self { socket, limits } = self;
        let http = connection::protocol(&limits);
        let connections = Arc::new(Semaphore::new(limits.connections));
        let refusals = Arc::new(Semaphore::new(REFUSALS_AT_ONCE));
        let (stopping, stopped) = watch::channel(());
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = &mut stop => break,
            };
            let (stream, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: accepting again at once would spin.
                    tracing::error!(%error, "no connection could be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
                if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                    let app = Arc::clone(&app);
                    tokio::spawn(async move {
                        app.refuse_connection(remote);
                        refuse(stream).await;
                        drop(permit);
                    });
                }
                continue;
            };
            // Without it small answers wait for the client's acknowledgement.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection was lost before it was served");
                continue;
            }
            let (http, app) = (http.clone(), Arc::clone(&app));
            let accepted = (stream, remote);
            let served = connection::serve(http, accepted, app, limits.clone(), stopped.clone());
            tokio::spawn(async move {
                served.await;
                drop(permit);
            });
        }
        drop((socket, stopping));
        app.stop();
        let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
        if tokio::time::timeout(limits.drain, connections.acquire_many(all)).await.is_err() {
            tracing::warn!(limit = ?limits.drain, "requests were still running at the drain limit");
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.socket.local_addr()).finish()
    }
}

/// Tells a connection over the limit so, in as little work as possible.
async fn refuse(mut stream: TcpStream) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let body = response::refused(503, "Too many connections");
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // What the client has sent is read first: closing with unread bytes would reset the
    // connection, and the answer would be lost with it.
    let answered = async {
        let _ = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut [0; 4096])).await;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.shutdown().await
    };
    if !matches!(tokio::time::timeout(Duration::from_secs(1), answered).await, Ok(Ok(()))) {
        tracing::debug!("a connection over the limit was closed without an answer");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::super::edge::Edge;
    use super::*;

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test is both ends")]
    async fn a_connection_too_many_is_told_and_noted() {
        let edge = Edge::new();
        let limits = Limits { connections: 1, ..Limits::default() };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(address, limits).await.unwrap();
        let address = listener.local_address().unwrap();
        let served = tokio::spawn(listener.serve(Arc::clone(&edge.app), std::future::pending()));
        let first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let mut answer = String::new();
        second.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert_eq!(edge.service.refusals(), ["limits 503 -: too many connections"]);
        drop(first);
        served.abort();
    }
}
