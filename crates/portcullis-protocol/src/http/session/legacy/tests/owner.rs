//! Whose a session over HTTP+SSE is, and who is kept out of it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Client, NEWEST, call, initialize, ping, post_to};
use crate::Changed;
use crate::http::test_server::{Edge, read};

#[tokio::test(start_paused = true)]
async fn n01_n05_foreign_hosts_and_pages_reach_neither_stream_nor_messages() {
    let edge = Edge::new();
    let client = Client::begin(&edge, "alice").await;
    for (method, uri) in [("GET", "/sse"), ("POST", &*client.uri)] {
        for (name, value, status) in [
            ("host", "evil.example.com", 421),
            ("origin", "https://evil.example.com", 403),
            ("sec-fetch-site", "cross-site", 403),
        ] {
            let mut request = edge.request(method, "alice").uri(uri);
            request.headers_mut().unwrap().insert(name, value.parse().unwrap());
            let refused = edge.answer(request, &ping()).await;
            assert_eq!(refused.status(), status, "{method} {name}");
        }
    }
    assert_eq!(edge.service.listeners(), 1);
}

#[tokio::test(start_paused = true)]
async fn n10_a_session_is_there_for_its_principal_alone_and_for_no_other_transport() {
    let edge = Edge::new();
    let mut client = Client::begin(&edge, "alice").await;
    edge.service.refusals();
    let unknown = client.uri.split_once('=').unwrap().0.to_owned() + "=" + &"A".repeat(32);
    for token in ["bob", "alice/another-client"] {
        let known = read(post_to(&edge, &client.uri, token, &call(1, "wait")).await).await;
        assert_eq!(known.0, 404, "{token}");
        assert_eq!(known, read(post_to(&edge, &unknown, token, &call(1, "wait")).await).await);
    }
    let other = "session 404 bob: the session belongs to another principal";
    let none = "session 404 bob: the session does not exist, has ended, or was idle for too long";
    assert_eq!(edge.service.refusals()[..2], [other, none]);
    assert_eq!(edge.service.asked().len(), 0);
    let id = client.uri.split_once('=').unwrap().1;
    assert_eq!(edge.ping("alice", id).await, 404, "at the endpoint");
    assert_eq!(edge.send("DELETE", "alice", Some(id), &Value::Null).await.status(), 404);
    let elsewhere = format!("/messages?session_id={}", edge.begin("alice").await);
    assert_eq!(post_to(&edge, &elsewhere, "alice", &call(1, "wait")).await.status(), 404);
    assert_eq!(client.ask(&ping()).await["result"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn n11_one_session_is_named_and_none_is_made_by_naming_it() {
    let edge = Edge::new();
    let client = Client::begin(&edge, "alice").await;
    let named = client.uri.split_once('?').unwrap().1;
    for (query, status) in [
        (String::new(), 400),
        (format!("?{named}&{named}"), 400),
        ("?sessionId=x".to_owned(), 400),
        ("?session_id=".to_owned(), 404),
        (format!("?{named}A"), 404),
        (format!("?session_id={}", "A".repeat(10_000)), 404),
    ] {
        let uri = format!("/messages{query}");
        let refused = post_to(&edge, &uri, "alice", &initialize(NEWEST)).await;
        assert_eq!(refused.status(), status, "{query}");
    }
    assert_eq!(edge.app.sessions().sizes()[0], 1);
    let uri = format!("/messages/?x=1&{named}");
    assert_eq!(post_to(&edge, &uri, "alice", &ping()).await.status(), 202);
}

#[tokio::test(start_paused = true)]
async fn a_request_is_decided_for_the_token_that_it_comes_with() {
    let edge = Edge::new();
    let client = Client::begin(&edge, "alice.5000").await;
    for token in ["alice.4000", "alice.3000"] {
        assert_eq!(client.send_as(token, &call(1, "tell-at-once")).await, 202);
        sleep(Duration::from_secs(1)).await;
    }
    let ends = edge.service.asked().into_iter().map(|exchange| {
        let ends = exchange.principal.unwrap().expires_at().unwrap();
        ends.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    });
    assert_eq!(ends.collect::<Vec<_>>(), [4_000, 3_000]);
}

#[tokio::test(start_paused = true)]
async fn a08_an_answer_is_taken_from_whoever_may_use_what_asks_when_they_answer() {
    let edge = Edge::new();
    let mut client = Client::connect(&edge, "alice").await;
    let mut hello = initialize(NEWEST);
    hello["params"]["capabilities"] = json!({"roots": {}});
    client.ask(&hello).await;
    for (hidden, expected) in [("ask", "Err(Denied)"), ("wait", "Ok(Object {})")] {
        edge.service.hide("");
        let asked = client.ask(&call(1, "ask")).await;
        edge.service.hide(hidden);
        let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {}});
        assert_eq!(client.send(&answer).await, 202);
        let text = client.told().await.unwrap()["result"]["content"][0]["text"].take();
        assert!(text.as_str().unwrap().starts_with(expected), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_stream_ends_with_the_last_token_that_its_principal_has_shown() {
    let edge = Edge::new();
    let mut client = Client::begin(&edge, "alice.1030").await;
    edge.pass(20);
    assert_eq!(client.send_as("alice.1060", &ping()).await, 202);
    assert_eq!(client.send_as("alice.1040", &ping()).await, 202);
    assert_eq!(client.told().await.unwrap()["id"], 1);
    edge.pass(30);
    assert_eq!(client.told().await.unwrap()["id"], 1);
    assert!(!client.ends().await, "ten seconds are left");
    let listening = edge.service.listening();
    assert_eq!(listening.len(), 2, "what it is told is decided for the new token");
    assert_eq!(edge.service.listeners(), 1);
    edge.pass(10);
    assert!(client.ends().await);
    let uri = client.uri.clone();
    drop(client);
    let gone = post_to(&edge, &uri, "alice.2000", &ping()).await;
    assert_eq!(gone.status(), 404);
}

#[tokio::test(start_paused = true)]
async fn h17_a_stream_that_waits_tells_nothing_after_the_end_of_its_token() {
    let edge = Edge::new();
    let mut client = Client::begin(&edge, "alice.1030").await;
    let over = async {
        sleep(Duration::from_secs(1)).await;
        edge.pass(30);
        // It wakes the stream, which has not noticed yet.
        edge.service.change(Changed { tools: true, ..Changed::default() });
    };
    let (told, ()) = tokio::join!(client.told(), over);
    assert_eq!(told, None);
}
