//! Audit collectors: every record goes to the syslog of this machine and to an OpenTelemetry collector.
//!
//! ```text
//! OTLP_LOGS=https://otel.example.com:4318/v1/logs cargo run --bin audit_collectors
//! ```
//!
//! Both may be away for a while: records wait in memory, 8 MiB of them. With `AuditFailure::Stop`
//! nothing is served meanwhile. For a syslog elsewhere than at `/dev/log` set `SYSLOG_SOCKET`; for a
//! collector on this machine, in plain http, set `LOOPBACK_COLLECTOR=true` too.

use portcullis::audit::{AuditFailure, Facility, OtlpSink, SyslogSink};
use portcullis::guard::{Environment, Fetch};
use portcullis::prelude::*;

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
    let environment = Environment::process();
    let [logs] = environment.require(["OTLP_LOGS"])?;
    let mut fetch = Fetch::builder();
    if environment.variable("LOOPBACK_COLLECTOR") == Some("true") {
        fetch = fetch.allow_loopback();
    }
    let collector = OtlpSink::builder(fetch, &logs.parse()?, "payroll").open()?;
    let syslog = SyslogSink::unix(environment.variable("SYSLOG_SOCKET").unwrap_or("/dev/log"))?;
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    let server = Server::builder("payroll")
        .auth(tokens)
        .components(components![greet, salaries])
        .audit(syslog.app_name("payroll")?.facility(Facility::LogAudit))
        .audit(collector)
        .audit_failure(AuditFailure::Stop)
        .build()?;
    Ok(server.run().await?)
}
