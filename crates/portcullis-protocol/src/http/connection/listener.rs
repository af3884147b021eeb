//! The listening socket, and how many connections it accepts.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::conn::auto::Builder;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

use crate::http::app::App;
use crate::http::connection::http2_write_timeout::Streams;
use crate::http::connection::serve;
use crate::http::connection::socket::{ListenAddress, Socket};
use crate::http::connection::stream::Stream;
#[cfg(feature = "tls")]
use crate::http::connection::tls::ServerCertificate;
use crate::http::peer::Peer;
use crate::{Limits, Service};

/// Connections over the limit over which custom routes are served: probes, say, which would
/// otherwise find a server dead whose connections untrusted clients hold. Further ones are just
/// closed.
const KEPT_FOR_PROBES: usize = 64;
/// How long such a connection has for the head of its one request, and altogether.
const PROBE_HEAD: Duration = Duration::from_secs(1);
const PROBE: Duration = Duration::from_secs(5);
/// How long the end waits for what has to be sent of the last refusals.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The one socket that the server listens on, of TCP or of Unix, with its limits.
///
/// A connection has [`Limits::header_timeout`] to send the head of a request, and is closed soon
/// after that, however little has arrived.
pub struct Listener {
    socket: Socket,
    limits: Limits,
    #[cfg(feature = "tls")]
    certificate: Option<ServerCertificate>,
}

impl Listener {
    /// Binds `address`.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub async fn bind(address: &ListenAddress, limits: Limits) -> io::Result<Self> {
        Ok(Self {
            socket: Socket::bind(address).await?,
            limits,
            #[cfg(feature = "tls")]
            certificate: None,
        })
    }

    /// Speaks TLS, and nothing else, over TCP. A handshake may take
    /// [`Limits::handshake_timeout`](crate::Limits::handshake_timeout).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_certificate(mut self, certificate: ServerCertificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// The address that is bound: with port 0, the one that the system chose.
    ///
    /// # Errors
    ///
    /// When the system cannot tell.
    pub fn local_address(&self) -> io::Result<ListenAddress> {
        self.socket.local_address()
    }

    /// Serves `app` until `stop` is ready, then drains: idle connections are closed, streams of
    /// sessions end, and running requests have [`Limits::drain_timeout`] to finish. What comes
    /// meanwhile, over new connections too, gets a 503 with `Retry-After`; only routes that answer
    /// to any host, which are those of probes, are still served. Where nothing runs, it ends at
    /// once.
    pub async fn serve<S: Service>(self, app: Arc<App<S>>, stop: impl Future<Output = ()>) {
        let Self { socket, limits, .. } = self;
        let drain_timeout = limits.drain_timeout;
        let serving = Serving::new(app, limits);
        #[cfg(feature = "tls")]
        let serving = Serving { certificate: self.certificate.map(Arc::new), ..serving };
        let (stopping, stopped) = watch::channel(());
        serving.accept(&socket, &stopped, stop).await;
        // From here on each request is refused, so each of those connections ends.
        serving.app.stop();
        drop(stopped);
        stopping.send_replace(());
        let (closing, closed) = watch::channel(());
        let drained = tokio::time::timeout(drain_timeout, stopping.closed());
        let drained = async {
            if drained.await.is_err() {
                tracing::warn!(limit = ?drain_timeout, "requests were still running at the drain limit");
            }
        };
        serving.accept(&socket, &closed, drained).await;
        drop((socket, closed));
        closing.send_replace(());
        if tokio::time::timeout(LAST_WORDS, closing.closed()).await.is_err() {
            tracing::debug!("refusals were not read before the end");
        }
    }
}

/// What connections are served with.
struct Serving<S> {
    app: Arc<App<S>>,
    limits: Arc<Limits>,
    /// Those of connections that have one request and little time.
    short: Arc<Limits>,
    http: Arc<Builder<Streams>>,
    connections: Arc<Semaphore>,
    probes: Arc<Semaphore>,
    #[cfg(feature = "tls")]
    certificate: Option<Arc<ServerCertificate>>,
}

impl<S: Service> Serving<S> {
    fn new(app: Arc<App<S>>, limits: Limits) -> Self {
        let header_timeout = limits.header_timeout.min(PROBE_HEAD);
        Self {
            app,
            short: Arc::new(Limits { header_timeout, ..limits.clone() }),
            http: Arc::new(serve::protocol(&limits)),
            connections: Arc::new(Semaphore::new(limits.connections)),
            probes: Arc::new(Semaphore::new(KEPT_FOR_PROBES)),
            limits: Arc::new(limits),
            #[cfg(feature = "tls")]
            certificate: None,
        }
    }

