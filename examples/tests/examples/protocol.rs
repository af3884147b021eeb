//! Each example of the protocol's own features, as a client uses them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use portcullis_tests::driver::{Response, Stream, Testbed, message, rpc_head, run};
use serde_json::{Value, json};

use crate::{ALICE, BOB, CAROL, assert_absent, text};

const PATIENCE: Duration = Duration::from_secs(20);

/// `params` of a client that declares `capabilities`.
fn declaring(mut params: Value, capabilities: Value) -> Value {
    params["_meta"] = json!({"io.modelcontextprotocol/clientCapabilities": capabilities});
    params
}

fn next(stream: &mut Stream) -> Value {
    stream.message(PATIENCE).expect("the stream has ended")
}

#[test]
fn progress_tells_a_client_what_it_asked_for_and_nothing_else() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_progress"));
    let arguments = json!({"rows": ["chain,4", "lamp", "tyre,2"]});
    let call = |meta: Value| {
        let params = json!({"name": "import_rows", "arguments": arguments, "_meta": meta});
        let mut stream = server.rpc_stream(ALICE, "tools/call", params);
        let mut told: Vec<Value> = std::iter::from_fn(|| stream.message(PATIENCE)).collect();
        let answer = told.pop().unwrap();
        assert_eq!(text(&answer["result"]), "Imported 2 of 3 rows.");
        told
    };
    let level = "io.modelcontextprotocol/logLevel";
    let told = call(json!({"progressToken": "t-1", level: "warning"}));
    let progress: Vec<&Value> =
        told.iter().filter(|told| told["method"] == "notifications/progress").collect();
    assert_eq!(progress.len(), 3, "{told:?}");
    let last = json!({"progressToken": "t-1", "progress": 3, "total": 3, "message": "Row 3"});
    assert_eq!(progress[2]["params"], last);
    let logged = told.iter().find(|told| told["method"] == "notifications/message").unwrap();
    assert_eq!(logged["params"]["level"], "warning");
    assert_eq!(logged["params"]["data"], json!({"row": 2, "problem": "no amount"}));
    assert_eq!(call(json!({"progressToken": 7, level: "error"})).len(), 3);

    // A client that asks for nothing has one JSON object.
    let params = json!({"name": "import_rows", "arguments": arguments});
    let plain = server.rpc(ALICE, "tools/call", params);
    assert_eq!(plain.header("content-type"), Some("application/json"));
    assert_eq!(text(&plain.json()["result"]), "Imported 2 of 3 rows.");
    assert_absent(&server, BOB, "import_rows");
}

#[test]
fn elicitation_deletes_what_its_caller_confirmed_and_nothing_else() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_elicitation"));
    let ask = |token, id: u32, more: Value| {
        let mut params = json!({"name": "delete_note", "arguments": {"id": id}});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.rpc(token, "tools/call", declaring(params, json!({"elicitation": {}}))).json()
    };
    // A client that shows no forms is asked for nothing.
    let params = json!({"name": "delete_note", "arguments": {"id": 1}});
    assert_eq!(server.rpc(ALICE, "tools/call", params).code(), -32021);

    let asked = ask(ALICE, 1, json!({}))["result"].take();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let form = &asked["inputRequests"]["confirm"]["params"];
    assert_eq!(form["message"], "Note 1 will be deleted.");
    assert_eq!(form["requestedSchema"]["required"], json!(["delete"]));
    let state = &asked["requestState"];
    let answered =
        |answer: Value| json!({"inputResponses": {"confirm": answer}, "requestState": state});
    let yes = json!({"action": "accept", "content": {"delete": true, "reason": "it is done"}});
    // The answer is Alice's, and about this note; and it fits the form.
    for (token, id, answer) in [
        (BOB, 1, &yes),
        (ALICE, 2, &yes),
        (ALICE, 1, &json!({"action": "accept", "content": {"delete": "yes"}})),
    ] {
        let refused = ask(token, id, answered(answer.clone()));
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
    let declined = ask(ALICE, 1, answered(json!({"action": "decline"})));
    assert_eq!(text(&declined["result"]), "Note 1 stays.");
    let deleted = ask(ALICE, 1, answered(yes));
    assert_eq!(text(&deleted["result"]), "Note 1 is deleted: it is done.");
}

