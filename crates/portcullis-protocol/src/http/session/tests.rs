//! Sessions and their streams: limits, ends, and room for new ones.

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use http_body_util::BodyExt;
use portcullis_guard::ManualClock;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Caller, SessionId, Sessions};
use crate::http::test_server::{Edge, call};
use crate::message::initialize::Initialize;
use crate::test_support::REMOTE;
use crate::{ClientCapabilities, Limits, ProtocolVersion, SessionKey};

/// Whether a stream ends by itself within a minute.
async fn ends(stream: &mut Response) -> bool {
    let all = async { while stream.body_mut().frame().await.is_some() {} };
    timeout(Duration::from_secs(60), all).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn the_service_is_told_the_peer_and_what_the_session_is_known_by() {
    let edge = Edge::new();
    let (one, other) = (edge.begin("alice").await, edge.begin("alice").await);
    for id in [&one, &other, &one] {
        edge.send("POST", "alice", Some(id), &call()).await;
    }
    let asked = edge.service.asked();
    assert!(asked.iter().all(|exchange| exchange.remote == Some(REMOTE)));
    let keys: Vec<_> = asked.iter().map(|exchange| exchange.session.unwrap()).collect();
    assert_eq!(keys[0].bytes(), &portcullis_guard::digest::sha256(one.as_bytes()));
    assert_ne!(keys[0], keys[1]);
    assert_eq!(keys[0], keys[2]);
    assert_eq!(format!("{:?}", keys[0]), "SessionKey(…)");
}

#[tokio::test]
async fn what_sessions_refuse_is_noted_with_its_exact_reason() {
    let edge = Edge::with(true, |limits| limits.sessions_per_principal = 1);
    let id = edge.begin("alice").await;
    let _streams = (edge.stream("alice", &id).await, edge.stream("alice", &id).await);
    assert_eq!(edge.service.refusals(), Vec::<String>::new());
    edge.ping("bob", &id).await;
    edge.ping("bob", &id.replace(|_| true, "A")).await;
    edge.ping("bob", "x").await;
    edge.send("POST", "bob", None, &call()).await;
    edge.stream("alice", &id).await;
    edge.initialize("alice").await;
    let refused = edge.service.refusals();
    assert!(refused[3].starts_with("session 400 bob: Send one Mcp-Session-Id header"));
    let refused = [&refused[..3], &refused[4..]].concat();
    assert_eq!(
        refused,
        [
            "session 404 bob: the session belongs to another principal",
            "session 404 bob: the session does not exist, has ended, or was idle for too long",
            "session 404 bob: the Mcp-Session-Id is malformed",
            "limits 429 alice: too many streams end unread",
            "session 200 alice: Too many sessions at once",
        ]
    );
}

#[tokio::test]
async fn the_service_is_told_of_each_session_that_ends() {
    let edge = Edge::new();
    let ended = || edge.service.ended();
    let key = |id: &str| SessionKey::of(id);
    let (one, two) = (edge.begin("alice").await, edge.begin("alice").await);
    edge.send("DELETE", "bob", Some(&one), &Value::Null).await;
    assert_eq!(ended(), []);
    edge.send("DELETE", "alice", Some(&one), &Value::Null).await;
    edge.send("DELETE", "alice", Some(&one), &Value::Null).await;
    assert_eq!(ended(), [key(&one)]);
    let three = edge.begin("bob").await;
    edge.pass(30 * 60);
    edge.ping("carol", "x").await;
    edge.begin("carol").await;
    let mut idle = [key(&two), key(&three)];
    idle.sort();
    let mut told = ended();
    told.sort();
    assert_eq!(told, idle);
}

#[tokio::test]
async fn the_end_of_a_session_is_told_while_nothing_is_locked() {
    let clock = Arc::new(ManualClock::at(0));
    let sessions = Arc::new_cyclic(|own: &Weak<Sessions>| {
        let own = own.clone();
        Sessions::new(&Limits::default(), clock, move |_| {
            own.upgrade().unwrap().sizes();
            own.upgrade().unwrap().stop();
        })
    });
    let (id, _) = SessionId::mint().unwrap();
    let version = ProtocolVersion::V2025_11_25;
    let agreed = Initialize { version, client: None, capabilities: ClientCapabilities::NONE };
    sessions.settle(sessions.begin(id, None, agreed).unwrap(), None).await.unwrap();
    sessions
        .end(&sessions.find(id, Caller { owner: None, remote: None }).await.unwrap())
        .await
        .unwrap();
    assert!(sessions.is_stopping());
}

/// Status, `Retry-After`, and code and id of the answer.
async fn answered(response: Response) -> (u16, Option<String>, Value, Value) {
    let status = response.status().as_u16();
    let retry = response.headers().get("retry-after");
    let retry = retry.map(|value| value.to_str().unwrap().to_owned());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    (status, retry, body["error"]["code"].take(), body["id"].take())
}

#[tokio::test]
async fn trial_b9_the_session_unused_for_longest_makes_room_and_never_another_principals() {
    let edge = Edge::new();
    let bobs = edge.begin("bob").await;
    edge.pass(1);
    let (one, two) = (edge.begin("alice").await, edge.begin("alice").await);
    edge.pass(1);
    edge.ping("alice", &one).await;
    edge.pass(1);
    let three = edge.begin("alice/another-client").await;
    assert_eq!(edge.service.ended(), [SessionKey::of(&two)]);
    // Five altogether: none of Bob's or Carol's ends for Alice or Dave.
    let others = [("bob", edge.begin("bob").await), ("carol", edge.begin("carol").await)];
    edge.service.refusals();
    assert_eq!(answered(edge.initialize("dave").await).await, (200, None, 503.into(), 0.into()));
    assert_eq!(edge.service.refusals(), ["session 200 dave: Too many sessions at once"]);
    assert_eq!(edge.service.ended(), []);
    edge.begin("alice").await;
    assert_eq!(edge.service.ended(), [SessionKey::of(&one)]);
    assert_eq!(edge.ping("alice/another-client", &three).await, StatusCode::OK);
    for (owner, id) in others.iter().map(|(owner, id)| (*owner, id)).chain([("bob", &bobs)]) {
        assert_eq!(edge.ping(owner, id).await, StatusCode::OK, "{owner}");
    }
}

#[tokio::test(start_paused = true)]
async fn trial_b9_a_session_with_a_stream_or_a_running_call_makes_no_room() {
    let edge = Edge::with(true, |limits| limits.streams_per_principal = 2);
    let (streaming, calling) = (edge.begin("alice").await, edge.begin("alice").await);
    let stream = edge.stream("alice", &streaming).await;
    let call = call();
    let running = edge.send("POST", "alice", Some(&calling), &call);
    let (answer, refused) = tokio::join!(running, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        answered(edge.initialize("alice").await).await
    });
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(refused, (200, None, 429.into(), 0.into()), "nobody knows when one ends");
    edge.pass(1);
    drop(stream);
    edge.begin("alice").await;
    assert_eq!(edge.ping("alice", &calling).await, StatusCode::NOT_FOUND);
    assert_eq!(edge.ping("alice", &streaming).await, StatusCode::OK);
}

