//! Section 11: HTTP routes beside the protocol.
//!
//! ```text
//! cargo run --bin section_11_custom_routes
//! curl http://127.0.0.1:8000/health
//! curl -X POST -H 'Authorization: Bearer dev-token-alice' http://127.0.0.1:8000/admin/reset
//! ```
//!
//! A route is public, with a stated reason, or it has a check: a route with neither does not
//! compile.

use portcullis::prelude::*;
use portcullis::route::{get, post};
use serde_json::{Value, json};

/// Health check endpoint. PUBLIC.
async fn health_check() -> axum::Json<Value> {
    axum::Json(json!({"status": "ok"}))
}

/// Admin reset endpoint.
async fn admin_reset() -> axum::Json<Value> {
    axum::Json(json!({"status": "reset complete"}))
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice").scopes(["admin"]))
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    Server::builder("custom-routes")
        .auth(tokens)
        .route(get("/health", health_check).public("liveness, reveals nothing"))
        .route(post("/admin/reset", admin_reset).require(require_scopes(["admin"])))
        .build()?
        .run()
        .await
}
