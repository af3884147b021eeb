//! Section 17: the production entry point. Over HTTP, the tokens of an identity provider decide.
//!
//! ```text
//! export JWT_ISSUER=https://idp.example.com JWT_AUDIENCE=https://mcp.example.com/mcp
//! JWT_JWKS_URI=https://idp.example.com/.well-known/jwks.json cargo run --bin section_17_dual_mode_http
//! ```
//!
//! Internal errors are masked; there is nothing to turn on.

use portcullis::prelude::*;
use portcullis_examples::register_all;

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let server = Server::builder("server").auth(JwtVerifier::from_env()?);
    register_all(server).build()?.run().await
}
