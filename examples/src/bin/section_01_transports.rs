//! Section 1: the same server over stdio and over Streamable HTTP.
//!
//! ```text
//! PORTCULLIS_TRANSPORT=stdio cargo run --bin section_01_transports
//! PORTCULLIS_TRANSPORT=http cargo run --bin section_01_transports
//! ```
//!
//! Over stdio there is no token: the peer is the user who started the program, and checks
//! are skipped. Over HTTP the bearer token decides.

use portcullis::prelude::*;

/// Say how you reached this server, and as whom.
#[tool]
async fn where_am_i(context: Context, caller: MaybeCaller) -> String {
    let who = match caller.0 {
        Some(caller) => caller.subject().unwrap_or_default().to_owned(),
        None => "nobody in particular".to_owned(),
    };
    format!("{:?} in {}, as {who}", context.transport(), context.protocol_version())
}

/// Over HTTP, for those who may write.
#[tool(auth = require_scopes(["write"]))]
async fn save(text: String) -> String {
    format!("Saved {} bytes.", text.len())
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice").scopes(["write"]))
        .token("dev-token-bob", danger::user("bob"));
    let server =
        Server::builder("transports").auth(tokens).components(components![where_am_i, save]);
    // With authentication and no transport named, this serves HTTP: never stdio by accident.
    server.build()?.run().await
}
