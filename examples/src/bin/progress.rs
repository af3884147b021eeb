//! Progress and logs: what a client is told while a call runs.
//!
//! ```text
//! cargo run --bin progress
//! ```
//!
//! A client is told what it asked for and nothing else: progress where its request has a
//! `progressToken`, messages from the level on that it named. The function never waits for it. What
//! operators read is another log, which `tracing` writes.

use portcullis::component::{LogLevel, Progress};
use portcullis::prelude::*;
use serde_json::json;

/// The amount of a row such as `lamp,4`.
fn amount(row: &str) -> Option<u32> {
    row.rsplit_once(',')?.1.trim().parse().ok()
}

/// Import rows of a name and an amount.
#[tool(auth = require_scopes(["write"]))]
async fn import_rows(
    /// Such as `lamp,4`
    #[arg(min_items = 1, max_items = 1000)]
    rows: Vec<String>,
    ctx: Context,
) -> String {
    let mut imported = 0;
    for (before, row) in rows.iter().enumerate() {
        let number = before + 1;
        match amount(row) {
            Some(_) => imported += 1,
            // Any JSON: a client may show it, or look for the number in it.
            None => ctx.log(LogLevel::Warning, json!({"row": number, "problem": "no amount"})),
        }
        let progress = Progress::new(number).total(rows.len());
        ctx.report_progress(progress.message(format!("Row {number}")));
        // A client that has gone away ends the function at its next `.await`.
        tokio::task::yield_now().await;
    }
    format!("Imported {imported} of {} rows.", rows.len())
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice").scopes(["write"]))
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    let server = Server::builder("imports").auth(tokens).components(components![import_rows]);
    server.build()?.run().await
}
