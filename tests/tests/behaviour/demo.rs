//! The demo's own components and its command line.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use portcullis::guard::keys::{KeyFile, new_key};
use portcullis_tests::driver::{StdioTestbed, Testbed, message, root, run, terminate};
use serde_json::{Value, json};

use crate::{ALICE, BOB, TESTBED};

/// The demo, beside the testbed in the target directory.
pub(crate) fn demo() -> &'static str {
    static DEMO: LazyLock<String> = LazyLock::new(|| built("portcullis-demo"));
    &DEMO
}

/// A program of another package, built.
pub(crate) fn built(name: &str) -> String {
    let path = Path::new(TESTBED).with_file_name(name);
    // With the features of these tests: with others, much would be compiled again.
    let peers = ["--features", "portcullis-tests/peers"];
    run(Command::new(env!("CARGO"))
        .args(["build", "--locked", "--bin", name])
        .args(peers.iter().filter(|_| cfg!(feature = "peers")))
        .current_dir(root()))
    .unwrap();
    path.to_str().unwrap().to_owned()
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
    assert_eq!(tools, ["get_profile", "read_file", "search_items", "public_action"]);
    assert!(log.contains("never use them in production"), "{log}");
}

#[test]
fn its_tools_work_on_its_database() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().to_str().unwrap();
    let in_memory = ["--state-dir", folder, "--store", "memory"];
    let server = Testbed::start(demo(), &in_memory);
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

    let again = Testbed::start(demo(), &in_memory);
    assert_eq!(
        text(&again.call(ALICE, "delete_user", json!({"user_id": "carol"}))),
        "There is no such user."
    );
}

/// What anybody is told who calls `tool` without arguments.
fn called(server: &Testbed, token: Option<&str>, tool: &str) -> String {
    text(&server.call(token, tool, json!({}))).to_owned()
}

