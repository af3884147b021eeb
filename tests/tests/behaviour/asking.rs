//! What a running function and its client say to one another in versions with sessions.

use std::io::{Read, Write};
use std::time::Duration;

use portcullis_tests::driver::{StdioTestbed, Stream, Testbed, initialize, request};
use serde_json::{Value, json};

use crate::TESTBED;

const PATIENCE: Duration = Duration::from_secs(20);
const VERSIONS: [&str; 2] = ["2025-06-18", "2025-11-25"];

fn start() -> Testbed {
    Testbed::start(TESTBED, &["--fixtures", "conformance", "--auth", "none"])
}

fn able() -> Value {
    json!({"elicitation": {}, "sampling": {}, "roots": {"listChanged": true}})
}

fn call(tool: &str, arguments: Value) -> Value {
    request(7, "tools/call", json!({"name": tool, "arguments": arguments}))
}

fn answer(id: &Value, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

fn next(stream: &mut Stream) -> Value {
    stream.message(PATIENCE).expect("the stream has ended")
}

/// The text of the result, and whether it is an error.
fn text(message: &Value) -> (&str, bool) {
    assert_eq!(message["id"], 7, "{message}");
    let text = message["result"]["content"][0]["text"].as_str().unwrap();
    (text, message["result"]["isError"] == true)
}

#[test]
fn elicitation_response_actions_reach_the_function_in_every_version_with_sessions() {
    let testbed = start();
    for version in VERSIONS {
        let id = testbed.begin_with(None, version, able());
        let session = testbed.session(None, &id);
        for (result, expected) in [
            (
                json!({"action": "accept", "content": {"username": "ann", "email": "a@b.example"}}),
                (
                    "User response: action=accept, content={\"username\":\"ann\",\"email\":\"a@b.example\"}",
                    false,
                ),
            ),
            (json!({"action": "decline"}), ("User response: action=decline", false)),
            (json!({"action": "cancel"}), ("User response: action=cancel", false)),
        ] {
            let mut stream =
                session.post_stream(&call("test_elicitation", json!({"message": "Who?"})));
            assert_eq!(stream.response.header("content-type"), Some("text/event-stream"));
            let asked = next(&mut stream);
            assert_eq!(asked["method"], "elicitation/create");
            let params = &asked["params"];
            assert_eq!(params["message"], "Who?");
            assert_eq!(params["requestedSchema"]["required"], json!(["username", "email"]));
            let mode = (version == "2025-11-25").then(|| json!("form"));
            assert_eq!(params.get("mode"), mode.as_ref(), "{version}");
            assert_eq!(session.post(&[], &answer(&asked["id"], result)).status, 202);
            assert_eq!(text(&next(&mut stream)), expected, "{version}");
            assert!(!stream.is_open());
        }
    }
}

#[test]
fn an_answer_that_does_not_fit_its_form_never_reaches_the_function() {
    let testbed = start();
    let id = testbed.begin_with(None, "2025-11-25", able());
    let session = testbed.session(None, &id);
    for result in [
        json!({"action": "accept", "content": {"username": "ann"}}),
        json!({"action": "accept", "content": {"username": 1, "email": "a@b.example"}}),
        json!({"action": "accept"}),
        json!({"action": "grant", "content": {"username": "ann", "email": "a@b.example"}}),
        json!([]),
    ] {
        let mut stream = session.post_stream(&call("test_elicitation", json!({"message": "Who?"})));
        let asked = next(&mut stream);
        session.post(&[], &answer(&asked["id"], result.clone()));
        let refused = next(&mut stream);
        assert_eq!(refused["error"]["code"], -32602, "{result}: {refused}");
    }
}

#[test]
fn a_client_is_asked_for_nothing_that_it_has_not_declared() {
    let testbed = start();
    for (capabilities, tool, lacks) in [
        (json!({}), "test_elicitation", "elicitation.form"),
        (json!({"sampling": {}}), "test_elicitation", "elicitation.form"),
        (json!({"elicitation": {}}), "test_sampling", "sampling"),
        (json!({"elicitation": {"url": {}}}), "test_elicitation", "elicitation.form"),
    ] {
        let id = testbed.begin_with(None, "2025-11-25", capabilities.clone());
        let arguments = json!({"message": "Who?", "prompt": "Hello"});
        let wanted = if tool == "test_sampling" { "prompt" } else { "message" };
        let arguments = json!({ wanted: arguments[wanted] });
        let refused = testbed.session(None, &id).post(&[], &call(tool, arguments)).json();
        let (told, is_error) = text(&refused);
        assert!(is_error && told.contains(lacks), "{capabilities} {tool}: {told}");
    }
}

#[test]
fn a_question_outlives_the_connection_that_it_was_sent_on() {
    let testbed = start();
    let id = testbed.begin_with(None, "2025-11-25", able());
    let session = testbed.session(None, &id);
    let mut stream = session.post_stream(&call("test_sampling", json!({"prompt": "Hello"})));
    let mut last = String::new();
    let asked = loop {
        let line = stream.line(PATIENCE).unwrap().unwrap();
        if let Some(event) = line.strip_prefix("id: ") {
            last = event.to_owned();
        }
        if let Some(message) = line.strip_prefix("data: ") {
            break serde_json::from_str::<Value>(message).unwrap();
        }
    };
    drop(stream);
    let sampled =
        json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "Hi"}});
    assert_eq!(session.post(&[], &answer(&asked["id"], sampled)).status, 202);
    let mut resumed = session.resume(&last);
    assert_eq!(text(&next(&mut resumed)), ("LLM response: Hi", false));
    assert!(!resumed.is_open());
}

