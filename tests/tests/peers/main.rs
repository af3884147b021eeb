//! Real clients and the official conformance suite against the testbed. `./test` fetches
//! them under `target/peers`.

mod browser;
mod conformance;

mod differential;
mod doctor;
mod hosts;
mod identity_provider;
mod installed;
mod interaction;
mod known;
mod nginx;
mod providers;
mod proxy;
mod schemathesis;
mod sign_in;
mod step_up;

use std::path::PathBuf;
use std::process::Command;

use portcullis_tests::driver::{Testbed, root, run};
use serde_json::{Value, json};

use self::identity_provider::Provider;

const TESTBED: &str = env!("CARGO_BIN_EXE_testbed");

/// A client program: what it is called, and what starts it.
fn clients() -> [(&'static str, Vec<PathBuf>); 4] {
    let peers = root().join("target/peers");
    let python = |program: &str| {
        vec![peers.join("python/bin/python"), root().join("tests/peers/python").join(program)]
    };
    [
        ("fastmcp", python("client.py")),
        ("mcp", python("mcp_client.py")),
        ("typescript", vec!["node".into(), peers.join("node/client.mjs")]),
        ("rmcp", vec![peers.join("rmcp/bin/portcullis-peer-rmcp")]),
    ]
}

/// The Node that came with the conformance suite, where there is one: some peers want a newer
/// one than the machine may have.
fn node() -> PathBuf {
    let pinned = root().join("target/peers/conformance/node_modules/.bin/node");
    if pinned.exists() { pinned } else { PathBuf::from("node") }
}

fn explore(client: &[PathBuf], arguments: &[&str]) -> Value {
    explore_each(client, arguments).remove(0)
}

/// What a client saw of each `--url`, one after the other.
fn explore_each(client: &[PathBuf], arguments: &[&str]) -> Vec<Value> {
    let mut command = Command::new(&client[0]);
    command
        .args(&client[1..])
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("FASTMCP_LOG_LEVEL", "ERROR");
    let output =
        run(&mut command).unwrap_or_else(|error| panic!("{error}\nis it there? ./test fetches it"));
    let seen = output.lines().map(serde_json::from_str).collect::<Result<Vec<_>, _>>();
    seen.unwrap_or_else(|_| panic!("{command:?} printed {output:?}"))
}

fn names(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

/// What a client is told to speak, and the version that comes of it.
const VERSIONS: [(&str, &str); 3] =
    [("2026-07-28", "2026-07-28"), ("auto", "2026-07-28"), ("legacy", "2025-11-25")];

/// What tokens with every scope, and no claims, let their bearer see.
const TOOLS: [&str; 13] = [
    "constrained",
    "delete_user",
    "echo",
    "fail_internal",
    "fail_panic",
    "fail_tool_error",
    "get_profile",
    "ops_action",
    "read_file",
    "step_up",
    "unlock_admin",
    "wait",
    "whoami",
];

/// Those of them that are hidden from who has the scope `read` alone. `step_up` is challenged,
/// so it is listed.
const BEYOND_READ: [&str; 2] = ["delete_user", "ops_action"];

/// What else is there where checks are skipped.
const CHECKED: [&str; 4] =
    ["advanced_admin_action", "check_denies", "check_raises", "premium_feature"];

fn expect_everything(who: &str, seen: &Value, tools: &[&str]) {
    assert_eq!(names(&seen["tools"]), tools, "{who}");
    assert_eq!(names(&seen["resources"]), ["secret://config", "secret://keys"], "{who}");
    assert_eq!(names(&seen["templates"]), ["item://{id}", "ledger://{id}"], "{who}");
    assert_eq!(names(&seen["prompts"]), ["financial_report"], "{who}");
    assert_eq!(seen["echo"], "hello", "{who}");
    assert_eq!(seen["delete_user"]["ok"], "Deleted user u-404", "{who}");
    assert!(
        seen["secret_config"]["ok"].as_str().unwrap().contains("internal.db.example.com"),
        "{who}"
    );
    assert!(seen["secret_keys"]["ok"].as_str().unwrap().contains("mail-relay"), "{who}");
    assert_eq!(
        (&seen["item"]["ok"], &seen["ledger"]["ok"]),
        (&json!("item 1"), &json!("ledger 1")),
        "{who}"
    );
    assert_eq!(seen["financial_report"]["ok"], "Generate a financial report for Q1.", "{who}");
    assert!(
        seen["fail_tool_error"]["error"].as_str().unwrap().contains("visible tool error"),
        "{who}"
    );
}

#[test]
fn over_http_alice_uses_everything_through_every_client() {
    let provider = Provider::start();
    let testbed = provider.testbed();
    let token = provider.token("alice-app", "read write admin", "RS256");
    for (name, client) in clients() {
        for (protocol, version) in VERSIONS {
            let seen = explore(
                &client,
                &["--url", testbed.url(), "--token", &token, "--protocol", protocol],
            );
            let who = format!("{name} {protocol}");
            assert_eq!(seen["protocol_version"], version, "{who}");
            assert_eq!(seen["whoami"]["sub"], "alice-app", "{who}");
            expect_everything(&who, &seen, &TOOLS);
        }
    }
}

#[test]
fn over_http_bob_finds_nothing_of_what_is_hidden_from_him() {
    let provider = Provider::start();
    let testbed = provider.testbed();
    let token = provider.token("bob-app", "read", "ES256");
    for (name, client) in clients() {
        for (protocol, version) in VERSIONS {
            let seen = explore(
                &client,
                &["--url", testbed.url(), "--token", &token, "--protocol", protocol],
            );
            let who = format!("{name} {protocol}");
            assert_eq!(seen["protocol_version"], version, "{who}");
            let visible: Vec<&str> =
                TOOLS.into_iter().filter(|tool| !BEYOND_READ.contains(tool)).collect();
            assert_eq!(names(&seen["tools"]), visible, "{who}");
            assert_eq!(names(&seen["resources"]), ["secret://config"], "{who}");
            assert_eq!(names(&seen["templates"]), ["item://{id}"], "{who}");
            assert_eq!(names(&seen["prompts"]), Vec::<&str>::new(), "{who}");
            assert!(seen["get_profile"]["ok"].as_str().unwrap().contains("bob"), "{who}");
            for hidden in ["delete_user", "secret_keys", "ledger", "financial_report"] {
                assert!(seen[hidden].get("error").is_some(), "{who} {hidden}: {}", seen[hidden]);
            }
        }
    }
}

#[test]
fn over_stdio_every_client_sees_everything_and_is_nobody() {
    let mut tools = [&TOOLS[..], &CHECKED].concat();
    tools.sort_unstable();
    for (name, client) in clients() {
        for (protocol, version) in VERSIONS {
            let seen = explore(
                &client,
                &["--protocol", protocol, "--stdio", TESTBED, "--transport", "stdio"],
            );
            let who = format!("{name} {protocol}");
            assert_eq!(seen["protocol_version"], version, "{who}");
            assert_eq!(seen["whoami"]["authenticated"], false, "{who}");
            expect_everything(&who, &seen, &tools);
        }
    }
}

#[test]
fn a_wrong_token_lets_no_client_in() {
    let testbed = Testbed::start(TESTBED, &[]);
    for (name, client) in clients() {
        for (protocol, _) in VERSIONS {
            let mut command = Command::new(&client[0]);
            command.args(&client[1..]).args(["--url", testbed.url(), "--token", "wrong"]);
            command.args(["--protocol", protocol]);
            assert!(run(&mut command).is_err(), "{name} {protocol} was let in");
        }
    }
}

fn fastmcp(arguments: &[&str]) -> Value {
    let mut command = Command::new(root().join("target/peers/python/bin/fastmcp"));
    command.args(arguments).arg("--json").env("NO_COLOR", "1").env("FASTMCP_LOG_LEVEL", "ERROR");
    let output = run(&mut command).unwrap();
    serde_json::from_str(&output).unwrap_or_else(|_| panic!("{command:?} printed {output:?}"))
}

#[test]
fn the_fastmcp_command_lists_and_calls_over_http_and_stdio() {
    let testbed = Testbed::start(TESTBED, &[]);
    let (url, bob) = (testbed.url(), "dev-token-bob");
    let listed = fastmcp(&["list", url, "--auth", bob, "--resources", "--prompts"]);
    let text = listed.to_string();
    assert!(text.contains("\"echo\"") && text.contains("secret://config"), "{text}");
    assert!(!text.contains("delete_user") && !text.contains("secret://keys"), "{text}");
    let said = fastmcp(&["call", url, "echo", "text=hello", "--auth", bob]);
    assert!(said.to_string().contains("hello"), "{said}");
    let config = fastmcp(&["call", url, "secret://config", "--auth", bob]);
    assert!(config.to_string().contains("internal.db.example.com"), "{config}");
    let prompt = fastmcp(&[
        "call",
        url,
        "financial_report",
        "quarter=Q1",
        "--prompt",
        "--auth",
        "dev-token-alice",
    ]);
    assert!(prompt.to_string().contains("financial report for Q1"), "{prompt}");

    let command = format!("{TESTBED} --transport stdio");
    let listed = fastmcp(&["list", "--command", &command]);
    assert!(listed.to_string().contains("delete_user"), "{listed}");
    let whoami = fastmcp(&["call", "--command", &command, "--target", "whoami"]);
    assert!(whoami.to_string().contains("authenticated"), "{whoami}");
}
