//! Updates of resources, for those who have subscribed to them.

use std::sync::Arc;
use std::time::Duration;

use portcullis::ServerBuilder;
use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::guard::SystemClock;
use portcullis::prelude::*;
use portcullis::server::{AuthSet, ResourceUpdates};
use portcullis::store::FileStore;
use portcullis::visibility::tags;
use portcullis_tests::driver::{StdioTestbed, Stream, Testbed, initialize, message, request};
use portcullis_tests::served::Served;
use serde_json::{Value, json};

use crate::{ALICE, BOB, TESTBED};

const WITH_SESSIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];
const PATIENCE: Duration = Duration::from_secs(10);

/// A note.
#[resource("note://{id}", tags("note"))]
async fn note(id: String) -> String {
    id
}

/// What only Alice may read.
#[resource("plan://secret", auth = require_scopes(["admin"]))]
async fn plan() -> &'static str {
    "plan"
}

/// Says that something was updated.
#[tool]
async fn touch(uri: String, ctx: Context) -> Result<(), ToolError> {
    ctx.notify_resource_updated(&uri)
}

fn served() -> (Served, ResourceUpdates, portcullis::visibility::Visibility) {
    served_by(|server| server)
}

fn served_by(
    change: impl FnOnce(ServerBuilder<AuthSet>) -> ServerBuilder<AuthSet>,
) -> (Served, ResourceUpdates, portcullis::visibility::Visibility) {
    let tokens = StaticTokenVerifier::new()
        .token("dev-token-alice", user("alice").scopes(["admin"]))
        .token("dev-token-bob", user("bob"));
    let server = Server::builder("notes").auth(tokens).components(components![note, plan, touch]);
    let server = change(server).build().unwrap();
    let (updates, visibility) = (server.resource_updates(), server.visibility());
    (Served::start(server), updates, visibility)
}

/// The URI of the next update, which has to come, and the subscription that it is told under.
fn updated(stream: &mut Stream) -> (String, Value) {
    let mut message = stream.message(PATIENCE).expect("nothing came");
    assert_eq!(message["method"], "notifications/resources/updated", "{message}");
    let mut params = message["params"].take();
    let id = params["_meta"]["io.modelcontextprotocol/subscriptionId"].take();
    (params["uri"].as_str().unwrap().to_owned(), id)
}

fn listen(served: &Testbed, token: Option<&str>, uris: &[&str]) -> Stream {
    let params = json!({"notifications": {"resourceSubscriptions": uris}});
    let mut stream = served.rpc_stream(token, "subscriptions/listen", params);
    let acknowledged = stream.message(PATIENCE).expect("it is acknowledged");
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    let honoured = &acknowledged["params"]["notifications"];
    assert_eq!(honoured, &json!({"resourceSubscriptions": uris}));
    stream
}

#[test]
fn a_session_is_told_of_the_resources_that_it_subscribes_to() {
    let (served, updates, _) = served();
    for version in WITH_SESSIONS {
        let begun = served.outside(ALICE).post(&[], &initialize(version)).json();
        assert_eq!(begun["result"]["capabilities"]["resources"]["subscribe"], true, "{version}");
        let (id, other) = (served.begin(ALICE, version), served.begin(ALICE, version));
        let session = served.session(ALICE, &id);
        let mut stream = session.stream();
        let mut others = served.session(ALICE, &other).stream();
        let done = session.ask("resources/subscribe", json!({"uri": "note://1"}));
        assert_eq!(done["result"], json!({}), "{version}");
        for uri in ["note://2", "note://1", "plan://secret"] {
            updates.notify(uri).unwrap();
        }
        assert_eq!(updated(&mut stream), ("note://1".to_owned(), Value::Null), "{version}");
        let done = session.ask("resources/unsubscribe", json!({"uri": "note://1"}));
        assert_eq!(done["result"], json!({}), "{version}");
        session.ask("resources/subscribe", json!({"uri": "note://3"}));
        session.ask("tools/call", json!({"name": "touch", "arguments": {"uri": "note://1"}}));
        session.ask("tools/call", json!({"name": "touch", "arguments": {"uri": "note://3"}}));
        assert_eq!(updated(&mut stream).0, "note://3", "{version}: it is not told of the first");
        assert!(others.message(Duration::from_millis(100)).is_none(), "{version}");
    }
}

#[test]
fn a_session_is_told_of_them_after_a_restart_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state/store.redb");
    let start = || {
        let store = FileStore::open(&file, Arc::new(SystemClock)).unwrap();
        served_by(|server| server.store(store.dangerously_unsealed()))
    };
    let (first, ..) = start();
    let id = first.begin(ALICE, "2025-11-25");
    for uri in ["note://1", "note://2"] {
        first.session(ALICE, &id).ask("resources/subscribe", json!({ "uri": uri }));
    }
    first.session(ALICE, &id).ask("resources/unsubscribe", json!({"uri": "note://1"}));
    drop(first);
    let (second, updates, _) = start();
    let mut stream = second.session(ALICE, &id).stream();
    for uri in ["note://1", "note://2"] {
        updates.notify(uri).unwrap();
    }
    assert_eq!(updated(&mut stream).0, "note://2");
}

