//! Event streams that last, which go on without hyper: it keeps two buffers of 8 KiB for each connection.
//!
//! Over HTTP/1.1 such a stream is the last answer of its connection, and says so. Once its head and its
//! first event have been sent, all that is left is to write chunks (RFC 9112 §7.1). So the stream takes
//! the socket into a task of its own, and the rest of the connection is dropped.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;

use crate::Limits;
use crate::http::connection::stream::Stream;
use crate::http::connection::timeout_stream::Patient;
use crate::http::peer::Peer;

/// Where the stream of a connection and its socket meet.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    is_offered: AtomicBool,
    is_complete: AtomicBool,
    body: Mutex<Option<Body>>,
    socket: Mutex<Option<Stream>>,
}

impl Handover {
    /// The body of an answer that is handed over once a part of it was given out and no other is there.
    pub(crate) fn carry(self: Arc<Self>, body: Body) -> Body {
        Body::new(Carried { handover: self, body: Some(body), has_begun: false })
    }

    /// Takes the socket, if a body waits for it and all before that was sent. What offers the body runs in
    /// the task that calls this, so a load and a store are enough.
    pub(crate) fn take(&self, socket: &mut Stream) {
        if self.is_offered.load(Ordering::Relaxed) {
            self.is_offered.store(false, Ordering::Relaxed);
            let socket = std::mem::replace(socket, Stream::HandedOver);
            *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
            self.is_complete.store(true, Ordering::Relaxed);
        }
    }

    /// Is ready with both once they are there. It wakes nobody itself: what hands them over runs in the
    /// task that polls it.
    pub(crate) fn poll_complete(&self) -> Poll<(Stream, Body)> {
        if !self.is_complete.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner).take();
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner).take();
        socket.zip(body).map_or(Poll::Pending, Poll::Ready)
    }

    fn offer(&self, body: Option<Body>) {
        *self.body.lock().unwrap_or_else(PoisonError::into_inner) = body;
        self.is_offered.store(true, Ordering::Relaxed);
    }
}

struct Carried {
    handover: Arc<Handover>,
    body: Option<Body>,
    has_begun: bool,
}

impl HttpBody for Carried {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Pending };
        let frame = Pin::new(body).poll_frame(cx);
        if frame.is_ready() {
            self.has_begun = true;
        } else if self.has_begun {
            let body = self.body.take();
            self.handover.offer(body);
        }
        frame
    }
}

/// A stream that goes on by itself, until it ends or its client has left.
pub(crate) struct Lasting {
    socket: Patient,
    body: Body,
    peer: Arc<Peer>,
    closes_within: Duration,
    /// A server that stops waits for it.
    _stopped: watch::Receiver<()>,
}

enum Next {
    Event(Bytes),
    End,
    Left,
}

impl Lasting {
    pub(crate) fn new(
        (socket, body): (Stream, Body),
        peer: Arc<Peer>,
        limits: &Limits,
        stopped: watch::Receiver<()>,
    ) -> Self {
        peer.asks_no_more();
        let socket = Patient::heard(socket, limits, Arc::clone(&peer));
        Self { socket, body, peer, closes_within: limits.write_timeout, _stopped: stopped }
    }

    /// Writes each part of the body as a chunk, and the end of them at its end. A client that takes
    /// nothing for [`Limits::write_timeout`] has left.
    pub(crate) async fn run(mut self) {
        let mut listens = true;
        loop {
            let chunk = match poll_fn(|cx| self.poll_next(&mut listens, cx)).await {
                // An empty chunk would be the end.
                Next::Event(event) if event.is_empty() => continue,
                Next::Event(event) => chunk(&event),
                Next::End => chunk(&[]),
                Next::Left => return,
            };
            let written = async {
                self.socket.write_all(&chunk).await?;
                self.socket.flush().await
            };
            if let Err(error) = written.await {
                tracing::debug!(%error, "a stream ended early");
                return;
            }
            if chunk == END {
                break;
            }
        }
        // Nobody waits for what the client still sends.
        self.peer.give_up();
        let _ = tokio::time::timeout(self.closes_within, self.socket.shutdown()).await;
    }

    /// The next part, unless the client leaves before. What it sends instead is not read: the connection
    /// answers nothing any more.
    fn poll_next(&mut self, listens: &mut bool, cx: &mut Context<'_>) -> Poll<Next> {
        if *listens {
            let mut room = [MaybeUninit::uninit(); 64];
            let mut read = ReadBuf::uninit(&mut room);
            match Pin::new(&mut self.socket).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => *listens = false,
                Poll::Ready(_) => return Poll::Ready(Next::Left),
                Poll::Pending => {}
            }
        }
        Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => Next::Event(frame.into_data().unwrap_or_default()),
            // Without the end of the chunks, its client sees that it was cut off.
            Some(Err(_)) => Next::Left,
            None => Next::End,
        })
    }
}

