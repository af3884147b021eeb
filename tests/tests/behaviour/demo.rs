//! The demo's own components and its command line.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use portcullis_tests::driver::{Testbed, root, run};
use serde_json::{Value, json};

use crate::{ALICE, BOB, TESTBED};

/// The demo, beside the testbed in the target directory.
fn demo() -> &'static str {
    static DEMO: LazyLock<String> = LazyLock::new(|| {
        let path = Path::new(TESTBED).with_file_name("portcullis-demo");
        run(Command::new(env!("CARGO"))
            .args(["build", "-p", "portcullis-demo"])
            .current_dir(root()))
        .unwrap();
        path.to_str().unwrap().to_owned()
    });
    &DEMO
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

#[test]
fn the_printed_curl_line_lists_what_that_token_may_use() {
    let server = Testbed::start(demo(), &[]);
    server.wait_for_log("curl ");
    let log = server.log();
    let line = log.lines().find(|line| line.starts_with("curl ")).unwrap();
    let answer: Value =
        serde_json::from_str(&run(Command::new("sh").args(["-c", line])).unwrap()).unwrap();
    let tools: Vec<&str> = answer["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["name"].as_str().unwrap())
        .collect();
    assert_eq!(tools, ["get_profile", "read_file", "search_items"]);
    assert!(log.contains("never use them in production"), "{log}");
}

#[test]
fn its_tools_work_on_its_database() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().to_str().unwrap();
    let server = Testbed::start(demo(), &["--state-dir", folder]);
    let profile = server.call(BOB, "get_profile", json!({}))["structuredContent"].take();
    assert_eq!(profile, json!({"user": "Bob", "role": "member"}));
    let found =
        server.call(BOB, "search_items", json!({"query": "CHAIN"}))["structuredContent"].take();
    assert_eq!(found["results"].as_array().unwrap().len(), 2);
    let injected =
        server.call(BOB, "search_items", json!({"query": "' OR 1=1 --"}))["structuredContent"]
            .take();
    assert_eq!(injected["results"], json!([]));
    assert_eq!(
        text(&server.call(ALICE, "delete_user", json!({"user_id": "carol"}))),
        "Deleted user carol"
    );
    assert_eq!(
        text(&server.call(ALICE, "delete_user", json!({"user_id": "carol"}))),
        "There is no such user."
    );
    assert_eq!(text(&server.call(ALICE, "delete_item", json!({"item_id": "4"}))), "Deleted 4");
    let read = |token, uri: &str| server.rpc(token, "resources/read", json!({"uri": uri}));
    assert!(
        read(BOB, "item://1").json()["result"]["contents"][0]["text"]
            .as_str()
            .unwrap()
            .contains("winch")
    );
    assert_eq!(
        read(BOB, "item://4").normalised("item://4"),
        read(BOB, "itex://4").normalised("itex://4")
    );
    assert!(read(ALICE, "ledger://1").body.contains("castle"));
    assert!(read(ALICE, "secret://keys").body.contains("mail-relay"));
    drop(server);

    let again = Testbed::start(demo(), &["--state-dir", folder]);
    assert_eq!(
        text(&again.call(ALICE, "delete_user", json!({"user_id": "carol"}))),
        "There is no such user."
    );
}

#[test]
fn access_is_printed_without_serving() {
    let output = Command::new(demo()).arg("--print-access").stdin(Stdio::null()).output().unwrap();
    let table = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success());
    assert!(table.contains("delete_user       scopes admin write"), "{table}");
}

#[test]
fn what_is_not_safe_does_not_start() {
    for (arguments, reason) in [
        (&["--listen", "localhost:0"][..], "write 127.0.0.1"),
        (&["--listen", "0.0.0.0:0"], "must not be served beyond loopback"),
        (&["--listen", "0.0.0.0:0", "--auth", "none"], "without authentication"),
        (&["--public-url", "http://mcp.example.com"], "it has to be https"),
        (&["--public-url", "https://mcp.example.com/mcp"], "must not have a path"),
        (&["--path", "mcp"], "begins with `/`"),
        (&["--path", "/.well-known/x"], "belongs to the protocol"),
        (&["--path", "/a/../b"], "belongs to the protocol"),
        (&["--env-file", "/nonexistent"], "cannot be read"),
        (&["--log", "==="], "--log"),
        (&["--log", "loud"], "the levels are"),
    ] {
        let output = Command::new(demo()).args(arguments).stdin(Stdio::null()).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(message.contains(reason), "{arguments:?}: {message}");
    }
}

#[test]
fn variables_come_from_the_env_file_and_flags_win() {
    use std::io::Write;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "PORTCULLIS_PUBLIC_URL=https://from-file.example").unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(
        Testbed::start(demo(), &["--env-file", path]).url(),
        "https://from-file.example/mcp"
    );
    let flag = ["--env-file", path, "--public-url", "https://from-flag.example"];
    assert_eq!(Testbed::start(demo(), &flag).url(), "https://from-flag.example/mcp");
}

#[test]
fn the_readme_has_the_two_commands_and_a_curl_line_that_works() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("cargo run --release") && readme.contains("./test --install"));
    let server = Testbed::start(demo(), &[]);
    let start = readme.find("curl -s http").unwrap();
    let line =
        readme[start..].split("```").next().unwrap().replace("127.0.0.1:8000", server.authority());
    let answer = run(Command::new("sh").args(["-c", &line])).unwrap();
    assert!(answer.contains("Chain, forged"), "{answer}");
}

#[test]
fn the_endpoint_may_be_the_root() {
    let server = Testbed::start(demo(), &["--path", "/"]);
    assert_eq!(server.url(), format!("http://{}", server.authority()));
    let challenged = server.request("POST /", &[], b"{}");
    assert_eq!(challenged.status, 401);
    let metadata = server.request("GET /.well-known/oauth-protected-resource", &[], b"");
    assert_eq!(metadata.json()["resource"], server.url());
}