#[test]
fn over_stdio_the_question_and_its_answer_are_lines() {
    let mut testbed = StdioTestbed::start_with(TESTBED, &["--fixtures", "conformance"]);
    let mut hello = initialize("2025-11-25");
    hello["params"]["capabilities"] = able();
    assert!(testbed.ask(&hello)["result"].is_object());
    let asked = testbed.ask(&call("test_sampling", json!({"prompt": "Hello"})));
    assert_eq!(asked["method"], "sampling/createMessage");
    assert_eq!(asked["params"]["maxTokens"], 100);
    let sampled =
        json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "Hi"}});
    let result = testbed.ask(&answer(&asked["id"], sampled));
    assert_eq!(text(&result), ("LLM response: Hi", false));
}

#[test]
fn cancellation_ends_a_function_that_waits_for_its_client() {
    let testbed = start();
    let id = testbed.begin_with(None, "2025-11-25", able());
    let session = testbed.session(None, &id);
    let mut stream = session.post_stream(&call("test_sampling", json!({"prompt": "Hello"})));
    let asked = next(&mut stream);
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 7}});
    assert_eq!(session.post(&[], &cancel).status, 202);
    assert!(!stream.is_open(), "{asked}");
    let ended = stream.message(PATIENCE);
    assert_eq!(ended, None);
}

fn interacting() -> Testbed {
    Testbed::start(TESTBED, &["--fixtures", "interaction", "--auth", "none"])
}

/// Waits until the server has dropped a call of `sleep`.
fn wait_for_a_dropped_call(testbed: &Testbed) {
    let answer = testbed.call(None, "dropped", json!({}));
    assert_eq!(answer["content"][0]["text"], "dropped");
}

#[test]
fn a_client_that_disconnects_in_the_middle_of_a_call_ends_the_function() {
    let testbed = interacting();
    let sleep = json!({"name": "sleep", "arguments": {}});
    let mut told = sleep.clone();
    told["_meta"] = json!({"progressToken": 1});
    let mut stream = testbed.rpc_stream(None, "tools/call", told);
    assert_eq!(next(&mut stream)["method"], "notifications/progress");
    drop(stream);
    wait_for_a_dropped_call(&testbed);
    // The answer would have been JSON: nothing shows that the function runs, so it is looked for.
    let id = testbed.begin(None, "2025-11-25");
    for bytes in [
        testbed.rpc_bytes(None, "tools/call", sleep.clone()),
        testbed.session(None, &id).post_bytes(&request(7, "tools/call", sleep.clone())),
    ] {
        let since = testbed.log().len();
        let mut connection = testbed.connect();
        connection.write_all(&bytes).unwrap();
        connection.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert!(connection.read(&mut [0]).is_err(), "it is answered");
        drop(connection);
        wait_for_a_dropped_call(&testbed);
        testbed.wait_for_log_since(since, "outcome=\"cancelled\"");
    }
}

#[test]
fn resumability_a_stream_that_is_cut_anywhere_loses_and_repeats_nothing() {
    let testbed = interacting();
    let id = testbed.begin(None, "2025-11-25");
    let session = testbed.session(None, &id);
    let count = json!({"name": "count", "arguments": {}, "_meta": {"progressToken": 1}});
    // An empty event, three steps and the result.
    for cut in 1..5 {
        let mut stream = session.post_stream(&request(7, "tools/call", count.clone()));
        let (mut last, mut seen) = (String::new(), Vec::new());
        for _ in 0..cut {
            last = event(&mut stream, &mut seen).unwrap();
        }
        drop(stream);
        let mut stream = session.resume(&last);
        while event(&mut stream, &mut seen).is_some() {}
        assert_eq!(seen, [json!(1), json!(2), json!(3), json!("counted")], "cut after {cut}");
    }
}

/// The id of the next event, whose message is `seen`; none at the end.
fn event(stream: &mut Stream, seen: &mut Vec<Value>) -> Option<String> {
    let mut id = None;
    loop {
        let line = stream.line(PATIENCE).ok()?.expect("the stream is silent");
        if let Some(event) = line.strip_prefix("id: ") {
            id = Some(event.to_owned());
        }
        if let Some(data) = line.strip_prefix("data:") {
            if !data.is_empty() {
                let message: Value = serde_json::from_str(data).unwrap();
                let progress = message.pointer("/params/progress");
                let text = message.pointer("/result/content/0/text");
                seen.push(progress.or(text).unwrap().clone());
            }
            return id;
        }
    }
}
