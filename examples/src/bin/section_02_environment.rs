//! Section 2: secrets from environment variables, for a server over stdio. It does not start without
//! them, and names all that are missing.
//!
//! ```text
//! cargo run --bin section_02_environment                                  # refused
//! MY_API_KEY=k-0123456789 cargo run --bin section_02_environment
//! MY_API_KEY_FILE=/run/secrets/api-key cargo run --bin section_02_environment
//! ```

use portcullis::guard::{Environment, Fetch, FetchRequest, FromEnv, Secret, Url};
use portcullis::prelude::*;
use serde_json::Value;

/// What the server has to be given.
#[derive(FromEnv)]
struct Settings {
    #[env("MY_API_KEY", file)]
    key: Secret<String>,
    #[env("MY_API_BASE", default = "https://api.example.com")]
    base: Url,
    /// For an API on this machine, in development.
    #[env("MY_API_ON_LOOPBACK", default = "false")]
    on_loopback: bool,
}

/// The API, and the credentials of this server there.
struct Api {
    settings: Settings,
    fetch: Fetch,
}

/// Call external API with authenticated requests.
///
/// Use when you need to query the external service. Returns the JSON response body.
#[tool]
async fn call_api(query: String, api: State<Api>) -> Result<Json<Value>, ToolError> {
    let Settings { key, base, .. } = &api.settings;
    let mut url = base.join("/data")?;
    url.query_pairs_mut().append_pair("q", &query);
    let bearer = Secret::new(format!("Bearer {}", key.expose()));
    let request = FetchRequest::get(&url).header("authorization", bearer.expose());
    let answer = api.fetch.send(request).await?; // the caller never reads why this failed
    if answer.status != 200 {
        return Err(ToolError::new("The API does not answer that query."));
    }
    Ok(Json(serde_json::from_slice(&answer.body)?))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).log_internal_errors(false).init();
    let settings = Settings::from_env(&Environment::process())?;
    let fetch = match settings.on_loopback {
        true => Fetch::builder().allow_loopback(),
        false => Fetch::builder(),
    };
    let api = Api { settings, fetch: fetch.build()? };
    let server = Server::builder("my-api").no_auth().state(api).components(components![call_api]);
    Ok(server.build()?.run_stdio().await?)
}
