//! Section 16: fixed tokens for development, which can never serve the internet.
//!
//! ```text
//! cargo run --bin section_16_development
//! PORTCULLIS_LISTEN=0.0.0.0:8000 cargo run --bin section_16_development   # refused
//! ```

use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::prelude::*;

/// Who the token says you are.
#[tool]
async fn whoami(caller: Caller) -> String {
    format!(
        "{} through {}",
        caller.subject().unwrap_or("local"),
        caller.client_id().unwrap_or("no client")
    )
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let verifier = StaticTokenVerifier::new()
        .token(
            "dev-token-alice",
            user("alice").client_id("alice@dev.local").scopes(["read", "write", "admin"]),
        )
        .token("dev-token-bob", user("bob").client_id("bob@dev.local").scopes(["read"]))
        .token("dev-token-guest", user("guest").client_id("guest@dev.local"))
        .required_scopes(["read"]);
    Server::builder("dev-server")
        .auth(verifier)
        .components(components![whoami])
        .build()?
        .run()
        .await
}
