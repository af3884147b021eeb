//! Section 10: tools that nobody sees until they are unlocked.
//!
//! ```text
//! cargo run --bin section_10_visibility
//! ```
//!
//! In protocol versions with sessions an unlock is for the session. In the one without, it is
//! for the caller (issuer, subject and client), and ends with the token, after 30 minutes at
//! most. Here it ends after five in either: `.for_at_most(…)` says so. Nobody else sees more for it, and only those whose lists change are told.

use std::time::Duration;

use portcullis::access::restrict_tag;
use portcullis::middleware::AuthMiddleware;
use portcullis::prelude::*;
use portcullis::visibility::tags;

/// Wipe the entire database. Admin only.
#[tool(tags("admin"))]
async fn wipe_database() -> &'static str {
    "Database wiped"
}

/// Rotate all API keys. Admin only.
#[tool(tags("admin"))]
async fn rotate_keys() -> &'static str {
    "Keys rotated"
}

/// Unlock admin tools for five minutes.
///
/// Only for those with the 'admin' scope. Other sessions are unaffected.
#[tool(auth = require_scopes(["admin"]))]
async fn unlock_admin(context: Context) -> Result<&'static str, ToolError> {
    context.enable_components(tags(["admin"])).for_at_most(Duration::from_secs(300)).await?;
    Ok("Admin tools unlocked for five minutes")
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice").scopes(["admin"]))
        .token("dev-token-alice-reading", danger::user("alice").scopes(["read"]))
        .token("dev-token-carol", danger::user("carol").scopes(["admin"]))
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    Server::builder("admin-server")
        .auth(tokens)
        .components(components![wipe_database, rotate_keys, unlock_admin])
        .disable(tags(["admin"]))
        // What is unlocked is no more than visible: each use is checked, too.
        .middleware(AuthMiddleware::new(restrict_tag("admin", ["admin"])))
        .build()?
        .run()
        .await
}
