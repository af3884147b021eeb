//! Event streams that stay open (HTML §9.2): they carry notifications of changes, and keep-alive
//! comments.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::time::Instant;

use crate::answer::notification::{News, Subscription};
use crate::service::news;
use crate::{Exchange, Service};

/// How often an idle stream sends a keep-alive: more often than proxies give up.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A comment: clients skip it.
pub(super) const COMMENT: &[u8] = b": keep-alive\n\n";

/// The place of a stream, which it gives up when this is dropped.
pub(super) trait Lease: Send + 'static {
    /// Whether the stream is to end.
    fn is_over(&self) -> bool;

    /// Waits until the stream is to end.
    fn over(&mut self) -> impl Future<Output = ()> + Send;

    /// Keeps alive what it belongs to; asked again and again while the stream is open.
    fn renew(&mut self) -> impl Future<Output = ()> + Send;

    /// The time, as the authenticator sees it.
    fn now(&self) -> SystemTime;
}

/// The events of one stream, until its token or its place ends.
///
/// The stream is pulled: while its client does not read, it polls for no changes and nothing
/// queues.
pub(super) struct Events<L> {
    news: BoxStream<'static, News>,
    /// The subscription of the stream; `None` for the stream of a session.
    subscription: Option<Subscription>,
    opening: Option<Bytes>,
    closing: Option<Bytes>,
    ends: Option<SystemTime>,
    renewed: Instant,
    over: bool,
    place: L,
}

impl<L: Lease> Events<L> {
    /// Notifies a session of all changes. First comes a comment, so that the client sees the stream
    /// open.
    pub(super) fn of_session<S: Service>(service: &Arc<S>, exchange: &Exchange, place: L) -> Self {
        let opening = Some(Bytes::from_static(COMMENT));
        let news = news(service, exchange, Vec::new());
        Self { opening, ..Self::new(news, exchange, place) }
    }

    /// Notifies a subscription of the changes that it asked for, between an acknowledgment and a
    /// result.
    pub(super) fn of_subscription<S: Service>(
        service: &Arc<S>,
        exchange: &Exchange,
        place: L,
        mut subscription: Subscription,
    ) -> Self {
        let acknowledged = subscription.acknowledged();
        let news = news(service, exchange, subscription.take_resources());
        Self {
            opening: Some(event(&acknowledged)),
            closing: Some(event(&subscription.completed(service.identity()))),
            subscription: Some(subscription),
            ..Self::new(news, exchange, place)
        }
    }

    fn new(news: BoxStream<'static, News>, exchange: &Exchange, place: L) -> Self {
        Self {
            news,
            subscription: None,
            opening: None,
            closing: None,
            ends: exchange.principal.as_ref().and_then(|principal| principal.expires_at()),
            renewed: Instant::now(),
            over: false,
            place,
        }
    }

    /// The events, and a comment after each silence.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, async |mut events| {
            let next = events.next().await?;
            Some((Ok(next), events))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        if self.renewed.elapsed() >= KEEP_ALIVE {
            self.renewed = Instant::now();
            self.place.renew().await;
        }
        let comment = Instant::now() + KEEP_ALIVE;
        loop {
            let left = self.left();
            if left.is_zero() || self.place.is_over() {
                self.over = true;
                return self.closing.take();
            }
            let silence = comment.saturating_duration_since(Instant::now());
            if silence.is_zero() {
                return Some(Bytes::from_static(COMMENT));
            }
            tokio::select! {
                Some(news) = self.news.next() => {
                    let told = self.tell(news);
                    // After the end of its token, a stream sends nothing more.
                    if !told.is_empty() && !self.left().is_zero() {
                        return Some(told);
                    }
                }
                () = self.place.over() => {}
                () = tokio::time::sleep(silence.min(left)) => {}
            }
        }
    }

    /// How long the token is still good: as the authenticator sees it, until the very
    /// moment that it names.
    fn left(&self) -> Duration {
        match self.ends {
            Some(ends) => ends.duration_since(self.place.now()).unwrap_or_default(),
            None => Duration::MAX,
        }
    }

    fn tell(&self, news: News) -> Bytes {
        match &self.subscription {
            Some(subscription) => events(subscription.notifications(news).into_iter()),
            None => events(news.notifications().into_iter()),
        }
    }
}

/// Marks the response of a stream that may stay idle for as long as its connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lasts;

