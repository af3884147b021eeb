//! Each example does what its section of the brief says.

use std::process::Command;

use portcullis_tests::driver::{StdioTestbed, Testbed, message};
use portcullis_tests::issuer::{AUDIENCE, ISSUER, Issuer, Signing, claims};
use serde_json::{Value, json};

const ALICE: Option<&str> = Some("dev-token-alice");
const BOB: Option<&str> = Some("dev-token-bob");

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

fn names_of(testbed: &Testbed, token: Option<&str>) -> Vec<String> {
    let tools = testbed.result(token, "tools/list", json!({}))["tools"].take();
    tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn section_1_over_http_the_token_decides() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_01_transports"));
    assert_eq!(names_of(&server, ALICE), ["where_am_i", "save"]);
    assert_eq!(names_of(&server, BOB), ["where_am_i"]);
    assert_eq!(text(&server.call(BOB, "where_am_i", json!({}))), "Http in 2026-07-28, as bob");
    assert_eq!(server.rpc(None, "tools/list", json!({})).status, 401);
}

#[test]
fn section_1_over_stdio_checks_are_skipped() {
    let mut server = StdioTestbed::with_variables(
        env!("CARGO_BIN_EXE_section_01_transports"),
        &[("PORTCULLIS_TRANSPORT", "stdio")],
    );
    let call = |name: &str, arguments: Value| {
        message("tools/call", json!({"name": name, "arguments": arguments}))
    };
    let answer = server.ask(&call("where_am_i", json!({})));
    assert_eq!(text(&answer["result"]), "Stdio in 2026-07-28, as nobody in particular");
    assert_eq!(
        text(&server.ask(&call("save", json!({"text": "abc"})))["result"]),
        "Saved 3 bytes."
    );
}

#[test]
fn section_4_tokens_are_verified_by_whichever_key_is_configured() {
    let program = env!("CARGO_BIN_EXE_section_04_token_verification");
    let issuer = Issuer::start();
    let pem = String::from_utf8(issuer.rsa_key_in_every_encoding().pop().unwrap()).unwrap();
    let secret = "0123456789abcdef0123456789abcdef";
    let names = [("JWT_ISSUER", ISSUER), ("JWT_AUDIENCE", AUDIENCE)];
    let payload = claims("alice", "read").to_string();
    let rs256 = issuer.sign(r#"{"alg":"RS256"}"#, &payload, Signing::Rs256);
    let hs256 = issuer.sign(r#"{"alg":"HS256"}"#, &payload, Signing::Hs256(secret.as_bytes()));
    for (key, good, bad) in [
        (("JWT_PUBLIC_KEY", pem.as_str()), &rs256, &hs256),
        (("JWT_HMAC_SECRET", secret), &hs256, &rs256),
    ] {
        let server = Testbed::on_free_port_with(program, &[names[0], names[1], key]);
        assert_eq!(names_of(&server, Some(good)), ["whoami"]);
        let whoami = server.call(Some(good), "whoami", json!({}));
        assert_eq!(whoami["structuredContent"], json!(["alice", "read"]));
        assert_eq!(server.rpc(Some(bad), "tools/list", json!({})).status, 401);
    }
    let output = Command::new(program).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for missing in ["JWT_JWKS_URI", "JWT_ISSUER", "JWT_AUDIENCE"] {
        assert!(message.contains(missing), "{message}");
    }
}

#[test]
fn section_7_what_is_not_allowed_does_not_exist() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_07_component_auth"));
    assert_eq!(names_of(&server, ALICE), ["get_profile", "delete_user"]);
    assert_eq!(names_of(&server, BOB), ["get_profile"]);
    let delete = |name: &str| server.rpc(BOB, "tools/call", json!({"name": name, "arguments": {}}));
    assert_eq!(
        delete("delete_user").normalised("delete_user"),
        delete("delete_usex").normalised("delete_usex")
    );
    assert_eq!(text(&server.call(ALICE, "delete_user", json!({"user_id": "7"}))), "Deleted user 7");
    let prompt = json!({"name": "financial_report", "arguments": {"quarter": "Q1"}});
    assert_eq!(server.rpc(BOB, "prompts/get", prompt.clone()).code(), -32602);
    let report = server.result(Some("dev-token-ann"), "prompts/get", prompt);
    assert_eq!(report["messages"][0]["content"]["text"], "Generate a financial report for Q1.");
    let note = |token, uri: &str| server.rpc(token, "resources/read", json!({"uri": uri}));
    assert!(note(BOB, "note://bob/1").body.contains("Note 1 of bob."));
    assert_eq!(
        note(BOB, "note://alice/1").normalised("note://alice/1"),
        note(BOB, "none://alice/1").normalised("none://alice/1")
    );
}

#[test]
fn section_16_required_scopes_are_for_everything() {
    let program = env!("CARGO_BIN_EXE_section_16_development");
    let server = Testbed::on_free_port(program);
    assert_eq!(text(&server.call(BOB, "whoami", json!({}))), "bob through bob@dev.local");
    let guest = server.rpc(Some("dev-token-guest"), "tools/list", json!({}));
    assert_eq!(guest.status, 403);
    let challenge = guest.header("www-authenticate").unwrap();
    assert!(
        challenge.contains(r#"error="insufficient_scope""#)
            && challenge.contains(r#"scope="read""#),
        "{challenge}"
    );
    let metadata = server.request("GET /.well-known/oauth-protected-resource/mcp", &[], b"").json();
    assert_eq!(metadata["scopes_supported"], json!(["read"]));

    let beyond = Command::new(program).env("PORTCULLIS_LISTEN", "0.0.0.0:0").output().unwrap();
    let message = String::from_utf8(beyond.stderr).unwrap();
    assert!(
        !beyond.status.success() && message.contains("must not be served beyond loopback"),
        "{message}"
    );
}
