//! What is hidden until it is unlocked, and for whom.

use std::time::Duration;

use portcullis_tests::driver::{
    Session, StdioTestbed, Stream, Testbed, initialize, message, request,
};
use portcullis_tests::issuer::{Issuer, changed};
use serde_json::{Value, json};

use crate::{ALICE, BOB, TESTBED};

const NEWEST: &str = "2025-11-25";
const CHANGED: &str = "notifications/tools/list_changed";
/// How long is waited for what has to come.
const LONG: Duration = Duration::from_secs(10);
/// How long is waited for what must not come.
const SHORT: Duration = Duration::from_millis(500);

fn call(tool: &str) -> Value {
    json!({"name": tool, "arguments": {}})
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

fn has_wipe(tools: &Value) -> bool {
    tools.as_array().unwrap().iter().any(|tool| tool["name"] == "wipe_database")
}

/// Whether the holder of `token` sees and may use the tool, in the stateless version.
fn unlocked(testbed: &Testbed, token: Option<&str>) -> bool {
    let listed = has_wipe(&testbed.result(token, "tools/list", json!({}))["tools"]);
    let used = testbed.rpc(token, "tools/call", call("wipe_database"));
    match listed {
        true => assert_eq!(text(&used.json()["result"]), "Database wiped"),
        false => {
            let missing = testbed.rpc(token, "tools/call", call("wipe_databasx"));
            assert_eq!(used.normalised("wipe_database"), missing.normalised("wipe_databasx"));
        }
    }
    listed
}

/// The same, in a session.
fn unlocked_in(session: Session<'_>) -> bool {
    let listed = has_wipe(&session.ask("tools/list", json!({}))["result"]["tools"]);
    let mut used = session.ask("tools/call", call("wipe_database"));
    match listed {
        true => assert_eq!(text(&used["result"]), "Database wiped"),
        false => {
            let missing = session.ask("tools/call", call("wipe_databasx")).to_string();
            let used = used.take().to_string();
            assert_eq!(used.replace("wipe_database", "…"), missing.replace("wipe_databasx", "…"));
        }
    }
    listed
}

fn unlock(testbed: &Testbed, token: Option<&str>) {
    let told = testbed.call(token, "unlock_admin", json!({}));
    assert_eq!(text(&told), "Admin tools unlocked for this session");
}

fn unlock_in(session: Session<'_>) {
    let told = session.ask("tools/call", call("unlock_admin"))["result"].take();
    assert_eq!(text(&told), "Admin tools unlocked for this session");
}

/// The stream of a session, which is listened to.
fn stream_of(session: Session<'_>) -> Stream {
    let mut stream = session.stream();
    assert_eq!(stream.line(LONG).unwrap().as_deref(), Some(": keep-alive"));
    stream
}

/// A subscription to `lists`, which is acknowledged.
fn listen(testbed: &Testbed, token: Option<&str>, lists: &Value) -> Stream {
    let params = json!({"notifications": lists});
    let mut stream = testbed.rpc_stream(token, "subscriptions/listen", params);
    let first = stream.message(LONG).unwrap();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(&first["params"]["notifications"], lists);
    stream
}

fn hears_nothing(stream: &mut Stream) -> bool {
    stream.message(SHORT).is_none() && stream.is_open()
}

#[test]
fn an_unlock_is_for_one_session_of_one_user() {
    let testbed = Testbed::start(TESTBED, &[]);
    let [one, other] = [(); 2].map(|()| testbed.begin(ALICE, NEWEST));
    let bobs = testbed.begin(BOB, "2025-06-18");
    let [one, other] = [&one, &other].map(|id| testbed.session(ALICE, id));
    let bobs = testbed.session(BOB, &bobs);
    assert!([one, other, bobs].into_iter().all(|session| !unlocked_in(session)));
    unlock_in(one);
    assert!(unlocked_in(one));
    assert!(!unlocked_in(other) && !unlocked_in(bobs));
    assert!(!unlocked(&testbed, ALICE), "a session is not the stateless version");
    unlock_in(bobs);
    assert!(unlocked_in(bobs) && !unlocked_in(other));
}

#[test]
fn an_unlock_ends_with_its_session() {
    let testbed = Testbed::start(TESTBED, &[]);
    let id = testbed.begin(ALICE, NEWEST);
    let session = testbed.session(ALICE, &id);
    unlock_in(session);
    assert!(unlocked_in(session));
    assert_eq!(session.send("DELETE /mcp", &[], "").status, 204);
    let next = testbed.begin(ALICE, NEWEST);
    assert!(!unlocked_in(testbed.session(ALICE, &next)));
}

#[test]
fn without_sessions_an_unlock_is_for_the_principal() {
    let testbed = Testbed::start(TESTBED, &[]);
    let id = testbed.begin(ALICE, NEWEST);
    assert!(!unlocked(&testbed, ALICE) && !unlocked(&testbed, BOB));
    unlock(&testbed, ALICE);
    assert!(unlocked(&testbed, ALICE));
    assert!(!unlocked(&testbed, BOB));
    assert!(!unlocked_in(testbed.session(ALICE, &id)), "a session has its own");
    unlock(&testbed, BOB);
    assert!(unlocked(&testbed, BOB));
}

#[test]
fn a08_an_unlock_is_for_an_issuer_a_subject_and_a_client_together() {
    let issuer = Issuer::start();
    let testbed = Testbed::start(TESTBED, &issuer.flags());
    let token = |changes: Value| issuer.token(&changed(&changes));
    unlock(&testbed, Some(&token(json!({}))));
    for (changes, sees) in [
        (json!({}), true),
        (json!({"jti": "another"}), true),
        (json!({"client_id": "other"}), false),
        (json!({"client_id": null}), false),
        (json!({"sub": "bob"}), false),
        (json!({"sub": "app", "client_id": "alice"}), false),
    ] {
        assert_eq!(unlocked(&testbed, Some(&token(changes.clone()))), sees, "{changes}");
    }
}

#[test]
fn a17_what_a_client_says_of_itself_unlocks_nothing() {
    let testbed = Testbed::start(TESTBED, &[]);
    let id = testbed.begin(ALICE, NEWEST);
    unlock_in(testbed.session(ALICE, &id));
    unlock(&testbed, ALICE);
    // Bob's stateless requests name the session, the user and the client.
    let mut list = message("tools/list", json!({}));
    list["params"]["_meta"]["sub"] = json!("alice");
    list["params"]["_meta"]["io.modelcontextprotocol/clientInfo"]["name"] =
        json!("alice@dev.local");
    let session = format!("Mcp-Session-Id: {id}");
    let head = [
        "Authorization: Bearer dev-token-bob",
        "Content-Type: application/json",
        "MCP-Protocol-Version: 2026-07-28",
        "Mcp-Method: tools/list",
        "X-User: alice",
        &session,
    ];
    let answer = testbed.request("POST /mcp", &head, list.to_string().as_bytes());
    assert_eq!(answer.status, 200);
    assert!(!has_wipe(&answer.json()["result"]["tools"]), "{}", answer.body);
    let inside = testbed.session(BOB, &id).post(&[], &request(1, "tools/list", json!({})));
    assert_eq!(inside.status, 404);
}

#[test]
fn only_the_stream_of_the_session_concerned_is_told() {
    let testbed = Testbed::start(TESTBED, &[]);
    let [one, other] = [(); 2].map(|()| testbed.begin(ALICE, NEWEST));
    let bobs = testbed.begin(BOB, NEWEST);
    let [one, other] = [&one, &other].map(|id| testbed.session(ALICE, id));
    let mut to_one = stream_of(one);
    let mut to_others = [stream_of(other), stream_of(testbed.session(BOB, &bobs))];
    let mut to_stateless = listen(&testbed, ALICE, &json!({"toolsListChanged": true}));
    unlock_in(one);
    assert_eq!(to_one.message(LONG), Some(json!({"jsonrpc": "2.0", "method": CHANGED})));
    assert!(hears_nothing(&mut to_one), "tools alone changed, and once");
    assert!(to_others.iter_mut().all(hears_nothing));
    assert!(hears_nothing(&mut to_stateless));
    unlock_in(one);
    assert!(hears_nothing(&mut to_one), "what was unlocked already is no change");
}

#[test]
fn only_the_subscriptions_of_the_principal_concerned_are_told() {
    let issuer = Issuer::start();
    let testbed = Testbed::start(TESTBED, &issuer.flags());
    let token = |changes: Value| issuer.token(&changed(&changes));
    let (alice, other_client) = (token(json!({})), token(json!({"client_id": "other"})));
    let bob = token(json!({"sub": "bob"}));
    let (tools, prompts) = (json!({"toolsListChanged": true}), json!({"promptsListChanged": true}));
    let mut to_alice = listen(&testbed, Some(&alice), &tools);
    let mut to_others = [
        listen(&testbed, Some(&other_client), &tools),
        listen(&testbed, Some(&bob), &tools),
        listen(&testbed, Some(&alice), &prompts),
    ];
    let session = testbed.begin(Some(&alice), NEWEST);
    let mut to_session = stream_of(testbed.session(Some(&alice), &session));
    unlock(&testbed, Some(&alice));
    let told = to_alice.message(LONG).unwrap();
    assert_eq!(told["method"], CHANGED);
    assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    assert!(hears_nothing(&mut to_alice));
    assert!(to_others.iter_mut().all(hears_nothing));
    assert!(hears_nothing(&mut to_session));
}

#[test]
fn who_has_neither_session_nor_token_is_told_that_nothing_can_be_unlocked() {
    let testbed = Testbed::start(TESTBED, &["--auth", "none"]);
    let refused = testbed.call(None, "unlock_admin", json!({}));
    assert_eq!(refused["isError"], true);
    assert_eq!(text(&refused), "This needs a session, or a caller with an access token.");
    assert!(!unlocked(&testbed, None));
    let [one, other] = [(); 2].map(|()| testbed.begin(None, NEWEST));
    let [one, other] = [&one, &other].map(|id| testbed.session(None, id));
    unlock_in(one);
    assert!(unlocked_in(one) && !unlocked_in(other) && !unlocked(&testbed, None));
}

#[test]
fn over_stdio_the_process_is_the_session_and_is_told() {
    let mut server = StdioTestbed::start(TESTBED);
    server.ask(&initialize(NEWEST));
    server.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let wipe = request(1, "tools/call", call("wipe_database"));
    assert_eq!(server.ask(&wipe)["error"]["code"], -32602);
    server.write(&request(2, "tools/call", call("unlock_admin")).to_string());
    let (mut answered, mut told) = (false, false);
    // Pings, so that there is always something to read.
    for id in 3..100 {
        server.write(&request(id, "ping", json!({})).to_string());
        let mut read = server.read();
        while read["id"] != id {
            answered |= read["id"] == 2;
            told |= read["method"] == CHANGED;
            read = server.read();
        }
        if answered && told {
            break;
        }
    }
    assert!(answered && told, "{answered} {told}");
    assert_eq!(text(&server.ask(&wipe)["result"]), "Database wiped");
}
