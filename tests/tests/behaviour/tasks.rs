//! Tasks, over live ports: calls that outlive their connections, and their server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::guard::SystemClock;
use portcullis::guard::keys::new_key;
use portcullis::prelude::*;
use portcullis::store::MemoryStore;
use portcullis::visibility::names;
use portcullis_tests::driver::{
    Response, StdioTestbed, Testbed, free_address, kill, message, terminate,
};
use portcullis_tests::issuer::{Issuer, claims};
use portcullis_tests::served::Served;
use serde_json::{Value, json};

use crate::restarted::resting;
use crate::{ALICE, BOB, TESTBED};

const PATIENCE: Duration = Duration::from_secs(20);

/// Parameters of a client that takes tasks.
fn taking_tasks(mut params: Value) -> Value {
    let extensions = json!({"io.modelcontextprotocol/tasks": {}});
    params["_meta"] = json!({
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}, "extensions": extensions},
    });
    params
}

fn ask(testbed: &Testbed, token: Option<&str>, method: &str, params: Value) -> Response {
    testbed.rpc(token, method, taking_tasks(params))
}

/// The id of the task that a call becomes.
fn begin(testbed: &Testbed, token: Option<&str>, tool: &str, arguments: Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    let answer = ask(testbed, token, "tools/call", params).json();
    assert_eq!(answer["result"]["resultType"], "task", "{answer}");
    answer["result"]["taskId"].as_str().unwrap().to_owned()
}

fn get(testbed: &Testbed, token: Option<&str>, id: &str) -> Value {
    ask(testbed, token, "tasks/get", json!({"taskId": id})).json()
}

/// The task, once it is in this state.
fn until(testbed: &Testbed, token: Option<&str>, id: &str, status: &str) -> Value {
    let begun = Instant::now();
    loop {
        let mut answer = get(testbed, token, id);
        if answer["result"]["status"] == status {
            return answer["result"].take();
        }
        assert!(begun.elapsed() < PATIENCE && answer["error"].is_null(), "{answer}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What is in no list but the readers'.
#[tool(task, auth = require_scopes(["read"]))]
async fn report(year: u16) -> String {
    format!("The report of {year}.")
}

/// Never ends by itself.
#[tool(task, auth = require_scopes(["read"]))]
async fn endless() -> String {
    std::future::pending().await
}

fn served() -> Served {
    let tokens = StaticTokenVerifier::new()
        .token("dev-token-alice", user("alice").scopes(["read"]))
        .token("dev-token-bob", user("bob").scopes(["read"]))
        .token("dev-token-carol", user("carol"));
    let server = Server::builder("reports").auth(tokens).components(components![report, endless]);
    // What never ends is not waited for.
    let server = server.limits(|limits| limits.drain_timeout = Duration::from_millis(100));
    Served::start(server.build().unwrap())
}

#[test]
fn a_call_goes_on_as_a_task_after_its_connection_has_ended() {
    let served = served();
    let id = begin(&served, ALICE, "report", json!({"year": 2026}));
    let task = until(&served, ALICE, &id, "completed");
    assert_eq!(task["result"]["content"][0]["text"], "The report of 2026.");
    let endless = begin(&served, ALICE, "endless", json!({}));
    assert_eq!(get(&served, ALICE, &endless)["result"]["status"], "working");
    let cancelled = ask(&served, ALICE, "tasks/cancel", json!({"taskId": endless}));
    assert_eq!(cancelled.json()["result"]["resultType"], "complete");
    until(&served, ALICE, &endless, "cancelled");
    assert_eq!(served.call(ALICE, "report", json!({"year": 1}))["resultType"], "complete");
}

#[test]
fn a14_bob_finds_nothing_by_the_id_of_alices_task() {
    let served = served();
    let id = begin(&served, ALICE, "endless", json!({}));
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let asked = |id: &str| {
            let params = json!({"taskId": id, "inputResponses": {}});
            let response = ask(&served, BOB, method, params);
            assert_eq!(response.status, 200);
            response.normalised(id)
        };
        let unknown: String = id.chars().rev().collect();
        assert_eq!(asked(&id), asked(&unknown), "{method}");
    }
    assert_eq!(get(&served, BOB, &id)["error"]["code"], -32602);
    assert_eq!(get(&served, ALICE, &id)["result"]["status"], "working");
    let refused = ask(&served, None, "tasks/get", json!({"taskId": id}));
    assert_eq!(refused.status, 401);
}

/// A server whose tools run as no tasks.
fn without_tasks() -> Served {
    #[tool]
    async fn plain() -> &'static str {
        "done"
    }

    let tokens = StaticTokenVerifier::new().token("dev-token-carol", user("carol"));
    let server = Server::builder("reports").auth(tokens).components(components![plain]);
    Served::start(server.build().unwrap())
}

#[test]
fn a14_tasks_are_there_for_those_alone_who_find_a_tool_that_runs_as_one() {
    let (served, without) = (served(), without_tasks());
    let extensions = |server: &Served, token| {
        let mut found = server.result(token, "server/discover", json!({}));
        found["capabilities"]["extensions"].take()
    };
    let carol = Some("dev-token-carol");
    assert_eq!(extensions(&served, ALICE), json!({"io.modelcontextprotocol/tasks": {}}));
    for server in [&served, &without] {
        assert_eq!(extensions(server, carol), Value::Null);
    }
    let id = begin(&served, ALICE, "endless", json!({}));
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let params = json!({"taskId": id, "inputResponses": {}});
        let declared = taking_tasks(params.clone());
        for params in [declared, params] {
            let [hidden, none] = [&served, &without]
                .map(|server| server.rpc(carol, method, params.clone()).normalised(&id));
            assert_eq!(hidden, none, "{method}");
            assert!(hidden.contains("-32601"), "{hidden}");
        }
    }
    assert_eq!(get(&served, ALICE, &id)["result"]["status"], "working");
}

