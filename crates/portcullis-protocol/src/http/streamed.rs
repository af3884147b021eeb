//! Answers that something was told before: streams of events, with the answer as the last one
//! (Streamable HTTP §Sending Messages).

use std::convert::Infallible;

use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::time::Instant;

use crate::answer::json_rpc;
use crate::http::budget::Held;
use crate::http::budget::account::{Account, Full};
use crate::http::sse;
use crate::message::envelope::RequestId;
use crate::outgoing::run::{Run, Step};
use crate::{Outgoing, ProtocolVersion, RpcError};

/// What a request has come to before anything was told.
pub(super) enum Begun<T> {
    /// It has ended, and its answer is JSON.
    Ended(T),
    /// It goes on, and its answer is the last event of a stream.
    Telling(Telling<T>),
}

/// A request that has told something, and goes on.
pub(super) struct Telling<T> {
    run: Run<T>,
    first: Vec<Vec<u8>>,
}

/// Runs a request until it has ended, or has something to tell.
pub(super) async fn begin<T>(mut run: Run<T>) -> Begun<T> {
    match run.next().await {
        Step::Ended(ended) => Begun::Ended(ended),
        Step::Messages(first) => Begun::Telling(Telling { run, first }),
    }
}

/// The end of a stream: the answer, if one is owed, and what is kept until it has been taken.
pub(super) struct Last<K> {
    pub(super) answer: Option<Vec<u8>>,
    pub(super) kept: K,
}

/// Who is answered, when the answer has no room.
pub(super) struct Addressee {
    pub(super) id: RequestId,
    pub(super) version: ProtocolVersion,
}

impl<T> Telling<T> {
    pub(super) fn outgoing(&self) -> &Outgoing {
        self.run.outgoing()
    }

    /// The request, and what it has told.
    pub(super) fn into_parts(self) -> (Run<T>, Vec<Vec<u8>>) {
        (self.run, self.first)
    }
}

impl<T: Send + 'static> Telling<T> {
    /// The stream: what was told, what is told further, and the answer that `last` writes. A comment
    /// is sent after each silence.
    pub(super) fn into_response<K: Send + 'static>(
        self,
        account: Account,
        addressee: Addressee,
        last: impl FnOnce(T) -> Last<K> + Send + 'static,
    ) -> Response {
        let Self { run, first } = self;
        let events = Events {
            first: Some(sse::events(first.into_iter())),
            run: Some((run, last)),
            account,
            addressee,
            kept: None,
        };
        sse::response(stream::unfold(events, async |mut events| {
            let next = events.next().await?;
            Some((Ok::<_, Infallible>(next), events))
        }))
    }
}

struct Events<T, F, K> {
    first: Option<Bytes>,
    run: Option<(Run<T>, F)>,
    account: Account,
    addressee: Addressee,
    /// Until the stream is dropped: what the answer takes, and what it keeps.
    kept: Option<(Option<Held>, K)>,
}

impl<T, K, F: FnOnce(T) -> Last<K>> Events<T, F, K> {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let (run, _) = self.run.as_mut()?;
        let step = tokio::select! {
            step = run.next() => step,
            () = tokio::time::sleep_until(Instant::now() + sse::KEEP_ALIVE) => {
                return Some(Bytes::from_static(sse::COMMENT));
            }
        };
        match step {
            Step::Messages(messages) => Some(sse::events(messages.into_iter())),
            Step::Ended(ended) => {
                let (_, last) = self.run.take()?;
                let Last { answer, kept } = last(ended);
                let answer = answer?;
                let Self { account, addressee, .. } = self;
                let (answer, held) = with_room(account, addressee, answer).await;
                self.kept = Some((held, kept));
                Some(sse::event(&answer))
            }
        }
    }
}

