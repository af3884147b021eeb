//! Credentials of callers: each caller's own API key at another service.
//!
//! ```text
//! ALICES_KEY=… TICKETS=https://tickets.example.com cargo run --bin caller_credentials
//! ```
//!
//! The key goes to that origin alone, whatever a caller makes of a path, and each use is in the audit
//! trail. Who has no key sends nothing. For tickets on this machine, in plain http, set `LOOPBACK=true`
//! too.

use portcullis::auth::{Credential, Principal};
use portcullis::guard::{Environment, Fetch, FetchRequest, Secret, Url};
use portcullis::prelude::*;

/// Where the tickets are.
struct Tickets(Url);

/// One of your tickets.
#[tool(annotations(read_only))]
async fn ticket(
    /// Its path, such as `open/7`
    path: String,
    ctx: Context,
    tickets: State<Tickets>,
) -> Result<String, ToolError> {
    let url = tickets.0.join(&path).map_err(|_| ToolError::new("There is no such ticket."))?;
    let request = ctx.with_credentials(FetchRequest::get(&url)).await?;
    let answer = ctx.http()?.send(request).await?;
    match answer.status {
        200 => Ok(answer.text()?.to_owned()),
        _ => Err(ToolError::new("There is no such ticket.")),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let environment = Environment::process();
    let [tickets, key] = environment.require(["TICKETS", "ALICES_KEY"])?;
    // In production this is a table by issuer and subject; `Credentials` may wait for a database.
    let key = Secret::known(key.to_owned());
    let keys = move |caller: &Principal| match caller.subject() {
        "alice" => Some(Credential::header("X-Api-Key", &key)),
        _ => None,
    };
    let mut fetch = Fetch::builder();
    if environment.variable("LOOPBACK") == Some("true") {
        fetch = fetch.allow_loopback();
    }
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice"))
        .token("dev-token-bob", danger::user("bob"));
    let server = Server::builder("tickets")
        .auth(tokens)
        .http(fetch.build()?)
        .credentials(tickets, keys)
        .state(Tickets(tickets.parse()?))
        .components(components![ticket]);
    Ok(server.build()?.run().await?)
}
