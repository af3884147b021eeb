//! Refusals as clients see them, and as they are recorded.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::test_server::{Edge, METADATA, read};
use crate::message::rpc_error::whole_seconds;

fn call(name: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name}})
}

/// A call in both eras: the statuses, and header and error, which are the same in both.
async fn called(edge: &Edge, name: &str, header: &str) -> ([u16; 2], Option<String>, Value) {
    let session = edge.begin("alice").await;
    let end = || edge.send("DELETE", "alice", Some(&session), &Value::Null);
    let ask = edge.ask("alice", "tools/call", json!({"name": name})).await;
    let send = edge.send("POST", "alice", Some(&session), &call(name)).await;
    let (mut statuses, mut answers) = (Vec::new(), Vec::new());
    for response in [ask, send] {
        let header = response.headers().get(header).map(|value| value.to_str().unwrap().to_owned());
        let (status, body) = read(response).await;
        assert_eq!(body["id"], 1);
        statuses.push(status);
        answers.push((header, body["error"].clone()));
    }
    end().await;
    assert_eq!(answers[0], answers[1]);
    let (header, error) = answers.remove(0);
    ([statuses[0], statuses[1]], header, error)
}

#[tokio::test]
async fn rfc6750_3_1_a_client_can_step_up_to_the_scopes_that_a_403_names() {
    let (status, header, error) = called(&Edge::new(), "scope", "www-authenticate").await;
    assert_eq!((status, &error["code"]), ([403, 403], &json!(403)));
    let description = format!("{}: write admin", portcullis_auth::challenge::INSUFFICIENT_SCOPE);
    assert_eq!(error["message"], description);
    let expected = format!(
        r#"Bearer error="insufficient_scope", error_description="{description}", scope="write admin", resource_metadata="{METADATA}""#
    );
    assert_eq!(header.as_deref(), Some(&*expected));
}

#[tokio::test]
async fn where_no_token_would_help_none_is_asked_for() {
    let edge = Edge::with(false, |_| {});
    let (status, header, error) = called(&edge, "scope", "www-authenticate").await;
    assert_eq!((status, header, &error["code"]), ([200, 200], None, &json!(403)));
}

#[tokio::test]
async fn rfc6585_4_too_many_requests_say_when_there_may_be_more() {
    let (status, header, error) = called(&Edge::new(), "often", "retry-after").await;
    let expected = ([429, 200], Some("2"), &json!(429));
    assert_eq!((status, header.as_deref(), &error["code"]), expected);
    assert_eq!(error["message"], "Too many requests in a short time: try again in 2 s");
    for (milliseconds, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (59_999, 60)] {
        assert_eq!(whole_seconds(Duration::from_millis(milliseconds)), seconds);
    }
    assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
}

#[tokio::test]
async fn a_check_that_chose_to_speak_is_quoted() {
    let (status, _, error) = called(&Edge::new(), "denied", "retry-after").await;
    assert_eq!((status, error), ([200, 200], json!({"code": 403, "message": "Only on weekdays"})));
}

#[tokio::test]
async fn one_message_of_a_batch_does_not_speak_for_the_others() {
    let edge = Edge::new();
    let id = edge.begin_in("2025-03-26", "alice").await;
    let mut second = call("often");
    second["id"] = json!(2);
    let response = edge.send("POST", "alice", Some(&id), &json!([call("scope"), second])).await;
    assert!(!response.headers().contains_key("www-authenticate"));
    assert!(!response.headers().contains_key("retry-after"));
    let (status, answers) = read(response).await;
    let codes = [&answers[0]["error"]["code"], &answers[1]["error"]["code"]];
    assert_eq!((status, codes), (200, [&json!(403), &json!(429)]));
}

#[tokio::test]
async fn what_is_refused_before_the_service_is_noted_once_and_nothing_else_is() {
    let edge = Edge::new();
    let session = edge.begin("alice").await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let unknown = json!({"jsonrpc": "2.0", "id": 1, "method": "secret-word"});
    let post = |token: &str| edge.request("POST", token);
    let with = |name: &str, value: &str| post("alice").header(name, value);
    for (request, body, refused) in [
        (with("origin", "https://evil.test"), &list, "origin 403 -: a foreign Origin"),
        (with("host", "evil.test"), &list, "host 400 -: more than one Host"),
        (post("a b"), &list, "bearer 401 -: the Authorization header is not one bearer token"),
        (post("alice.999"), &list, "bearer 401 -: the token has expired"),
        (
            edge.request("PUT", "alice"),
            &list,
            "method 405 alice: Only POST, GET and DELETE are served here",
        ),
        (with("accept", "a/b"), &list, "media 406 alice: Accept must allow application/json"),
        (with("content-encoding", "br"), &list, "media 415 alice: The body must not be compressed"),
        (post("alice"), &json!("x".repeat(5 << 20)), "body 413 alice: The body is too large"),
        (post("alice"), &json!(5), "envelope 400 alice: Invalid request: not a JSON-RPC message"),
        (
            with("mcp-protocol-version", "2026-07-28").header("mcp-protocol-version", "x"),
            &list,
            "envelope 400 alice: Header mismatch: mcp-protocol-version is repeated",
        ),
        (with("mcp-session-id", &session), &unknown, "envelope 200 alice: Method not found"),
    ] {
        edge.answer(request, body).await;
        assert_eq!(edge.service.refusals(), [refused]);
    }
    for name in ["scope", "often", "denied", "missing"] {
        called(&edge, name, "x").await;
        assert!(!edge.service.asked().is_empty());
    }
    assert_eq!(edge.service.refusals(), Vec::<String>::new());
}

#[tokio::test]
async fn each_message_of_a_batch_that_is_refused_is_noted() {
    let edge = Edge::new();
    let id = edge.begin_in("2025-03-26", "alice").await;
    let unknown = json!({"jsonrpc": "2.0", "id": 5, "method": "x"});
    edge.send("POST", "alice", Some(&id), &json!([call("denied"), unknown, 5])).await;
    let not_a_message = "envelope 200 alice: Invalid request: not a JSON-RPC message";
    assert_eq!(edge.service.refusals(), ["envelope 200 alice: Method not found", not_a_message]);
    edge.send("POST", "alice", Some(&id), &json!([])).await;
    let empty = "envelope 400 alice: Invalid request: a batch holds 1 to 64 messages";
    assert_eq!(edge.service.refusals(), [empty]);
}