/// A text of so many letters.
#[tool(task, auth = require_scopes(["read"]))]
async fn letters(number: usize) -> String {
    "x".repeat(number)
}

/// What the caller unlocks rests in the store, beside the tasks.
#[tool]
async fn unlock(ctx: Context) -> Result<&'static str, ToolError> {
    ctx.enable_components(names(["letters"])).await?;
    Ok("unlocked")
}

#[test]
fn q08_whoever_fills_the_store_with_results_of_tasks_fills_the_share_of_tasks_alone() {
    let tokens = StaticTokenVerifier::new()
        .token("dev-token-alice", user("alice").scopes(["read"]))
        .token("dev-token-bob", user("bob").scopes(["read"]))
        .token("dev-token-carol", user("carol"));
    let store = MemoryStore::new(Arc::new(SystemClock)).with_capacity(100);
    let server = Server::builder("reports").auth(tokens).store(store);
    let server = server.components(components![letters, unlock]).limits(|limits| {
        (limits.task_result_bytes, limits.task_store_bytes) = (64 * 1024, 400 * 1024);
    });
    let served = Served::start(server.build().unwrap());
    let long = json!({"number": 40_000});
    for _ in 0..2 {
        let id = begin(&served, ALICE, "letters", long.clone());
        until(&served, ALICE, &id, "completed");
    }
    let id = begin(&served, ALICE, "letters", long.clone());
    let failed = until(&served, ALICE, &id, "failed");
    let text = failed["statusMessage"].as_str().unwrap();
    assert!(text.contains("your tasks take as much room as they may"), "{text}");
    let refused = (0..100).find_map(|_| {
        let params = json!({"name": "letters", "arguments": {"number": 1}});
        let answer = ask(&served, ALICE, "tools/call", params).json();
        (answer["result"]["isError"] == true)
            .then(|| answer["result"]["content"][0]["text"].clone())
    });
    let refused = refused.unwrap();
    assert!(refused.as_str().unwrap().starts_with("Your tasks take as much room"), "{refused}");

    let id = begin(&served, BOB, "letters", long);
    until(&served, BOB, &id, "completed");
    let unlocked = served.call(Some("dev-token-carol"), "unlock", json!({}));
    assert_eq!(unlocked["content"][0]["text"], "unlocked");
}

#[test]
fn n22_the_id_of_a_task_is_repeated_in_a_header() {
    let served = served();
    let id = begin(&served, ALICE, "endless", json!({}));
    let body = message("tasks/get", taking_tasks(json!({"taskId": id}))).to_string();
    let get = |names: &[&str]| {
        let mut head = vec![
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            "MCP-Protocol-Version: 2026-07-28",
            "Mcp-Method: tasks/get",
            "Authorization: Bearer dev-token-alice",
        ];
        head.extend(names);
        served.request("POST /mcp", &head, body.as_bytes())
    };
    let own = format!("Mcp-Name: {id}");
    assert_eq!(get(&[&own]).json()["result"]["status"], "working");
    for names in [&[][..], &["Mcp-Name: another"], &[&*own, &*own]] {
        let refused = get(names);
        assert_eq!((refused.status, refused.code()), (400, -32020), "{names:?}");
    }
}

