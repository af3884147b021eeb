//! Bounds of what waits for a client that is slow or silent.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::{Client, call, cancelled, open, ping, post_to, request};
use crate::http::session::legacy::AT_ONCE;
use crate::http::test_server::Edge;

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_initialize_in_time_has_no_stream() {
    let edge = Edge::new();
    let (mut silent, begun) = (Client::connect(&edge, "alice").await, Instant::now());
    assert_eq!(silent.told().await, None);
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
    drop(silent);
    let mut client = Client::begin(&edge, "alice").await;
    assert!(!client.ends().await);
}

#[tokio::test(start_paused = true)]
async fn n14_sessions_and_streams_are_counted_and_refused_ones_leave_nothing() {
    let edge = Edge::with(true, |limits| {
        (limits.streams_per_principal, limits.connections) = (3, 8);
    });
    let clients = [Client::begin(&edge, "alice").await, Client::connect(&edge, "alice").await];
    assert_eq!(open(&edge, "alice").await.status(), 429, "a session with a stream makes no room");
    assert_eq!(edge.app.sessions().sizes(), [2, 2, 1, 2, 0]);
    let bobs = [Client::begin(&edge, "bob").await, Client::connect(&edge, "bob").await];
    assert_eq!(open(&edge, "carol").await.status(), 503, "four streams are half the connections");
    assert_eq!(edge.app.sessions().sizes(), [4, 4, 2, 4, 0]);
    drop((clients, bobs));
    assert_eq!(edge.app.sessions().sizes(), [0; 5]);

    let edge = Edge::new();
    let mut first = Client::begin(&edge, "alice").await;
    let second = Client::begin(&edge, "alice").await;
    assert!(first.ends().await, "the oldest stream of a principal makes room");
    assert_eq!(first.send(&ping()).await, 404);
    drop((first, second));

    let edge = Edge::with(false, |_| {});
    let clients = [Client::begin(&edge, "").await, Client::begin(&edge, "").await];
    assert_eq!(open(&edge, "").await.status(), 503);
    drop(clients);
}

#[tokio::test(start_paused = true)]
async fn q05_little_waits_for_a_client_that_does_not_read_and_it_may_still_cancel() {
    let edge = Edge::new();
    let mut client = Client::begin(&edge, "alice").await;
    let mut taken = 0;
    let refused = loop {
        let answer = post_to(&edge, &client.uri, "alice", &ping()).await;
        if answer.status() != 202 {
            break answer;
        }
        taken += 1;
        assert!(taken <= AT_ONCE, "it has no end");
    };
    assert_eq!((taken, refused.status().as_u16()), (AT_ONCE, 503));
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(client.send(&cancelled(1)).await, 202);
    for _ in 0..AT_ONCE {
        assert_eq!(client.told().await.unwrap()["id"], 1);
    }
    assert_eq!(client.ask(&ping()).await["id"], 1, "there is room again");
}

#[tokio::test(start_paused = true)]
async fn q05_so_many_requests_of_a_session_run_or_wait_at_once() {
    let edge = Edge::new();
    let mut client = Client::begin(&edge, "alice").await;
    for id in 0..AT_ONCE as u64 {
        assert_eq!(client.send(&call(id, "wait")).await, 202);
        // The stream takes what it is given, and has nothing to tell.
        assert!(timeout(Duration::from_millis(1), client.told()).await.is_err());
    }
    assert_eq!(client.ask(&call(99, "wait")).await["error"]["code"], 503);
    for _ in 0..AT_ONCE {
        assert!(client.told().await.unwrap()["result"].is_object());
    }
}

#[tokio::test(start_paused = true)]
async fn q05_what_waits_for_a_stream_takes_from_the_budget_of_bodies() {
    let edge = Edge::with(true, |limits| limits.waiting_body_bytes = 64 * 1024);
    let mut client = Client::begin(&edge, "alice").await;
    let mut params = json!({"name": "wait", "arguments": {"x": "x".repeat(10_000)}});
    let mut statuses = Vec::new();
    for id in 1..=4 {
        params["_meta"] = json!({"progressToken": id});
        statuses.push(client.send(&request(id, "tools/call", &params)).await);
    }
    assert_eq!(statuses, [202, 202, 503, 503], "a principal may have half of it");
    for _ in 0..2 {
        assert!(client.told().await.unwrap()["result"].is_object());
    }
    assert_eq!(client.send(&request(5, "tools/call", &params)).await, 202);
}

#[tokio::test(start_paused = true)]
async fn q05_a_large_answer_waits_for_room_and_takes_it_until_more_is_read() {
    let edge = Edge::with(true, |limits| {
        limits.unread_bytes = 4 * 1024 * 1024;
        limits.streams_per_principal = 2;
    });
    let (mut first, mut second) =
        (Client::begin(&edge, "alice").await, Client::begin(&edge, "alice").await);
    for client in [&mut first, &mut second] {
        let told = client.ask(&call(1, "tell-large")).await;
        assert_eq!(told["method"], "notifications/progress");
    }
    assert!(first.told().await.unwrap().to_string().len() > 1024 * 1024);
    let begun = Instant::now();
    assert_eq!(second.told().await.unwrap()["error"]["code"], 503);
    assert_eq!(begun.elapsed(), Duration::from_secs(30), "the time that a client has to read");
    assert_eq!(first.ask(&ping()).await["result"], json!({}));
    assert_eq!(second.ask(&call(2, "tell-large")).await["method"], "notifications/progress");
    assert!(second.told().await.unwrap().to_string().len() > 1024 * 1024);
}

#[tokio::test(start_paused = true)]
async fn q05_a_request_goes_on_while_its_client_does_not_read() {
    let edge = Edge::new();
    let client = Client::begin(&edge, "alice").await;
    assert_eq!(client.send(&call(1, "tell")).await, 202);
    sleep(Duration::from_secs(31)).await;
    let outgoing = edge.service.asked().remove(0).outgoing;
    let mut told = 0;
    while let std::task::Poll::Ready(Some(messages)) =
        outgoing.poll_messages(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    {
        told += messages.len();
    }
    assert_eq!(told, 4, "three steps and a warning, after thirty seconds");
}
