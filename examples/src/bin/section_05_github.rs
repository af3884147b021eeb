//! Section 5: users sign in with their GitHub accounts.
//!
//! Register an OAuth app at GitHub, with the callback URL `https://mcp.example.com/auth/callback`:
//!
//! ```text
//! export GITHUB_CLIENT_ID=… GITHUB_CLIENT_SECRET=… GITHUB_ORGANIZATION=example-org
//! PORTCULLIS_PUBLIC_URL=https://mcp.example.com cargo run --bin section_05_github
//! ```
//!
//! For a server of your own, set `GITHUB_SERVER=https://ghe.example.com` too.

use portcullis::auth::GitHubProvider;
use portcullis::guard::Environment;
use portcullis::prelude::*;

/// Who you are at GitHub.
#[tool]
async fn whoami(caller: Caller) -> String {
    let claim = |name| caller.principal()?.claim::<String>(name).ok();
    format!("{} ({})", claim("login").unwrap_or_default(), claim("email").unwrap_or_default())
}

fn provider(environment: &Environment) -> Result<GitHubProvider, portcullis::Error> {
    let [organization] = environment.require(["GITHUB_ORGANIZATION"])?;
    // Anybody can have an account at GitHub.
    let mut provider = GitHubProvider::from_env(environment)?.organizations([organization]);
    if let Some(server) = environment.variable("GITHUB_SERVER") {
        provider = provider.enterprise_server(server);
    }
    if environment.variable("GITHUB_IS_LOCAL").is_some() {
        // A stand-in under development, on this machine.
        provider = provider.allow_loopback_idp();
    }
    Ok(provider)
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    Server::builder("github-server")
        .auth(provider(&Environment::process())?)
        .components(components![whoami])
        .build()?
        .run()
        .await
}