/// The answer, once there is room for it; without, that the server is busy.
pub(super) async fn with_room(
    account: &Account,
    addressee: &Addressee,
    answer: Vec<u8>,
) -> (Vec<u8>, Option<Held>) {
    match account.room_for(answer.len()).await {
        Ok(held) => (answer, held),
        Err(Full) => {
            let Addressee { id, version } = addressee;
            (json_rpc::error(Some(id), Some(*version), &RpcError::Busy), None)
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tokio::time::Duration;

    use super::*;
    use crate::http::test_server::{Edge, read};

    const LOG: &str = "io.modelcontextprotocol/logLevel";

    async fn frame(stream: &mut Response) -> Option<String> {
        let bytes = stream.body_mut().frame().await?.unwrap().into_data().unwrap();
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// All messages until the end of a stream.
    async fn messages(mut stream: Response) -> Vec<Value> {
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        let mut messages = Vec::new();
        while let Some(events) = frame(&mut stream).await {
            for event in events.strip_suffix("\n\n").expect(&events).split("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                match data {
                    Some("") => {}
                    Some(message) => messages.push(serde_json::from_str(message).unwrap()),
                    None => assert_eq!(event, ": keep-alive"),
                }
            }
        }
        messages
    }

    /// What is told, in a word for each.
    fn told(messages: &[Value]) -> Vec<String> {
        let word = |message: &Value| match message["method"].as_str() {
            Some("notifications/progress") => {
                let params = &message["params"];
                format!(
                    "{}: {} of {}",
                    params["progressToken"], params["progress"], params["total"]
                )
            }
            Some("notifications/message") => {
                format!("{} {}", message["params"]["level"], message["params"]["data"])
            }
            Some(other) => other.to_owned(),
            None => format!("answer {}", message["id"]),
        };
        messages.iter().map(word).collect()
    }

    fn tell(meta: &Value) -> Value {
        json!({"name": "tell", "_meta": meta})
    }

    const PROGRESS: [&str; 3] = ["\"p\": 1 of 3", "\"p\": 2 of 3", "\"p\": 3 of 3"];

    #[tokio::test(start_paused = true)]
    async fn progress_and_the_log_come_before_the_answer_as_far_as_the_client_asked_for_them() {
        let edge = Edge::new();
        for (meta, expected) in [
            (json!({"progressToken": "p"}), PROGRESS.to_vec()),
            (json!({"progressToken": 7}), vec!["7: 1 of 3", "7: 2 of 3", "7: 3 of 3"]),
            (json!({LOG: "info"}), vec!["\"warning\" {\"left\":0}"]),
            (json!({LOG: "debug"}), vec!["\"debug\" \"begun\"", "\"warning\" {\"left\":0}"]),
            (
                json!({LOG: "warning", "progressToken": "p"}),
                [&PROGRESS[..], &["\"warning\" {\"left\":0}"]].concat(),
            ),
        ] {
            let stream = edge.ask("alice", "tools/call", tell(&meta)).await;
            assert_eq!(stream.status(), 200);
            let messages = messages(stream).await;
            assert_eq!(told(&messages), [&expected[..], &["answer 1"]].concat(), "{meta}");
            assert!(messages.last().unwrap()["result"]["content"].is_array());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_asked_for_is_not_sent_and_the_answer_is_json() {
        let edge = Edge::new();
        for meta in [
            json!({}),
            json!({LOG: "error"}),
            json!({"progressToken": null}),
            json!({"progressToken": [1]}),
            json!({"progressToken": 1.5}),
            json!({"progressToken": "x".repeat(300)}),
        ] {
            let answer = edge.ask("alice", "tools/call", tell(&meta)).await;
            assert_eq!(answer.headers()["content-type"], "application/json", "{meta}");
            assert!(read(answer).await.1["result"].is_object());
        }
        let (status, refused) =
            read(edge.ask("alice", "tools/call", tell(&json!({LOG: "loud"}))).await).await;
        assert_eq!((status, &refused["error"]["code"]), (400, &json!(-32602)));
    }

    #[tokio::test(start_paused = true)]
    async fn progress_goes_at_once_and_a_client_that_leaves_ends_the_request() {
        let edge = Edge::new();
        let mut stream =
            edge.ask("alice", "tools/call", tell(&json!({"progressToken": "p"}))).await;
        let begun = Instant::now();
        assert!(frame(&mut stream).await.unwrap().contains("\"progress\":1"));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(frame(&mut stream).await.unwrap().contains("\"progress\":2"));
        assert_eq!(begun.elapsed(), Duration::from_secs(10));
        let outgoing = edge.service.asked().remove(0).outgoing;
        outgoing.progress(2.5, None, None);
        assert!(
            frame(&mut stream).await.unwrap().contains("\"progress\":2.5"),
            "it woke the stream"
        );
        drop(stream);
        assert!(!outgoing.is_heard(), "the function is dropped, and a task of it tells nobody");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_no_stream_is_answered_with_json() {
        let edge = Edge::new();
        let request = edge.request("POST", "alice").header("accept", "application/json");
        let request = request.header("mcp-method", "tools/call").header("mcp-name", "tell");
        let request = request.header("mcp-protocol-version", "2026-07-28");
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "tell",
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "progressToken": 1,
            },
        }});
        let (status, answer) = read(edge.answer(request, &body).await).await;
        assert_eq!((status, answer["result"].is_object()), (200, true));
    }

    #[tokio::test(start_paused = true)]
    async fn q05_a_large_answer_of_a_stream_waits_for_room_and_takes_it_until_it_is_taken() {
        let edge = Edge::with(true, |limits| limits.unread_bytes = 4 * 1024 * 1024);
        let params = json!({"name": "tell-large", "_meta": {"progressToken": 1}});
        let ask = || edge.ask("alice", "tools/call", params.clone());
        let (mut first, mut second) = (ask().await, ask().await);
        for stream in [&mut first, &mut second] {
            assert!(frame(stream).await.unwrap().contains("progress"));
        }
        assert!(frame(&mut first).await.unwrap().len() > 1024 * 1024);
        let begun = Instant::now();
        let busy = frame(&mut second).await.unwrap();
        assert!(busy.contains("\"error\"") && busy.contains("503"), "{busy}");
        assert_eq!(begun.elapsed(), Duration::from_secs(30), "the time that a client has to read");
        assert_eq!(frame(&mut second).await, None);
        let mut third = ask().await;
        frame(&mut third).await.unwrap();
        drop(first);
        assert!(frame(&mut third).await.unwrap().len() > 1024 * 1024);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_request_says_that_it_is_there() {
        let edge = Edge::new();
        let mut stream =
            edge.ask("alice", "tools/call", tell(&json!({"progressToken": "p"}))).await;
        frame(&mut stream).await.unwrap();
        let outgoing = edge.service.asked().remove(0).outgoing;
        outgoing.progress(100.0, None, None);
        frame(&mut stream).await.unwrap();
        let begun = Instant::now();
        assert_eq!(frame(&mut stream).await.as_deref(), Some(": keep-alive\n\n"));
        assert_eq!(begun.elapsed(), sse::KEEP_ALIVE);
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_session_the_log_begins_at_info_or_at_the_level_that_is_set() {
        let edge = Edge::new();
        let id = edge.begin("alice").await;
        let call = |meta: Value| {
            json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call",
                "params": {"name": "tell", "_meta": meta}})
        };
        let warning = "\"warning\" {\"left\":0}";
        let stream = edge.send("POST", "alice", Some(&id), &call(json!({}))).await;
        assert_eq!(told(&messages(stream).await), [warning, "answer 5"]);
        let set = |level: &str| {
            json!({"jsonrpc": "2.0", "id": 6, "method": "logging/setLevel",
                "params": {"level": level}})
        };
        for (level, expected) in [
            ("debug", vec!["\"debug\" \"begun\"", warning, "answer 5"]),
            ("warning", vec![warning, "answer 5"]),
        ] {
            let (status, answer) =
                read(edge.send("POST", "alice", Some(&id), &set(level)).await).await;
            assert_eq!((status, &answer["result"]), (200, &json!({})));
            let stream = edge.send("POST", "alice", Some(&id), &call(json!({}))).await;
            assert_eq!(told(&messages(stream).await), expected);
        }
        assert_eq!(read(edge.send("POST", "alice", Some(&id), &set("alert")).await).await.0, 200);
        let answer = edge.send("POST", "alice", Some(&id), &call(json!({}))).await;
        assert_eq!(answer.headers()["content-type"], "application/json");
        let stream =
            edge.send("POST", "alice", Some(&id), &call(json!({"progressToken": "p"}))).await;
        assert_eq!(told(&messages(stream).await), [&PROGRESS[..], &["answer 5"]].concat());
        let (_, refused) = read(edge.send("POST", "alice", Some(&id), &set("loud")).await).await;
        assert_eq!(refused["error"]["code"], -32602);
        let others = edge.begin("alice").await;
        let stream = edge.send("POST", "alice", Some(&others), &call(json!({}))).await;
        assert_eq!(told(&messages(stream).await), [warning, "answer 5"], "another session's own");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_tells_is_cancelled_like_any_other() {
        let edge = Edge::new();
        let id = edge.begin("alice").await;
        let call = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call",
            "params": {"name": "tell", "_meta": {"progressToken": "p"}}});
        let mut stream = edge.send("POST", "alice", Some(&id), &call).await;
        for begins in ["id: 1-0\ndata: \n\n", "id: 1-1\ndata: {"] {
            assert!(frame(&mut stream).await.unwrap().starts_with(begins));
        }
        let again = read(edge.send("POST", "alice", Some(&id), &call).await).await;
        assert_eq!(again.1["error"]["code"], -32600, "its id is taken");
        let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": {"requestId": 5}});
        assert_eq!(edge.send("POST", "alice", Some(&id), &cancel).await.status(), 202);
        assert_eq!(frame(&mut stream).await, None, "there is no answer");
        let mut stream = edge.send("POST", "alice", Some(&id), &call).await;
        for begins in ["id: 2-0\ndata: \n\n", "id: 2-1\ndata: {"] {
            assert!(frame(&mut stream).await.unwrap().starts_with(begins));
        }
        edge.send("DELETE", "alice", Some(&id), &Value::Null).await;
        assert_eq!(frame(&mut stream).await, None);
    }
}
