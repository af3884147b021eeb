//! Calls that go on as tasks: their states, results and end.

mod owned;
mod questions;
mod room;
mod stopped;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_auth::audit::{AuditError, AuditRecord, AuditSink};
use portcullis_guard::Secret;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::access::require_scopes;
use crate::component::{Argument, Call, Component, TaskSupport};
use crate::server::{AuthSet, Limits};
use crate::testing::{TestAnswer, TestClient};
use crate::{Components, Server, ServerBuilder, Tool, ToolError};

fn builder(components: impl IntoIterator<Item = Component>) -> ServerBuilder<AuthSet> {
    let components = components.into_iter().fold(Components::new(), Components::with);
    Server::builder("reports").no_auth().components(components)
}

fn takes_tasks() -> Value {
    json!({"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}})
}

/// Alice, whose client takes tasks.
fn alice(server: &Server) -> TestClient {
    TestClient::new(server).as_user("alice").scopes(["read"]).capabilities(&takes_tasks())
}

/// What a tool called `work` waits for, and how often its function has begun and was dropped.
#[derive(Clone)]
struct Work {
    goes_on: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
    over: Arc<AtomicUsize>,
}

impl Work {
    fn new() -> Self {
        let (begun, over) = Default::default();
        Self { goes_on: Arc::new(Semaphore::new(0)), begun, over }
    }

    fn goes_on(&self) {
        self.goes_on.add_permits(1);
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn over(&self) -> usize {
        self.over.load(Ordering::SeqCst)
    }

    fn declare(&self) -> Tool {
        Tool::new("work").task(TaskSupport::Optional)
    }

    async fn run(self) -> &'static str {
        struct Over(Arc<AtomicUsize>);
        impl Drop for Over {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }

        let _over = Over(self.over);
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.goes_on.acquire().await.unwrap().forget();
        "done"
    }

    fn tool(&self) -> Component {
        self.of(self.declare())
    }

    fn of(&self, tool: Tool) -> Component {
        let work = self.clone();
        tool.handler(move |_call| work.clone().run())
    }
}

/// A tool that runs as a task and ends at once.
fn task<F, T>(name: &str, function: F) -> Component
where
    F: Fn() -> T + Send + Sync + Clone + 'static,
    T: crate::component::IntoToolResult + Send + 'static,
{
    let tool = Tool::new(name).task(TaskSupport::Optional);
    tool.handler(move |_call| {
        let function = function.clone();
        async move { function() }
    })
}

/// The id of the task that a call has become.
fn id(answer: &TestAnswer) -> String {
    let result = &answer.json()["result"];
    assert_eq!(result["resultType"], "task", "{}", answer.json());
    result["taskId"].as_str().unwrap().to_owned()
}

async fn begin(client: &TestClient, tool: &str) -> String {
    id(&client.call(tool, json!({})).await)
}

async fn get(client: &TestClient, id: &str) -> TestAnswer {
    client.ask("tasks/get", json!({"taskId": id})).await
}

async fn cancel(client: &TestClient, id: &str) -> TestAnswer {
    client.ask("tasks/cancel", json!({"taskId": id})).await
}

/// How long is waited for what is to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// The task, once it is in this state.
async fn until(client: &TestClient, id: &str, status: &str) -> Value {
    let mut last = Value::Null;
    let asked = async {
        loop {
            last = get(client, id).await.json().clone();
            let now = &last["result"]["status"];
            if now == status {
                return;
            }
            let goes_on = now == "working" || now == "input_required";
            assert!(goes_on, "it never is {status}: {last}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let asked = tokio::time::timeout(PATIENCE, asked).await;
    assert!(asked.is_ok(), "it is not {status} yet: {last}");
    last["result"].take()
}

/// Waits until something is so.
async fn eventually(is: impl Fn() -> bool) {
    let asked = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("it never is");
}

#[tokio::test]
async fn a_call_goes_on_as_a_task_and_its_result_is_found() {
    let work = Work::new();
    let server = builder([work.tool()]).build().unwrap();
    let alice = alice(&server);
    let created = alice.call("work", json!({})).await;
    let id = id(&created);
    assert_eq!(id.len(), 32, "192 bits");
    let result = &created.json()["result"];
    assert_eq!((&result["status"], &result["ttlMs"]), (&json!("working"), &json!(3_600_000)));
    assert_eq!(result["createdAt"], result["lastUpdatedAt"]);
    assert!(result["pollIntervalMs"].is_u64() && result.get("result").is_none());
    assert_eq!(get(&alice, &id).await.json()["result"]["status"], "working");

    work.goes_on();
    let completed = until(&alice, &id, "completed").await;
    let expected = json!({
        "resultType": "complete",
        "content": [{"type": "text", "text": "done"}],
        "isError": false,
    });
    assert_eq!(completed["result"], expected);
    assert_eq!((&completed["resultType"], work.begun(), work.over()), (&json!("complete"), 1, 1));
    assert_eq!(until(&alice, &id, "completed").await, completed, "as often as it is asked for");
    assert_ne!(begin(&alice, "work").await, id);
}

#[tokio::test]
async fn a_client_that_takes_no_tasks_waits_for_the_result_or_is_refused() {
    let (optional, required) = (Work::new(), Work::new());
    let tool = Tool::new("required").task(TaskSupport::Required);
    let plain = Tool::new("plain").handler(|_call| async { "done" });
    let server = builder([optional.tool(), required.of(tool), plain]).build().unwrap();
    optional.goes_on();
    let alice = alice(&server);
    let other = alice.capabilities(&json!({"elicitation": {}, "tasks": {}}));
    assert_eq!(other.call("work", json!({})).await.text(), Some("done"));
    for client in [other.clone(), alice.in_session()] {
        let refused = client.call("required", json!({})).await;
        assert_eq!(refused.error_code(), Some(-32021));
        let needed = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
        assert_eq!(refused.json()["error"]["data"], json!({"requiredCapabilities": needed}));
    }
    assert_eq!(required.begun(), 0);
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        let params = json!({"taskId": "x", "inputResponses": {}});
        assert_eq!(other.ask(method, params.clone()).await.error_code(), Some(-32021), "{method}");
        assert_eq!(other.ask(method, params.clone()).await.status(), 400, "{method}");
        assert_eq!(alice.in_session().ask(method, params).await.error_code(), Some(-32601));
    }
    assert_eq!(alice.call("plain", json!({})).await.text(), Some("done"), "not a task");
    begin(&alice, "required").await;
}

#[tokio::test]
async fn a_server_without_such_tools_has_no_tasks() {
    let tool = Tool::new("plain").handler(|_call| async { "done" });
    let server = builder([tool]).build().unwrap();
    let alice = alice(&server);
    assert_eq!(get(&alice, "x").await.error_code(), Some(-32601));
    assert_eq!(alice.call("plain", json!({})).await.text(), Some("done"));
}

#[tokio::test]
async fn what_is_refused_before_its_function_begins_is_no_task() {
    let work = Work::new();
    let tool = work
        .declare()
        .parameter::<u8>(Argument::new("number").le(3))
        .auth(require_scopes(["read"]));
    let server = builder([work.of(tool)]).build().unwrap();
    let alice = alice(&server);
    let refused = alice.call("work", json!({"number": 4})).await;
    assert!(refused.is_error() && refused.json()["result"]["resultType"] == "complete");
    let nobody = alice.scopes(Vec::<String>::new());
    assert!(nobody.call("work", json!({"number": 3})).await.is_not_found());
    assert_eq!(work.begun(), 0);
    id(&alice.call("work", json!({"number": 3})).await);
}

#[tokio::test]
async fn an_error_of_the_tool_completes_a_task_and_one_of_the_protocol_fails_it() {
    let own = || Err::<String, _>(ToolError::new("No such year."));
    let internal = || Err::<String, _>(ToolError::internal("postgres://app:hunter2@db"));
    let scopes =
        || Err::<String, ToolError>(crate::component::InsufficientScope::new(["all"]).into());
    let panicking = || -> String { panic!("hunter2") };
    let tools = [
        task("own", own),
        task("internal", internal),
        task("scopes", scopes),
        task("panicking", panicking),
    ];
    let server = builder(tools).build().unwrap();
    let alice = alice(&server);
    let told = until(&alice, &begin(&alice, "own").await, "completed").await;
    assert_eq!(told["result"]["isError"], true);
    assert_eq!(told["result"]["content"][0]["text"], "No such year.");
    for tool in ["internal", "panicking"] {
        let told = until(&alice, &begin(&alice, tool).await, "completed").await;
        assert_eq!(told["result"]["isError"], true);
        let text = told["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("Internal error (reference "), "{text}");
    }
    let told = until(&alice, &begin(&alice, "scopes").await, "failed").await;
    assert_eq!(told["error"]["code"], 403);
    assert_eq!(told["error"]["message"], told["statusMessage"]);
    assert!(told.get("result").is_none());
}

#[tokio::test]
async fn e08_a_secret_is_in_no_result_of_a_task_though_it_is_known_only_later() {
    let early = Secret::known("e08-known-before-the-task".to_owned());
    let late = "e08-known-after-the-task";
    let server = builder([task("tell", move || format!("e08-known-before-the-task {late}"))]);
    let server = server.build().unwrap();
    let alice = alice(&server);
    let id = begin(&alice, "tell").await;
    let text = |told: &Value| told["result"]["content"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(text(&until(&alice, &id, "completed").await), format!("[redacted] {late}"));
    drop(early);
    let _late = Secret::known(late.to_owned());
    assert_eq!(text(&until(&alice, &id, "completed").await), "[redacted] [redacted]");
}

#[tokio::test]
async fn results_have_a_length_and_long_ones_are_whole() {
    let length = |letters: usize| move || "x".repeat(letters);
    let server = builder([task("long", length(200_000)), task("too_long", length(300_000))]);
    let server = server.limits(|limits| limits.task_result_bytes = 256 * 1024).build().unwrap();
    let alice = alice(&server);
    let told = until(&alice, &begin(&alice, "long").await, "completed").await;
    assert_eq!(told["result"]["content"][0]["text"], "x".repeat(200_000));
    let told = until(&alice, &begin(&alice, "too_long").await, "completed").await;
    let text = "The result is longer than a task may have, 262144 bytes.";
    assert_eq!(told["result"]["content"][0]["text"], text);
    assert_eq!(told["result"]["isError"], true);
}

#[tokio::test(start_paused = true)]
async fn a_task_runs_longer_than_a_call_and_not_for_ever() {
    let work = Work::new();
    let server = builder([work.tool()]).build().unwrap();
    let alice = alice(&server);
    let id = begin(&alice, "work").await;
    let minute = Duration::from_secs(60);
    tokio::time::sleep(29 * minute).await;
    assert_eq!(get(&alice, &id).await.json()["result"]["status"], "working");
    tokio::time::sleep(2 * minute).await;
    let told = get(&alice, &id).await;
    let text = "It took too long, and was stopped.";
    assert_eq!(told.json()["result"]["result"]["content"][0]["text"], text);
    assert_eq!(work.over(), 1);
}

#[test]
fn limits_that_leave_no_time_for_a_result_do_not_build() {
    let builds =
        |change: fn(&mut Limits)| builder([Work::new().tool()]).limits(change).build().is_ok();
    assert!(builds(|_| {}));
    assert!(!builds(|limits| limits.tasks = 0));
    assert!(!builds(|limits| limits.tasks_per_principal = 0));
    assert!(!builds(|limits| limits.task_timeout = Duration::from_secs(59)));
    assert!(!builds(|limits| limits.task_ttl = limits.task_timeout));
    assert!(!builds(|limits| limits.task_store_bytes = 4 * limits.task_result_bytes));
    let plain = Tool::new("plain").handler(|_call| async { "done" });
    assert!(builder([plain]).limits(|limits| limits.tasks = 0).build().is_ok());
}

/// The records, as JSON.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<Value>>>);

impl AuditSink for Kept {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        self.0.lock().unwrap().push(serde_json::to_value(record).unwrap());
        Ok(())
    }
}

#[tokio::test]
async fn e11_the_call_is_recorded_when_its_task_ends_and_never_with_its_id() {
    let (work, kept) = (Work::new(), Kept::default());
    let server = builder([work.tool()]).audit(kept.clone()).build().unwrap();
    let alice = alice(&server);
    let done = begin(&alice, "work").await;
    assert_eq!(kept.0.lock().unwrap().len(), 0, "it goes on");
    work.goes_on();
    until(&alice, &done, "completed").await;
    let cancelled = begin(&alice, "work").await;
    eventually(|| work.begun() == 2).await;
    cancel(&alice, &cancelled).await;
    eventually(|| work.over() == 2).await;
    get(&alice, "unknown").await;
    let records = std::mem::take(&mut *kept.0.lock().unwrap());
    let calls: Vec<_> =
        records.iter().filter(|record| record["operation"] == "tools/call").collect();
    assert_eq!(calls.len(), 2);
    assert_eq!((&calls[0]["outcome"], &calls[1]["outcome"]), (&json!("ok"), &json!("cancelled")));
    assert_ne!(calls[0]["task"], calls[1]["task"]);
    for (operation, task, outcome) in [
        ("tasks/get", &calls[0]["task"], "ok"),
        ("tasks/cancel", &calls[1]["task"], "ok"),
        ("tasks/get", &Value::Null, "not_found"),
    ] {
        let same = |record: &&Value| {
            record["operation"] == operation
                && record.get("task").unwrap_or(&Value::Null) == task
                && record["outcome"] == outcome
        };
        assert!(records.iter().any(|record| same(&record)), "{operation} {records:?}");
    }
    let all = json!(records).to_string();
    assert!(!all.contains(&done) && !all.contains(&cancelled), "{all}");
    assert!(calls.iter().all(|call| call["component"] == "work" && call["subject"] == "alice"));
}

#[tokio::test]
async fn a_tool_may_say_itself_where_its_task_begins() {
    let tool = Tool::new("report")
        .task(TaskSupport::WhenBegun)
        .parameter::<bool>(Argument::new("changed"));
    let tool = tool.handler(|mut call: Call| async move {
        let context = call.context().clone();
        if call.take::<bool>("changed")? {
            context.begin_task().await?;
            context.begin_task().await?;
        }
        Ok::<_, ToolError>("the report")
    });
    let server = builder([tool]).build().unwrap();
    let alice = alice(&server);
    let same = alice.call("report", json!({"changed": false})).await;
    assert_eq!(
        (same.text(), &same.json()["result"]["resultType"]),
        (Some("the report"), &json!("complete"))
    );
    let id = id(&alice.call("report", json!({"changed": true})).await);
    let told = until(&alice, &id, "completed").await;
    assert_eq!(told["result"]["content"][0]["text"], "the report");
    let other = alice.capabilities(&json!({}));
    assert_eq!(other.call("report", json!({"changed": true})).await.text(), Some("the report"));
}
