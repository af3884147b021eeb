//! Outbound HTTP: a tool that gets a URL which the caller chose.
//!
//! ```text
//! cargo run --bin outbound_http
//! ALLOW_LOOPBACK=yes cargo run --bin outbound_http   # for development
//! ```
//!
//! `Fetch` is safe against SSRF and DNS rebinding: whatever leads to this machine, to the private
//! network or to a cloud's metadata is refused before anything is sent, redirects too.

use std::time::Duration;

use portcullis::guard::{Environment, Fetch, FetchError, Url};
use portcullis::prelude::*;

/// The title of a web page.
#[tool(auth = require_scopes(["read"]), annotations(read_only, open_world))]
async fn page_title(
    /// The page's address, which begins with https
    #[arg(max_length = 2048)]
    url: String,
    fetch: State<Fetch>,
) -> Result<String, ToolError> {
    let url: Url = url.parse().map_err(|_| ToolError::new("That is not a URL."))?;
    let page = fetch.get(&url).await.map_err(told)?;
    if page.status != 200 {
        return Err(ToolError::new(format!("The page answered with status {}.", page.status)));
    }
    // The page is untrusted as well: what goes on to a model is short, and of one line.
    let text = String::from_utf8_lossy(&page.body);
    let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    let title = title.map(|(title, _)| title.split_whitespace().collect::<Vec<_>>().join(" "));
    let title = title.ok_or_else(|| ToolError::new("The page has no title."))?;
    Ok(title.chars().take(200).collect())
}

/// Callers hear the kind of failure. The details, which may tell about a network, are logged.
fn told(error: FetchError) -> ToolError {
    let text = match error {
        FetchError::Refused(_) => "That address is not public.",
        FetchError::TimedOut => "The page took too long.",
        FetchError::TooLarge => "The page is too large.",
        _ => "The page could not be had.",
    };
    ToolError::new(text).with_cause(error)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    let fetch = Fetch::builder().redirects(2).max_body(512 * 1024).time(Duration::from_secs(5));
    let fetch = match Environment::process().variable("ALLOW_LOOPBACK") {
        Some("yes") => fetch.allow_loopback(),
        _ => fetch,
    };
    let server = Server::builder("titles")
        .auth(tokens)
        .state(fetch.build()?)
        .components(components![page_title])
        .build()?;
    Ok(server.run().await?)
}
