use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, HttpBody};
use http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::app::App;
use super::patience::{Patient, Written};
use super::unread::{self, Streams, Watched};
use crate::{Limits, Service};

/// Streams of one HTTP/2 connection at once.
const HTTP2_STREAMS: u32 = 128;
/// How often a connection is looked at before it has been quiet for too long.
const LOOKS: u32 = 8;
/// Bytes that a connection may carry between two looks and still be quiet: pings.
const QUIET_BYTES: usize = 100;

/// HTTP/1 and HTTP/2 with their limits, told apart by the first bytes. A request of HTTP/1 has
/// 100 header fields at most, which is hyper's own limit: for another it would clear a table of
/// them for each request. It would also set a timer for each head: [`serve`] has one for all of
/// a connection.
pub(super) fn protocol(limits: &Limits) -> Builder<Streams> {
    let mut builder = Builder::new(Streams { write: limits.write });
    builder.http1().max_buf_size(limits.header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.header_read)
        .keep_alive_timeout(limits.header_read);
    builder
}

/// Serves one connection until it ends, or the server stops. What runs is let finish.
///
/// A connection on which nothing goes on is closed: one that is idle, whose client is slow to
/// send the head of a request, answers pings for ever, or never makes room for the answers
/// that it asked for. That takes [`Limits::header_read`] and at most a quarter more.
pub(super) async fn serve<S: Service>(
    http: Builder<Streams>,
    (stream, remote): (TcpStream, SocketAddr),
    app: Arc<App<S>>,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    let activity = Arc::new(Activity::default());
    let stream = Patient::new(stream, &limits, Arc::clone(&activity.written));
    let service = service_fn({
        let activity = Arc::clone(&activity);
        move |request: Request<hyper::body::Incoming>| {
            let (app, running) = (Arc::clone(&app), Activity::begin(&activity));
            async move {
                let response = app.answer(request, Some(remote)).await;
                let answered = response.body().size_hint().exact().is_some();
                // A stream may be silent for as long as it likes.
                let running = if answered { None } else { Some(running) };
                if answered && !unread::is_watched() {
                    return Ok::<Response<Body>, Infallible>(response);
                }
                Ok(response.map(|body| Body::new(Watched::new(body, running))))
            }
        }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let look = limits.header_read / LOOKS;
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + look, look);
    // A server that stood still has not looked: what its clients sent meanwhile is read first.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
            _ = ticks.tick() => {
                quiet = if activity.is_quiet() { quiet + 1 } else { 0 };
                if quiet > LOOKS {
                    return;
                }
                if quiet == LOOKS && !ending {
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
    written: Arc<Written>,
    /// What had begun and was written when this was last looked at.
    seen: (AtomicUsize, AtomicUsize),
}

impl Activity {
    /// Whether nothing runs, nothing has begun and next to nothing was written since the
    /// last look. What waits to be written has a time of its own.
    fn is_quiet(&self) -> bool {
        let (begun, written) = (self.begun.load(Ordering::Relaxed), self.written.bytes());
        let begun_before = self.seen.0.swap(begun, Ordering::Relaxed);
        let written_before = self.seen.1.swap(written, Ordering::Relaxed);
        self.running.load(Ordering::Relaxed) == 0
            && !self.written.waits()
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::http::{AppConfig, Front, Origins};
    use crate::{Exchange, Identity, Operation, Outcome, RpcError};

    struct Nothing(Identity);

    impl Service for Nothing {
        fn identity(&self) -> &Identity {
            &self.0
        }

        async fn serve(&self, _: Operation<'_>, _: Exchange) -> Result<Outcome, RpcError> {
            Err(RpcError::Busy)
        }

        fn changes(
            self: &Arc<Self>,
            _: &Exchange,
        ) -> impl futures_util::Stream<Item = crate::Changed> + Send + 'static {
            futures_util::stream::pending()
        }
    }

    /// A byte, a silence of six looks, and another byte.
    async fn slow() -> Body {
        Body::from_stream(stream::unfold(0, async |sent| {
            if sent == 1 {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            (sent < 2).then(|| (Ok::<_, std::io::Error>("x"), sent + 1))
        }))
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test is both ends")]
    async fn a_stream_may_be_silent() {
        let limits = Limits { header_read: Duration::from_millis(50), ..Limits::default() };
        let config = AppConfig {
            path: "/mcp".to_owned(),
            front: Front::new(Vec::new(), Origins::default(), true),
            authenticator: None,
            metadata: None,
            limits: limits.clone(),
            clock: Arc::new(portcullis_guard::SystemClock),
            routes: Router::new().route("/slow", axum::routing::get(slow)),
        };
        let service = Arc::new(Nothing(Identity::new("nothing", "1", None)));
        let app = Arc::new(App::new(service, config).unwrap());
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
        let accepted = socket.accept().await.unwrap();
        let (_running, stopped) = watch::channel(());
        tokio::spawn(serve(protocol(&limits), accepted, app, limits, stopped));
        let request = b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("1\r\nx\r\n1\r\nx\r\n0\r\n\r\n"), "{answer:?}");
    }
}
