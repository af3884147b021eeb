//! Tasks: calls that outlive their requests.
//!
//! ```text
//! cargo run --bin tasks
//! ```
//!
//! A client of 2026-07-28 that takes tasks gets one at once, and asks later what became of it; every other
//! client waits for the result. A task belongs to its caller, and each question about it is decided like
//! the call: somebody else's id is answered as one that never was. With a file or Redis as the server's
//! store, what has ended outlives the server.

use std::time::Duration;

use portcullis::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(JsonSchema, Serialize)]
struct Report {
    year: u16,
    pages: u32,
}

/// Build the report of a year, which takes a while.
#[tool(task, auth = require_scopes(["read"]))]
async fn report(#[arg(ge = 2000, le = 2100)] year: u16) -> Json<Report> {
    tokio::time::sleep(Duration::from_millis(200)).await;
    Json(Report { year, pages: 12 })
}

/// Watch the stock until it is cancelled.
#[tool(task = required, auth = require_scopes(["read"]))]
async fn watch_stock() -> Result<&'static str, ToolError> {
    // `tasks/cancel` drops the function here.
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice").scopes(["read"]))
        .token("dev-token-alice-writing", danger::user("alice").scopes(["write"]))
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    Server::builder("reports")
        .auth(tokens)
        .components(components![report, watch_stock])
        .limits(|limits| {
            limits.tasks_per_principal = 4;
            // What runs when the server is asked to stop has so long to finish.
            limits.drain_timeout = Duration::from_secs(1);
        })
        .build()?
        .run()
        .await
}
