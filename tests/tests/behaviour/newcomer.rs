//! What somebody meets who builds a first server.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Extension;
use axum::http::Request;
use portcullis::Error;
use portcullis::component::ToolResult;
use portcullis::error::{Problem, ProblemKind};
use portcullis::middleware::{RateLimit, Timeout};
use portcullis::prelude::*;
use portcullis::route::{delete, get, patch, post, put};
use portcullis::testing::TestClient;
use serde_json::{Map, Value, json};
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::util::SubscriberInitExt;

use crate::TESTBED;

async fn who(Extension(caller): Extension<Caller>) -> String {
    caller.subject().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn trial_d10_routes_of_every_method_are_tested_without_a_network() {
    let tokens = danger::StaticTokenVerifier::new().token("t", danger::user("dev"));
    let admin = || require_scopes(["admin"]);
    let server = Server::builder("routes")
        .auth(tokens)
        .route(get("/health", async || "ok").public("liveness, reveals nothing"))
        .route(post("/users", who).require(admin()))
        .route(put("/users", who).require(admin()))
        .route(patch("/users", who).require(admin()))
        .route(delete("/users", who).require(admin()))
        .middleware(RateLimit::per_principal(9, Duration::from_secs(60)))
        .build()
        .unwrap();
    let nobody = TestClient::new(&server);
    assert_eq!(nobody.get("/health").await.text(), Some("ok"));
    assert_eq!(nobody.get("/nothing").await.status(), 404);
    assert_eq!(nobody.get("no path").await.status(), 400);
    let request =
        |method: &str| Request::builder().method(method).uri("/users").body(Vec::new()).unwrap();
    let (bob, alice) = (nobody.as_user("bob"), nobody.as_user("alice").scopes(["admin"]));
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let refused = nobody.send(request(method)).await;
        assert_eq!(refused.status(), 401, "{method}");
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.contains("resource_metadata="), "{challenge}");
        assert_eq!(bob.send(request(method)).await.status(), 403, "{method}");
        assert_eq!(alice.send(request(method)).await.text(), Some("alice"), "{method}");
    }
    assert_eq!(alice.send(request("GET")).await.status(), 405);
    let mut statuses = Vec::new();
    for _ in 0..9 {
        statuses.push(alice.send(request("POST")).await.status());
    }
    assert!(statuses.contains(&429), "the server's own rate limit counts: {statuses:?}");
}

/// Books a seat.
#[tool]
async fn book(seat: String) -> Result<ToolResult, ToolError> {
    match seat.as_str() {
        "1A" => ToolResult::error("That seat is taken.").with_structure(&json!({"free": ["1B"]})),
        "list" => ToolResult::new([]).with_structure(&json!(["no", "object"])),
        _ => Ok(ToolResult::new([Content::text("Booked:"), Content::text(seat)])),
    }
}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Total {
    pence: u32,
}

/// Adds up.
#[tool]
async fn total() -> (Vec<Content>, Json<Total>) {
    (vec![Content::text("Nine pounds.")], Json(Total { pence: 900 }))
}

#[tokio::test]
async fn trial_d10_a_result_has_content_beside_its_structure_and_an_error_has_a_structure() {
    let server = Server::builder("seats").no_auth().components(components![book, total]);
    let client = TestClient::new(&server.build().unwrap());
    let taken = client.call("book", json!({"seat": "1A"})).await;
    assert_eq!(taken.json()["result"]["isError"], true);
    assert_eq!(taken.text(), Some("That seat is taken."));
    assert_eq!(taken.structured(), Some(&json!({"free": ["1B"]})));
    let booked = client.call("book", json!({"seat": "2C"})).await;
    assert_eq!(booked.json()["result"]["content"][1]["text"], "2C");
    assert_eq!(booked.structured(), None);
    let list = client.call("book", json!({"seat": "list"})).await;
    assert!(list.error().unwrap().starts_with("Internal error (reference"), "{list:?}");
    let total = client.call("total", json!({})).await;
    assert_eq!(total.text(), Some("Nine pounds."));
    assert_eq!(total.structured(), Some(&json!({"pence": 900})));
    let listed = client.ask("tools/list", json!({})).await;
    let listed = &listed.json()["result"]["tools"];
    let schema = |name: &str| {
        let mut tools = listed.as_array().unwrap().iter();
        tools.find(|tool| tool["name"] == name).unwrap()["outputSchema"].clone()
    };
    assert_eq!(schema("total")["properties"]["pence"]["type"], "integer");
    assert!(schema("book").is_null());
}

