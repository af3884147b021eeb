//! Requests that wait for a store which does not answer.

use std::pin::Pin;
use std::task::Poll;

use axum::response::Response;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::replicas::{OK, UNAVAILABLE};
use crate::http::budget::{Of, Whose};
use crate::http::test_server::{Edge, read};

/// Requests of one principal that have begun, and the answers to those that were answered at once.
async fn begun<'e>(
    edge: &'e Edge,
    name: &'e str,
    requests: impl Iterator<Item = (&'static str, Option<&'e str>, &'e Value)>,
) -> (Vec<Waiting<'e>>, Vec<Response>) {
    let (mut waiting, mut answered) = (Vec::new(), Vec::new());
    for (method, id, body) in requests {
        let mut request: Waiting<'_> = Box::pin(edge.send(method, name, id, body));
        match futures_util::poll!(&mut request) {
            Poll::Ready(response) => answered.push(response),
            Poll::Pending => waiting.push(request),
        }
    }
    (waiting, answered)
}

type Waiting<'e> = Pin<Box<dyn Future<Output = Response> + 'e>>;

#[tokio::test(start_paused = true)]
async fn n11_who_waits_for_a_silent_store_holds_no_place_of_others_and_so_many_wait() {
    let ([edge, _], store) = Edge::replicas(true);
    let (id, bobs) = (edge.begin("alice").await, edge.begin("bob").await);
    edge.pass(2);
    // Operations that wait for others have a queue of their own.
    let _calls = edge.app.budget().take(Of::Queued, Whose::default(), 512).unwrap();
    store.silence(true);
    let requests = |id| {
        ["GET", "DELETE"].into_iter().cycle().map(move |method| (method, Some(id), &Value::Null))
    };
    let (waiting, answered) = begun(&edge, "alice", requests(&*id).take(600)).await;
    assert_eq!(waiting.len(), 256, "half of those that may");
    assert!(answered.iter().all(|response| response.status() == UNAVAILABLE));
    // Two have all of those, and as many as there are places.
    let (of_bob, _) = begun(&edge, "bob", requests(&*bobs).take(256)).await;
    assert_eq!(of_bob.len(), 256);
    let call = json!({"name": "x"});
    assert_eq!(edge.ask("carol", "tools/call", call).await.status(), OK, "others are answered");
    drop(waiting);
    let (waiting, _) = begun(&edge, "alice", requests(&*id).take(1)).await;
    assert_eq!(waiting.len(), 1, "who goes away leaves room");
}

#[tokio::test(start_paused = true)]
async fn n11_sessions_that_begin_make_room_for_themselves_and_not_by_each_other() {
    let ([edge, _], store) = Edge::replicas(true);
    let ids = [edge.begin("alice").await, edge.begin("alice").await];
    store.silence(true);
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let (waiting, answered) =
        begun(&edge, "alice", std::iter::repeat_n(("POST", None, &body), 5)).await;
    assert_eq!(waiting.len(), 2, "as many as could end for them");
    assert_eq!(answered.len(), 3);
    for response in answered.into_iter().chain(join_all(waiting).await) {
        // As it is answered where sessions are refused: HTTP says 200.
        assert!(read(response).await.1["error"].is_object());
    }
    store.silence(false);
    for id in &ids {
        assert_eq!(edge.ping("alice", id).await, OK, "nothing ended for one that has not begun");
    }
}

#[tokio::test(start_paused = true)]
async fn n11_what_others_begin_refuses_nobody_who_has_one_to_give() {
    let ([edge, _], store) = Edge::replicas(true);
    for name in ["alice", "alice", "bob", "bob", "carol"] {
        edge.begin(name).await;
    }
    store.silence(true);
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    // The table is full, and each of them has a session that may end for the new one.
    let mut waiting = Vec::new();
    for name in ["alice", "bob", "carol"] {
        let mut begins: Waiting<'_> = Box::pin(edge.send("POST", name, None, &body));
        assert!(futures_util::poll!(&mut begins).is_pending(), "{name}");
        waiting.push(begins);
    }
}