    /// Accepts connections, which end once `stopped` says so, until `stop` is ready.
    async fn accept(
        &self,
        socket: &Socket,
        stopped: &watch::Receiver<()>,
        stop: impl Future<Output = ()>,
    ) {
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = &mut stop => return,
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
            let prepared = if let Stream::Tcp(stream) = &stream {
                prepare(stream, &self.limits)
            } else {
                Ok(())
            };
            match prepared {
                Ok(()) => self.spawn(stream, remote, stopped.clone()),
                Err(error) => {
                    tracing::debug!(%error, "a connection was lost before it was served");
                }
            }
        }
    }

    /// Serves one connection, if there is a place for it.
    ///
    /// A future that is awaited by another is in that one twice, as what it has captured and as what it
    /// awaits. So this one is its task, and its parts are small: a stream that is idle keeps all of it.
    fn spawn(&self, stream: Stream, remote: Option<SocketAddr>, stopped: watch::Receiver<()>) {
        let (http, app) = (Arc::clone(&self.http), Arc::clone(&self.app));
        let permit = Arc::clone(&self.connections).try_acquire_owned().ok();
        let place = permit.and_then(|permit| Some((permit, app.enter(remote)?)));
        let (peer, place) = match place {
            Some((permit, (address, counted))) => {
                (Peer::of(remote, address), (permit, Some(counted)))
            }
            None => match Arc::clone(&self.probes).try_acquire_owned() {
                Ok(permit) => (Peer::for_probes(remote), (permit, None)),
                Err(_) => return,
            },
        };
        // While it stops, too, a connection has one request.
        let is_short = peer.probes_only || app.is_stopping();
        let limits = Arc::clone(if is_short { &self.short } else { &self.limits });
        let peer = Arc::new(peer);
        #[cfg(feature = "tls")]
        let certificate = self.certificate.clone();
        let served = async move {
            #[cfg(feature = "tls")]
            let stream = match (certificate, stream) {
                (Some(certificate), Stream::Tcp(stream)) => {
                    // It has asked for nothing yet: a server that stops does not wait for it.
                    let mut stopped = stopped.clone();
                    let handshake = certificate.accept(stream, limits.handshake_timeout);
                    let accepted = tokio::select! {
                        accepted = handshake => accepted,
                        _ = stopped.changed() => None,
                    };
                    let Some(stream) = accepted else { return };
                    stream
                }
                (_, stream) => stream,
            };
            let lasting = serve::serve(http, (stream, peer), app, limits, stopped).await;
            if let Some(lasting) = lasting {
                tokio::spawn(async move {
                    lasting.run().await;
                    drop(place);
                });
            }
        };
        if is_short {
            tokio::spawn(async move {
                if tokio::time::timeout(PROBE, served).await.is_err() {
                    tracing::debug!("a connection for one request took too long");
                }
            });
        } else {
            tokio::spawn(served);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.socket.local_address()).finish()
    }
}