/// A response that stays open, most of the time idle.
pub(super) fn lasting_response(
    events: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> Response {
    let mut response = response(events);
    response.extensions_mut().insert(Lasts);
    response
}

/// A response that stays open.
pub(super) fn response(
    events: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> Response {
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Without this header, a buffering proxy (nginx) would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

pub(super) fn event(message: &[u8]) -> Bytes {
    events(std::iter::once(message))
}

/// Writes a message as one event, with an id that a client may go on from.
pub(super) fn numbered(id: impl fmt::Display, message: &[u8]) -> Bytes {
    let mut event = format!("id: {id}\ndata: ").into_bytes();
    event.extend_from_slice(message);
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// An event without a message: its id, and after how long a client that goes on from it is to come.
pub(super) fn retry(id: impl fmt::Display, comes_back: Duration) -> Bytes {
    format!("id: {id}\nretry: {}\ndata: \n\n", comes_back.as_millis()).into()
}

/// Writes each message as one event. JSON is written without line breaks, so a message is one line.
pub(super) fn events(messages: impl Iterator<Item: AsRef<[u8]>>) -> Bytes {
    let mut events = Vec::new();
    for message in messages {
        events.extend_from_slice(b"data: ");
        events.extend_from_slice(message.as_ref());
        events.extend_from_slice(b"\n\n");
    }
    events.into()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tokio::time::timeout;

    use super::*;
    use crate::http::test_server::{Edge, read};
    use crate::test_support::REMOTE;
    use crate::{Changed, ProtocolVersion, SessionKey};

    const ALL: Changed = Changed { tools: true, resources: true, prompts: true };
    const RESOURCES: Changed = Changed { tools: false, resources: true, prompts: false };

    async fn listen(edge: &Edge, token: &str) -> Response {
        let filter = json!({"toolsListChanged": true, "promptsListChanged": true});
        edge.ask(token, "subscriptions/listen", json!({ "notifications": filter })).await
    }

    /// What comes within ten seconds, or nothing; `None` at the end.
    async fn next(stream: &mut Response) -> Option<String> {
        match timeout(Duration::from_secs(10), stream.body_mut().frame()).await {
            Ok(frame) => {
                let bytes = frame?.unwrap().into_data().unwrap();
                Some(String::from_utf8(bytes.to_vec()).unwrap())
            }
            Err(_) => Some("nothing".to_owned()),
        }
    }

    /// The messages that come within ten seconds.
    async fn messages(stream: &mut Response) -> Vec<Value> {
        let events = next(stream).await.expect("the stream has ended");
        let events = events.strip_suffix("\n\n").expect(&events).split("\n\n");
        let messages = events.map(|event| event.strip_prefix("data: ").expect(event));
        messages.map(|message| serde_json::from_str(message).unwrap()).collect()
    }

    fn told(kind: &str, subscription: Option<u64>) -> Value {
        let method = format!("notifications/{kind}/list_changed");
        let mut message = json!({ "jsonrpc": "2.0", "method": method });
        if let Some(id) = subscription {
            message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] = json!(id);
        }
        message
    }

    #[tokio::test(start_paused = true)]
    async fn subscriptions_acknowledgment_comes_before_what_has_changed_meanwhile() {
        let edge = Edge::new();
        let mut stream = listen(&edge, "alice").await;
        assert_eq!(stream.status(), StatusCode::OK);
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-store"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(stream.headers()[name], value);
        }
        edge.service.change(ALL);
        let acknowledged = messages(&mut stream).await;
        assert_eq!(acknowledged[0]["method"], "notifications/subscriptions/acknowledged");
        let honoured = json!({"toolsListChanged": true, "promptsListChanged": true});
        assert_eq!(acknowledged[0]["params"]["notifications"], honoured);
        let tagged = [told("tools", Some(1)), told("prompts", Some(1))];
        assert_eq!(messages(&mut stream).await, tagged);
    }

    #[tokio::test(start_paused = true)]
    async fn subscriptions_opening_a_stream_what_was_not_asked_for_is_not_sent() {
        let edge = Edge::new();
        let mut stream = listen(&edge, "alice").await;
        messages(&mut stream).await;
        edge.service.change(RESOURCES);
        assert_eq!(next(&mut stream).await.as_deref(), Some("nothing"));
        edge.service.change(RESOURCES);
        edge.service.change(Changed { tools: true, ..RESOURCES });
        assert_eq!(messages(&mut stream).await, [told("tools", Some(1))]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_told_everything_on_its_stream() {
        let edge = Edge::new();
        let id = edge.begin("alice").await;
        let mut stream = edge.stream("alice", &id).await;
        assert_eq!(next(&mut stream).await.as_deref(), Some(": keep-alive\n\n"));
        edge.service.change(ALL);
        let all = [told("tools", None), told("resources", None), told("prompts", None)];
        assert_eq!(messages(&mut stream).await, all);
        edge.send("DELETE", "alice", Some(&id), &Value::Null).await;
        assert_eq!(next(&mut stream).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_is_asked_for_whom_the_stream_is_and_for_nobody_else() {
        let edge = Edge::with(true, |limits| limits.streams_per_principal = 2);
        let id = edge.begin("alice").await;
        assert_eq!(edge.service.listening().len(), 0);
        let streams = (edge.stream("alice.2000", &id).await, listen(&edge, "alice").await);
        let [session, subscription] = &edge.service.listening()[..] else { panic!("not two") };
        assert_eq!(session.session, Some(SessionKey::of(&id)));
        assert_eq!(session.version, ProtocolVersion::V2025_11_25);
        assert!(session.principal.as_ref().unwrap().expires_at().is_some());
        assert_eq!(subscription.session, None);
        assert_eq!(subscription.version, ProtocolVersion::V2026_07_28);
        for exchange in [session, subscription] {
            assert_eq!(exchange.principal.as_ref().unwrap().subject(), "alice");
            assert_eq!(exchange.remote, Some(REMOTE));
        }
        assert_eq!(edge.service.listeners(), 2);
        drop(streams);
        assert_eq!(edge.service.listeners(), 0, "what nobody reads is not kept");
    }

    #[tokio::test(start_paused = true)]
    async fn subscriptions_graceful_closure_with_the_token() {
        let edge = Edge::new();
        let mut stream = listen(&edge, "alice.1030").await;
        messages(&mut stream).await;
        edge.pass(29);
        edge.service.change(ALL);
        assert_eq!(messages(&mut stream).await.len(), 2);
        let change = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            edge.pass(1);
            edge.service.change(ALL);
        };
        let (last, ()) = tokio::join!(messages(&mut stream), change);
        assert_eq!(last[0]["id"], 1);
        let meta = json!({
            "io.modelcontextprotocol/subscriptionId": 1,
            "io.modelcontextprotocol/serverInfo": { "name": "fake", "version": "1" },
        });
        assert_eq!(last[0]["result"], json!({ "resultType": "complete", "_meta": meta }));
        assert_eq!(next(&mut stream).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn subscriptions_graceful_closure_with_the_server() {
        let edge = Edge::with(true, |limits| limits.streams_per_principal = 2);
        let (mut waiting, mut unread) =
            (listen(&edge, "alice").await, listen(&edge, "alice").await);
        messages(&mut waiting).await;
        let stop = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            edge.app.stop();
        };
        let (last, ()) = tokio::join!(messages(&mut waiting), stop);
        assert_eq!(last[0]["result"]["resultType"], "complete");
        assert_eq!(next(&mut waiting).await, None);
        let acknowledged = messages(&mut unread).await;
        assert_eq!(acknowledged[0]["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(messages(&mut unread).await[0]["result"]["resultType"], "complete");
        assert_eq!(next(&mut unread).await, None);
        drop((waiting, unread));
        assert_eq!(listen(&edge, "alice").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_says_that_it_is_there() {
        let edge = Edge::new();
        let mut stream = listen(&edge, "alice").await;
        messages(&mut stream).await;
        for _ in 0..3 {
            let before = Instant::now();
            edge.service.change(RESOURCES);
            let comment = stream.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(comment, COMMENT);
            assert_eq!(before.elapsed(), KEEP_ALIVE);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn trial_b9_subscriptions_and_streams_of_sessions_make_room_for_one_another() {
        let edge = Edge::new();
        let id = edge.begin("alice").await;
        let mut first = listen(&edge, "alice").await;
        messages(&mut first).await;
        let mut of_session = edge.stream("alice", &id).await;
        assert_eq!(messages(&mut first).await[0]["result"]["resultType"], "complete");
        assert_eq!(next(&mut first).await, None);
        drop(first);
        let other_client = listen(&edge, "alice/other").await;
        assert_eq!(other_client.status(), StatusCode::OK);
        assert_eq!(next(&mut of_session).await.as_deref(), Some(": keep-alive\n\n"));
        assert_eq!(next(&mut of_session).await, None);
        let bobs = edge.stream("bob", &edge.begin("bob").await).await;
        assert_eq!(read(listen(&edge, "carol").await).await.0, 503);
        drop(bobs);
        assert_eq!(listen(&edge, "carol").await.status(), StatusCode::OK);

        let edge = Edge::with(false, |_| {});
        let streams = (listen(&edge, "").await, listen(&edge, "").await);
        assert_eq!(read(listen(&edge, "").await).await.0, 503);
        drop(streams);
        assert_eq!(listen(&edge, "").await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn what_is_no_subscription_opens_no_stream() {
        let edge = Edge::new();
        let params = json!({"notifications": {"toolsListChanged": 1}});
        let malformed = edge.ask("alice", "subscriptions/listen", params.clone()).await;
        let (status, body) = read(malformed).await;
        assert_eq!((status, &body["error"]["code"], &body["id"]), (400, &json!(-32602), &json!(1)));

        let request = edge.request("POST", "alice").header("accept", "application/json");
        let request = request.header("mcp-method", "subscriptions/listen");
        let request = request.header("mcp-protocol-version", "2026-07-28");
        let mut params = json!({"notifications": {}});
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let mut body =
            json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params});
        assert_eq!(edge.answer(request, &body).await.status(), StatusCode::NOT_ACCEPTABLE);

        let id = edge.begin("alice").await;
        body["params"]["_meta"] = json!({});
        let answer = edge.send("POST", "alice", Some(&id), &body).await;
        assert_eq!(read(answer).await.1["error"]["code"], -32601, "not in a session");
        assert_eq!(edge.service.listening().len(), 0);
    }
}
