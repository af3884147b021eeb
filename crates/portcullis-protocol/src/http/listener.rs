use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::app::App;
use super::idle::FirstBytes;
use crate::{Limits, Service, response};

/// Streams of one HTTP/2 connection at once.
const HTTP2_STREAMS: u32 = 128;
/// Header fields of one request.
const MAX_HEADERS: usize = 64;
/// Connections over the limit that are told so at once; further ones are just closed.
const REFUSALS_AT_ONCE: usize = 64;

/// The one socket that the server listens on, with its limits.
///
/// A connection has [`Limits::header_read`] to send the head of a request, and is closed
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
    /// idle ones are closed, running requests have [`Limits::drain`] to finish.
    pub async fn serve<S: Service>(self, app: Arc<App<S>>, stop: impl Future<Output = ()>) {
        let Self { socket, limits } = self;
        let http = protocol(&limits);
        let connections = Arc::new(Semaphore::new(limits.connections));
        let refusals = Arc::new(Semaphore::new(REFUSALS_AT_ONCE));
        let graceful = GracefulShutdown::new();
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = &mut stop => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: accepting again at once would spin.
                    tracing::error!(%error, "no connection could be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
                if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                    tokio::spawn(async move {
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
            let app = Arc::clone(&app);
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let app = Arc::clone(&app);
                async move {
                    Ok::<Response<Body>, std::convert::Infallible>(
                        app.answer(request.map(Body::new)).await,
                    )
                }
            });
            let stream = TokioIo::new(FirstBytes::within(limits.header_read, stream));
            let connection = graceful.watch(http.serve_connection(stream, service).into_owned());
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(error = %error, "a connection ended early");
                }
                drop(permit);
            });
        }
        drop(socket);
        if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!(limit = ?limits.drain, "requests were still running at the drain limit");
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.socket.local_addr()).finish()
    }
}

fn protocol(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_headers(MAX_HEADERS)
        .max_buf_size(limits.header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.header_read)
        .keep_alive_timeout(limits.header_read);
    builder
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