fn tools(server: &Testbed, token: Option<&str>) -> Vec<String> {
    let listed = server.result(token, "tools/list", json!({}))["tools"].take();
    let listed = listed.as_array().unwrap().iter();
    listed.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn premium_users_forecast_what_administrators_of_level_5_restock() {
    let server = Testbed::start(demo(), &[]);
    let forecast = || server.call(ALICE, "premium_feature", json!({}))["structuredContent"].take();
    let expected = json!([
        {"item": "Portcullis winch", "stock": 3, "order": 17},
        {"item": "Gate bar, oak", "stock": 12, "order": 8},
    ]);
    assert_eq!(forecast(), expected);
    assert_eq!(called(&server, BOB, "public_action"), "In stock: 255 pieces of 4 items");
    assert_eq!(called(&server, ALICE, "advanced_admin_action"), "Restocked 2 items");
    assert_eq!(forecast(), json!([]));
    assert_eq!(called(&server, BOB, "public_action"), "In stock: 280 pieces of 4 items");
    for hidden in ["premium_feature", "advanced_admin_action", "admin_action", "unlock_admin"] {
        let params = |name: &str| json!({"name": name, "arguments": {}});
        let refused = |name: &str| server.rpc(BOB, "tools/call", params(name)).normalised(name);
        assert_eq!(refused(hidden), refused("no_such_tool"), "{hidden}");
    }
}

#[test]
fn closing_the_ledger_leaves_each_item_its_balance() {
    let server = Testbed::start(demo(), &[]);
    let ledger = |id: u8| {
        let uri = format!("ledger://{id}");
        let read = server.result(ALICE, "resources/read", json!({"uri": uri}));
        let entries = read["contents"][0]["text"].as_str().unwrap().to_owned();
        serde_json::from_str::<Value>(&entries).unwrap()
    };
    for _ in 0..2 {
        assert_eq!(called(&server, ALICE, "admin_action"), "Closed the ledger of 2 items");
        assert_eq!(ledger(1), json!([{"entry": "balance", "cents": 55_000}]));
        assert_eq!(ledger(2), json!([{"entry": "balance", "cents": -40_000}]));
    }
}

#[test]
fn dangerous_tools_wait_to_be_unlocked_and_a_reset_undoes_what_they_did() {
    let server = Testbed::start(demo(), &[]);
    let dangerous = ["wipe_database", "rotate_keys"].map(str::to_owned);
    let seen = |token| dangerous.clone().map(|tool| tools(&server, token).contains(&tool));
    assert_eq!(seen(ALICE), [false, false]);
    assert_eq!(called(&server, ALICE, "unlock_admin"), "Admin tools unlocked for this session");
    assert_eq!((seen(ALICE), seen(BOB)), ([true, true], [false, false]));

    let keys = || server.rpc(ALICE, "resources/read", json!({"uri": "secret://keys"})).body;
    assert!(keys().contains("2026-10-12"), "{}", keys());
    assert_eq!(called(&server, ALICE, "rotate_keys"), "Keys rotated: 2");
    let today = run(Command::new("date").args(["-u", "+%F"])).unwrap();
    let today = today.trim();
    assert_eq!(keys().matches(today).count(), 2, "{today} {}", keys());

    let wiped = "Database wiped: 3 users, 4 items, 3 entries of the ledger";
    assert_eq!(called(&server, ALICE, "wipe_database"), wiped);
    assert_eq!(called(&server, BOB, "get_profile"), "You have no profile here.");
    assert_eq!(called(&server, BOB, "public_action"), "In stock: 0 pieces of 0 items");

    let reset = |token: &str| {
        let authorization = format!("Authorization: Bearer {token}");
        server.request("POST /admin/reset", &[&authorization], b"")
    };
    let refused = reset("dev-token-bob");
    assert_eq!(refused.status, 403);
    assert!(refused.header("www-authenticate").unwrap().contains(r#"scope="admin""#));
    assert_eq!(reset("wrong").status, 401);
    assert_eq!(called(&server, BOB, "get_profile"), "You have no profile here.");
    let done = reset("dev-token-alice");
    assert_eq!((done.status, done.json()), (200, json!({"status": "reset complete"})));
    assert_eq!(called(&server, BOB, "public_action"), "In stock: 255 pieces of 4 items");
    assert!(keys().contains("2026-10-12"), "{}", keys());
    assert!(called(&server, BOB, "get_profile").contains("Bob"));
    let health = server.request("GET /health", &[], b"");
    assert_eq!((health.status, health.json()), (200, json!({"status": "ok"})));
}

#[test]
fn what_was_wiped_stays_wiped_after_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().to_str().unwrap();
    let arguments = ["--state-dir", folder, "--store", "memory"];
    let server = Testbed::start(demo(), &arguments);
    called(&server, ALICE, "unlock_admin");
    called(&server, ALICE, "wipe_database");
    drop(server);
    let again = Testbed::start(demo(), &arguments);
    assert_eq!(called(&again, BOB, "public_action"), "In stock: 0 pieces of 0 items");
    let unlocked = tools(&again, ALICE).contains(&"wipe_database".to_owned());
    assert!(!unlocked, "what is in memory ends with the process");
}

#[test]
fn what_was_unlocked_rests_sealed_in_a_file_and_is_lost_with_its_key() {
    let state = tempfile::tempdir().unwrap();
    let keys = state.path().join("keys");
    let file = KeyFile::new(&keys);
    let first = file.create().unwrap();
    let folder = state.path().to_str().unwrap();
    let arguments = ["--state-dir", folder, "--key-file", keys.to_str().unwrap()];
    let start = || Testbed::start(demo(), &arguments);
    let sees = |server: &Testbed| tools(server, ALICE).contains(&"wipe_database".to_owned());
    let server = start();
    server.wait_for_log(&format!("records.redb, sealed with the key {first}"));
    assert!(!sees(&server));
    called(&server, ALICE, "unlock_admin");
    assert!(sees(&server));
    drop(server);

    let second = file.rotate().unwrap();
    let server = start();
    server.wait_for_log(&format!("sealed with the key {second}"));
    assert!(sees(&server), "the key before it still opens");
    assert!(!tools(&server, BOB).contains(&"wipe_database".to_owned()));
    drop(server);

    file.revoke(first).unwrap();
    let server = start();
    let refused = server.rpc(ALICE, "tools/list", json!({})).body;
    assert!(!refused.contains("wipe_database"), "{refused}");
    server.wait_for_log(&first.to_string());
}

#[test]
fn e23_a_server_with_other_keys_than_those_of_its_store_does_not_start() {
    use std::io::Write;
    let state = tempfile::tempdir().unwrap();
    let key_file = |name: &str| {
        let path = state.path().join(name);
        let id = KeyFile::new(&path).create().unwrap();
        (path.to_str().unwrap().to_owned(), id)
    };
    let ((own, id), (other, _)) = (key_file("own"), key_file("other"));
    let folder = state.path().to_str().unwrap();
    drop(Testbed::start(demo(), &["--state-dir", folder, "--key-file", &own]));
    for transport in ["http", "stdio"] {
        let mut command = Command::new(demo());
        command.args(["--listen", "127.0.0.1:0", "--state-dir", folder, "--transport", transport]);
        let output = command.args(["--key-file", &other]).stdin(Stdio::null()).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(&format!("the key {id}, which is not among")), "{message}");
        assert!(message.contains("on the command line: --key-file FILE"), "{message}");
    }
    // As the message says, for a key that is lost.
    let mut file = std::fs::OpenOptions::new().append(true).open(&other).unwrap();
    writeln!(file, "{id} revoked").unwrap();
    drop(Testbed::start(demo(), &["--state-dir", folder, "--key-file", &other]));
}

#[test]
fn n28_a_file_store_without_keys_does_not_start_and_says_the_command_that_makes_them() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().to_str().unwrap();
    let absent = state.path().join("absent");
    let absent = absent.to_str().unwrap();
    for (arguments, reason) in [
        (&["--state-dir", folder][..], "portcullis keys new --file"),
        (&["--state-dir", folder, "--store", "file"], "on the command line: --key-file FILE"),
        (&["--state-dir", folder, "--key-file", absent], "No such file"),
        (&["--store", "file"], "--store file needs --state-dir"),
        (
            &["--store", "sqlite"],
            "--store: write memory, file, redis://HOST:PORT or rediss://HOST:PORT",
        ),
        (&["--key-file", absent], "--key-file needs --store file"),
    ] {
        let mut command = Command::new(demo());
        command.args(["--listen", "127.0.0.1:0"]).args(arguments).stdin(Stdio::null());
        let output = command.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(message.contains(reason), "{arguments:?}: {message}");
        assert!(!state.path().join("store").exists(), "nothing is made");
    }
    for (store, reason) in [
        ("sqlite", "PORTCULLIS_STORE: write memory, file"),
        ("file", "PORTCULLIS_STORE file needs --state-dir"),
    ] {
        let mut command = Command::new(demo());
        command.args(["--listen", "127.0.0.1:0"]).env("PORTCULLIS_STORE", store);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(reason) && !message.contains("--store"), "{message}");
    }
    let print = ["--print-access", "--state-dir", folder];
    let output = Command::new(demo()).args(print).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "nothing is stored");
}

