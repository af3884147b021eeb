//! One connection over HTTP/1 or HTTP/2, and when it is closed.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::http::app::App;
use crate::http::budget::places::Waits;
use crate::http::budget::{SMALL, Whose};
use crate::http::connection::arriving::Arriving;
use crate::http::connection::handover::{Handover, Lasting};
use crate::http::connection::http2_write_timeout::{self, Streams, Watched};
use crate::http::connection::rarely::Rarely;
use crate::http::connection::stream::Stream;
use crate::http::connection::timeout_stream::Patient;
use crate::http::peer::{Peer, Running, Untaken};
use crate::http::sse::Lasts;
use crate::{Limits, Service};

/// Streams of one HTTP/2 connection at once: RFC 9113 §6.5.2 recommends no fewer.
const HTTP2_STREAMS: u32 = 100;
/// How often a connection is looked at before it has been quiet for too long.
const LOOKS: u32 = 8;
/// The most bytes of a body over HTTP/2 that may arrive before the body is read.
const HTTP2_WINDOW: u32 = 65_535;
/// An answer of HTTP/1 of so many bytes counts for nothing: a connection has one at a time.
const SMALL_ANSWER: usize = 64 * 1024;

/// HTTP/1 and HTTP/2 with their limits, told apart by the first bytes. A request of HTTP/1 has
/// 100 header fields at most, which is hyper's own limit: for another it would clear a table of
/// them for each request. It would also set a timer for each head: [`serve`] has one for all of
/// a connection.
pub(crate) fn protocol(limits: &Limits) -> Builder<Streams> {
    let mut builder = Builder::new(Streams { write: limits.write_timeout });
    builder.http1().header_read_timeout(None).max_buf_size(limits.header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS)
        .initial_stream_window_size(HTTP2_WINDOW)
        // The server cannot see whether the client takes bytes that are handed out.
        .max_send_buf_size(http2_write_timeout::PART)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.header_timeout)
        .keep_alive_timeout(limits.header_timeout);
    builder
}

