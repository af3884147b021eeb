//! Requests to a client, and the answers that are waited for.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_guard::random;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

#[cfg(feature = "http")]
use crate::Used;
use crate::message::envelope::RequestId;
use crate::message::json_object::read_value;

/// So many requests of one client's may wait for its answers.
const MOST: usize = 64;

/// Why a client gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unanswered {
    /// It cannot be asked: by this transport, in this version, or any more.
    Unreachable,
    /// Too much waits for it already.
    Busy,
    /// It answered with an error.
    Refused,
    /// Its answer cannot be read.
    Malformed,
    /// Its caller may not use what asks any more.
    Denied,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "the client cannot be asked",
            Self::Busy => "too many questions wait for the client",
            Self::Refused => "the client answered with an error",
            Self::Malformed => "the client's answer cannot be read",
            Self::Denied => "the caller may not use what asks any more",
        })
    }
}

impl std::error::Error for Unanswered {}

/// What one client was asked and has not answered, by the ids of the requests.
///
/// Ids are random: what answers one was sent it, and by the same client, since each has its own.
#[derive(Default)]
pub(crate) struct ClientRequests {
    asked: Mutex<Asked>,
    /// Whether its client says nothing more.
    is_gone: AtomicBool,
}

type Asked = HashMap<Box<str>, Unsettled>;

struct Unsettled {
    #[cfg_attr(
        not(feature = "http"),
        expect(dead_code, reason = "over stdio whoever answers is the local user")
    )]
    asker: Asker,
    answer: oneshot::Sender<Result<Value, Unanswered>>,
}

/// What asks, and so who may answer.
///
/// Over HTTP an answer is taken for a use alone: what says nothing of who may answer is not answered.
#[derive(Clone)]
pub(crate) enum Asker {
    /// A use: whoever answers may use the same, at the time of the answer.
    #[cfg(feature = "http")]
    Use(Arc<Used<'static>>),
    /// A use of the local user's, over stdio. They alone write there, and were decided about when they began
    /// it.
    LocalUser,
    /// Nothing: the client has declared nothing that it could be asked for.
    #[cfg(feature = "http")]
    Nothing,
}

impl Asker {
    /// Whether it asks anything.
    pub(super) fn asks(&self) -> bool {
        match self {
            #[cfg(feature = "http")]
            Self::Use(_) => true,
            Self::LocalUser => true,
            #[cfg(feature = "http")]
            Self::Nothing => false,
        }
    }
}

impl ClientRequests {
    /// What has asked this, if anything has.
    #[cfg(feature = "http")]
    pub(crate) fn asker(&self, id: &RequestId) -> Option<Asker> {
        let RequestId::String(id) = id else { return None };
        self.asked().get(id).map(|asked| asked.asker.clone())
    }

    /// Takes no answer to a request, since its caller may not use what asks.
    #[cfg(feature = "http")]
    pub(crate) fn deny(&self, id: &RequestId) {
        let RequestId::String(id) = id else { return };
        let asked = self.asked().remove(id);
        // Who asked may have gone.
        let _ = asked.map(|asked| asked.answer.send(Err(Unanswered::Denied)));
    }

    /// Takes the answer to a request. One to nothing that was asked is dropped.
    pub(crate) fn answer(&self, id: &RequestId, answer: Result<&RawValue, &RawValue>) {
        let RequestId::String(id) = id else { return };
        let Some(Unsettled { answer: asked, .. }) = self.asked().remove(id) else { return };
        let answer = match answer {
            Ok(result) => read_value(result.get()).ok_or(Unanswered::Malformed),
            Err(_) => Err(Unanswered::Refused),
        };
        // Who asked may have gone.
        let _ = asked.send(answer);
    }

    /// Waits for nothing, from now on: its client says nothing more.
    pub(crate) fn hang_up(&self) {
        let mut asked = self.asked();
        self.is_gone.store(true, Ordering::Release);
        asked.clear();
    }

    /// Begins to wait for an answer.
    pub(super) fn begin(self: &Arc<Self>, asker: Asker) -> Result<Waits, Unanswered> {
        let number = random::bytes().map_err(|_| Unanswered::Unreachable)?;
        let id: Box<str> = format!("{:032x}", u128::from_be_bytes(number)).into();
        let (tell, answer) = oneshot::channel();
        let mut asked = self.asked();
        if self.is_gone.load(Ordering::Acquire) {
            return Err(Unanswered::Unreachable);
        }
        if asked.len() >= MOST {
            return Err(Unanswered::Busy);
        }
        asked.insert(id.clone(), Unsettled { asker, answer: tell });
        drop(asked);
        Ok(Waits { requests: Arc::clone(self), id, answer })
    }

