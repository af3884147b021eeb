//! Requests whose connections end half-way: they lose nothing, and leave nothing behind.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http_body_util::BodyExt;
use portcullis_guard::ManualClock;
use portcullis_store::{Distant, MemoryStore, Store};
use serde_json::{Value, json};
use tokio::task::yield_now;

use super::replicas::{NOT_FOUND, OK, delete, record};
use crate::http::test_server::Edge;

/// Drops a request once it was polled so often; whether it was answered before.
async fn dropped_after<T>(polls: usize, request: impl Future<Output = T>) -> bool {
    let mut request = pin!(request);
    for _ in 0..polls {
        if poll_fn(|cx| Poll::Ready(request.as_mut().poll(cx).is_ready())).await {
            return true;
        }
        yield_now().await;
    }
    false
}

#[tokio::test]
async fn a_session_goes_on_after_a_restart_though_the_first_to_ask_for_it_goes_away() {
    let clock = Arc::new(ManualClock::at(1_000));
    let store = Distant::unshared(MemoryStore::new(clock.clone()));
    let id = Edge::on_store(&store, &clock).begin("alice").await;
    for polls in 0.. {
        let edge = Edge::on_store(&store, &clock);
        let is_answered = dropped_after(polls, edge.ping("alice", &id)).await;
        assert_eq!(edge.ping("bob", &id).await, NOT_FOUND, "{polls}");
        assert_eq!(edge.ping("alice", &id).await, OK, "{polls}");
        if is_answered {
            assert!(polls > 4, "the store was waited for");
            break;
        }
    }
}

#[tokio::test]
async fn n14_who_asks_for_sessions_and_goes_away_leaves_none() {
    let ([edge, _], store) = Edge::replicas(true);
    for polls in 0.. {
        let is_answered = dropped_after(polls, edge.initialize("alice")).await;
        for _ in 0..10 {
            yield_now().await;
        }
        if is_answered {
            assert!(polls > 2, "the store was waited for");
            break;
        }
        assert_eq!(edge.app.sessions().sizes(), [0; 5], "{polls}");
        assert!(store.near().is_empty(), "{polls}");
    }
    assert_eq!(edge.app.sessions().sizes()[0], 1);
}

#[tokio::test]
async fn a_session_whose_end_nobody_hears_of_has_ended_here_as_well() {
    for polls in 0.. {
        let ([edge, _], store) = Edge::replicas(true);
        let id = edge.begin("alice").await;
        let is_answered = dropped_after(polls, delete(&edge, "alice", &id)).await;
        let is_kept = store.near().get(&record(&id)).await.unwrap().is_some();
        let expected = if is_kept { OK } else { NOT_FOUND };
        assert_eq!(edge.ping("alice", &id).await, expected, "{polls}");
        if is_answered {
            assert!(polls > 2 && !is_kept, "the store was waited for");
            break;
        }
    }
}

#[tokio::test]
async fn a_request_that_its_own_batch_cancels_does_not_run() {
    let edge = Edge::new();
    let id = edge.begin_in("2025-03-26", "alice").await;
    let call = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "missing"}});
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    edge.service.asked();
    let batch = json!([call(1), call(2), cancelled]);
    let answer = edge.send("POST", "alice", Some(&id), &batch).await;
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let answers: Vec<Value> = serde_json::from_slice(&body).unwrap();
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [2]);
    assert_eq!(edge.service.asked().len(), 1, "the function did not run");
}
