//! What both entry points of section 17 serve, said once.

use portcullis::ServerBuilder;
use portcullis::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(JsonSchema, Serialize)]
struct Found {
    results: Vec<String>,
    query: String,
}

/// Search for items by keyword.
#[tool(annotations(read_only))]
async fn search_items(
    /// Search query
    #[arg(min_length = 1)]
    query: String,
) -> Json<Found> {
    Json(Found { results: Vec::new(), query })
}

/// Delete an item. Requires admin scope.
#[tool(auth = require_scopes(["admin"]))]
async fn delete_item(
    /// Item to delete
    item_id: String,
) -> String {
    format!("Deleted {item_id}")
}

/// Register all tools, resources, and prompts on the given server.
pub fn register_all<A>(server: ServerBuilder<A>) -> ServerBuilder<A> {
    server.components(components![search_items, delete_item])
}
