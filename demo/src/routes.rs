//! HTTP routes beside the protocol: the brief's section 11.

use axum::Json;
use axum::http::StatusCode;
use portcullis::prelude::require_scopes;
use portcullis::route::{Route, alive, get, post, ready};
use serde_json::{Value, json};

use crate::database::{self, Database};

/// `GET /health`: alive, for people and pages, as the brief has it.
pub fn health() -> Route {
    get("/health", async || Json(json!({"status": "ok"}))).public("liveness, reveals nothing")
}

/// `GET /healthz`: alive, for probes, which ask by address.
pub fn healthz() -> Route {
    alive("/healthz")
}

/// `GET /readyz`: ready, until it is to stop. Everybody may ask.
pub fn readyz() -> Route {
    ready("/readyz")
}

/// `POST /admin/reset`: the first content again, in place of what there is. For administrators.
pub fn admin_reset(database: Database) -> Route {
    post("/admin/reset", move || reset(database)).require(require_scopes(["admin"]))
}

async fn reset(database: Database) -> (StatusCode, Json<Value>) {
    match database.query(database::fill).await {
        Ok(()) => (StatusCode::OK, Json(json!({"status": "reset complete"}))),
        Err(error) => {
            tracing::error!(?error, "cannot reset the database");
            (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": "Internal error"})))
        }
    }
}