#[test]
fn keys_of_a_variable_seal_too() {
    let state = tempfile::tempdir().unwrap();
    let key = new_key().unwrap();
    let variables = [("PORTCULLIS_KEYS", key.expose().as_str())];
    let arguments = ["--state-dir", state.path().to_str().unwrap()];
    let server = Testbed::start_with(demo(), &arguments, &variables);
    server.wait_for_log(&format!("sealed with the key {}", &key.expose()[..16]));
    assert!(!server.log().contains(&key.expose()[20..]));
}

#[test]
fn keys_that_are_not_used_are_not_passed_over_in_silence() {
    let state = tempfile::tempdir().unwrap();
    let (folder, path) = (state.path().to_str().unwrap(), state.path().join("keys"));
    KeyFile::new(&path).create().unwrap();
    let file = path.to_str().unwrap();
    let key = new_key().unwrap();
    let variables = [("PORTCULLIS_KEYS", key.expose().as_str())];
    let server =
        Testbed::start_with(demo(), &["--state-dir", folder, "--key-file", file], &variables);
    server.wait_for_log("PORTCULLIS_KEYS is set, and not used: --key-file names the keys");
    for variable in [("PORTCULLIS_KEYS", key.expose().as_str()), ("PORTCULLIS_KEY_FILE", file)] {
        let server = Testbed::start_with(demo(), &[], &[variable]);
        server.wait_for_log(&format!("{} is set, and not used: what is in memory", variable.0));
    }
}

#[test]
fn the_database_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let state = tempfile::tempdir().unwrap();
    let database = state.path().join("demo.sqlite");
    let arguments = ["--state-dir", state.path().to_str().unwrap(), "--store", "memory"];
    for _ in 0..2 {
        drop(Testbed::start(demo(), &arguments));
        let mode = std::fs::metadata(&database).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // As an older release made it.
        std::fs::set_permissions(&database, PermissionsExt::from_mode(0o644)).unwrap();
    }
}