/// Lets small answers go out at once, and makes the system notice a client that is gone without
/// a word: with nothing to send it asks whether it is there, and what is sent has to be
/// acknowledged within [`Limits::write_timeout`].
fn prepare(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    // Without it small answers wait for the client's acknowledgement.
    stream.set_nodelay(true)?;
    let second = Duration::from_secs(1);
    let (quiet, again) =
        ((limits.write_timeout / 2).max(second), (limits.write_timeout / 6).max(second));
    let keepalive = TcpKeepalive::new().with_time(quiet).with_interval(again).with_retries(3);
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(limits.write_timeout))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::http::test_server::Edge;

    /// A server at `address` with `limits`, which has one tool and no tokens.
    async fn served(address: &str, limits: Limits) -> (Edge, SocketAddr, JoinHandle<()>) {
        let edge = Edge::with(false, |own| *own = limits.clone());
        let listener = Listener::bind(&address.parse().unwrap(), limits).await.unwrap();
        let ListenAddress::Ip(address) = listener.local_address().unwrap() else { panic!() };
        let served = tokio::spawn(listener.serve(Arc::clone(&edge.app), std::future::pending()));
        (edge, address, served)
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test is both ends")]
    async fn a_connection_too_many_is_told_and_noted() {
        let limits = Limits { connections: 1, ..Limits::default() };
        let (edge, address, served) = served("127.0.0.1:0", limits).await;
        let first = TcpStream::connect(address).await.unwrap();
        let ask = async |path: &str| {
            let mut second = TcpStream::connect(address).await.unwrap();
            let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            second.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            second.read_to_string(&mut answer).await.unwrap();
            assert!(answer.contains("connection: close"), "{answer}");
            answer
        };
        let answer = ask("/mcp").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("retry-after: 1"), "{answer}");
        assert_eq!(edge.service.refusals(), ["limits 503 -: Too many connections"]);
        let answer = ask("/nothing").await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "custom routes are served: {answer}");
        drop(first);
        served.abort();
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test is both ends")]
    async fn trial_a11_the_system_is_asked_to_notice_who_is_gone() {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
        let (stream, _) = socket.accept().await.unwrap();
        let limits = Limits::default();
        prepare(&stream, &limits).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        let [time, interval] = [socket.tcp_keepalive_time(), socket.tcp_keepalive_interval()];
        let asked = time.unwrap() + interval.unwrap() * socket.tcp_keepalive_retries().unwrap();
        assert!(asked <= limits.write_timeout, "{asked:?}");
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limits.write_timeout));
    }

    /// What `ip` says against it, if anything.
    #[expect(clippy::disallowed_methods, reason = "the test makes a network")]
    fn ip_says(arguments: &str) -> Option<String> {
        let ran = std::process::Command::new("ip").args(arguments.split(' ')).output().unwrap();
        (!ran.status.success()).then(|| String::from_utf8_lossy(&ran.stderr).into_owned())
    }

    fn ip(arguments: &str) {
        assert_eq!(ip_says(arguments), None, "ip {arguments}");
    }

    /// A network namespace, the link to it, and who is in it.
    struct Namespace {
        name: String,
        link: String,
        client: Option<std::process::Child>,
    }

    impl Drop for Namespace {
        fn drop(&mut self) {
            if let Some(client) = &mut self.client {
                client.kill().unwrap();
                client.wait().unwrap();
            }
            ip(&format!("link del {}", self.link));
            ip(&format!("netns del {}", self.name));
        }
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the client is a process in that network")]
    async fn trial_a11_a_client_that_vanishes_is_noticed() {
        let id = std::process::id();
        let (here, there) = (format!("pa{id}"), format!("pb{id}"));
        let name = format!("portcullis{id}");
        // A network of its own: the same test may run beside it.
        let net = format!("10.213.{}", id % 256);
        let (ours, theirs) = (id / 256 % 64 * 4 + 1, id / 256 % 64 * 4 + 2);
        if let Some(refused) = ip_says(&format!("netns add {name}")) {
            assert!(refused.contains("not permitted") || refused.contains("denied"), "{refused}");
            // Not captured, as what is printed would be.
            let skipped = format!("\nSKIPPED: trial_a11_a_client_that_vanishes: {refused}\n");
            std::io::Write::write_all(&mut std::io::stderr(), skipped.as_bytes()).unwrap();
            return;
        }
        let mut namespace = Namespace { name, link: here.clone(), client: None };
        ip(&format!("link add {here} type veth peer name {there} netns {}", namespace.name));
        ip(&format!("addr add {net}.{ours}/30 dev {here}"));
        ip(&format!("link set {here} up"));
        ip(&format!("-n {} addr add {net}.{theirs}/30 dev {there}", namespace.name));
        ip(&format!("-n {} link set {there} up", namespace.name));

        let write_timeout = Duration::from_secs(3);
        let limits = Limits { write_timeout, connections: 4, ..Limits::default() };
        let (edge, address, served) = served(&format!("{net}.{ours}:0"), limits).await;
        let session = edge.begin("").await;
        let script = format!(
            "exec 3<>/dev/tcp/{}/{}; printf 'GET /mcp HTTP/1.1\\r\\nHost: localhost\\r\\n\
             Accept: text/event-stream\\r\\nMCP-Session-Id: {session}\\r\\n\\r\\n' >&3; exec cat <&3",
            address.ip(),
            address.port()
        );
        let client = std::process::Command::new("ip")
            .args(["netns", "exec", &namespace.name, "bash", "-c", &script])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn();
        namespace.client = Some(client.unwrap());
        let until = async |open: usize| {
            let begun = tokio::time::Instant::now();
            while edge.app.sessions().open_streams() != open {
                assert!(begun.elapsed() < 4 * write_timeout, "{open} streams were not seen");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            begun.elapsed()
        };
        until(1).await;
        ip(&format!("-n {} link set {there} down", namespace.name));
        let noticed = until(0).await;
        assert!(noticed < 2 * write_timeout, "{noticed:?}");
        let answer = edge.send("GET", "", Some(&session), &serde_json::Value::Null).await;
        assert_eq!(answer.status(), 200, "another stream of the session takes its place");
        assert_eq!(edge.app.sessions().open_streams(), 1);
        served.abort();
    }
}
