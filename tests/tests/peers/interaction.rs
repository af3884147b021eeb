//! Clients at work: what they hear of a function that runs, and what they answer to it.

use std::path::PathBuf;

use portcullis_tests::driver::{Testbed, root};
use serde_json::{Value, json};

use crate::{TESTBED, explore};

/// What a client is told to speak, and the version that comes of it.
const VERSIONS: [(&str, &str); 2] = [("2026-07-28", "2026-07-28"), ("legacy", "2025-11-25")];

fn clients() -> Vec<(&'static str, Vec<PathBuf>)> {
    let peers = root().join("target/peers");
    let python = |client: &str| {
        let program = root().join("tests/peers/python/interact.py");
        vec![peers.join("python/bin/python"), program, client.into()]
    };
    vec![
        ("fastmcp", python("fastmcp")),
        ("mcp", python("mcp")),
        ("typescript", vec!["node".into(), peers.join("node/interact.mjs")]),
        ("rmcp", vec![peers.join("rmcp/bin/portcullis-peer-rmcp-interact")]),
    ]
}

fn expect_everything(who: &str, version: &str, seen: &Value) {
    let mut tools = ["ask", "blink", "count", "dropped", "note", "sleep", "toggle"].to_vec();
    // Whoever came before may have hidden it.
    if !seen["tools"].as_array().unwrap().contains(&json!("blink")) {
        tools.retain(|tool| *tool != "blink");
    }
    let mut seen = seen.clone();
    // A number is one, whatever its form.
    for step in seen["progress"].as_array_mut().unwrap() {
        *step = json!([step[0].as_f64(), step[1].as_f64()]);
    }
    let expected = json!({
        "protocol_version": version,
        "tools": tools,
        "read": "remember",
        "prompt": "Greet Ann.",
        "completed": ["ann", "anna"],
        "counted": "counted",
        "progress": [[1.0, 3.0], [2.0, 3.0], [3.0, 3.0]],
        "noted": "written",
        "log": [["warning", "noted"]],
        "asked": "Hello, Ann!",
        "questions": [["Who are you?", ["name"]]],
        "changed": true,
        "cancelled": "dropped",
    });
    assert_eq!(seen, expected, "{who}");
}

#[test]
fn over_http_every_client_hears_what_a_function_says_and_answers_what_it_asks() {
    let testbed = Testbed::start(TESTBED, &["--fixtures", "interaction"]);
    let arguments = ["--url", testbed.url(), "--token", "dev-token-alice", "--protocol"];
    for (name, client) in clients() {
        for (protocol, version) in VERSIONS {
            let seen = explore(&client, &[&arguments[..], &[protocol]].concat());
            expect_everything(&format!("{name} {protocol}"), version, &seen);
        }
    }
}

#[test]
fn over_stdio_every_client_hears_what_a_function_says_and_answers_what_it_asks() {
    let server = ["--stdio", TESTBED, "--transport", "stdio", "--fixtures", "interaction"];
    for (name, client) in clients() {
        for (protocol, version) in VERSIONS {
            let seen = explore(&client, &[&["--protocol", protocol], &server[..]].concat());
            expect_everything(&format!("{name} {protocol}"), version, &seen);
        }
    }
}

#[test]
fn over_http_sse_every_client_that_knows_it_hears_and_answers_the_same() {
    let testbed = Testbed::start(TESTBED, &["--fixtures", "interaction", "--transport", "sse"]);
    let url = testbed.url().replace("/mcp", "/sse");
    let arguments = ["--url", &url, "--sse", "--token", "dev-token-alice", "--protocol", "legacy"];
    // The Rust SDK has no client of it.
    for (name, client) in clients().into_iter().filter(|(name, _)| *name != "rmcp") {
        let seen = explore(&client, &arguments);
        expect_everything(&format!("{name} over HTTP+SSE"), "2025-11-25", &seen);
    }
}
