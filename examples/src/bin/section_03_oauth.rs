//! Section 3: OAuth 2.1 with PKCE: discovery, registration, a sign-in page, codes and tokens.
//!
//! ```text
//! cargo run --bin section_03_oauth
//! codex mcp add notes --url http://127.0.0.1:8000/mcp     # or any other MCP client: it finds the rest
//! ```
//!
//! Sign in as `alice` with `dev-password-alice`. The users are those of the configuration, so this is
//! for development: it refuses to listen beyond loopback. In production, users sign in at an identity
//! provider.

use portcullis::auth::ClientPolicy;
use portcullis::danger::LoginProvider;
use portcullis::guard::Secret;
use portcullis::prelude::*;

/// Your notes.
#[tool(auth = require_scopes(["notes:read"]), annotations(read_only))]
async fn notes(caller: Caller) -> String {
    format!("the notes of {}", caller.subject().unwrap_or("the local user"))
}

/// Write a note.
#[tool(auth = require_scopes(["notes:write"]))]
async fn write_note(text: String) -> String {
    format!("Wrote {} bytes.", text.len())
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let users = LoginProvider::new()
        .name("Notes")
        .user("alice", Secret::new("dev-password-alice".to_owned()))
        .scopes(["notes:read", "notes:write"])
        // Answers go to programs on the user's own machine, and to one website.
        .clients(ClientPolicy::default().allowed_client_redirect_uris([
            "http://127.0.0.1:*/callback",
            "http://localhost:*/callback",
            "https://claude.ai/api/mcp/auth_callback",
        ]));
    Server::builder("notes")
        .auth(users)
        .components(components![notes, write_note])
        .build()?
        .run()
        .await
}