#[test]
fn elicitation_waits_for_the_answer_in_a_session() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_elicitation"));
    let id = server.begin_with(ALICE, "2025-11-25", json!({"elicitation": {}}));
    let session = server.session(ALICE, &id);
    let call = json!({"name": "delete_note", "arguments": {"id": 2}});
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call});
    let mut stream = session.post_stream(&call);
    let asked = next(&mut stream);
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    let yes = json!({"action": "accept", "content": {"delete": true}});
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": yes});
    assert_eq!(session.post(&[], &answer).status, 202);
    let deleted = next(&mut stream);
    assert_eq!(text(&deleted["result"]), "Note 2 is deleted: no reason given.");
}

#[test]
fn elicitation_page_takes_a_key_from_the_user_who_was_asked_alone() {
    const KEY: &str = "cal-7f3e9a12";
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_elicitation_page"));
    let able = json!({"elicitation": {"url": {}}});
    let params = json!({"name": "connect_calendar", "arguments": {}});
    let asked = server.rpc(ALICE, "tools/call", declaring(params.clone(), able.clone())).json();
    let asked = &asked["result"];
    let url = asked["inputRequests"]["page"]["params"]["url"].as_str().unwrap();
    let path = url.strip_prefix(&format!("http://{}", server.authority())).unwrap();
    let visit = |line: &str, cookie: &str, more: &[&str], body: &str| {
        let head = [&[cookie, "Content-Type: application/x-www-form-urlencoded"], more].concat();
        server.request(&format!("{line} {path}"), &head, body.as_bytes())
    };
    let (alice, bob) = ("Cookie: site=dev-session-alice", "Cookie: site=dev-session-bob");
    let (body, kept) = (format!("key={KEY}"), "calendar");
    // Bob was sent the link; and a page of another site sends Alice's browser there.
    for cookie in [bob, "Cookie: none=1"] {
        assert_eq!(visit("GET", cookie, &[], "").status, 403, "{cookie}");
        assert_eq!(visit("POST", cookie, &[], &body).status, 403, "{cookie}");
    }
    let foreign = ["Origin: https://evil.example"];
    assert_eq!(visit("POST", alice, &foreign, &body).status, 403);
    for token in [ALICE, BOB] {
        assert_eq!(text(&server.call(token, kept, json!({}))), "not connected");
    }

    let page = visit("GET", alice, &[], "");
    assert!(page.status == 200 && page.body.contains("<form method=post>"), "{page:?}");
    assert_eq!(visit("POST", alice, &[], &body).status, 200);
    let mut again = params;
    again["inputResponses"] = json!({"page": {"action": "accept"}});
    again["requestState"] = asked["requestState"].clone();
    let connected = server.rpc(ALICE, "tools/call", declaring(again, able)).json();
    assert_eq!(text(&connected["result"]), "Your calendar is connected.");
    assert_eq!(text(&server.call(ALICE, kept, json!({}))), "connected");
    assert_eq!(text(&server.call(BOB, kept, json!({}))), "not connected");
    assert_eq!(visit("POST", alice, &[], &body).status, 403, "it is completed");
    assert!(!server.log().contains(KEY), "{}", server.log());
}

/// A request of a client that takes tasks.
fn of_tasks(server: &Testbed, token: Option<&str>, method: &str, params: Value) -> Response {
    let extensions = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    server.rpc(token, method, declaring(params, extensions))
}

/// The id of the task that a call becomes.
fn begun(server: &Testbed, tool: &str, arguments: Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    let task = of_tasks(server, ALICE, "tools/call", params).json();
    assert_eq!(task["result"]["resultType"], "task", "{task}");
    task["result"]["taskId"].as_str().unwrap().to_owned()
}

