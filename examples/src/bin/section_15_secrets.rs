//! Section 15: a secret that changes while the server runs, and is in no result, error or log.
//!
//! ```text
//! echo k-0123456789 > /tmp/key
//! MY_API_KEY_FILE=/tmp/key cargo run --bin section_15_secrets
//! ```

use std::time::Duration;

use portcullis::guard::secret_source::ReloadedSecret;
use portcullis::guard::{Environment, SecretFile};
use portcullis::prelude::*;
use portcullis::server::CredentialsInResults;

/// Whether the key in force is one.
#[tool]
async fn check_key(candidate: String, own: State<ReloadedSecret>) -> String {
    // A sloppy tool: it repeats its own key, which the caller never reads.
    let own = own.current();
    format!(
        "The key in force is {}, and {}.",
        own.expose(),
        if own.matches(candidate) { "yours" } else { "another" }
    )
}

/// Fail inside.
#[tool]
async fn connect(own: State<ReloadedSecret>) -> Result<String, ToolError> {
    // Masked: the cause is in the log, without the key.
    Err(ToolError::internal(format!("https://app:{}@db does not answer", own.current().expose())))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).log_internal_errors(false).init();
    let environment = Environment::process();
    let [path] = environment.require(["MY_API_KEY_FILE"])?;
    let key = ReloadedSecret::load(SecretFile::open(path)?, Duration::from_secs(2)).await?;
    let mut changes = key.clone();
    tokio::spawn(async move {
        while changes.changed().await.is_some() {
            tracing::info!("what was made with the old key is made again");
        }
    });
    let server = Server::builder("production-server")
        .no_auth()
        .state(key)
        .components(components![check_key, connect])
        .credentials_in_results(CredentialsInResults::Block);
    Ok(server.build()?.run_stdio().await?)
}
