//! Arguments of tools that clients repeat in headers (MCP 2026-07-28, SEP-2243).

use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::prelude::*;
use portcullis_tests::driver::{Response, message};
use portcullis_tests::served::Served;
use serde_json::{Value, json};

use crate::{ALICE, BOB};

/// Runs somewhere.
#[tool(auth = require_scopes(["run"]))]
async fn run_in(
    #[arg(header = "Region")] region: String,
    #[arg(header = "Fast")] fast: Option<bool>,
) -> String {
    format!("{region} {fast:?}")
}

fn served() -> Served {
    let tokens = StaticTokenVerifier::new()
        .token("dev-token-alice", user("alice").scopes(["run"]))
        .token("dev-token-bob", user("bob"));
    Served::start(
        Server::builder("regions").auth(tokens).components(components![run_in]).build().unwrap(),
    )
}

fn call(
    served: &Served,
    token: Option<&str>,
    tool: &str,
    arguments: Value,
    params: &[&str],
) -> Response {
    let (token, name) = (token.unwrap_or_default(), format!("Mcp-Name: {tool}"));
    let authorization = format!("Authorization: Bearer {token}");
    let fixed = [
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "MCP-Protocol-Version: 2026-07-28",
        "Mcp-Method: tools/call",
        &authorization,
        &name,
    ];
    let head = [&fixed[..], params].concat();
    let body = message("tools/call", json!({"name": tool, "arguments": arguments}));
    served.request("POST /mcp", &head, body.to_string().as_bytes())
}

#[test]
fn n23_what_a_header_repeats_is_what_the_arguments_say() {
    let served = served();
    let answer =
        |arguments: Value, params: &[&str]| call(&served, ALICE, "run_in", arguments, params);
    let tools = served.result(ALICE, "tools/list", json!({}));
    let shown = &tools["tools"][0]["inputSchema"]["properties"];
    assert_eq!(
        (&shown["region"]["x-mcp-header"], &shown["fast"]["x-mcp-header"]),
        (&json!("Region"), &json!("Fast"))
    );
    for (arguments, params) in [
        (json!({"region": "eu"}), &["Mcp-Param-Region: eu"][..]),
        (json!({"region": "eu", "fast": null}), &["mcp-param-REGION: eu"]),
        (json!({"region": "eu", "fast": true}), &["Mcp-Param-Region: eu", "Mcp-Param-Fast: true"]),
        (json!({"region": "Hello, 世界"}), &["Mcp-Param-Region: =?base64?SGVsbG8sIOS4lueVjA==?="]),
        (json!({"region": "eu"}), &["Mcp-Param-Region: eu", "Mcp-Param-Other: x"]),
    ] {
        let answer = answer(arguments, params);
        assert_eq!(answer.status, 200, "{params:?} {}", answer.body);
        assert_eq!(answer.json()["result"]["isError"], false, "{params:?}");
    }
    for (arguments, params) in [
        (json!({"region": "eu"}), &[][..]),
        (json!({"region": "eu"}), &["Mcp-Param-Region: us"]),
        (json!({"region": "eu"}), &["Mcp-Param-Region: eu", "Mcp-Param-Region: eu"]),
        (json!({"region": "eu"}), &["Mcp-Param-Region: eu", "Mcp-Param-Fast: true"]),
        (json!({"region": "eu", "fast": true}), &["Mcp-Param-Region: eu", "Mcp-Param-Fast: yes"]),
        (json!({"region": "Hello"}), &["Mcp-Param-Region: =?base64?SGVsbG8?="]),
        (json!({"region": "Hello"}), &["Mcp-Param-Region: SGVsbG8="]),
        (json!({}), &["Mcp-Param-Region: eu"]),
    ] {
        let answer = answer(arguments, params);
        assert_eq!((answer.status, answer.code()), (400, -32020), "{params:?} {}", answer.body);
    }
}

#[test]
fn a01_headers_of_a_hidden_tool_are_not_looked_at() {
    let served = served();
    for params in [&[][..], &["Mcp-Param-Region: us"], &["Mcp-Param-Region: =?base64?x?="]] {
        let answer =
            |tool: &str| call(&served, BOB, tool, json!({"region": "eu"}), params).normalised(tool);
        assert_eq!(answer("run_in"), answer("run_ix"));
        assert!(answer("run_in").contains("-32602"), "{}", answer("run_in"));
    }
}

#[test]
fn in_a_session_nothing_is_repeated() {
    let served = served();
    let id = served.begin(ALICE, "2025-11-25");
    let call = json!({"name": "run_in", "arguments": {"region": "eu"}});
    let answer = served.session(ALICE, &id).ask("tools/call", call);
    assert_eq!(answer["result"]["isError"], false, "{answer}");
}