#[test]
fn a_wrong_flag_says_what_to_write() {
    let introspect = ["--auth", "introspect", "--idp", "https://idp.example.com"];
    for (arguments, reason) in [
        (&["--rate-limit", "abc"][..], "how many requests a minute"),
        (&["--rate-limit", "0"], "how many requests a minute"),
        (
            &introspect,
            "--auth introspect needs --introspection-endpoint URL, --client-id ID, --audience \
             AUDIENCE (without it tokens for any service would pass), --client-secret-file FILE",
        ),
        (&["--trusted-proxy", "0.0.0.0/0"], "on the command line: --trusted-proxy ADDRESS"),
        (&["--auth", "remote", "--idp", "http://127.0.0.1:9"], "add --allow-loopback-idp"),
        (&["--auth", "remote", "--idp", "https://[::1]:9/a"], "add --allow-loopback-idp"),
        (
            &["--auth", "jwt", "--jwks", "http://localhost:9", "--issuer", "a", "--audience", "b"],
            "--jwks is on this machine: add --allow-loopback-idp",
        ),
    ] {
        let output = Command::new(demo()).args(arguments).stdin(Stdio::null()).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{arguments:?}: {message}");
        assert!(message.contains(reason), "{arguments:?}: {message}");
    }
}

#[test]
fn a_loopback_address_in_the_environment_needs_its_flag_too() {
    let start = |uri: &str| {
        let mut command = Command::new(demo());
        command.args(["--auth", "jwt", "--issuer", "a", "--audience", "b", "--print-access"]);
        let output = command.env("JWT_JWKS_URI", uri).stdin(Stdio::null()).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    for uri in ["http://localhost:9", "https://127.0.0.1:9/keys"] {
        let (started, message) = start(uri);
        let reason = "JWT_JWKS_URI is on this machine: add --allow-loopback-idp";
        assert!(!started && message.contains(reason), "{message}");
    }
    let (started, message) = start("https://idp.example.com/keys");
    assert!(started, "{message}");
}

#[test]
fn over_stdio_the_local_user_unlocks() {
    let mut server = StdioTestbed::start(demo());
    let call = |name: &str| message("tools/call", json!({"name": name, "arguments": {}}));
    assert_eq!(server.ask(&call("wipe_database"))["error"]["code"], -32602);
    let unlocked = server.ask(&call("unlock_admin"))["result"].take();
    assert_eq!(text(&unlocked), "Admin tools unlocked for this session");
    let wiped = server.ask(&call("wipe_database"))["result"].take();
    assert!(text(&wiped).starts_with("Database wiped"), "{wiped}");
}

#[test]
fn access_is_printed_without_serving() {
    let print = |arguments: &[&str]| {
        let output = Command::new(demo()).args(arguments).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    for arguments in [&["--print-access"][..], &["--print-access", "text"]] {
        let table = print(arguments);
        let row = |name: &str| table.lines().find(|line| line.contains(name)).unwrap();
        assert!(row("delete_user").contains("scopes admin write"), "{table}");
        let wipe = row("wipe_database");
        assert!(wipe.contains("for the tag admin") && wipe.contains("(disabled)"), "{table}");
    }
    let rows: Value = serde_json::from_str(&print(&["--print-access=json"])).unwrap();
    let row =
        |name: &str| rows.as_array().unwrap().iter().find(|row| row["component"] == name).unwrap();
    assert_eq!(row("delete_user")["requirements"], json!(["scopes admin write"]));
    assert_eq!(row("wipe_database")["visible"], false);
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.jsonl");
    print(&["--print-access", "--audit-file", audit.to_str().unwrap()]);
    assert!(!audit.exists());
}

#[test]
fn the_audit_file_has_a_line_for_each_operation() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let flags = ["--audit-file", file.to_str().unwrap(), "--audit-failure", "stop"];
    let server = Testbed::start(demo(), &flags);
    called(&server, ALICE, "public_action");
    drop(server);
    let lines = std::fs::read_to_string(file).unwrap();
    let record: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&record["component"], &record["subject"]),
        (&json!("public_action"), &json!("alice"))
    );
    assert!(!lines.contains("dev-token-alice"), "{lines}");
}

