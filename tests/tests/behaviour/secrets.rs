//! A secret that the server knows is in no answer, no log line and no audit record.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_tests::driver::{Response, StdioTestbed, Testbed, message};
use portcullis_tests::secrets::spellings;
use serde_json::{Value, json};

use crate::{ALICE, TESTBED};

/// With everything that encoders escape.
const SECRET: &str = "marked/\u{e4} \"secret\"\\with=all&of+it?~";
const REDACTED: &str = "[redacted]";

/// Every use of the fixtures, as method and parameters.
fn uses() -> Vec<(&'static str, Value)> {
    let tools = ["result", "error", "cause", "panic", "log", "denial"]
        .map(|name| ("tools/call", json!({"name": format!("leak_{name}"), "arguments": {}})));
    let mut uses = Vec::from(tools);
    uses.extend(
        ["text", "bytes"].map(|at| ("resources/read", json!({"uri": format!("leak://{at}")}))),
    );
    uses.push(("prompts/get", json!({"name": "leak_prompt", "arguments": {}})));
    uses.extend(["tools/list", "resources/list", "prompts/list"].map(|list| (list, json!({}))));
    uses
}

/// The spellings of the secret that a text holds, however it is escaped itself.
fn leaks(text: &str) -> Vec<String> {
    let json = serde_json::to_string(SECRET).unwrap();
    let debug = format!("{SECRET:?}");
    let others = [json.trim_matches('"').to_owned(), debug.trim_matches('"').to_owned()];
    let others = others.into_iter().map(String::into_bytes);
    let looked_for = spellings(SECRET).into_iter().chain(others);
    looked_for
        .filter(|spelling| text.as_bytes().windows(spelling.len()).any(|part| part == spelling))
        .map(|spelling| String::from_utf8_lossy(&spelling).into_owned())
        .chain(text.contains("marked").then(|| "a part of it".to_owned()))
        .collect()
}

/// The texts of an answer, decoded where they are base64.
fn texts(answer: &Value) -> Vec<String> {
    match answer {
        Value::String(text) => {
            let decoded =
                STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            [Some(text.clone()), decoded].into_iter().flatten().collect()
        }
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| [vec![name.clone()], texts(value)].concat())
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// The answer to one of the uses holds the secret nowhere, and says so where it was.
#[track_caller]
fn is_clean(response: &Response, method: &str, params: &Value) {
    let answer = response.json();
    let whole = response.normalised("\n");
    assert_eq!(leaks(&whole), Vec::<String>::new(), "{method} {params}: {answer}");
    for text in texts(&answer) {
        assert_eq!(leaks(&text), Vec::<String>::new(), "{method} {params}: {text}");
    }
    let shows = ["leak_result", "leak_error", "leak_denial", "leak_prompt", "leak://text"];
    let about = params.get("name").or(params.get("uri")).and_then(Value::as_str);
    if about.is_some_and(|about| shows.contains(&about)) {
        assert!(response.body.contains(REDACTED), "{method} {params}: {answer}");
    }
    if about == Some("leak://bytes") {
        let text = texts(&answer).concat();
        assert!(text.contains(REDACTED), "bytes stay base64: {text}");
    }
}

#[test]
fn e08_a_secret_is_in_no_answer_log_line_or_audit_record_at_the_most_verbose_level() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.jsonl");
    let arguments =
        ["--fixtures", "leaky", "--log", "trace", "--audit-file", audit.to_str().unwrap()];
    let server = Testbed::start_with(TESTBED, &arguments, &[("MARKED_SECRET", SECRET)]);
    for (method, params) in uses() {
        let response = server.rpc(ALICE, method, params.clone());
        is_clean(&response, method, &params);
    }
    server.wait_for_log("in one line");
    server.wait_for_log("prompts/list");
    let log = server.log();
    assert_eq!(leaks(&log), Vec::<String>::new());
    for line in ["a handler failed", "a panic", "as a field", "as a field's Debug", "in its type"] {
        let line = log.lines().find(|logged| logged.contains(line));
        let line = line.unwrap_or_else(|| panic!("it was not logged: {log}"));
        assert!(line.contains("redacted"), "{line}");
    }
    drop(server);
    let records = std::fs::read_to_string(audit).unwrap();
    assert_eq!(leaks(&records), Vec::<String>::new());
    assert!(records.lines().any(|line| line.contains("leak_denial")), "{records}");
}

#[test]
fn e08_over_http_2_too() {
    let arguments = ["--fixtures", "leaky"];
    let server = Testbed::start_with(TESTBED, &arguments, &[("MARKED_SECRET", SECRET)]);
    let client = server.connect_http2();
    for (method, params) in uses() {
        let response = client.rpc(ALICE, method, params.clone());
        assert_eq!(response.status, 200, "{method}: {}", response.body);
        is_clean(&response, method, &params);
    }
    // What is refused is answered elsewhere, before anything is asked of a function.
    let json = "Content-Type: application/json";
    for (method, path, head, status) in [
        ("POST", "/mcp", &[json][..], 401),
        ("POST", "/mcp", &[json, "Authorization: Bearer nobody-has-this-token"], 401),
        ("POST", "/mcp", &[json, "Origin: https://evil.example"], 403),
        ("GET", "/nowhere", &[], 404),
    ] {
        let response = client.send(method, path, head, b"");
        assert_eq!(response.status, status, "{method} {path} {head:?}: {}", response.body);
        assert_eq!(leaks(&response.normalised("\n")), Vec::<String>::new());
    }
    assert_eq!(leaks(&server.log()), Vec::<String>::new());
}

#[test]
fn e08_over_stdio_and_from_a_mounted_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let variables = [("MARKED_SECRET_FILE", file.to_str().unwrap())];
    let mut server = StdioTestbed::start_as(TESTBED, &["--fixtures", "leaky"], &variables);
    let mut redacted = 0;
    for (method, params) in uses() {
        let answer = server.ask(&message(method, params));
        for text in texts(&answer) {
            assert_eq!(leaks(&text), Vec::<String>::new(), "{method}: {text}");
            redacted += usize::from(text.contains(REDACTED));
        }
    }
    assert!(redacted > 5, "{redacted}");
    let (log, _) = server.end();
    assert_eq!(leaks(&log), Vec::<String>::new());
}

#[test]
fn what_is_looked_for_is_found_where_it_is() {
    for spelling in spellings(SECRET) {
        let Ok(text) = String::from_utf8(spelling) else { continue };
        assert!(!leaks(&format!("..{text}..")).is_empty(), "{text}");
    }
    assert!(!leaks(&json!(SECRET).to_string()).is_empty());
    assert!(texts(&json!([{"a": STANDARD.encode(SECRET)}])).contains(&SECRET.to_owned()));
}
