use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::app::App;
use super::patience::Patient;
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
        let (stopping, stopped) = watch::channel(());
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
            let activity = Arc::new(Activity::default());
            let stream = Patient::new(stream, &limits, Arc::clone(&activity.written));
            let connection = serve_connection(
                http.clone(),
                stream,
                activity,
                Arc::clone(&app),
                limits.header_read,
                stopped.clone(),
            );
            tokio::spawn(async move {
                connection.await;
                drop(permit);
            });
        }
        drop((socket, stopping));
        let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
        if tokio::time::timeout(limits.drain, connections.acquire_many(all)).await.is_err() {
            tracing::warn!(limit = ?limits.drain, "requests were still running at the drain limit");
        }
    }
}

/// Serves one connection until it ends, stays idle for longer than `idle`, or the server
/// stops. What runs is let finish.
async fn serve_connection<S: Service>(
    http: Builder<TokioExecutor>,
    stream: Patient,
    activity: Arc<Activity>,
    app: Arc<App<S>>,
    idle: Duration,
    mut stopped: watch::Receiver<()>,
) {
    let service = service_fn({
        let activity = Arc::clone(&activity);
        move |request: Request<hyper::body::Incoming>| {
            let (app, running) = (Arc::clone(&app), Activity::begin(&activity));
            async move {
                let response = app.answer(request.map(Body::new)).await;
                drop(running);
                Ok::<Response<Body>, Infallible>(response)
            }
        }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + idle, idle);
    let (mut ending, mut quiet) = (false, 0);
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(error = %error, "a connection ended early");
                }
                return;
            }
            _ = stopped.changed(), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
            // HTTP/2 has no header-read timeout: a client may answer pings for ever, or
            // never make room for the answers that it asked for.
            _ = ticks.tick() => {
                quiet = if activity.is_quiet() { quiet + 1 } else { 0 };
                if quiet > 1 {
                    return;
                }
                if quiet == 1 && !ending {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// What goes on on a connection.
#[derive(Debug, Default)]
struct Activity {
    begun: AtomicUsize,
    running: AtomicUsize,
    written: Arc<AtomicUsize>,
    /// What had begun and was written when this was last looked at.
    seen: (AtomicUsize, AtomicUsize),
}

/// Bytes that a connection may carry between two looks and still be quiet: pings.
const QUIET_BYTES: usize = 100;

impl Activity {
    /// Whether nothing runs, nothing has begun and next to nothing was written since the
    /// last look.
    fn is_quiet(&self) -> bool {
        let (begun, written) =
            (self.begun.load(Ordering::Relaxed), self.written.load(Ordering::Relaxed));
        let begun_before = self.seen.0.swap(begun, Ordering::Relaxed);
        let written_before = self.seen.1.swap(written, Ordering::Relaxed);
        self.running.load(Ordering::Relaxed) == 0
            && begun == begun_before
            && written.wrapping_sub(written_before) < QUIET_BYTES
    }

    fn begin(activity: &Arc<Self>) -> Running {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        activity.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(activity))
    }
}

/// A request that runs until this is dropped.
struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
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
