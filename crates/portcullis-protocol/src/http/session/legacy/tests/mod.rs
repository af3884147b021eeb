//! The transport HTTP+SSE, as its clients use it.

mod limits;
mod owner;

use std::collections::VecDeque;
use std::time::Duration;

use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::http::test_server::{Edge, METADATA, read};
use crate::{Changed, SessionKey};

const NEWEST: &str = "2025-11-25";

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn initialize(version: &str) -> Value {
    let capabilities = json!({"roots": {}});
    request(0, "initialize", &json!({"protocolVersion": version, "capabilities": capabilities}))
}

fn call(id: u64, name: &str) -> Value {
    request(id, "tools/call", &json!({"name": name, "_meta": {"progressToken": "p"}}))
}

fn cancelled(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
}

async fn open(edge: &Edge, token: &str) -> Response {
    edge.answer(edge.request("GET", token).uri("/sse"), &Value::Null).await
}

async fn post_to(edge: &Edge, uri: &str, token: &str, message: &Value) -> Response {
    edge.answer(edge.request("POST", token).uri(uri), message).await
}

/// A client with its stream.
struct Client<'a> {
    edge: &'a Edge,
    token: &'a str,
    stream: Response,
    uri: String,
    events: VecDeque<String>,
}

impl<'a> Client<'a> {
    /// Opens a stream, and reads where messages go.
    async fn connect(edge: &'a Edge, token: &'a str) -> Self {
        Self::of(edge, token, open(edge, token).await).await
    }

    async fn of(edge: &'a Edge, token: &'a str, stream: Response) -> Self {
        assert_eq!(stream.status(), 200);
        let mut client =
            Self { edge, token, stream, uri: String::new(), events: VecDeque::default() };
        let event = client.event().await.unwrap();
        client.uri = event.strip_prefix("event: endpoint\ndata: ").expect(&event).to_owned();
        client
    }

    /// As [`connect`](Self::connect), and agrees on a version.
    async fn begin(edge: &'a Edge, token: &'a str) -> Self {
        let mut client = Self::connect(edge, token).await;
        assert_eq!(client.ask(&initialize(NEWEST)).await["result"]["protocolVersion"], NEWEST);
        client
    }

    fn key(&self) -> SessionKey {
        SessionKey::of(self.uri.split_once('=').unwrap().1)
    }

    /// The next event, comments too; `None` at the end.
    async fn event(&mut self) -> Option<String> {
        while self.events.is_empty() {
            let frame = self.stream.body_mut().frame().await?.unwrap().into_data().unwrap();
            let text = String::from_utf8(frame.to_vec()).unwrap();
            let events = text.strip_suffix("\n\n").expect(&text).split("\n\n");
            self.events.extend(events.map(str::to_owned));
        }
        self.events.pop_front()
    }

    /// The next message; `None` at the end.
    async fn told(&mut self) -> Option<Value> {
        loop {
            let event = self.event().await?;
            if let Some(message) = event.strip_prefix("event: message\ndata: ") {
                return Some(serde_json::from_str(message).unwrap());
            }
            assert_eq!(event, ": keep-alive");
        }
    }

    async fn send(&self, message: &Value) -> u16 {
        self.send_as(self.token, message).await
    }

    async fn send_as(&self, token: &str, message: &Value) -> u16 {
        post_to(self.edge, &self.uri, token, message).await.status().as_u16()
    }

    /// Sends a message, and gives what is told next.
    async fn ask(&mut self, message: &Value) -> Value {
        assert_eq!(self.send(message).await, 202);
        self.told().await.expect("the stream has ended")
    }

    /// Whether the stream ends within five minutes.
    async fn ends(&mut self) -> bool {
        let all = async { while self.told().await.is_some() {} };
        timeout(Duration::from_secs(300), all).await.is_ok()
    }
}

#[tokio::test(start_paused = true)]
async fn messages_go_where_the_first_event_says_and_answers_come_on_the_stream() {
    let edge = Edge::new();
    let mut client = Client::connect(&edge, "alice").await;
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(client.stream.headers()[name], value);
    }
    let id = client.uri.strip_prefix("/messages?session_id=").unwrap();
    assert_eq!(id.len(), 32, "192 bits");
    let answer = client.ask(&initialize("2024-11-05")).await;
    assert_eq!(answer["result"]["protocolVersion"], "2024-11-05");
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(client.send(&initialized).await, 202);
    assert_eq!(client.ask(&ping()).await["result"], json!({}));
    let taken = post_to(&edge, &client.uri, "alice", &call(2, "tell-at-once")).await;
    assert_eq!(taken.status(), 202);
    assert!(taken.into_body().collect().await.unwrap().to_bytes().is_empty());
    for step in 1..=3 {
        assert_eq!(client.told().await.unwrap()["params"]["progress"], step);
    }
    assert_eq!(client.told().await.unwrap()["params"]["level"], "warning");
    let answer = client.told().await.unwrap();
    assert_eq!((&answer["id"], &answer["result"]["content"]), (&json!(2), &json!([])));
    let exchange = edge.service.asked().remove(0);
    assert_eq!(exchange.session, Some(client.key()));
    assert_eq!(exchange.version.as_str(), "2024-11-05");
    assert_eq!(client.ask(&call(3, "missing")).await["error"]["code"], -32602);
}

