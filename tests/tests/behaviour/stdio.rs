//! The server as a child process.

use portcullis_tests::driver::{StdioTestbed, initialize, interrupt, message, request, terminate};
use serde_json::{Value, json};

use crate::TESTBED;

#[test]
fn everything_is_listed_and_nobody_is_authenticated() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut server = StdioTestbed::start(TESTBED);
        assert_eq!(server.ask(&initialize(version))["result"]["protocolVersion"], version);
        server.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        let tools = server.ask(&request(1, "tools/list", json!({})))["result"]["tools"].take();
        assert_eq!(tools.as_array().unwrap().len(), 17, "{version}");
        let whoami =
            server.ask(&request(1, "tools/call", json!({"name": "whoami"})))["result"].take();
        let text: Value =
            serde_json::from_str(whoami["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(
            text,
            json!({"authenticated": false, "sub": null, "scopes": [], "client_id": null})
        );
        assert_eq!(whoami.get("structuredContent").is_some(), version >= "2025-06-18", "{version}");
        let deleted = server.ask(&request(
            1,
            "tools/call",
            json!({"name": "delete_user", "arguments": {"user_id": "x"}}),
        ));
        assert_eq!(deleted["result"]["content"][0]["text"], "Deleted user x");
        server.wait_for_log("no authentication");
        assert_eq!(server.end(), (String::new(), Some(0)));
    }
}

#[test]
fn the_stateless_version_is_served_without_a_handshake() {
    let mut server = StdioTestbed::start(TESTBED);
    let tools = server.ask(&message("tools/list", json!({})))["result"].take();
    assert_eq!(
        (&tools["resultType"], &tools["cacheScope"]),
        (&json!("complete"), &json!("private"))
    );
    let discovered = server.ask(&message("server/discover", json!({})))["result"].take();
    assert_eq!(discovered["supportedVersions"][0], "2026-07-28");
}

#[test]
fn e01_n26_failures_are_masked_here_too_and_stdout_has_only_protocol() {
    let mut server = StdioTestbed::start(TESTBED);
    for tool in ["fail_internal", "fail_panic"] {
        let answer = server.ask(&message("tools/call", json!({"name": tool, "arguments": {}})));
        assert!(!answer.to_string().contains("hunter2"), "{answer}");
        assert_eq!(answer["result"]["isError"], true);
    }
    server.wait_for_log("hunter2");
    assert_eq!(server.ask(&json!("no message"))["error"]["code"], -32600);
}

#[test]
fn versions_with_sessions_are_not_offered_to_requests_without_one() {
    let mut server = StdioTestbed::start(TESTBED);
    let asked = |version: &str| {
        let mut list = message("tools/list", json!({}));
        list["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(version);
        list
    };
    let refused = server.ask(&asked("2025-11-25"))["error"].take();
    assert_eq!(
        (&refused["code"], &refused["data"]["supported"]),
        (&json!(-32022), &json!(["2026-07-28"]))
    );
    let unknown = server.ask(&asked("2099-01-01"))["error"].take();
    assert!(unknown["data"]["supported"].as_array().unwrap().contains(&json!("2025-11-25")));
}

#[test]
fn the_end_of_the_input_and_sigterm_let_running_calls_finish() {
    let wait = message("tools/call", json!({"name": "wait", "arguments": {"ms": 500}})).to_string();
    let mut server = StdioTestbed::start(TESTBED);
    server.write(&wait);
    let (rest, code) = server.end();
    assert!(rest.contains("waited 500 ms"), "{rest}");
    assert_eq!(code, Some(0));

    let mut server = StdioTestbed::start(TESTBED);
    server.write(&wait);
    // Lines are read in their order: the call runs once this is answered.
    server.ask(&message("server/discover", json!({})));
    terminate(server.id());
    assert_eq!(server.read()["result"]["content"][0]["text"], "waited 500 ms");
    assert_eq!(
        server.end(),
        (String::new(), Some(0)),
        "a client that keeps the input open does not keep the server"
    );
}

#[test]
fn trial_b15_what_a_handler_prints_breaks_no_message() {
    let mut server = StdioTestbed::start_with(TESTBED, &["--fixtures", "noisy"]);
    let answer = server.ask(&message("tools/call", json!({"name": "print_line", "arguments": {}})));
    assert_eq!(answer["result"]["content"][0]["text"], "printed");
    server.wait_for_log("a stray line");
    assert_eq!(server.end(), (String::new(), Some(0)));
}

#[test]
fn trial_b15_a_second_interrupt_ends_at_once() {
    let mut server = StdioTestbed::start(TESTBED);
    server.write(
        &message("tools/call", json!({"name": "wait", "arguments": {"ms": 10_000}})).to_string(),
    );
    // Lines are read in their order: the call runs once this is answered.
    server.ask(&message("server/discover", json!({})));
    interrupt(server.id());
    server.wait_for_log("stopping");
    interrupt(server.id());
    let asked = std::time::Instant::now();
    assert_eq!(server.end(), (String::new(), Some(130)));
    assert!(asked.elapsed() < std::time::Duration::from_secs(5));
}