#[test]
fn what_is_not_safe_does_not_start() {
    for (arguments, reason) in [
        (&["--listen", "localhost:0"][..], "write 127.0.0.1"),
        (&["--listen", "0.0.0.0:0"], "from other machines: use a real verifier"),
        (&["--listen", "0.0.0.0:0", "--auth", "none"], "without authentication"),
        (&["--public-url", "https://mcp.example.com"], "from other machines: use a real verifier"),
        (&["--auth", "none", "--public-url", "https://mcp.example.com"], "without authentication"),
        (&["--public-url", "http://mcp.example.com"], "use https"),
        (&["--public-url", "https://mcp.example.com/a/../b"], "write the path plainly"),
        (
            &["--public-url", "https://mcp.example.com/mcp"],
            "command line: --public-url URL, --path PATH",
        ),
        (&["--path", "mcp"], "begins with `/`"),
        (&["--path", "/.well-known/x"], "the protocol uses"),
        (&["--path", "/a/../b"], "`.` or `..`"),
        (&["--env-file", "/nonexistent"], "cannot be read"),
        (&["--log", "==="], "--log"),
        (&["--log", "loud"], "write error, warn, info"),
        (&["--audit-file", "/nonexistent/audit.jsonl"], "--audit-file /nonexistent/audit.jsonl"),
    ] {
        let output = Command::new(demo()).args(arguments).stdin(Stdio::null()).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(message.contains(reason), "{arguments:?}: {message}");
    }
}

#[test]
fn n08_an_address_that_others_may_reach_needs_authentication() {
    for (address, reason) in [
        ("localhost:0", "write 127.0.0.1"),
        ("localhost.:0", "write 127.0.0.1"),
        ("0.0.0.0:0", "without authentication"),
        ("[::]:0", "without authentication"),
        ("[::ffff:0.0.0.0]:0", "without authentication"),
        ("0:0", "write an IP address and a port"),
        ("127.1:0", "write an IP address and a port"),
        (":0", "write an IP address and a port"),
        ("*:0", "write an IP address and a port"),
    ] {
        let mut command = Command::new(demo());
        command.args(["--listen", address, "--auth", "none"]).stdin(Stdio::null());
        let output = command.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{address}: {message}");
        assert!(message.contains(reason), "{address}: {message}");
    }
}

#[test]
fn a_port_that_is_taken_names_the_flag_and_the_variable() {
    let server = Testbed::start(demo(), &[]);
    let mut command = Command::new(demo());
    command.args(["--listen", server.authority()]).stdin(Stdio::null());
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    let line = message.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(line.contains(server.authority()) && line.contains("PORTCULLIS_LISTEN"), "{line}");
    assert!(message.contains("on the command line: --listen ADDRESS"), "{message}");
}

#[test]
fn variables_come_from_the_env_file_and_flags_win() {
    use std::io::Write;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "PORTCULLIS_PUBLIC_URL=http://localhost:1111").unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(Testbed::start(demo(), &["--env-file", path]).url(), "http://localhost:1111/mcp");
    let flag = ["--env-file", path, "--public-url", "http://localhost:2222"];
    assert_eq!(Testbed::start(demo(), &flag).url(), "http://localhost:2222/mcp");
}

#[test]
fn variables_for_tokens_are_not_passed_over_in_silence() {
    let mut command = Command::new(demo());
    command.env("JWT_ISSUER", "https://idp.example.com").args(["--listen", "127.0.0.1:0"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("JWT_ISSUER is set, but --auth is not: write --auth jwt"),
        "{message}"
    );
    command.args(["--auth", "none", "--print-access"]);
    assert!(command.output().unwrap().status.success(), "who says otherwise is believed");
}

#[test]
fn the_readme_has_the_two_commands_and_a_curl_line_that_works() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("\ncargo run ") && readme.contains("./test --install"));
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

#[test]
fn trial_d10_c7_readiness_ends_before_anything_else_does() {
    let server = Testbed::start(demo(), &["--drain-delay", "3"]);
    let ready = || server.request("GET /readyz", &[], b"").status;
    let probed = |path: &str, host: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        server.send(head.as_bytes()).status
    };
    assert_eq!(ready(), 200);
    assert_eq!(probed("/readyz", "10.244.0.5:8000"), 200, "a probe knows no name");
    assert_eq!(probed("/mcp", "10.244.0.5:8000"), 421);
    terminate(server.id());
    server.wait_for_log("stopping");
    assert_eq!(ready(), 503);
    called(&server, ALICE, "public_action");
    assert_eq!(server.exit_code(), Some(0));
}
