//! Audit: a sink of your own, which hands on what was denied, beside the file of everything.
//!
//! ```text
//! AUDIT_FILE=audit.jsonl cargo run --bin audit_sink
//! ```
//!
//! Every operation is one record, denied and malformed ones as well. A record has no field for a
//! token, an argument or a result.

use std::sync::mpsc::{SyncSender, sync_channel};

use portcullis::audit::{AuditError, AuditFailure, AuditRecord, AuditSink, JsonLines, Verdict};
use portcullis::guard::Environment;
use portcullis::prelude::*;

/// Passes denials to a thread that alerts somebody.
#[derive(Debug)]
struct Alerts(SyncSender<String>);

impl AuditSink for Alerts {
    /// Called on the path of the request: it hands the record on and waits for nothing.
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        if !matches!(record.verdict, Verdict::Denied | Verdict::Challenged) {
            return Ok(());
        }
        let line = serde_json::to_string(record).map_err(AuditError::new)?;
        // A full channel is an error rather than a wait: `AuditFailure` says what follows.
        self.0.try_send(line).map_err(AuditError::new)
    }
}

/// Everybody may greet.
#[tool]
async fn greet(caller: Caller) -> String {
    format!("Hello, {}.", caller.subject().unwrap_or("local user"))
}

/// Show the salaries.
#[tool(auth = require_scopes(["payroll"]))]
async fn salaries() -> &'static str {
    "Plenty"
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let (sender, alerts) = sync_channel(1024);
    std::thread::spawn(move || {
        // Here a message would go to whoever is on duty.
        for alert in alerts {
            tracing::warn!(target: "alert", "{alert}");
        }
    });
    let environment = Environment::process();
    let [file] = environment.require(["AUDIT_FILE"])?;
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    let server = Server::builder("payroll")
        .auth(tokens)
        .components(components![greet, salaries])
        .audit(JsonLines::open(file)?)
        .audit(Alerts(sender))
        // Nothing is served that would not be recorded.
        .audit_failure(AuditFailure::Stop)
        .build()?;
    Ok(server.run().await?)
}