/// Alice's task, once it has another status than this.
fn once_not(server: &Testbed, id: &str, status: &str) -> Value {
    let begun = Instant::now();
    loop {
        let mut found = of_tasks(server, ALICE, "tasks/get", json!({"taskId": id})).json();
        if found["result"]["status"] != status {
            return found["result"].take();
        }
        assert!(begun.elapsed() < PATIENCE, "{found}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn tasks_outlive_their_requests_and_belong_to_their_callers() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_tasks"));
    let report = json!({"year": 2026, "pages": 12});
    // Who takes no tasks waits.
    let waited = server.call(BOB, "report", json!({"year": 2026}));
    assert_eq!(waited["structuredContent"], report);
    let params = json!({"name": "watch_stock", "arguments": {}});
    assert_eq!(server.rpc(BOB, "tools/call", params).code(), -32021);

    let id = begun(&server, "report", json!({"year": 2026}));
    let ended = once_not(&server, &id, "working");
    assert_eq!(ended["status"], "completed", "{ended}");
    assert_eq!(ended["result"]["structuredContent"], report);
    // Somebody else's task, and one's own of a tool that one may not use any more, never were.
    let get = |token, id: &str| {
        of_tasks(&server, token, "tasks/get", json!({"taskId": id})).normalised(id)
    };
    let never: String = id.chars().rev().collect();
    for token in [BOB, Some("dev-token-alice-writing")] {
        assert_eq!(get(token, &id), get(token, &never));
    }

    let watch = begun(&server, "watch_stock", json!({}));
    let cancel = |token| of_tasks(&server, token, "tasks/cancel", json!({"taskId": watch})).json();
    assert_eq!(cancel(BOB)["error"]["code"], -32602);
    assert_eq!(once_not(&server, &watch, "cancelled")["status"], "working");
    assert!(cancel(ALICE)["error"].is_null());
    assert_eq!(once_not(&server, &watch, "working")["status"], "cancelled");
}

#[test]
fn handles_are_their_callers_own_and_of_one_kind() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_handles"));
    let add = |item: &str, cart: &Value| {
        server.call(ALICE, "add_item", json!({"item": item, "cart": cart}))["structuredContent"]
            .take()
    };
    let one = add("lamp", &Value::Null);
    let two = add("chain", &one["cart"]);
    assert_eq!((&one["items"], &two["items"]), (&json!(1), &json!(2)));
    let order = server.call(ALICE, "order", json!({"cart": two["cart"]}));
    let order = json!(text(&order));
    let confirm = |token, order: &Value| server.call(token, "confirm", json!({"order": order}));
    assert_eq!(text(&confirm(ALICE, &order)), "Ordered: lamp, chain.");

    // Another caller's, a cart in the place of an order, and one that was changed.
    let changed: String = order.as_str().unwrap().chars().rev().collect();
    for (token, handle) in [(BOB, &order), (ALICE, &two["cart"]), (ALICE, &json!(changed))] {
        let refused = confirm(token, handle);
        let expected = "argument `order`: expected a handle that you were given here, and that has \
                        not expired (type)";
        assert_eq!((text(&refused), &refused["isError"]), (expected, &json!(true)));
    }
}

/// The stream of a client that listens to what `notifications` lists, acknowledged.
fn listen(server: &Testbed, token: Option<&str>, notifications: Value) -> Stream {
    let params = json!({"notifications": notifications});
    let mut stream = server.rpc_stream(token, "subscriptions/listen", params);
    assert_eq!(next(&mut stream)["method"], "notifications/subscriptions/acknowledged");
    stream
}