#[tokio::test(start_paused = true)]
async fn every_version_with_sessions_is_agreed_on_and_no_other() {
    let edge = Edge::new();
    for (asked, agreed) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", NEWEST),
        ("1999-01-01", NEWEST),
    ] {
        let mut client = Client::connect(&edge, "alice").await;
        let answer = client.ask(&initialize(asked)).await;
        assert_eq!(answer["result"]["protocolVersion"], agreed, "{asked}");
        let other = edge.request("POST", "alice").uri(&client.uri);
        let other = other.header("mcp-protocol-version", "2025-01-01");
        let refused = edge.answer(other, &ping()).await;
        assert_eq!(refused.status(), 400, "no session has that one");
    }
    let mut client = Client::begin(&edge, "alice").await;
    let meta = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}});
    let refused = client.ask(&request(1, "server/discover", &meta)).await;
    assert_eq!(refused["error"]["code"], -32022);
    let supported = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
    assert_eq!(refused["error"]["data"]["supported"], json!(supported));
}

#[tokio::test(start_paused = true)]
async fn initialize_comes_first_and_once() {
    let edge = Edge::new();
    let mut client = Client::connect(&edge, "alice").await;
    assert_eq!(client.ask(&call(1, "wait")).await["error"]["code"], -32600);
    assert_eq!(edge.service.asked().len(), 0);
    assert_eq!(client.ask(&request(2, "ping", &json!({}))).await["result"], json!({}));
    let malformed = client.ask(&request(3, "initialize", &json!({}))).await;
    assert_eq!(malformed["error"]["code"], -32602);
    assert!(client.ask(&initialize(NEWEST)).await["result"].is_object());
    assert_eq!(client.ask(&initialize(NEWEST)).await["error"]["code"], -32600);
    let refused = edge.service.refusals();
    assert_eq!(
        refused,
        [
            "envelope 202 alice: Invalid request: `initialize` comes first",
            "envelope 202 alice: Invalid params: `protocolVersion` has to be a string",
            "envelope 202 alice: Invalid request: the session is already initialized",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_is_refused_by_its_status() {
    let edge = Edge::new();
    let client = Client::begin(&edge, "alice").await;
    edge.service.refusals();
    for (message, code) in [
        (json!([call(1, "wait")]), -32600),
        (json!({}), -32600),
        (json!({"jsonrpc": "2.0", "method": "tools/list"}), -32600),
    ] {
        let (status, body) = read(post_to(&edge, &client.uri, "alice", &message).await).await;
        assert_eq!((status, &body["error"]["code"]), (400, &json!(code)), "{message}");
    }
    assert_eq!(edge.service.refusals().len(), 3);
    assert_eq!(edge.service.asked().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_path_takes_its_method_and_media_type_and_a_token() {
    let edge = Edge::new();
    let client = Client::begin(&edge, "alice").await;
    let ask = async |method: &str, uri: &str, name: &'static str, value: &'static str| {
        let mut request = edge.request(method, "alice").uri(uri);
        request.headers_mut().unwrap().insert(name, value.parse().unwrap());
        let answer = edge.answer(request, &ping()).await;
        let allow = answer.headers().get("allow").map(|allow| allow.to_str().unwrap().to_owned());
        (answer.status().as_u16(), allow)
    };
    let allow = |methods: &str| Some(methods.to_owned());
    assert_eq!(ask("POST", "/sse", "x", "y").await, (405, allow("GET, OPTIONS")));
    assert_eq!(ask("DELETE", "/sse", "x", "y").await, (405, allow("GET, OPTIONS")));
    assert_eq!(ask("GET", &client.uri, "x", "y").await, (405, allow("POST, OPTIONS")));
    assert_eq!(ask("GET", "/sse", "accept", "application/json").await, (406, None));
    assert_eq!(ask("POST", &client.uri, "content-type", "text/plain").await, (415, None));
    assert_eq!(ask("POST", "/messages", "x", "y").await, (400, None));
    for (method, uri) in [("GET", "/sse"), ("POST", &*client.uri)] {
        let refused = edge.answer(edge.request(method, "alice.1").uri(uri), &Value::Null).await;
        assert_eq!(refused.status(), 401);
        let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains(METADATA), "{challenge}");
    }
}

fn ping() -> Value {
    request(1, "ping", &json!({}))
}

#[tokio::test(start_paused = true)]
async fn below_the_endpoint_it_is_the_same() {
    let edge = Edge::new();
    let stream = edge.answer(edge.request("GET", "alice").uri("/mcp/sse"), &Value::Null).await;
    let mut client = Client::of(&edge, "alice", stream).await;
    assert!(client.uri.starts_with("/mcp/messages?session_id="), "{}", client.uri);
    assert!(client.ask(&initialize(NEWEST)).await["result"].is_object());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_stream_ends_its_session_and_drops_what_runs() {
    let edge = Edge::new();
    let mut client = Client::begin(&edge, "alice").await;
    assert_eq!(client.ask(&call(1, "tell-for-ever")).await["params"]["progress"], 0);
    let outgoing = edge.service.asked().remove(0).outgoing;
    assert!(outgoing.is_heard());
    let (key, uri) = (client.key(), client.uri.clone());
    drop(client);
    sleep(Duration::from_millis(1)).await;
    assert!(!outgoing.is_heard());
    assert_eq!(edge.service.ended(), [key]);
    assert_eq!(edge.app.sessions().sizes(), [0; 5]);
    assert_eq!(edge.service.listeners(), 0);
    assert_eq!(post_to(&edge, &uri, "alice", &ping()).await.status(), 404);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_has_no_answer_and_its_id_is_free_again() {
    let edge = Edge::new();
    let mut client = Client::begin(&edge, "alice").await;
    client.ask(&call(1, "tell-for-ever")).await;
    assert_eq!(client.ask(&call(1, "wait")).await["error"]["code"], -32600, "its id is taken");
    let outgoing = edge.service.asked().remove(0).outgoing;
    assert_eq!(client.send(&cancelled(1)).await, 202);
    let begun = Instant::now();
    assert!(timeout(Duration::from_secs(10), client.told()).await.is_err(), "it has no answer");
    assert!(!outgoing.is_heard());
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    assert_eq!(client.ask(&call(1, "missing")).await["id"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_cancelled_before_its_turn_does_not_run() {
    let edge = Edge::new();
    let mut client = Client::begin(&edge, "alice").await;
    edge.service.asked();
    for id in 1..=3 {
        assert_eq!(client.send(&call(id, "missing")).await, 202);
    }
    // Nothing has been waited for: their tasks come after this message.
    assert_eq!(client.send(&cancelled(2)).await, 202);
    let mut answered = [client.told().await.unwrap(), client.told().await.unwrap()]
        .map(|answer| answer["id"].as_u64().unwrap());
    answered.sort_unstable();
    assert_eq!(answered, [1, 3]);
    assert_eq!(edge.service.asked().len(), 2, "the function did not run");
}

#[tokio::test(start_paused = true)]
async fn a_client_is_asked_on_its_stream_and_answers_with_a_message() {
    let edge = Edge::new();
    let mut client = Client::begin(&edge, "alice").await;
    let asked = client.ask(&call(1, "ask")).await;
    assert_eq!(asked["method"], "roots/list");
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"own": 1}});
    assert_eq!(client.send_as("bob", &answer).await, 404);
    assert_eq!(client.send(&answer).await, 202);
    let text = client.told().await.unwrap()["result"]["content"][0]["text"].take();
    assert!(text.as_str().unwrap().starts_with("Ok(Object {\"own\""), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_session_is_told_what_changes_and_a_silent_stream_that_it_is_there() {
    let edge = Edge::new();
    let mut client = Client::begin(&edge, "alice").await;
    edge.service.change(Changed { tools: true, resources: false, prompts: false });
    let changed = client.told().await.unwrap();
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    let begun = Instant::now();
    assert_eq!(client.event().await.as_deref(), Some(": keep-alive"));
    assert_eq!(begun.elapsed(), Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_finishes_what_runs_and_takes_nothing_new() {
    let edge = Edge::with(true, |limits| limits.streams_per_principal = 2);
    let (mut busy, mut idle) =
        (Client::begin(&edge, "alice").await, Client::begin(&edge, "alice").await);
    assert_eq!(busy.send(&call(1, "wait")).await, 202);
    assert_eq!(busy.send(&call(2, "ask")).await, 202);
    let asked = busy.told().await.unwrap();
    edge.app.stop();
    assert_eq!(idle.told().await, None);
    assert_eq!(busy.send(&call(3, "wait")).await, 503);
    assert_eq!(open(&edge, "bob").await.status(), 503);
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {}});
    assert_eq!(busy.send(&answer).await, 202);
    assert_eq!(busy.told().await.unwrap()["id"], 2);
    assert_eq!(busy.told().await.unwrap()["id"], 1);
    let ended = Instant::now();
    assert_eq!(busy.told().await, None);
    assert_eq!(ended.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_does_not_wait_for_what_was_cancelled() {
    let edge = Edge::new();
    let mut client = Client::begin(&edge, "alice").await;
    assert_eq!(client.send(&call(1, "wait")).await, 202);
    edge.app.stop();
    assert_eq!(client.send(&cancelled(1)).await, 202);
    let cancelled = Instant::now();
    assert_eq!(client.told().await, None);
    assert_eq!(cancelled.elapsed(), Duration::ZERO);
}
