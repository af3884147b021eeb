//! Section 5: users sign in with their Google accounts.
//!
//! Register a web application at Google, with the redirect URI `https://mcp.example.com/auth/callback`:
//!
//! ```text
//! export GOOGLE_CLIENT_ID=… GOOGLE_CLIENT_SECRET=… GOOGLE_DOMAIN=example.com
//! PORTCULLIS_PUBLIC_URL=https://mcp.example.com cargo run --bin section_05_google
//! ```

use portcullis::auth::GoogleProvider;
use portcullis::guard::Environment;
use portcullis::prelude::*;

/// Who you are at Google.
#[tool]
async fn whoami(caller: Caller) -> String {
    let claim = |name| caller.principal()?.claim::<String>(name).ok();
    format!("{} of {}", claim("email").unwrap_or_default(), claim("hd").unwrap_or_default())
}

fn provider(environment: &Environment) -> Result<GoogleProvider, portcullis::Error> {
    let [domain] = environment.require(["GOOGLE_DOMAIN"])?;
    // Anybody can have an account at Google.
    let mut provider = GoogleProvider::from_env(environment)?.hosted_domains([domain]);
    if let Some(issuer) = environment.variable("GOOGLE_STAND_IN") {
        // For tests, on this machine.
        provider = provider.stand_in(issuer);
    }
    Ok(provider)
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    Server::builder("google-server")
        .auth(provider(&Environment::process())?)
        .components(components![whoami])
        .build()?
        .run()
        .await
}
