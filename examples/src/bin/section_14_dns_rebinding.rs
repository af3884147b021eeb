//! Section 14: a server on this machine that no foreign page reaches (DNS rebinding).
//!
//! ```text
//! cargo run --bin section_14_dns_rebinding
//! PORTCULLIS_LISTEN=localhost:8000 cargo run --bin section_14_dns_rebinding   # refused
//! PORTCULLIS_LISTEN=0.0.0.0:8000 cargo run --bin section_14_dns_rebinding     # refused
//! ```
//!
//! An address is an IP address: `localhost` is what a resolver says it is. Whatever name a page has
//! resolve to it, a request whose `Host` is another than the server's own is answered 421, and one
//! whose `Origin` is another 403, before a token or a body is read.

use portcullis::RunOptions;
use portcullis::guard::Environment;
use portcullis::prelude::*;

/// What a foreign page must not read.
#[tool]
async fn diary() -> &'static str {
    "Dear diary"
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let server = Server::builder("diary").no_auth().components(components![diary]).build()?;
    // 127.0.0.1:8000, unless the variable names another IP address.
    let options = RunOptions::from_env(&Environment::process())?.http();
    server.run_with(options).await
}