#[test]
fn a_subscription_of_the_stateless_version_is_told_of_what_it_lists() {
    let (served, updates, _) = served();
    let mut stream = listen(&served, ALICE, &["note://1", "plan://secret"]);
    for uri in ["note://2", "note://1"] {
        updates.notify(uri).unwrap();
    }
    assert_eq!(updated(&mut stream), ("note://1".to_owned(), json!(1)));
    updates.notify("plan://secret").unwrap();
    assert_eq!(updated(&mut stream).0, "plan://secret");
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        let unknown = served.rpc(ALICE, method, json!({"uri": "note://1"}));
        assert_eq!((unknown.status, unknown.code()), (404, -32601));
    }
    let many: Vec<String> = (0..65).map(|number| format!("note://{number}")).collect();
    let params = json!({"notifications": {"resourceSubscriptions": many}});
    let refused = served.rpc(ALICE, "subscriptions/listen", params);
    assert_eq!((refused.status, refused.code()), (400, -32602));
}

#[test]
fn a01_nobody_is_told_of_what_is_hidden_and_to_subscribe_to_it_tells_nothing() {
    let (served, updates, visibility) = served();
    let id = served.begin(BOB, "2025-11-25");
    let session = served.session(BOB, &id);
    let [hidden, missing] = ["plan://secret", "plan://secrex"].map(|uri| {
        let request = request(1, "resources/subscribe", json!({ "uri": uri }));
        session.post(&[], &request).normalised(uri)
    });
    assert_eq!(hidden, missing);
    assert!(hidden.contains("-32002"), "{hidden}");
    // Both are acknowledged, and neither is ever told of.
    let mut listed = listen(&served, BOB, &["plan://secret", "plan://secrex", "note://1"]);
    let mut stream = session.stream();
    session.ask("resources/subscribe", json!({"uri": "note://1"}));
    let mut alices = listen(&served, ALICE, &["plan://secret"]);
    updates.notify("plan://secret").unwrap();
    assert_eq!(updated(&mut alices).0, "plan://secret", "it would not be noticed");
    updates.notify("note://1").unwrap();
    assert_eq!(
        (updated(&mut listed).0, updated(&mut stream).0),
        ("note://1".into(), "note://1".into())
    );
    // What may be read is decided again each time.
    visibility.disable(tags(["note"])).unwrap();
    let changed = stream.message(PATIENCE).unwrap();
    assert_eq!(changed["method"], "notifications/resources/list_changed");
    updates.notify("note://1").unwrap();
    assert!(stream.message(Duration::from_millis(100)).is_none());
}

#[test]
fn n10_a_session_is_told_on_its_own_stream_alone() {
    let (served, updates, _) = served();
    let id = served.begin(ALICE, "2025-11-25");
    let alice = served.session(ALICE, &id);
    alice.ask("resources/subscribe", json!({"uri": "note://1"}));
    let foreign = served.session(BOB, &id);
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        let refused = foreign.post(&[], &request(1, method, json!({"uri": "note://1"})));
        assert_eq!(refused.status, 404, "{method}");
    }
    let mut stream = alice.stream();
    updates.notify("note://1").unwrap();
    assert_eq!(updated(&mut stream).0, "note://1");
}

#[test]
fn the_local_user_is_told_over_stdio() {
    let watched = json!({"uri": "test://watched-resource"});
    let touch = json!({"name": "test_touch_watched_resource"});
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut server = StdioTestbed::start_with(TESTBED, &["--fixtures", "conformance"]);
        server.ask(&initialize(version));
        let done = server.ask(&request(1, "resources/subscribe", watched.clone()));
        assert_eq!(done["result"], json!({}), "{version}");
        server.write(&request(2, "tools/call", touch.clone()).to_string());
        let both = [server.read(), server.read()];
        let told = both.iter().find(|message| message["method"].is_string()).unwrap();
        assert_eq!(told["method"], "notifications/resources/updated", "{version}");
        assert_eq!(told["params"], watched, "{version}");
    }
    let mut server = StdioTestbed::start_with(TESTBED, &["--fixtures", "conformance"]);
    let filter = json!({"notifications": {"resourceSubscriptions": ["test://watched-resource"]}});
    server.ask(&message("subscriptions/listen", filter));
    let mut call = message("tools/call", touch);
    call["id"] = json!(2);
    server.write(&call.to_string());
    let both = [server.read(), server.read()];
    let told = both.iter().find(|message| message["method"].is_string()).unwrap();
    assert_eq!(told["params"]["uri"], "test://watched-resource");
}