/// The one problem that keeps a server from being built.
fn one_problem(server: portcullis::ServerBuilder<portcullis::server::AuthSet>) -> Problem {
    let Err(Error::Build(error)) = server.build() else { panic!("it was built") };
    let [problem] = error.problems() else { panic!("{error}") };
    problem.clone()
}

#[test]
fn trial_d10_a_message_says_what_to_write() {
    let server = || Server::builder("test").no_auth();
    let problem = one_problem(server().path("mcp"));
    assert_eq!(problem.kind(), ProblemKind::InvalidPath);
    assert_eq!(problem.to_string(), r#"path "mcp": a path begins with `/`: write "/mcp""#);
    let problem = one_problem(server().path("/a//b"));
    assert_eq!(problem.kind(), ProblemKind::InvalidPath);
    assert_eq!(
        problem.text(),
        "use only letters, digits and `-._~` between slashes, and no empty segment, `.` or `..`"
    );
    let problem = one_problem(server().middleware(Timeout::new(Duration::from_secs(61))));
    assert_eq!(problem.kind(), ProblemKind::IneffectiveTimeout);
    assert_eq!(
        problem.text(),
        "the timeout 61s never fires: Limits::handler_timeout ends handlers after 60s"
    );
    assert!(server().middleware(Timeout::new(Duration::from_secs(60))).build().is_ok());
}

#[test]
fn trial_d10_the_demo_names_its_flags() {
    for (flags, named) in [
        (&["--listen", "0.0.0.0:0", "--auth", "none"][..], "--auth jwt"),
        (&["--listen", "0.0.0.0:0"], "--auth jwt"),
        (&["--auth", "jwt"], "--issuer ISSUER, --audience AUDIENCE, --jwks URL"),
        (&["--path", "mcp"], "--path PATH"),
    ] {
        let output = Command::new(TESTBED).args(flags).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("on the command line: ") && said.contains(named), "{said}");
    }
}

/// Those who may use the database.
struct Members(Vec<&'static str>);

async fn require_member(context: &AuthContext<'_>) -> Result<bool, CheckError> {
    let members = context.state::<Members>()?;
    Ok(context.principal().is_some_and(|caller| members.0.contains(&caller.subject())))
}

/// For members.
#[tool(auth = require_member)]
async fn ledger() -> &'static str {
    "The ledger."
}

#[tokio::test]
async fn trial_d5_a_check_asks_the_servers_state_and_denies_where_there_is_none() {
    let server = || Server::builder("members").auth(danger::StaticTokenVerifier::new());
    let built = server().state(Members(vec!["alice"])).components(components![ledger]).build();
    let route = get("/ledger", async || "ok").require(require_member);
    let with_route = server().state(Members(vec!["alice"])).route(route).build().unwrap();
    let (client, routes) = (TestClient::new(&built.unwrap()), TestClient::new(&with_route));
    for (user, listed, status) in [("alice", vec!["ledger"], 200), ("bob", Vec::new(), 403)] {
        assert_eq!(client.as_user(user).tools().await, listed);
        assert_eq!(routes.as_user(user).get("/ledger").await.status(), status, "{user}");
    }
    let without = server().components(components![ledger]).build().unwrap();
    let alice = TestClient::new(&without).as_user("alice");
    assert!(alice.call("ledger", json!({})).await.is_not_found());
    let why =
        without.explain(Some(&portcullis::auth::Principal::new("alice")), "ledger").await.unwrap();
    let reason = why.rules[1].reason.as_deref().unwrap();
    assert!(reason.contains("no state of the type") && reason.contains("Members"), "{reason}");
}

