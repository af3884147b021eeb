//! HTTP+SSE, the deprecated transport of 2024-11-05.

use std::time::Duration;

use portcullis_tests::audit::{AuditFile, records};
use portcullis_tests::driver::{Response, Stream, Testbed, initialize, request, terminate};
use serde_json::{Value, json};

use crate::{ALICE, BOB, TESTBED};

const SSE: [&str; 2] = ["--transport", "sse"];
const SOON: Duration = Duration::from_secs(10);

/// A client with its stream.
struct Client<'a> {
    testbed: &'a Testbed,
    token: Option<&'a str>,
    /// Where its messages go.
    uri: String,
    stream: Stream,
}

fn bearer(token: Option<&str>) -> Vec<String> {
    token.map(|token| format!("Authorization: Bearer {token}")).into_iter().collect()
}

fn open(testbed: &Testbed, token: Option<&str>) -> Stream {
    let head = bearer(token);
    let head: Vec<&str> =
        head.iter().map(String::as_str).chain(["Accept: text/event-stream"]).collect();
    testbed.open(&testbed.bytes("GET /sse", &head, b""))
}

fn post(testbed: &Testbed, uri: &str, token: Option<&str>, message: &Value) -> Response {
    let head = bearer(token);
    let json = ["Content-Type: application/json"];
    let head: Vec<&str> = head.iter().map(String::as_str).chain(json).collect();
    testbed.request(&format!("POST {uri}"), &head, message.to_string().as_bytes())
}

impl<'a> Client<'a> {
    fn begin(testbed: &'a Testbed, token: Option<&'a str>, version: &str) -> Self {
        let mut stream = open(testbed, token);
        assert_eq!(stream.response.status, 200);
        assert_eq!(stream.response.header("content-type"), Some("text/event-stream"));
        assert_eq!(stream.line(SOON).unwrap().as_deref(), Some("event: endpoint"));
        let uri = stream.line(SOON).unwrap().unwrap();
        let uri = uri.strip_prefix("data: ").expect(&uri).to_owned();
        let mut client = Self { testbed, token, uri, stream };
        let agreed = client.answer(&initialize(version))["result"]["protocolVersion"].take();
        assert_eq!(agreed, version);
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client
    }

    fn send(&self, message: &Value) {
        let taken = post(self.testbed, &self.uri, self.token, message);
        assert_eq!((taken.status, &*taken.body), (202, ""), "{message}");
    }

    /// Sends a request, and gives what is told next.
    fn answer(&mut self, message: &Value) -> Value {
        self.send(message);
        self.told()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.answer(&request(1, method, params))
    }

    fn told(&mut self) -> Value {
        self.stream.message(SOON).expect("nothing is told")
    }
}

#[test]
fn every_version_with_sessions_lists_calls_reads_and_prompts() {
    let testbed = Testbed::start(TESTBED, &SSE);
    testbed.wait_for_log("HTTP+SSE is served as well");
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut client = Client::begin(&testbed, ALICE, version);
        let tools = client.ask("tools/list", json!({}))["result"]["tools"].take();
        assert_eq!(tools.as_array().unwrap().len(), 15, "{version}");
        let whoami = client.ask("tools/call", json!({"name": "whoami"}))["result"].take();
        assert!(whoami["content"][0]["text"].as_str().unwrap().contains("alice"));
        assert_eq!(whoami.get("structuredContent").is_some(), version >= "2025-06-18", "{version}");
        let config = client.ask("resources/read", json!({"uri": "secret://config"}));
        assert!(config.to_string().contains("internal.db.example.com"), "{config}");
        let prompt = json!({"name": "financial_report", "arguments": {"quarter": "Q1"}});
        assert!(client.ask("prompts/get", prompt).to_string().contains("report for Q1"));
        for (method, params, code) in [
            ("resources/read", json!({"uri": "nope://x"}), -32002),
            ("tools/destroy", json!({}), -32601),
            ("tools/call", json!({}), -32602),
        ] {
            assert_eq!(client.ask(method, params)["error"]["code"], code, "{method}");
        }
        // The endpoint is served as ever, beside it.
        assert_eq!(testbed.rpc(ALICE, "tools/list", json!({})).status, 200);
        let id = client.uri.split_once('=').unwrap().1;
        assert!(!testbed.log().contains(id), "the session id is in the log");
    }
}

#[test]
fn it_is_there_for_whoever_asks_for_it_alone() {
    let testbed = Testbed::start(TESTBED, &[]);
    for line in ["GET /sse", "POST /messages?session_id=x"] {
        assert_eq!(testbed.request(line, &[], b"").status, 404, "{line}");
    }
    let testbed =
        Testbed::start_with(TESTBED, &["--path", "/team/mcp"], &[("PORTCULLIS_TRANSPORT", "sse")]);
    assert_eq!(testbed.request("GET /team/sse", &[], b"").status, 401);
    assert_eq!(testbed.request("GET /sse", &[], b"").status, 404);
}

