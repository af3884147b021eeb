//! What the log says of an operation.

use portcullis_tests::driver::{Response, Testbed, message};
use serde_json::{Value, json};

use crate::{ALICE, TESTBED};

#[test]
fn trial_d3_a_line_of_a_handler_is_joined_to_the_audit_record_by_its_id() {
    let server = Testbed::start(TESTBED, &["--fixtures", "noisy"]);
    let result = server.call(ALICE, "log_line", json!({}));
    let id = result["content"][0]["text"].as_str().unwrap();
    server.wait_for_log(&format!("portcullis::audit: id={id}"));
    let log = server.log();
    let line = log.lines().find(|line| line.contains("a line of the handler's own")).unwrap();
    for field in
        [&format!("id={id}"), "operation=\"tools/call\"", "component=\"log_line\"", "principal="]
    {
        assert!(line.contains(field), "{field}: {line}");
    }
    assert!(!line.contains("alice"), "a pseudonym is no name: {line}");
}

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// Calls `log_line` with these further headers, and with what stands for the trace in `_meta`.
fn traced(server: &Testbed, headers: &[&str], meta: Option<Value>) -> Response {
    let mut body = message("tools/call", json!({"name": "log_line", "arguments": {}}));
    if let Some(trace) = meta {
        body["params"]["_meta"]["traceparent"] = trace;
    }
    let head = [
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "MCP-Protocol-Version: 2026-07-28",
        "Mcp-Method: tools/call",
        "Mcp-Name: log_line",
        "Authorization: Bearer dev-token-alice",
    ];
    server.request("POST /mcp", &[&head[..], headers].concat(), body.to_string().as_bytes())
}

#[test]
fn a_trace_joins_the_lines_of_a_request_to_its_audit_record() {
    let (header, other) = (format!("traceparent: {TRACE}"), format!("traceparent: {OTHER}"));
    for (headers, meta) in
        [(&[&*header][..], None), (&[&*other], Some(json!(TRACE))), (&[], Some(json!(TRACE)))]
    {
        let server = Testbed::start(TESTBED, &["--fixtures", "noisy"]);
        assert_eq!(traced(&server, headers, meta).status, 200);
        server.wait_for_log(&format!("trace_id={TRACE_ID}"));
        let log = server.log();
        let line = log.lines().find(|line| line.contains("a line of the handler's own")).unwrap();
        assert!(line.contains(&format!("traceparent={TRACE}")), "{line}");
        assert!(!log.contains(&OTHER[3..35]), "the message knows better than its carrier: {log}");
    }

    let server = Testbed::start(TESTBED, &["--fixtures", "noisy"]);
    assert_eq!(server.request("GET /health", &[&header], b"").status, 200);
    server.wait_for_log(&format!("trace_id={TRACE_ID}"));
    assert_eq!(server.request("POST /mcp", &[&other], b"{}").status, 401);
    server.wait_for_log(&format!("trace_id={}", &OTHER[3..35]));
}

#[test]
fn e10_a_malformed_trace_is_not_there_and_writes_nothing_into_the_log() {
    let server = Testbed::start(TESTBED, &["--fixtures", "noisy"]);
    let forged = format!("{TRACE}-forged verdict=allowed");
    let header = format!("traceparent: {forged}");
    let twice = format!("traceparent: {TRACE}");
    assert_eq!(traced(&server, &[&header], None).status, 200);
    assert_eq!(traced(&server, &[&twice, &twice], None).status, 200);
    for meta in [json!(forged), json!(format!("{TRACE}\nforged")), json!(17), json!({"a": [1]})] {
        assert_eq!(traced(&server, &[], Some(meta)).status, 200);
    }
    let records = "portcullis::audit: id=";
    let since = std::time::Instant::now();
    while server.log().matches(records).count() < 6 {
        assert!(since.elapsed() < std::time::Duration::from_secs(10), "{}", server.log());
    }
    let log = server.log();
    for never in ["forged", "traceparent", "trace_id", TRACE_ID] {
        assert!(!log.contains(never), "{never}: {log}");
    }
}
