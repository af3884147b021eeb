//! Metrics: what Prometheus reads, behind a token of its own, and the two probes of a platform.
//!
//! ```text
//! cargo run --bin metrics
//! curl -H 'Authorization: Bearer dev-token-prometheus' http://127.0.0.1:8000/metrics
//! curl http://127.0.0.1:8000/readyz
//! ```
//!
//! A route without an access rule does not compile. The probes say nothing but their status, and are
//! public; metrics name every component, and are not.

use portcullis::metrics::Prometheus;
use portcullis::prelude::*;
use portcullis::route::{alive, ready};

/// Roll some dice.
#[tool]
async fn roll(#[arg(ge = 1, le = 10)] dice: u32) -> String {
    // Functions may count as well, with the macros of the crate `metrics`.
    format!("{} in total", dice * 4)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    // Before the server is built: a process has one recorder.
    let prometheus = Prometheus::install()?;
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-bob", danger::user("bob"))
        .token("dev-token-prometheus", danger::user("prometheus").scopes(["metrics"]));
    let server = Server::builder("dice")
        .auth(tokens)
        .components(components![roll])
        .route(prometheus.route("/metrics").require(require_scopes(["metrics"])))
        .route(alive("/healthz"))
        .route(ready("/readyz"));
    Ok(server.build()?.run().await?)
}
