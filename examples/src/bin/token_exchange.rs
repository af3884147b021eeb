//! Token exchange: a tool calls another service on its caller's behalf (RFC 8693).
//!
//! ```text
//! export ISSUER=https://idp.example.com AUDIENCE=https://mcp.example.com/mcp
//! export CLIENT_ID=mcp-server CLIENT_SECRET=… TOKEN_ENDPOINT=$ISSUER/token
//! ORDERS=https://orders.example.com cargo run --bin token_exchange
//! ```
//!
//! The caller's own token goes to the issuer alone, which gives one for the orders in exchange. No
//! function sees either: requests to that origin get theirs by `with_credentials`. For an issuer and
//! orders on this machine, in plain http, set `LOOPBACK=true` too.

use portcullis::auth::{ExchangedCredentials, TokenExchange};
use portcullis::guard::{Environment, Fetch, FetchRequest, Secret, Url};
use portcullis::prelude::*;

/// Where the orders are.
struct Orders(Url);

/// One of your orders.
#[tool(annotations(read_only))]
async fn order(
    /// Its number
    #[arg(ge = 1)]
    number: u32,
    ctx: Context,
    orders: State<Orders>,
) -> Result<String, ToolError> {
    let url = orders.0.join(&format!("/orders/{number}"))?;
    // A token for the orders alone, with the scope to read them, in this caller's name.
    let request = ctx.with_credentials(FetchRequest::get(&url)).await?;
    let answer = ctx.http()?.send(request).await?;
    match answer.status {
        200 => Ok(answer.text()?.to_owned()),
        404 => Err(ToolError::new("You have no such order.")),
        status => Err(ToolError::internal(format!("the orders answer {status}"))),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let environment = Environment::process();
    let [issuer, audience, endpoint, id, secret, orders] = environment.require([
        "ISSUER",
        "AUDIENCE",
        "TOKEN_ENDPOINT",
        "CLIENT_ID",
        "CLIENT_SECRET",
        "ORDERS",
    ])?;
    let mut verifier = JwtVerifier::discover(issuer).audience(audience);
    let mut exchange = TokenExchange::new(issuer, endpoint)
        .client_secret_basic(id, Secret::known(secret.to_owned()))
        .audience(orders);
    let mut fetch = Fetch::builder();
    if environment.variable("LOOPBACK") == Some("true") {
        verifier = verifier.allow_loopback_idp();
        exchange = exchange.allow_loopback_idp();
        fetch = fetch.allow_loopback();
    }
    let server = Server::builder("orders")
        .auth(verifier.build()?)
        .token_exchange(exchange.build()?)
        .http(fetch.build()?)
        .credentials(orders, ExchangedCredentials::new(orders, ["orders:read"]))
        .state(Orders(orders.parse()?))
        .components(components![order]);
    Ok(server.build()?.run().await?)
}