#[tokio::test]
async fn without_authentication_only_the_number_of_all_sessions_counts() {
    let edge = Edge::with(false, |_| {});
    for _ in 0..5 {
        edge.begin("").await;
    }
    assert_eq!(answered(edge.initialize("").await).await, (200, None, 503.into(), 0.into()));
    assert_eq!(edge.service.ended(), [], "whose they are nobody knows");
}

#[tokio::test]
async fn an_idle_session_ends_and_makes_room() {
    let edge = Edge::new();
    let (used, idle) = (edge.begin("alice").await, edge.begin("alice").await);
    edge.pass(29 * 60);
    assert_eq!(edge.ping("alice", &used).await, StatusCode::OK);
    edge.pass(60);
    assert_eq!(edge.ping("alice", &idle).await, StatusCode::NOT_FOUND);
    edge.begin("alice").await;
    edge.pass(29 * 60);
    assert_eq!(edge.ping("alice", &used).await, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_session_with_a_stream_or_a_running_request_is_not_idle() {
    let edge = Edge::with(true, |limits| limits.streams_per_principal = 2);
    let (streaming, calling) = (edge.begin("alice").await, edge.begin("alice").await);
    let stream = edge.stream("alice", &streaming).await;
    let call = call();
    let answer = edge.send("POST", "alice", Some(&calling), &call);
    let (answer, ()) = tokio::join!(answer, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for _ in 0..3 {
            edge.pass(20 * 60);
            edge.send("DELETE", "bob", Some(&edge.begin("bob").await), &Value::Null).await;
        }
    });
    assert_eq!(answer.status(), StatusCode::OK);
    drop(stream);
    edge.pass(29 * 60);
    assert_eq!(edge.ping("alice", &streaming).await, StatusCode::OK);
    assert_eq!(edge.ping("alice", &calling).await, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn the_stream_ends_with_the_token_that_opened_it_and_the_session_goes_on() {
    let edge = Edge::new();
    let id = edge.begin("alice").await;
    let mut stream = edge.stream("alice.1030", &id).await;
    assert!(stream.body_mut().frame().await.is_some());
    assert!(!ends(&mut stream).await, "the clock has not moved");
    edge.pass(30);
    assert!(ends(&mut stream).await);
    drop(stream);
    assert_eq!(edge.ping("alice.1030", &id).await, StatusCode::UNAUTHORIZED);
    assert_eq!(edge.ping("alice.5000", &id).await, StatusCode::OK, "a new token of hers");
    assert_eq!(edge.stream("alice.5000", &id).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn streams_end_with_their_sessions_and_with_the_server() {
    let edge = Edge::new();
    let id = edge.begin("alice").await;
    let mut stream = edge.stream("alice", &id).await;
    edge.send("DELETE", "alice", Some(&id), &Value::Null).await;
    assert!(ends(&mut stream).await);
    drop(stream);

    let id = edge.begin("alice").await;
    let mut stream = edge.stream("alice", &id).await;
    edge.app.stop();
    assert!(ends(&mut stream).await);
    drop(stream);
    assert_eq!(edge.stream("alice", &id).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let ping = json!({"jsonrpc": "2.0", "id": 5, "method": "ping"});
    let refused = edge.send("POST", "alice", Some(&id), &ping).await;
    assert_eq!(answered(refused).await, (503, Some("1".to_owned()), json!(503), json!(5)));
    let batch = edge.send("POST", "alice", Some(&id), &json!([ping])).await;
    assert_eq!(batch.status(), StatusCode::SERVICE_UNAVAILABLE);
    // What runs can still be cancelled, and what it asked its client be answered.
    for message in [
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
        json!({"jsonrpc": "2.0", "id": 1, "result": {}}),
    ] {
        let taken = edge.send("POST", "alice", Some(&id), &message).await;
        assert_eq!(taken.status(), StatusCode::ACCEPTED, "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn trial_b2_a_stream_takes_over_from_its_sessions_and_else_from_its_principals_oldest() {
    let edge = Edge::with(true, |limits| {
        limits.streams_per_principal = 2;
        limits.sessions_per_principal = 3;
        limits.connections = 6;
    });
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(edge.begin("alice").await);
    }
    let mut first = edge.stream("alice", &ids[0]).await;
    let mut second = edge.stream("alice", &ids[1]).await;
    let mut again = edge.stream("alice", &ids[1]).await;
    assert!(ends(&mut second).await, "the newest of a session takes over");
    assert!(!ends(&mut first).await && !ends(&mut again).await);
    drop(second);
    let bobs = edge.begin("bob").await;
    let mut bobs = edge.stream("bob", &bobs).await;
    // Altogether there are three now.
    let third = edge.stream("alice", &ids[2]).await;
    assert_eq!(third.status(), StatusCode::OK);
    assert!(ends(&mut first).await, "the oldest of the principal makes room");
    drop(first);
    assert!(!ends(&mut again).await && !ends(&mut bobs).await);
    let carols = edge.begin("carol").await;
    let refused = answered(edge.stream("carol", &carols).await).await;
    assert_eq!(refused, (503, None, 503.into(), Value::Null), "none of hers could end");
    drop(bobs);
    assert_eq!(edge.stream("carol", &carols).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn trial_b2_streams_that_have_ended_unread_are_bounded_and_their_end_is_known() {
    let edge = Edge::with(true, |limits| limits.write_timeout = Duration::from_secs(7));
    let id = edge.begin("alice").await;
    let (first, second) = (edge.stream("alice", &id).await, edge.stream("alice", &id).await);
    let refused = answered(edge.stream("alice", &id).await).await;
    assert_eq!(refused, (429, Some("7".to_owned()), 429.into(), Value::Null));
    drop(first);
    let third = edge.stream("alice", &id).await;
    assert_eq!(third.status(), StatusCode::OK);
    drop(second);
    assert_eq!(edge.app.sessions().sizes(), [1, 1, 1, 1, 0]);
    edge.pass(60 * 60);
    assert_eq!(edge.ping("alice", &id).await, StatusCode::OK, "the place is the third's");
    drop(third);
    edge.pass(30 * 60);
    assert_eq!(edge.ping("alice", &id).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_stream_that_is_ended_takes_no_place_from_the_next() {
    let edge = Edge::new();
    let one = edge.begin("alice").await;
    let stream = edge.stream("alice", &one).await;
    edge.send("DELETE", "alice", Some(&one), &Value::Null).await;
    let two = edge.begin("alice").await;
    assert_eq!(edge.stream("alice", &two).await.status(), StatusCode::TOO_MANY_REQUESTS);
    drop(stream);
    assert_eq!(edge.stream("alice", &two).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_drops_what_runs_in_it() {
    let edge = Edge::new();
    let id = edge.begin("alice").await;
    let call = call();
    let running = edge.send("POST", "alice", Some(&id), &call);
    let (answer, ()) = tokio::join!(timeout(Duration::from_secs(5), running), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        edge.send("DELETE", "alice", Some(&id), &Value::Null).await;
    });
    assert_eq!(answer.expect("it ran on").status(), StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn batches_take_no_more_places_than_single_requests() {
    let edge = Edge::with(true, |limits| limits.concurrent_requests = 2);
    let id = edge.begin_in("2025-03-26", "alice").await;
    let calls: Vec<Value> = (0..4)
        .map(|id| {
            let mut call = call();
            call["id"] = json!(id);
            call
        })
        .collect();
    let response = edge.send("POST", "alice", Some(&id), &json!(calls)).await;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let answers: Vec<Value> = serde_json::from_slice(&body).unwrap();
    let codes: Vec<&Value> = answers.iter().map(|answer| &answer["error"]["code"]).collect();
    assert_eq!(codes, [&Value::Null, &Value::Null, &json!(503), &json!(503)]);
}

#[tokio::test]
async fn a_broken_table_refuses_everything() {
    let edge = Edge::new();
    let id = edge.begin("alice").await;
    edge.app.sessions().poison();
    assert_eq!(edge.initialize("alice").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    for method in ["POST", "GET", "DELETE"] {
        let answer = edge.send(method, "alice", Some(&id), &call()).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn n14_what_has_ended_or_was_refused_leaves_nothing_behind() {
    let edge = Edge::new();
    let initialize = |version: &str| json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": version}});
    let refused = [
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize"}),
        json!({"jsonrpc": "2.0", "id": null, "method": "initialize", "params": {}}),
        json!({"jsonrpc": "2.0", "method": "initialize", "params": {}}),
        json!([initialize("2025-03-26")]),
        call(),
    ];
    for body in &refused {
        let status = edge.send("POST", "alice", None, body).await.status();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    }
    edge.send("POST", "alice.1", None, &initialize("2025-11-25")).await;
    assert_eq!(edge.app.sessions().sizes(), [0; 5]);

    for _ in 0..3 {
        let id = edge.begin("alice").await;
        let stream = edge.stream("alice", &id).await;
        assert_eq!(edge.send("POST", "alice", Some(&id), &call()).await.status(), StatusCode::OK);
        let call = call();
        let dropped = edge.send("POST", "alice", Some(&id), &call);
        assert!(timeout(Duration::from_secs(1), dropped).await.is_err(), "the client went away");
        assert_eq!(edge.app.sessions().sizes(), [1, 1, 1, 1, 0]);
        edge.send("DELETE", "alice", Some(&id), &Value::Null).await;
        drop(stream);
        assert_eq!(edge.app.sessions().sizes(), [0; 5]);
    }
    edge.begin("alice").await;
    edge.pass(30 * 60);
    assert_eq!(edge.ping("alice", "unknown").await, StatusCode::NOT_FOUND);
    edge.begin("bob").await;
    assert_eq!(edge.app.sessions().sizes(), [1, 1, 1, 0, 0]);
}

#[tokio::test]
async fn trial_a5_the_answers_of_a_batch_take_their_part_of_the_budget_while_it_goes_on() {
    let edge = Edge::with(true, |limits| limits.unread_bytes = 4 * 1024 * 1024);
    let id = edge.begin_in("2025-03-26", "alice").await;
    let params = json!({"name": "large"});
    let batch = (0..8)
        .map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}));
    let batch = batch.collect();
    for _ in 0..2 {
        let answer = edge.send("POST", "alice", Some(&id), &batch).await;
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let answers: Vec<Value> = serde_json::from_slice(&body).unwrap();
        assert_eq!(answers.len(), 8);
        let refused = answers.iter().filter(|answer| answer["error"]["code"] == 503).count();
        assert_eq!(refused, 6, "a principal may have half of it, which two of them fill");
    }
}

#[tokio::test(start_paused = true)]
async fn trial_a5_a_request_too_many_that_belongs_to_no_session_is_told_so_by_its_status() {
    let edge = Edge::with(true, |limits| {
        (limits.concurrent_requests, limits.requests_per_principal) = (2, 1);
    });
    let ask = || Box::pin(edge.ask("alice", "tools/call", json!({"name": "wait"})));
    let mut waiting = [ask(), ask(), ask()];
    for wait in &mut waiting {
        let _ = futures_util::poll!(wait);
    }
    let refused = answered(ask().await).await;
    assert_eq!(refused, (503, Some("1".to_owned()), 503.into(), 1.into()));
}