/// A server whose records rest in a file, at one address.
struct Resting<'a> {
    address: std::net::SocketAddr,
    flags: Vec<&'a str>,
    key: &'a str,
}

impl Resting<'_> {
    fn start(&self) -> Testbed {
        let variables = [("PORTCULLIS_KEYS", self.key)];
        Testbed::start_at(TESTBED, self.address, &self.flags, &variables)
    }
}

#[test]
fn e23_a_task_outlives_its_server_or_has_failed_with_it_and_its_file_says_nothing_of_it() {
    let (issuer, folder, key) = (Issuer::start(), tempfile::tempdir().unwrap(), new_key().unwrap());
    let state = folder.path().join("state");
    let mut flags = vec!["--fixtures", "conformance", "--store", "file"];
    flags.extend(["--state-dir", state.to_str().unwrap()]);
    flags.extend(issuer.flags());
    let at = Resting { address: free_address(), flags, key: key.expose() };
    let token = issuer.token(&claims("alice", "read"));
    let (alice, other) = (Some(&*token), issuer.token(&claims("bob", "read")));

    let server = at.start();
    let quick = json!({"seconds": 0, "label": "heron-and-bittern"});
    let done = begin(&server, alice, "slow_compute", quick);
    let completed = until(&server, alice, &done, "completed");
    let ran = begin(&server, alice, "slow_compute", json!({"seconds": 60}));
    let asking = begin(&server, alice, "confirm_delete", json!({"filename": "x"}));
    until(&server, alice, &asking, "input_required");
    kill(server.id());
    drop(server);

    let server = at.start();
    assert_eq!(until(&server, alice, &done, "completed"), completed);
    for id in [&ran, &asking] {
        let failed = until(&server, alice, id, "failed");
        let text = failed["statusMessage"].as_str().unwrap();
        assert!(text.contains("restarted"), "{text}");
        assert_eq!(failed["error"]["message"], text);
    }
    assert_eq!(get(&server, Some(&other), &done)["error"]["code"], -32602);

    // Asked to stop, it lets a task finish.
    let ends = begin(&server, alice, "slow_compute", json!({"seconds": 2, "label": "it"}));
    terminate(server.id());
    assert_eq!(server.exit_code(), Some(0));
    let server = at.start();
    let task = until(&server, alice, &ends, "completed");
    assert_eq!(task["result"]["content"][0]["text"], "it took 2 s.");
    drop(server);
    let bytes = resting(&state.join("store"));
    for told in ["heron-and-bittern", "slow_compute", &*done] {
        let found = bytes.windows(told.len()).any(|part| part == told.as_bytes());
        assert!(!found, "{told}");
    }
}

#[test]
fn over_stdio_the_local_user_has_tasks_too() {
    let flags = ["--fixtures", "conformance", "--auth", "none"];
    let mut testbed = StdioTestbed::start_with(TESTBED, &flags);
    let mut ask = |method: &str, params: Value| {
        let mut answer = testbed.ask(&message(method, taking_tasks(params)));
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].take()
    };
    let params = json!({"name": "confirm_delete", "arguments": {"filename": "x"}});
    let id = ask("tools/call", params)["taskId"].take();
    let begun = Instant::now();
    let questions = loop {
        let mut task = ask("tasks/get", json!({"taskId": id}));
        if task["status"] == "input_required" {
            break task["inputRequests"].take();
        }
        assert!(begun.elapsed() < PATIENCE, "{task}");
    };
    let key = questions.as_object().unwrap().keys().next().unwrap();
    let answers = json!({key: {"action": "accept", "content": {"confirm": true}}});
    ask("tasks/update", json!({"taskId": id, "inputResponses": answers}));
    let task = loop {
        let task = ask("tasks/get", json!({"taskId": id}));
        if task["status"] == "completed" {
            break task;
        }
        assert!(begun.elapsed() < PATIENCE, "{task}");
    };
    assert_eq!(task["result"]["content"][0]["text"], "x is deleted.");
}
