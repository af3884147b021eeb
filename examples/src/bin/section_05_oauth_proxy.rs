//! Section 5: users sign in at a provider that is described by its endpoints.
//!
//! ```text
//! export IDP=https://idp.example.com IDP_CLIENT_ID=… IDP_CLIENT_SECRET=…
//! PORTCULLIS_PUBLIC_URL=https://mcp.example.com cargo run --bin section_05_oauth_proxy
//! ```
//!
//! The provider has one client, this server, with the redirect URI
//! `https://mcp.example.com/auth/callback`. MCP clients register here, and get tokens of this server: so
//! no verifier of the provider's tokens is needed. One with OpenID metadata needs no endpoints either:
//! that is `section_05_oidc`.

use portcullis::auth::{Admit, OAuthProxy};
use portcullis::guard::{Environment, Secret};
use portcullis::prelude::*;

/// Who the provider says you are.
#[tool]
async fn whoami(caller: Caller) -> String {
    caller.subject().unwrap_or("the local user").to_owned()
}

/// Publish a report.
#[tool(auth = require_scopes(["publish"]))]
async fn publish(title: String) -> String {
    format!("Published {title}.")
}

fn provider(environment: &Environment) -> Result<OAuthProxy, portcullis::Error> {
    let [idp, id, secret] = environment.require(["IDP", "IDP_CLIENT_ID", "IDP_CLIENT_SECRET"])?;
    let mut provider = OAuthProxy::builder()
        .authorization_endpoint(format!("{idp}/authorize"))
        .token_endpoint(format!("{idp}/token"))
        .userinfo_endpoint(format!("{idp}/userinfo"))
        .revocation_endpoint(format!("{idp}/revoke"))
        .client(id, Secret::new(secret.to_owned()))
        .upstream_scopes(["profile", "email"])
        .admit(Admit::email_domains(["example.com"]))
        .scopes(["publish"]);
    if environment.variable("IDP_IS_LOCAL").is_some() {
        // A provider under development, on this machine.
        provider = provider.allow_loopback_idp();
    }
    Ok(provider)
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    Server::builder("custom-idp-server")
        .auth(provider(&Environment::process())?)
        .components(components![whoami, publish])
        .build()?
        .run()
        .await
}