#[test]
fn subscriptions_tell_of_updates_and_lists_whom_they_concern() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_subscriptions"));
    let wanted = json!({"resourceSubscriptions": ["note://plan"], "resourcesListChanged": true});
    let mut bobs = listen(&server, BOB, wanted.clone());
    let mut carols = listen(&server, CAROL, wanted);
    for (title, text) in [("plants", "More water."), ("plan", "Build it well.")] {
        server.call(ALICE, "change_note", json!({"title": title, "text": text}));
    }
    let told = next(&mut bobs);
    assert_eq!(told["method"], "notifications/resources/updated");
    assert_eq!(told["params"]["uri"], "note://plan");
    let read = server.result(BOB, "resources/read", json!({"uri": "note://plan"}));
    assert_eq!(read["contents"][0]["text"], "Build it well.");

    let minutes = || server.rpc(BOB, "resources/read", json!({"uri": "minutes://last"})).body;
    assert!(!minutes().contains("Nothing was decided."));
    server.call(ALICE, "publish_minutes", json!({}));
    assert_eq!(next(&mut bobs)["method"], "notifications/resources/list_changed");
    assert!(minutes().contains("Nothing was decided."));
    // Carol may read neither, and heard of nothing.
    assert_eq!(carols.message(Duration::from_millis(300)), None);
    assert!(carols.is_open());
    assert_absent(&server, BOB, "publish_minutes");

    let complete = |token| {
        let reference = json!({"type": "ref/resource", "uri": "note://{title}"});
        let argument = json!({"name": "title", "value": "pla"});
        let params = json!({"ref": reference, "argument": argument});
        server.rpc(token, "completion/complete", params).json()
    };
    assert_eq!(complete(BOB)["result"]["completion"]["values"], json!(["plan", "plants"]));
    assert_eq!(complete(CAROL)["error"]["code"], -32602);
}

/// The files of a certificate for 127.0.0.1, and of its key.
fn certificate(folder: &Path) -> [String; 2] {
    let [cert, key] =
        ["cert.pem", "key.pem"].map(|name| folder.join(name).to_str().unwrap().to_owned());
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "1", "-keyout", &key, "-out", &cert])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]))
    .unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    [cert, key]
}

#[test]
fn https_serves_the_page_of_one_origin_over_tls_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [cert, key] = certificate(folder.path());
    let page = "https://app.example.com";
    let server = Testbed::on_free_port_with(
        env!("CARGO_BIN_EXE_https"),
        &[("TLS_CERT", &cert), ("TLS_KEY", &key), ("PAGE", page)],
    );
    let url = format!("https://{}/mcp", server.authority());
    let curl = |arguments: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-sSi", "--http1.1", "--noproxy", "*", "--max-time", "20"]);
        run(curl.args(arguments).arg(&url))
    };
    let trusting = ["--cacert", &*cert];
    assert!(curl(&[]).is_err(), "the certificate is nobody's that curl trusts");
    let plain = server.rpc(BOB, "tools/list", json!({}));
    assert_ne!(plain.status, 200, "{plain:?}");

    let preflight = |origin: &str| {
        let origin = format!("Origin: {origin}");
        let asks = "Access-Control-Request-Headers: authorization,mcp-param-region";
        let head = ["-X", "OPTIONS", "-H", &origin, "-H", "Access-Control-Request-Method: POST"];
        curl(&[&trusting[..], &head, &["-H", asks]].concat()).unwrap().to_ascii_lowercase()
    };
    let allowed = preflight(page);
    assert!(allowed.starts_with("http/1.1 204"), "{allowed}");
    assert!(allowed.contains(&format!("access-control-allow-origin: {page}\r\n")), "{allowed}");
    assert!(allowed.contains("mcp-param-region"), "{allowed}");

    let params = json!({"name": "stock", "arguments": {"region": "eu"}});
    let (mut head, body) =
        (rpc_head(BOB, "tools/call", &params), message("tools/call", params).to_string());
    let mut call = |origin: &str, region: &str| {
        let lines = [format!("Origin: {origin}"), format!("Mcp-Param-Region: {region}")];
        head.truncate(6);
        head.extend(lines);
        let head = head.iter().flat_map(|line| ["-H", line]);
        let arguments: Vec<&str> = trusting.into_iter().chain(head).chain(["-d", &body]).collect();
        curl(&arguments).unwrap()
    };
    let answer = call(page, "eu");
    assert!(answer.contains("12 lamps"), "{answer}");
    let refused = call(page, "us");
    assert!(refused.starts_with("HTTP/1.1 400") && refused.contains("-32020"), "{refused}");
    for origin in ["https://evil.example", "null", "http://app.example.com"] {
        assert!(preflight(origin).starts_with("http/1.1 403"), "{origin}");
        let refused = call(origin, "eu");
        assert!(refused.starts_with("HTTP/1.1 403") && !refused.contains("lamps"), "{refused}");
    }
}