async fn asks_slowly(_: &AuthContext<'_>) -> bool {
    tokio::time::sleep(Duration::from_millis(5)).await;
    false
}

/// Hidden by a check that takes longer than `Limits::not_found_delay`.
#[tool(auth = asks_slowly)]
async fn slow_vault() -> &'static str {
    "gold"
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn trial_d5_a_check_that_outlasts_the_time_of_absence_is_named_once() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    // The only subscriber would not hear of what another thread met first.
    let _another = tracing::Dispatch::new(NoSubscriber::new());
    let _guard = subscriber.set_default();
    let server = Server::builder("vault").auth(danger::StaticTokenVerifier::new());
    let client = TestClient::new(&server.components(components![slow_vault]).build().unwrap());
    let alice = client.as_user("alice");
    for name in ["slow_vault", "slow_vault", "no_vault"] {
        assert!(alice.call(name, json!({})).await.is_not_found());
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("longer than Limits::not_found_delay").count(), 1, "{log}");
    assert!(log.contains("slow_vault"), "{log}");
}

fn at_most_50(_: &AuthContext<'_>, arguments: &Map<String, Value>) -> bool {
    arguments.get("pounds").and_then(Value::as_u64).is_some_and(|pounds| pounds <= 50)
}

/// Refund without asking a manager, up to a limit.
#[tool(auth = by_arguments(require_scopes(["refund"]), at_most_50).over_stdio())]
async fn refund(pounds: u32) -> String {
    format!("Refunded {pounds}")
}

/// The same, for whoever sits at the machine without a limit.
#[tool(auth = by_arguments(require_scopes(["refund"]), at_most_50))]
async fn refund_by_hand(pounds: u32) -> String {
    format!("Refunded {pounds}")
}

#[tokio::test]
async fn trial_d7_a_rule_by_arguments_is_asked_over_stdio_where_it_says_so() {
    let server = || Server::builder("desk").auth(danger::StaticTokenVerifier::new());
    let built = server().components(components![refund, refund_by_hand]).build().unwrap();
    let local = TestClient::new(&built).local();
    assert_eq!(local.tools().await, ["refund", "refund_by_hand"]);
    let call = async |tool: &str, pounds| local.call(tool, json!({"pounds": pounds})).await;
    assert_eq!(call("refund", 50).await.text(), Some("Refunded 50"));
    assert!(call("refund", 51).await.is_not_found());
    assert_eq!(call("refund_by_hand", 200).await.text(), Some("Refunded 200"));

    let bob = TestClient::new(&built).as_user("bob");
    assert!(bob.call("refund", json!({"pounds": 1})).await.is_not_found(), "HTTP is as it was");
    let alice = bob.as_user("alice").scopes(["refund"]);
    assert_eq!(alice.call("refund", json!({"pounds": 1})).await.text(), Some("Refunded 1"));
    assert!(alice.call("refund", json!({"pounds": 51})).await.is_not_found());

    let table = built.access_table().to_string();
    let rule = "scopes refund and at_most_50 of the arguments";
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].ends_with("over stdio") && rows[0].contains("over HTTP"), "{table}");
    assert!(rows[1].matches(rule).count() == 2 && rows[2].ends_with("served"), "{table}");

    let nested = any_of((by_arguments(require_scopes(["a"]), at_most_50).over_stdio(),));
    let tool = portcullis::Tool::new("nested").auth(nested).handler(async |_| "done");
    let problem = one_problem(server().component(tool));
    assert_eq!(problem.kind(), ProblemKind::InvalidCheck, "{problem}");
}

#[test]
fn trial_d8_the_first_command_needs_no_link_time_optimisation() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let readme = read("README.md");
    let first = readme.split("```sh\n").nth(1).unwrap().lines().next().unwrap();
    assert!(first.starts_with("cargo run ") && !first.contains("--release"), "{first}");
    assert!(read("test").contains("cargo run --locked -q -- "), "the test runs what is said");
    let manifest = read("Cargo.toml");
    let dev = manifest.split("[profile.dev]").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(!dev.contains("lto"), "{dev}");
}