/// What ends the chunks, where no fields follow.
const END: &[u8] = b"0\r\n\r\n";

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;
    use crate::http::connection::serve::{protocol, serve};
    use crate::http::test_server::Edge;
    use crate::message::meta::Judged;
    use crate::{Changed, ClientCapabilities, ProtocolVersion};

    const SOON: Duration = Duration::from_secs(5);

    /// Both ends of a connection.
    #[expect(clippy::disallowed_methods, reason = "the test is both ends")]
    async fn connect() -> (TcpStream, Stream, Arc<Peer>) {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
        let (stream, remote) = socket.accept().await.unwrap();
        (client, stream.into(), Arc::new(Peer::new(remote)))
    }

    /// The stream of a session at `edge`, and what its client asked for in `version` of HTTP.
    async fn open(edge: &Edge, version: &str) -> (TcpStream, Option<Lasting>, watch::Sender<()>) {
        let within = if version == "HTTP/1.1" { SOON } else { Duration::from_millis(300) };
        let id = edge.begin("alice").await;
        let (mut client, stream, peer) = connect().await;
        let request = format!(
            "GET /mcp {version}\r\nHost: localhost\r\nAuthorization: Bearer alice\r\n\
             Mcp-Session-Id: {id}\r\nAccept: text/event-stream\r\n\r\n"
        );
        client.write_all(request.as_bytes()).await.unwrap();
        let (limits, (running, stopped)) = (Limits::default(), watch::channel(()));
        let (http, app) = (Arc::new(protocol(&limits)), Arc::clone(&edge.app));
        let served = serve(http, (stream, peer), app, Arc::new(limits), stopped);
        (client, timeout(within, served).await.ok().flatten(), running)
    }

    /// What the chunks after a head hold, up to the last one.
    fn body(answer: &str) -> String {
        let (_, mut rest) = answer.split_once("\r\n\r\n").unwrap();
        let mut body = String::new();
        loop {
            let (length, from) = rest.split_once("\r\n").unwrap();
            let length = usize::from_str_radix(length, 16).unwrap();
            let (chunk, after) = from.split_at(length);
            rest = after.strip_prefix("\r\n").unwrap();
            if length == 0 {
                assert_eq!(rest, "");
                return body;
            }
            body.push_str(chunk);
        }
    }

    #[tokio::test]
    async fn a_stream_that_goes_on_by_itself_keeps_nothing_that_its_client_has_shown() {
        let (_client, stream, peer) = connect().await;
        let (said, client) = ("{}", None);
        let (version, capabilities) = (ProtocolVersion::V2026_07_28, ClientCapabilities::NONE);
        let judged = Judged { version, client, capabilities, log_level: None };
        peer.shown.keep_meta(said, Arc::new(judged));
        assert!(peer.shown.meta(said).is_some());
        let (_running, stopped) = watch::channel(());
        let _lasting =
            Lasting::new((stream, Body::empty()), Arc::clone(&peer), &Limits::default(), stopped);
        assert!(peer.shown.meta(said).is_none());
    }

    #[tokio::test]
    async fn a_stream_of_a_session_goes_on_by_itself_to_its_end() {
        let edge = Edge::new();
        let (mut client, lasting, running) = open(&edge, "HTTP/1.1").await;
        tokio::spawn(lasting.expect("it was not handed over").run());
        client.write_all(b"x").await.unwrap();
        let mut answer = Vec::new();
        for tools in [true, false] {
            edge.service.change(Changed { tools, resources: !tools, prompts: false });
            let before = answer.len();
            while !answer[before..].ends_with(b"\n\n\r\n")
                || !String::from_utf8_lossy(&answer[before..]).contains("list_changed")
            {
                assert!(timeout(SOON, client.read_buf(&mut answer)).await.unwrap().unwrap() > 0);
            }
        }
        assert!(!running.is_closed(), "a server that stops waits for it");
        edge.app.stop();
        timeout(SOON, client.read_to_end(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        for field in ["connection: close", "transfer-encoding: chunked"] {
            assert!(answer.contains(&format!("\r\n{field}\r\n")), "{answer}");
        }
        let body = body(&answer);
        let lists: Vec<_> = body.split("\n\n").filter(|event| event.starts_with("data")).collect();
        assert!(lists[0].contains("tools/list_changed"), "{body}");
        assert!(lists[1].contains("resources/list_changed"), "{body}");
        assert_eq!(lists.len(), 2, "{body}");
        timeout(SOON, running.closed()).await.expect("and no longer than it lasts");
    }

    #[tokio::test]
    async fn a_stream_that_was_handed_over_ends_when_its_client_leaves() {
        let edge = Edge::new();
        let (client, lasting, _running) = open(&edge, "HTTP/1.1").await;
        let running = tokio::spawn(lasting.expect("it was not handed over").run());
        assert_eq!(edge.service.listeners(), 1);
        drop(client);
        timeout(SOON, running).await.unwrap().unwrap();
        assert_eq!(edge.service.listeners(), 0);
    }

    #[tokio::test]
    async fn a_client_of_http_1_0_which_knows_no_chunks_is_served_as_before() {
        let edge = Edge::new();
        let (mut client, lasting, _running) = open(&edge, "HTTP/1.0").await;
        assert!(lasting.is_none());
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("\r\n\r\n: keep-alive\n\n"), "{answer}");
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_ends_a_stream_that_was_handed_over() {
        let (client, stream, peer) = connect().await;
        let limits = Limits { write_timeout: Duration::from_millis(50), ..Limits::default() };
        let endless = stream::repeat(Bytes::from(vec![b'x'; 64 * 1024]));
        let endless = stream::StreamExt::map(endless, Ok::<_, std::io::Error>);
        let (running, stopped) = watch::channel(());
        let body = Body::from_stream(endless);
        let lasting = Lasting::new((stream, body), peer, &limits, stopped);
        timeout(SOON, lasting.run()).await.expect("it waits for ever");
        drop((client, running));
    }
}