/// Serves one connection until it ends, or until the server stops and running requests have
/// finished.
///
/// A connection without progress is closed after [`Limits::header_timeout`] and at most a quarter
/// more: it is idle, or its client is slow to send the head of a request, only answers pings, or
/// never makes room for the answers that it asked for. A connection that has shown no accepted
/// token for [`Limits::unauthenticated_timeout`] is closed too, whatever happens on it.
///
/// Gives the event stream that it ends with, if there is one that lasts.
pub(crate) async fn serve<S: Service>(
    http: Arc<Builder<Streams>>,
    (stream, peer): (Stream, Arc<Peer>),
    app: Arc<App<S>>,
    limits: Arc<Limits>,
    mut stopped: watch::Receiver<()>,
) -> Option<Lasting> {
    let handover = Arc::new(Handover::default());
    let stream = Patient::new(stream, &limits, Arc::clone(&peer));
    let stream = stream.with_handover(Arc::clone(&handover));
    let budget = Arc::clone(app.budget());
    let asks = app.authenticates();
    let service = service_fn({
        let (peer, handover) = (Arc::clone(&peer), Arc::clone(&handover));
        move |request: Request<Incoming>| {
            let (app, running) = (Arc::clone(&app), Running::begin(&peer));
            let handover = Arc::clone(&handover);
            // A stream of HTTP/2 that has not begun, or waits to be read, is small.
            // It is made where it stays: to move it would copy all of it, twice.
            async move {
                let place = Box::new_uninit();
                Box::into_pin(Box::write(place, answer(app, running, request, handover))).await
            }
        }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let look = (limits.header_timeout / LOOKS).max(Duration::from_millis(1));
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + look, look);
    // A server that stood still has not seen the progress.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut ending, mut quiet, mut strange) = (false, 0, Duration::ZERO);
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(error = %error, "a connection ended early");
                }
                return None;
            }
            handed_over = poll_fn(|_| handover.poll_complete()) => {
                return Some(Lasting::new(handed_over, peer, &limits, stopped));
            }
            _ = Rarely::new(Box::pin(stopped.changed())), if !ending => {
                ending = true;
                peer.give_up();
                connection.as_mut().graceful_shutdown();
            }
            () = poll_fn(|_| peer.poll_closes()), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
            never = poll_fn(|cx| peer.rest.poll_discard(cx)) => match never {},
            _ = Rarely::new(poll_fn(|cx| ticks.poll_tick(cx))) => {
                quiet = if peer.is_quiet() { quiet + 1 } else { 0 };
                let known = peer.standing.is_known() && (peer.is_served() || peer.is_taking());
                strange = match asks && !peer.standing.was_accepted() && !known {
                    true => strange + look,
                    false => Duration::ZERO,
                };
                let stays = strange > limits.unauthenticated_timeout + limits.header_timeout
                    && !peer.is_served();
                if quiet > LOOKS || stays || peer.is_in_the_way(&budget) {
                    return None;
                }
                if (quiet == LOOKS || strange > limits.unauthenticated_timeout) && !ending {
                    ending = true;
                    peer.give_up();
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

async fn answer<S: Service>(
    app: Arc<App<S>>,
    running: Running,
    request: Request<Incoming>,
    handover: Arc<Handover>,
) -> Result<Response<Body>, Infallible> {
    let version = request.version();
    let (http2, peer) = (http2_write_timeout::is_watched(), running.peer());
    let mut request = Arriving::new(request, (!http2).then(|| Arc::clone(peer)));
    if peer.probes_only || app.is_stopping() {
        peer.rest.close();
    }
    let mut response = match peer.has_enough(app.budget()) {
        true => app.refuse_unread(peer),
        false => app.answer_lent(&mut request, peer).await,
    };
    // What is left of its body may close the connection.
    drop(request);
    let bytes = response.body().size_hint().exact();
    let large = if http2 { SMALL } else { SMALL_ANSWER };
    let large = bytes.and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| *bytes > large);
    let waits = response.extensions_mut().remove::<Waits>();
    let behind = response.extensions_mut().remove::<Whose>();
    let untaken = match large {
        Some(bytes) => {
            let whose = waits.as_ref().map(|waits| waits.whose.clone()).or(behind);
            let whose = whose.unwrap_or_else(|| Whose::address(peer.address.as_ref()));
            let is_gathered = waits.as_ref().is_some_and(Waits::is_gathered);
            let untaken = Untaken::new(peer, app.budget(), &whose, bytes, is_gathered);
            let untaken = tokio::time::timeout(app.limits().write_timeout, untaken).await;
            let untaken = untaken.ok().flatten();
            if untaken.is_none() {
                response = app.refuse_unread(peer);
            }
            untaken
        }
        None => None,
    };
    drop(waits);
    if !http2 && peer.closes() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if !http2 && bytes.is_some() && large.is_none() {
        return Ok(response);
    }
    // A stream may be silent for as long as it likes, and an answer of HTTP/2 may wait for as
    // long as its client has to make room. Over HTTP/1 an answer has a time of its own.
    let is_last = peer.probes_only || peer.closes() || peer.rest.is_left();
    let running = (http2 || bytes.is_none()).then_some(running);
    let lasts = response.extensions_mut().remove::<Lasts>().is_some()
        && version == Version::HTTP_11
        && !(is_last || app.is_stopping());
    let response = response.map(|body| Body::new(Watched::new(body, untaken, running)));
    if !lasts {
        return Ok(response);
    }
    let mut response = response.map(|body| handover.carry(body));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use futures_util::stream;
    use portcullis_auth::Authenticator;
    use portcullis_auth::EndpointPath;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{Instant, sleep_until};

    use super::*;
    use crate::http::route::RouteVisitor;
    use crate::http::test_server::Names;
    use crate::http::{AppConfig, HostOriginGuard, Mount, Origins};
    use crate::{Exchange, Identity, Operation, Outcome, RpcError};

    struct Nothing(Identity);

    impl Service for Nothing {
        fn identity(&self) -> &Identity {
            &self.0
        }

        async fn serve(
            &self,
            _: &mut Operation<'_>,
            _: Arc<Exchange>,
        ) -> Result<Outcome, RpcError> {
            Err(RpcError::Busy)
        }

        fn changes(
            self: &Arc<Self>,
            _: &Exchange,
        ) -> impl futures_util::Stream<Item = crate::Changed> + Send + 'static {
            futures_util::stream::pending()
        }
    }

    /// How long a connection may be quiet here, and something that takes much longer.
    const SHORT: Duration = Duration::from_millis(250);
    const LONG: Duration = Duration::from_millis(1_250);
    /// More than the buffers of two sockets, or the window of HTTP/2, have room for.
    const MUCH: usize = 32 * 1024 * 1024;

    /// A byte, a long silence, and another byte.
    async fn slow() -> Body {
        Body::from_stream(stream::unfold(0, async |sent| {
            if sent == 1 {
                tokio::time::sleep(LONG).await;
            }
            (sent < 2).then(|| (Ok::<_, std::io::Error>("x"), sent + 1))
        }))
    }

    /// Much, for whose token was accepted.
    async fn known(visitor: axum::Extension<RouteVisitor>) -> Vec<u8> {
        visitor.standing.accept();
        vec![b'x'; MUCH]
    }

    /// Answers at once with where a task says that it has read all of the body.
    #[expect(clippy::disallowed_methods, reason = "the test is both ends")]
    async fn later(body: Body) -> String {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let read = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let (mut told, _) = socket.accept().await.unwrap();
            told.write_all(&read).await.unwrap();
        });
        at
    }

    /// A connection to a server, and what has to be kept for it to go on.
    async fn connect() -> (TcpStream, watch::Sender<()>) {
        connect_to(None).await
    }

    async fn connect_to(
        authenticator: Option<Arc<Authenticator>>,
    ) -> (TcpStream, watch::Sender<()>) {
        let (mut clients, running) = connect_many(authenticator, 1).await;
        (clients.remove(0), running)
    }

    /// As many connections to one server.
    #[expect(clippy::disallowed_methods, reason = "the test is both ends")]
    async fn connect_many(
        authenticator: Option<Arc<Authenticator>>,
        many: usize,
    ) -> (Vec<TcpStream>, watch::Sender<()>) {
        let (header_timeout, unauthenticated_timeout) = (SHORT, 2 * SHORT);
        let limits = Limits { header_timeout, unauthenticated_timeout, ..Limits::default() };
        let routes = Router::new()
            .route("/slow", axum::routing::get(slow))
            .route("/much", axum::routing::get(async || vec![b'x'; MUCH]))
            .route("/known", axum::routing::get(known))
            .route("/later", axum::routing::post(later));
        let clock = Arc::new(portcullis_guard::SystemClock);
        let config = AppConfig {
            path: EndpointPath::parse("/mcp").unwrap(),
            guard: HostOriginGuard::new(Vec::new(), Origins::default(), true),
            authenticator,
            authenticator_with_slash: None,
            keeps_access_tokens: false,
            connect_page: None,
            mounts: vec![Mount::routes(
                ["/slow", "/much", "/known", "/later"].map(str::to_owned),
                routes,
            )],
            limits: limits.clone(),
            clock: clock.clone(),
            store: Arc::new(portcullis_store::MemoryStore::new(clock)),
        };
        let service = Arc::new(Nothing(Identity::new("nothing", "1", None)));
        let (app, limits) = (Arc::new(App::new(service, config).unwrap()), Arc::new(limits));
        let http = Arc::new(protocol(&limits));
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (running, stopped) = watch::channel(());
        let mut clients = Vec::new();
        for _ in 0..many {
            clients.push(TcpStream::connect(socket.local_addr().unwrap()).await.unwrap());
            let (stream, remote) = socket.accept().await.unwrap();
            let accepted = (stream.into(), Arc::new(Peer::new(remote)));
            let (http, app, limits) = (http.clone(), app.clone(), limits.clone());
            let serving = serve(http, accepted, app, limits, stopped.clone());
            tokio::spawn(async {
                if let Some(lasting) = serving.await {
                    lasting.run().await;
                }
            });
        }
        (clients, running)
    }

    const CLOSES: &str = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

    async fn rest(mut client: TcpStream) -> String {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Requests with a body, one by its length and one in chunks with a trailer.
    fn posts() -> [String; 2] {
        let name = "io.modelcontextprotocol";
        let body = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{{\"_meta\":\
             {{\"{name}/protocolVersion\":\"2026-07-28\",\"{name}/clientCapabilities\":{{}}}}}}}}"
        );
        let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                    Accept: application/json, text/event-stream\r\nMcp-Method: tools/list\r\n\
                    MCP-Protocol-Version: 2026-07-28\r\n";
        let (length, hex) = (body.len(), format!("{:x}", body.len()));
        [
            format!("{head}Content-Length: {length}\r\n\r\n{body}"),
            format!(
                "{head}Transfer-Encoding: chunked\r\n\r\n{hex}\r\n{body}\r\n0\r\nX-Last: 1\r\n\r\n"
            ),
        ]
    }

    #[tokio::test]
    async fn rfc9112_9_3_2_each_body_ends_where_it_ends_however_it_arrives() {
        const ANSWERED: &str = "\"id\":1,\"error\":";
        for post in posts() {
            // More at once than hyper reads in one go.
            let (mut client, _running) = connect().await;
            let many = post.repeat(20);
            client.write_all(format!("{many}GET /nothing {CLOSES}").as_bytes()).await.unwrap();
            let answers = tokio::time::timeout(LONG, rest(client)).await.expect("none waits");
            assert_eq!(answers.matches(ANSWERED).count(), 20, "{answers}");
            assert_eq!(answers.matches("HTTP/1.1 ").count(), 21, "{answers}");
            // In two parts, and in the same connection one more.
            let (mut client, _running) = connect().await;
            for at in (1..post.len()).step_by(37) {
                let (begin, end) = post.split_at(at);
                client.write_all(begin.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
                client.write_all(end.as_bytes()).await.unwrap();
                let mut answer = [0; 4096];
                let read = tokio::time::timeout(LONG, client.read(&mut answer)).await.unwrap();
                let answer = String::from_utf8_lossy(&answer[..read.unwrap()]).into_owned();
                assert!(answer.contains(ANSWERED), "{at}: {answer:?}");
            }
        }
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test is both ends")]
    async fn a_body_ends_with_its_last_byte_though_its_answer_was_quicker() {
        let (mut client, _running) = connect().await;
        let head = "POST /later HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n";
        client.write_all(format!("{head}bo").as_bytes()).await.unwrap();
        let mut answer = [0; 4096];
        let read = tokio::time::timeout(LONG, client.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        let (_, at) = answer.rsplit_once("\r\n\r\n").unwrap();
        client.write_all(b"dy").await.unwrap();
        let told = async { rest(TcpStream::connect(at).await.unwrap()).await };
        assert_eq!(tokio::time::timeout(LONG, told).await.as_deref(), Ok("body"), "{answer}");
    }

    #[tokio::test]
    async fn a_stream_may_be_silent() {
        let (mut client, _running) = connect().await;
        client.write_all(format!("GET /slow {CLOSES}").as_bytes()).await.unwrap();
        let answer = rest(client).await;
        assert!(answer.ends_with("1\r\nx\r\n1\r\nx\r\n0\r\n\r\n"), "{answer:?}");
    }

    #[tokio::test]
    async fn trial_a10_a_connection_without_an_accepted_token_ends_whatever_goes_on() {
        let clock = Arc::new(portcullis_guard::SystemClock);
        let asks = Arc::new(Authenticator::new(Arc::new(Names), String::new(), clock));
        for (token, ends) in [("", true), ("Authorization: Bearer alice\r\n", false)] {
            let (mut client, _running) = connect_to(Some(Arc::clone(&asks))).await;
            let request = format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\n{token}\r\n");
            let begun = Instant::now();
            let mut open = true;
            while open && begun.elapsed() < 2 * LONG {
                let mut answer = [0; 4096];
                client.write_all(request.as_bytes()).await.unwrap();
                open = matches!(client.read(&mut answer).await, Ok(1..));
                tokio::time::sleep(SHORT / 5).await;
            }
            assert_eq!(!open, ends, "{token:?}: {:?}", begun.elapsed());
            assert!(begun.elapsed() > 2 * SHORT, "{:?}", begun.elapsed());
        }
    }

    #[tokio::test]
    async fn trial_a10_whose_token_was_accepted_may_take_long_for_an_answer() {
        let clock = Arc::new(portcullis_guard::SystemClock);
        let asks = Authenticator::new(Arc::new(Names), String::new(), clock);
        let (mut client, _running) = connect_to(Some(Arc::new(asks))).await;
        client.write_all(format!("GET /known {CLOSES}").as_bytes()).await.unwrap();
        tokio::time::sleep(2 * LONG).await;
        assert!(rest(client).await.len() > MUCH);
    }

    #[tokio::test]
    async fn trial_a5_only_so_many_answers_wait_for_room() {
        let (mut clients, _running) = connect_many(None, 4).await;
        for client in &mut clients {
            client.write_all(format!("GET /much {CLOSES}").as_bytes()).await.unwrap();
        }
        // One answer takes all room, and another one waits for it.
        let (mut begun, mut waiting, mut refused) = (Vec::new(), Vec::new(), 0);
        for mut client in clients {
            let mut head = [0; 12];
            let read = tokio::time::timeout(LONG, client.read_exact(&mut head)).await;
            match read.map(|read| read.map(|_| &head)) {
                Ok(Ok(b"HTTP/1.1 200")) => begun.push(client),
                Ok(Ok(b"HTTP/1.1 503")) => refused += 1,
                Ok(other) => panic!("{other:?}"),
                Err(_) => waiting.push(client),
            }
        }
        assert_eq!((begun.len(), waiting.len(), refused), (1, 1, 2));
        for client in begun.into_iter().chain(waiting) {
            assert!(rest(client).await.len() > MUCH);
        }
    }

    #[tokio::test]
    async fn trial_a7_a_rest_that_never_comes_is_not_waited_for() {
        for length in [1_000, 1_000_000] {
            let (mut client, _running) = connect().await;
            let head = format!("POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: {length}");
            client.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
            let answer = tokio::time::timeout(LONG, rest(client)).await.expect("closed in time");
            assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
            assert_eq!(answer.contains("connection: close"), length == 1_000_000, "{answer}");
        }
    }

    #[tokio::test]
    async fn an_answer_waits_for_who_is_slow_to_read_it() {
        let (mut client, _running) = connect().await;
        client.write_all(format!("GET /much {CLOSES}").as_bytes()).await.unwrap();
        tokio::time::sleep(LONG).await;
        assert!(rest(client).await.len() > MUCH);
    }

    #[tokio::test]
    async fn an_answer_of_http2_waits_until_its_client_makes_room() {
        let (mut client, _running) = connect().await;
        let send = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
            let head = [0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
            [&head, payload].concat()
        };
        // GET http://localhost/much (RFC 7541 §6.1, §6.2.2), and the end of the request.
        let fields = [&[0x82, 0x86, 0x04, 5][..], b"/much", &[0x01, 9], b"localhost"].concat();
        let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), send(4, 0, 0, &[])];
        client.write_all(&preface.concat()).await.unwrap();
        client.write_all(&send(1, 5, 1, &fields)).await.unwrap();
        let (room, mut made) = (Instant::now() + LONG, false);
        let mut taken = 0;
        loop {
            tokio::select! {
                readable = client.readable() => readable.unwrap(),
                () = sleep_until(room), if !made => {
                    made = true;
                    assert_eq!(taken, 65_535, "as much as there is room for at first");
                    let more = 0x7000_0000_u32.to_be_bytes();
                    let both = [send(8, 0, 0, &more), send(8, 0, 1, &more)].concat();
                    client.write_all(&both).await.unwrap();
                    continue;
                }
            }
            let mut head = [0; 9];
            client.read_exact(&mut head).await.unwrap();
            let [a, b, c, kind, flags, ..] = head;
            let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
            client.read_exact(&mut payload).await.unwrap();
            match kind {
                0 => taken += payload.len(),
                4 | 6 if flags & 1 == 0 => {
                    let payload = if kind == 4 { &[][..] } else { &payload };
                    client.write_all(&send(kind, 1, 0, payload)).await.unwrap();
                }
                _ => {}
            }
            if kind == 0 && flags & 1 == 1 {
                break;
            }
        }
        assert_eq!(taken, MUCH);
    }
}
