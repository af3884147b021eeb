//! API keys: credentials for programs, minted, verified and revoked through one file.
//!
//! ```text
//! export API_KEYS=/tmp/api-keys
//! cargo run --bin api_keys -- new reports read   # writes the record, and shows the key once
//! cargo run --bin api_keys                       # serves; send the key as a bearer token
//! cargo run --bin api_keys -- rotate <id>        # a second key; the first is good for an hour
//! cargo run --bin api_keys -- revoke <id>        # the running server refuses the key in seconds
//! ```
//!
//! `portcullis keys api` does the same from a shell, with more flags.

use std::error::Error;
use std::time::Duration;

use portcullis::auth::{ApiKeyFile, ApiKeys, NewApiKey};
use portcullis::guard::{Environment, SystemClock};
use portcullis::prelude::*;

const OVERLAP: Duration = Duration::from_secs(60 * 60);

/// Who you are here.
#[tool(auth = require_scopes(["read"]))]
async fn whoami(caller: Caller) -> Result<String, ToolError> {
    Ok(caller.subject().unwrap_or_default().to_owned())
}

fn change(file: &str, words: &[&str]) -> Result<(), Box<dyn Error>> {
    let keys = ApiKeyFile::new(file);
    match words {
        ["new", subject, scopes @ ..] => {
            let new = NewApiKey::of(*subject).scopes(scopes.to_vec());
            println!("{}", keys.mint(new, &SystemClock)?.0.expose());
        }
        ["rotate", id] => println!("{}", keys.rotate(id, OVERLAP, &SystemClock)?.0.expose()),
        ["revoke", id] => keys.revoke(id)?,
        _ => return Err("new <subject> <scope>…, rotate <id> or revoke <id>".into()),
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let environment = Environment::process();
    let [file] = environment.require(["API_KEYS"])?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if !words.is_empty() {
        return change(file, &words);
    }
    let server = Server::builder("api-keys")
        .auth(ApiKeys::file(file).build()?)
        .components(components![whoami])
        .build()?;
    Ok(server.run().await?)
}