#[test]
fn n10_each_message_needs_a_token_of_the_principal_whose_session_it_is() {
    let audit = AuditFile::of(&[]);
    let file = audit.path().to_str().unwrap().to_owned();
    let testbed = Testbed::start(TESTBED, &[&SSE[..], &["--audit-file", &file]].concat());
    for (line, token, status) in [
        ("GET /sse", None, 401),
        ("POST /messages?session_id=x", None, 401),
        ("GET /sse", Some("unknown"), 401),
        ("POST /messages?session_id=x", ALICE, 404),
    ] {
        let head = bearer(token);
        let head: Vec<&str> =
            head.iter().map(String::as_str).chain(["Content-Type: application/json"]).collect();
        let ping = request(1, "ping", json!({})).to_string();
        let refused = testbed.request(line, &head, ping.as_bytes());
        assert_eq!(refused.status, status, "{line}");
        let challenge = refused.header("www-authenticate").unwrap_or_default();
        assert_eq!(challenge.contains("resource_metadata="), status == 401, "{challenge}");
    }
    let mut client = Client::begin(&testbed, ALICE, "2024-11-05");
    let call = request(7, "tools/call", json!({"name": "whoami"}));
    let (uri, unknown) = (client.uri.clone(), "/messages?session_id=".to_owned() + &"A".repeat(32));
    let refused = post(&testbed, &uri, BOB, &call);
    assert_eq!(refused.status, 404);
    assert_eq!(refused.normalised("x"), post(&testbed, &unknown, BOB, &call).normalised("x"));
    assert_eq!(post(&testbed, &uri, None, &call).status, 401);
    assert_eq!(client.answer(&call)["id"], 7);
    drop(client);
    drop(testbed);
    let records = records(audit.path());
    let of = |operation: &str| {
        let found = records.iter().filter(|record| record["operation"] == operation);
        found.map(|record| record["verdict"].as_str().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(
        (of("stream"), of("initialize"), of("tools/call")),
        (vec!["allowed"], vec!["allowed"], vec!["allowed"])
    );
    let hidden = records.iter().filter(|record| record["status"] == 404);
    assert_eq!(hidden.count(), 3, "{records:#?}");
}

#[test]
fn a_client_hears_what_a_function_says_answers_what_it_asks_and_cancels() {
    let testbed = Testbed::start(TESTBED, &[&SSE[..], &["--fixtures", "interaction"]].concat());
    let mut client = Client::begin(&testbed, ALICE, "2025-06-18");
    let call = |id: u64, name: &str| {
        request(id, "tools/call", json!({"name": name, "_meta": {"progressToken": id}}))
    };
    let progress = client.answer(&call(2, "count"));
    assert_eq!(progress["params"]["progress"], 1);
    let told: Vec<Value> = (0..3).map(|_| client.told()).collect();
    assert_eq!(told[1]["params"]["progress"], 3);
    assert_eq!(told[2]["id"], 2);
    let changed = client.answer(&call(3, "toggle"));
    let both = [changed, client.told()];
    assert!(both.iter().any(|told| told["method"] == "notifications/tools/list_changed"));
    assert_eq!(client.answer(&call(4, "sleep"))["params"]["progress"], 1);
    client.send(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 4}}),
    );
    let dropped = client.answer(&call(5, "dropped"));
    assert_eq!(dropped["result"]["content"][0]["text"], "dropped");
    // A client that goes away ends what it left running.
    assert_eq!(client.answer(&call(6, "sleep"))["params"]["progress"], 1);
    drop(client);
    let mut other = Client::begin(&testbed, ALICE, "2025-06-18");
    let dropped = other.answer(&call(5, "dropped"));
    assert_eq!(dropped["result"]["content"][0]["text"], "dropped");
}

#[test]
fn a_client_that_can_be_asked_is_asked() {
    let testbed = Testbed::start(TESTBED, &[&SSE[..], &["--fixtures", "interaction"]].concat());
    let mut client = Client::begin(&testbed, ALICE, "2025-06-18");
    let refused = client.ask("tools/call", json!({"name": "ask"}));
    assert_eq!(refused["result"]["isError"], true, "it said that it cannot be asked");
    let mut stream = open(&testbed, ALICE);
    stream.line(SOON).unwrap();
    let uri = stream.line(SOON).unwrap().unwrap();
    let uri = uri.strip_prefix("data: ").unwrap().to_owned();
    let mut client = Client { testbed: &testbed, token: ALICE, uri, stream };
    let mut begins = initialize("2025-06-18");
    begins["params"]["capabilities"] = json!({"elicitation": {}});
    client.answer(&begins);
    let asked = client.ask("tools/call", json!({"name": "ask"}));
    assert_eq!(asked["method"], "elicitation/create");
    let answer = json!({"action": "accept", "content": {"name": "Ann"}});
    let answered = client.answer(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": answer}));
    assert_eq!(answered["result"]["content"][0]["text"], "Hello, Ann!");
}

#[test]
fn sigterm_lets_running_calls_finish_on_their_stream_and_refuses_new_ones() {
    let testbed = Testbed::start(TESTBED, &SSE);
    let mut busy = Client::begin(&testbed, ALICE, "2024-11-05");
    let mut idle = Client::begin(&testbed, BOB, "2024-11-05");
    let call = json!({"name": "wait", "arguments": {"ms": 2_000}});
    busy.send(&request(7, "tools/call", call.clone()));
    terminate(testbed.id());
    assert_eq!(idle.stream.message(SOON), None, "it ends");
    let refused = post(&testbed, &busy.uri, ALICE, &request(8, "tools/call", call));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(open(&testbed, ALICE).response.status, 503);
    assert_eq!(busy.told()["result"]["content"][0]["text"], "waited 2000 ms");
    assert_eq!(busy.stream.message(SOON), None);
    assert_eq!(testbed.exit_code(), Some(0));
}
