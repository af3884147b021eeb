//! Section 9: checks for all components, or for all with a tag.
//!
//! ```text
//! cargo run --bin section_09_server_checks
//! ```
//!
//! They stand at the front of the one decision about each component, before its own checks.
//! All have to allow, and what is denied is hidden as ever.

use portcullis::access::restrict_tag;
use portcullis::middleware::AuthMiddleware;
use portcullis::prelude::*;

/// Perform admin action.
///
/// Requires both 'api' scope (from global middleware) and 'admin' scope (from tag restriction).
#[tool(tags("admin"))]
async fn admin_action() -> &'static str {
    "Admin action completed"
}

/// Perform public action. Requires only 'api' scope.
#[tool]
async fn public_action() -> &'static str {
    "Public action completed"
}

/// Perform write action. Requires 'api', 'admin' and, by a check of its own, 'write' scope.
#[tool(tags("admin"), auth = require_scopes(["write"]))]
async fn write_action() -> &'static str {
    "Write action completed"
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice").scopes(["api", "admin"]))
        .token("dev-token-bob", danger::user("bob").scopes(["api", "write"]))
        .token("dev-token-carol", danger::user("carol").scopes(["admin", "write"]))
        .token("dev-token-root", danger::user("root").scopes(["api", "admin", "write"]));
    Server::builder("enforced-auth-server")
        .auth(tokens)
        .middleware(AuthMiddleware::new(require_scopes(["api"])))
        .middleware(AuthMiddleware::new(restrict_tag("admin", ["admin"])))
        .components(components![admin_action, public_action, write_action])
        .build()?
        .run()
        .await
}
