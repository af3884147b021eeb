//! The provider's API in the user's name: a tool asks for its caller's token of the provider.
//!
//! ```text
//! export IDP_ISSUER=https://idp.example.com IDP_CLIENT_ID=… IDP_CLIENT_SECRET=…
//! PORTCULLIS_PUBLIC_URL=https://mcp.example.com cargo run --bin upstream_token
//! ```
//!
//! The token with which an MCP client calls is this server's, and is forwarded to nobody. The
//! provider's rests sealed, is renewed where it ends, and leaves an audit record each time a tool has
//! it. Send it to the provider alone.

use portcullis::auth::OidcProxy;
use portcullis::guard::{Environment, Fetch, FetchRequest, Url};
use portcullis::prelude::*;
use serde_json::Value;

/// The provider's API.
struct Api {
    fetch: Fetch,
    userinfo: Url,
}

/// Your address, as the provider's API has it now.
#[tool]
async fn address(ctx: Context, api: State<Api>) -> Result<String, ToolError> {
    let token = ctx.upstream_token().await?;
    let request = FetchRequest::get(&api.userinfo).bearer(token.token(), &api.userinfo);
    let answer = api.fetch.send(request).await;
    let answer = answer.map_err(|error| ToolError::internal(error.to_string()))?;
    if answer.status != 200 {
        return Err(ToolError::internal(format!("the provider's API answers {}", answer.status)));
    }
    let account: Value = serde_json::from_slice(&answer.body)
        .map_err(|error| ToolError::internal(error.to_string()))?;
    Ok(account["email"].as_str().unwrap_or("None.").to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let environment = Environment::process();
    let mut provider = OidcProxy::from_env(&environment)?;
    let mut fetch = Fetch::builder();
    if environment.variable("IDP_IS_LOCAL").is_some() {
        // A provider under development, on this machine.
        (provider, fetch) = (provider.allow_loopback_idp(), fetch.allow_loopback());
    }
    let [issuer] = environment.require(["IDP_ISSUER"])?;
    let api = Api { fetch: fetch.build()?, userinfo: format!("{issuer}/userinfo").parse()? };
    Server::builder("account")
        .auth(provider)
        .state(api)
        .components(components![address])
        .build()?
        .run()
        .await?;
    Ok(())
}
