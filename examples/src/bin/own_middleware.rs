//! Own middleware: a switch that stops whatever writes, while reading goes on.
//!
//! ```text
//! cargo run --bin own_middleware
//! ```
//!
//! A middleware stands around every operation that was allowed. It can look, refuse, change the
//! answer, or answer by itself. It runs after the one decision, so what it says to a caller is
//! about a component that this caller may see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use portcullis::middleware::{Middleware, Next, Request, Response};
use portcullis::prelude::*;

/// Whether writing is stopped. The tool that sets it and the middleware share it.
#[derive(Clone, Debug, Default)]
struct Maintenance(Arc<AtomicBool>);

impl Middleware for Maintenance {
    async fn handle<'a>(
        &'a self,
        request: Request<'a>,
        next: Next<'a>,
    ) -> Result<Response<'a>, ToolError> {
        // A list has no component, and is let through.
        let component = request.operation.component();
        let writes =
            component.is_some_and(|component| component.tags.iter().any(|tag| tag == "writes"));
        if writes && self.0.load(Ordering::Relaxed) {
            return Err(ToolError::new("Down for maintenance: reading works, writing does not."));
        }
        next.run(request).await
    }
}

/// Logs how long each operation takes. The first that is added is the outermost.
#[derive(Debug)]
struct Stopwatch;

impl Middleware for Stopwatch {
    async fn handle<'a>(
        &'a self,
        request: Request<'a>,
        next: Next<'a>,
    ) -> Result<Response<'a>, ToolError> {
        // The `Debug` of an operation has its name, and none of its arguments.
        let (operation, started) = (format!("{:?}", request.operation), Instant::now());
        let response = next.run(request).await;
        tracing::info!(operation, ok = response.is_ok(), us = started.elapsed().as_micros());
        response
    }
}

/// Read a page.
#[tool(annotations(read_only))]
async fn read_page() -> &'static str {
    "A page"
}

/// Write a page.
#[tool(tags("writes"))]
async fn write_page(text: String) -> String {
    format!("Wrote {} bytes", text.len())
}

/// Stop writing, or let it go on.
#[tool(auth = require_scopes(["admin"]))]
async fn set_maintenance(on: bool, maintenance: State<Maintenance>) -> &'static str {
    maintenance.0.store(on, Ordering::Relaxed);
    if on { "Writing is stopped" } else { "Writing goes on" }
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice").scopes(["admin"]))
        .token("dev-token-bob", danger::user("bob"));
    let maintenance = Maintenance::default();
    Server::builder("pages")
        .auth(tokens)
        .state(maintenance.clone())
        .middleware(Stopwatch)
        .middleware(maintenance)
        .components(components![read_page, write_page, set_maintenance])
        .build()?
        .run()
        .await
}
