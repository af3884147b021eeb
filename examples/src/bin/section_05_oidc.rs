//! Section 5: users sign in at any OpenID provider, which is found by its issuer.
//!
//! ```text
//! export IDP_ISSUER=https://idp.example.com IDP_CLIENT_ID=… IDP_CLIENT_SECRET=…
//! PORTCULLIS_PUBLIC_URL=https://mcp.example.com cargo run --bin section_05_oidc
//! ```
//!
//! Write the issuer exactly as the provider's metadata has it, and register the redirect URI
//! `https://mcp.example.com/auth/callback` there.

use portcullis::auth::OidcProxy;
use portcullis::guard::Environment;
use portcullis::prelude::*;

/// The plans, for the staff alone.
#[tool(auth = claim("groups").contains("staff"))]
async fn plans(caller: Caller) -> String {
    format!("the plans, for {}", caller.subject().unwrap_or("the local user"))
}

/// Who the provider says you are.
#[tool]
async fn whoami(caller: Caller) -> String {
    caller.subject().unwrap_or("the local user").to_owned()
}

fn provider(environment: &Environment) -> Result<OidcProxy, portcullis::Error> {
    let mut provider = OidcProxy::from_env(environment)?.name("Plans");
    if environment.variable("IDP_IS_LOCAL").is_some() {
        // A provider under development, on this machine.
        provider = provider.allow_loopback_idp();
    }
    Ok(provider)
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    Server::builder("plans")
        .auth(provider(&Environment::process())?)
        .components(components![plans, whoami])
        .build()?
        .run()
        .await
}
