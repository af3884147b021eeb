//! What somebody meets who builds a first server.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::extract::Extension;
use axum::http::Request;
use portcullis::prelude::*;
use portcullis::route::{delete, patch, put};
use portcullis::{RateLimit, TestClient, Timeout, ToolResult};
use serde_json::json;

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

#[test]
fn trial_d10_a_message_says_what_to_write() {
    let refused = |server: portcullis::ServerBuilder<portcullis::Decided>| {
        server.build().map(drop).unwrap_err().to_string()
    };
    let server = || Server::builder("test").no_auth();
    let path = refused(server().path("mcp"));
    assert!(path.contains(r#"path "mcp": it has to begin with `/`: write "/mcp""#), "{path}");
    let path = refused(server().path("/a//b"));
    assert!(path.contains("no empty segment"), "{path}");
    let long = refused(server().middleware(Timeout::new(Duration::from_secs(61))));
    assert!(long.contains("handlers are ended after 60s, so that 61s never passes"), "{long}");
    assert!(server().middleware(Timeout::new(Duration::from_secs(60))).build().is_ok());
}

#[test]
fn trial_d10_the_demo_names_its_flags() {
    for (flags, named) in [
        (&["--listen", "0.0.0.0:0", "--auth", "none"][..], "--auth jwt"),
        (&["--auth", "jwt"], "--issuer ISSUER, --audience AUDIENCE, --jwks URL"),
        (&["--path", "mcp"], "--path PATH"),
    ] {
        let output = Command::new(TESTBED).args(flags).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("on the command line: ") && said.contains(named), "{said}");
    }
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
