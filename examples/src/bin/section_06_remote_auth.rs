//! Section 6: an authorization server that lives elsewhere, at which clients sign in by themselves.
//!
//! One URL is enough: the issuer's metadata says where its keys are, and tokens have to be for this
//! server's own URL. Write the issuer exactly as its metadata has it, with or without a slash:
//!
//! ```text
//! IDP=https://idp.example.com PORTCULLIS_PUBLIC_URL=https://mcp.example.com cargo run --bin section_06_remote_auth
//! curl -s 127.0.0.1:8000/.well-known/oauth-protected-resource/mcp -H 'Host: mcp.example.com'
//! ```

use portcullis::auth::RemoteAuthProvider;
use portcullis::guard::Environment;
use portcullis::prelude::*;

/// What the token says of you.
#[tool]
async fn whoami(caller: Caller) -> String {
    caller.subject().unwrap_or("the local user").to_owned()
}

/// Publish a report.
#[tool(auth = require_scopes(["publish"]))]
async fn publish(title: String) -> String {
    format!("Published {title}.")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let environment = Environment::process();
    let [issuer] = environment.require(["IDP"])?;
    let mut tokens = JwtVerifier::discover(issuer).required_scopes(["read"]);
    if environment.variable("IDP_IS_LOCAL").is_some() {
        // A provider under development, on this machine.
        tokens = tokens.allow_loopback_idp();
    }
    let provider = RemoteAuthProvider::jwt(tokens)
        .resource_name("Reports of Example Inc.")
        .resource_documentation("https://docs.example.com/mcp")
        .build()?;
    Server::builder("reports")
        .auth(provider)
        .components(components![whoami, publish])
        .scopes_supported(["publish"])
        .build()?
        .run()
        .await?;
    Ok(())
}
