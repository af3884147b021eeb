//! Introspection: opaque tokens, which their issuer is asked about (RFC 7662).
//!
//! ```text
//! export ISSUER=https://idp.example.com AUDIENCE=https://mcp.example.com/mcp
//! export CLIENT_ID=mcp-server CLIENT_SECRET=… INTROSPECTION_ENDPOINT=$ISSUER/introspect
//! cargo run --bin introspection
//! ```
//!
//! The client is the server itself, as the issuer knows it: it may introspect, and nothing else.
//! For an issuer on this machine, in plain http, set `LOOPBACK_ISSUER=true` too.

use portcullis::auth::IntrospectionVerifier;
use portcullis::guard::{Environment, Secret};
use portcullis::prelude::*;

/// What the issuer says of your token.
#[tool]
async fn whoami(caller: Caller) -> Json<Vec<String>> {
    let scopes = caller.scopes().map(str::to_owned);
    Json(caller.subject().map(str::to_owned).into_iter().chain(scopes).collect())
}

/// Delete everything.
#[tool(auth = require_scopes(["admin"]))]
async fn purge() -> &'static str {
    "Purged."
}

fn verifier(environment: &Environment) -> Result<IntrospectionVerifier, portcullis::Error> {
    let [endpoint, issuer, audience, id, secret] = environment.require([
        "INTROSPECTION_ENDPOINT",
        "ISSUER",
        "AUDIENCE",
        "CLIENT_ID",
        "CLIENT_SECRET",
    ])?;
    let mut verifier = IntrospectionVerifier::endpoint(endpoint)
        .client_secret_basic(id, Secret::new(secret.to_owned()))
        .issuer(issuer)
        .audience(audience);
    if environment.variable("LOOPBACK_ISSUER") == Some("true") {
        verifier = verifier.allow_loopback_idp();
    }
    Ok(verifier.build()?)
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    Server::builder("introspection")
        .auth(verifier(&Environment::process())?)
        .components(components![whoami, purge])
        .build()?
        .run()
        .await
}
