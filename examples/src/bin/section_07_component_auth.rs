//! Section 7: who may see and use each tool, resource, template and prompt.
//!
//! ```text
//! cargo run --bin section_07_component_auth
//! ```
//!
//! What a caller may not use is in none of their lists, and using it answers exactly as
//! for a name that does not exist.

use portcullis::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(JsonSchema, Serialize)]
struct Profile {
    user: String,
    role: String,
}

/// Get user profile.
#[tool(auth = require_scopes(["read"]))]
async fn get_profile(caller: Caller) -> Json<Profile> {
    let user = caller.subject().unwrap_or("local").to_owned();
    Json(Profile { user, role: "member".to_owned() })
}

/// Delete a user.
#[tool(auth = require_scopes(["admin", "write"]))]
async fn delete_user(user_id: String) -> String {
    format!("Deleted user {user_id}")
}

/// Sensitive configuration data.
#[resource("secret://config", auth = require_scopes(["read"]), mime_type = "application/json")]
async fn secret_config() -> &'static str {
    r#"{"db_host": "internal.db.example.com"}"#
}

/// A note of one's own.
#[resource("note://{owner}/{id}", auth = require_scopes(["read"]))]
async fn note(owner: String, id: u32, caller: Caller) -> Result<String, ToolError> {
    if caller.subject() != Some(&*owner) {
        return Err(ToolError::not_found());
    }
    Ok(format!("Note {id} of {owner}."))
}

/// Financial report for a quarter.
#[prompt(auth = require_scopes(["analyst"]))]
async fn financial_report(quarter: String) -> String {
    format!("Generate a financial report for {quarter}.")
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice").scopes(["read", "write", "admin"]))
        .token("dev-token-ann", danger::user("ann").scopes(["analyst"]))
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    let components = components![get_profile, delete_user, secret_config, note, financial_report];
    let server = Server::builder("component-auth").auth(tokens).components(components).build()?;
    eprint!("{}", server.access_table());
    server.run().await
}