    /// What was asked. It is as good after a panic as before: a request is there or it is not.
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that waits for its answer until this is dropped.
pub(super) struct Waits {
    requests: Arc<ClientRequests>,
    pub(super) id: Box<str>,
    answer: oneshot::Receiver<Result<Value, Unanswered>>,
}

impl Waits {
    pub(super) async fn answer(&mut self) -> Result<Value, Unanswered> {
        (&mut self.answer).await.unwrap_or(Err(Unanswered::Unreachable))
    }

    /// Whether there was no answer until now.
    pub(super) fn give_up(&self) -> bool {
        self.requests.asked().remove(&self.id).is_some()
    }
}

#[cfg(test)]
#[cfg(feature = "http")]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;
    use serde_json::json;

    use super::*;
    use crate::http::test_server::{Edge, read};

    fn ask() -> Value {
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "ask"}})
    }

    fn answered(id: &Value, answer: &Value) -> Value {
        let mut message = json!({"jsonrpc": "2.0", "id": id});
        message.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
        message
    }

    /// The next message of a stream.
    async fn next(stream: &mut axum::response::Response) -> Option<Value> {
        loop {
            let bytes = stream.body_mut().frame().await?.unwrap().into_data().unwrap();
            let event = String::from_utf8(bytes.to_vec()).unwrap();
            let data = event.lines().find_map(|line| line.strip_prefix("data: "));
            if let Some(data) = data.filter(|data| !data.is_empty()) {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_to_the_client_is_on_the_stream_of_the_call_and_its_answer_goes_to_the_call()
    {
        let edge = Edge::new();
        for (answer, expected) in [
            (json!({"result": {"roots": []}}), "Ok(Object {\"roots\": Array []}) 3s"),
            (json!({"error": {"code": -1, "message": "no"}}), "Err(Refused) 3s"),
        ] {
            let session = edge.begin("alice").await;
            let mut stream = edge.send("POST", "alice", Some(&session), &ask()).await;
            let asked = next(&mut stream).await.unwrap();
            assert_eq!((&asked["method"], &asked["params"]), (&json!("roots/list"), &json!({})));
            assert_eq!(asked["id"].as_str().unwrap().len(), 32);
            tokio::time::sleep(Duration::from_secs(3)).await;
            let message = answered(&asked["id"], &answer);
            let taken = edge.send("POST", "alice", Some(&session), &message).await;
            assert_eq!(taken.status(), 202);
            let result = next(&mut stream).await.unwrap();
            assert_eq!(result["id"], 7);
            assert_eq!(result["result"]["content"][0]["text"], expected);
            assert_eq!(next(&mut stream).await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn n10_what_a_client_was_asked_is_answered_in_its_session_alone_and_once() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let mut stream = edge.send("POST", "alice", Some(&session), &ask()).await;
        let asked = next(&mut stream).await.unwrap();
        let message = answered(&asked["id"], &json!({"result": {"forged": 1}}));
        let refused = edge.send("POST", "bob", Some(&session), &message).await;
        assert_eq!(refused.status(), 404);
        for who in ["alice", "bob"] {
            let other = edge.begin(who).await;
            assert_eq!(edge.send("POST", who, Some(&other), &message).await.status(), 202);
        }
        for id in [json!(7), json!("7"), json!("0".repeat(32))] {
            let message = answered(&id, &json!({"result": {"forged": 1}}));
            edge.send("POST", "alice", Some(&session), &message).await;
        }
        let own = answered(&asked["id"], &json!({"result": {"own": 1}}));
        edge.send("POST", "alice", Some(&session), &own).await;
        edge.send("POST", "alice", Some(&session), &message).await;
        let result = next(&mut stream).await.unwrap().to_string();
        assert!(result.contains("own") && !result.contains("forged"), "{result}");
    }

    #[tokio::test(start_paused = true)]
    async fn a08_an_answer_is_taken_from_whoever_may_use_what_asks_when_they_answer() {
        for (version, in_batch) in [("2025-11-25", false), ("2025-03-26", true)] {
            let edge = Edge::new();
            let params = json!({"protocolVersion": version, "capabilities": {"roots": {}}});
            let begun =
                json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
            let begun = edge.send("POST", "alice", None, &begun).await;
            let session = begun.headers()["mcp-session-id"].to_str().unwrap().to_owned();
            for (hidden, expected) in [("ask", "Err(Denied) 0ns"), ("wait", "Ok(Object {}) 0ns")] {
                edge.service.hide("");
                let mut stream = edge.send("POST", "alice", Some(&session), &ask()).await;
                let asked = next(&mut stream).await.unwrap();
                edge.service.hide(hidden);
                let message = answered(&asked["id"], &json!({"result": {}}));
                let message = if in_batch { json!([message]) } else { message };
                // Of the same text whether it is taken or not.
                let taken = edge.send("POST", "alice", Some(&session), &message).await;
                assert_eq!(taken.status(), 202);
                edge.service.hide("");
                edge.send("POST", "alice", Some(&session), &message).await;
                let result = next(&mut stream).await.unwrap();
                assert_eq!(result["result"]["content"][0]["text"], expected, "{version}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a08_in_a_session_no_answer_is_taken_where_nothing_says_who_may_give_it() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let _stream = edge.send("POST", "alice", Some(&session), &ask()).await;
        let outgoing = edge.service.asked().remove(0).outgoing;
        let (requests, _) = outgoing.0.as_ref().unwrap().requests.as_ref().unwrap();
        for asker in [Asker::LocalUser, Asker::Nothing] {
            let mut waits = requests.begin(asker).unwrap();
            let message = answered(&json!(waits.id), &json!({"result": {}}));
            assert_eq!(edge.send("POST", "alice", Some(&session), &message).await.status(), 202);
            assert_eq!(waits.answer().await, Err(Unanswered::Denied));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a08_who_answers_a_call_is_decided_about_by_the_arguments_of_its_last_judgement() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let mut stream = edge.send("POST", "alice", Some(&session), &ask()).await;
        next(&mut stream).await.unwrap();
        let outgoing = edge.service.asked().remove(0).outgoing;
        let (requests, _) = outgoing.0.as_ref().unwrap().requests.as_ref().unwrap();
        let params = json!({});
        for arguments in [json!({"year": 2025}), json!({"year": 2026})] {
            let arguments = arguments.as_object().unwrap();
            outgoing.judge_by(arguments);
            let asked = async {
                let id = next(&mut stream).await.unwrap()["id"].as_str().unwrap().to_owned();
                requests.asker(&RequestId::String(id.into())).unwrap()
            };
            let answer = outgoing.ask("roots/list", &params);
            let asker = tokio::select! { asker = asked => asker, _ = answer => panic!("answered") };
            let Asker::Use(used) = asker else { panic!("nothing asks") };
            let Used::Tool { judged: Some(judged), .. } = &*used else { panic!("{used:?}") };
            assert_eq!(judged.values(), arguments);
            assert_eq!(format!("{judged:?}"), "JudgedArguments(…)");
            // The question is taken back.
            next(&mut stream).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_declared_nothing_is_asked_nothing() {
        let edge = Edge::new();
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
        let begun = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let begun = edge.send("POST", "alice", None, &begun).await;
        let session = begun.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let answer = async { read(edge.send("POST", "alice", Some(&session), &ask()).await).await };
        let answer = tokio::time::timeout(Duration::from_secs(1), answer).await;
        let (_, answer) = answer.expect("it is asked something");
        assert_eq!(answer["result"]["content"][0]["text"], "Err(Unreachable) 0ns");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_cannot_be_asked_is_not_asked() {
        let edge = Edge::new();
        let (_, answer) = read(edge.ask("alice", "tools/call", json!({"name": "ask"})).await).await;
        assert_eq!(answer["result"]["content"][0]["text"], "Err(Unreachable) 0ns");
        let session = edge.begin("alice").await;
        let request = edge.request("POST", "alice").header("mcp-session-id", &session);
        let request = request.header("accept", "application/json");
        let (_, answer) = read(edge.answer(request, &ask()).await).await;
        assert_eq!(answer["result"]["content"][0]["text"], "Err(Unreachable) 0ns");
    }

    #[tokio::test(start_paused = true)]
    async fn cancellation_a_question_that_nobody_waits_for_is_taken_back() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let mut stream = edge.send("POST", "alice", Some(&session), &ask()).await;
        next(&mut stream).await.unwrap();
        let outgoing = edge.service.asked().remove(0).outgoing;
        let params = json!({});
        let given_up = outgoing.ask("sampling/createMessage", &params);
        assert!(tokio::time::timeout(Duration::from_secs(1), given_up).await.is_err());
        let asked = next(&mut stream).await.unwrap();
        let taken_back = next(&mut stream).await.unwrap();
        assert_eq!(taken_back["method"], "notifications/cancelled");
        assert_eq!(taken_back["params"]["requestId"], asked["id"]);
    }

    #[test]
    fn q05_a_client_is_asked_so_much_at_once() {
        let requests = Arc::new(ClientRequests::default());
        let waits: Vec<_> = (0..MOST).map(|_| requests.begin(Asker::LocalUser).unwrap()).collect();
        assert_eq!(requests.begin(Asker::LocalUser).err(), Some(Unanswered::Busy));
        assert!(waits.iter().all(Waits::give_up));
        assert!(requests.begin(Asker::LocalUser).is_ok());
    }
}
