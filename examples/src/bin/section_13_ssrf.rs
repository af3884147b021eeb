//! Section 13: a tool that fetches a URL which the caller chose, without SSRF.
//!
//! ```text
//! cargo run --bin section_13_ssrf
//! ALLOWED_HOST=api.example.com cargo run --bin section_13_ssrf   # one destination, and no other
//! ```
//!
//! `ctx.http()` is the server's one client. It judges addresses, not their spellings, and connects to the
//! addresses that it judged.

use std::time::Duration;

use portcullis::guard::{Environment, Fetch, Url};
use portcullis::prelude::*;

/// Fetch content from an external URL.
#[tool(auth = require_scopes(["read"]), annotations(read_only, open_world))]
async fn fetch_url(
    #[arg(max_length = 2048)] url: String,
    ctx: Context,
) -> Result<String, ToolError> {
    let url: Url = url.parse().map_err(|_| ToolError::new("That is not a URL."))?;
    // The text of the error names nothing of the network; the cause, which may, is logged.
    let told =
        |error: portcullis::guard::FetchError| ToolError::new(error.to_string()).with_cause(error);
    let page = ctx.http()?.get(&url).await.map_err(told)?;
    match page.status {
        200 => Ok(page.text().map_err(told)?.to_owned()),
        status => Err(ToolError::new(format!("It answered with status {status}."))),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    // No redirect is followed, and no answer is larger or slower than this.
    let mut fetch = Fetch::builder()
        .ports([443])
        .max_body(256 * 1024)
        .time(Duration::from_secs(10))
        .idle_time(Duration::from_secs(3));
    if let Some(host) = Environment::process().variable("ALLOWED_HOST") {
        fetch = fetch.allow_hosts([host]);
    }
    let server = Server::builder("fetching")
        .auth(tokens)
        .http(fetch.build()?)
        .components(components![fetch_url])
        .build()?;
    Ok(server.run().await?)
}
