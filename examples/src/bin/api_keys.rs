//! API keys: credentials for programs, minted, verified and revoked through one file.
//!
//! ```text
//! export API_KEYS=/tmp/api-keys
//! cargo run --bin api_keys -- new reports read   # writes the record, and shows the key once
//! cargo run --bin api_keys                       # serves; send the key as a bearer token
//! cargo run --bin api_keys -- rotate <id>        # a second key; the first is good for an hour
//! cargo run --bin api_keys -- revoke <id>        # the running server refuses the key in seconds
//! ```

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use portcullis::auth::{ApiKeyList, ApiKeys, NewApiKey};
use portcullis::guard::{Environment, SystemClock};
use portcullis::prelude::*;

const OVERLAP: Duration = Duration::from_secs(60 * 60);

/// Who you are here.
#[tool(auth = require_scopes(["read"]))]
async fn whoami(caller: Caller) -> Result<String, ToolError> {
    Ok(caller.subject().unwrap_or_default().to_owned())
}

fn read(file: &Path) -> Result<ApiKeyList, Box<dyn Error>> {
    match file.exists() {
        true => Ok(ApiKeyList::read(&std::fs::read_to_string(file)?)?),
        false => Ok(ApiKeyList::default()),
    }
}

/// Beside the file and renamed, so that the server never reads a half.
fn write(file: &Path, list: &ApiKeyList) -> Result<(), Box<dyn Error>> {
    let beside = file.with_extension("new");
    std::fs::write(&beside, list.to_string())?;
    Ok(std::fs::rename(beside, file)?)
}

fn change(file: &Path, words: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut list = read(file)?;
    match words {
        ["new", subject, scopes @ ..] => {
            let new = NewApiKey::of(*subject).scopes(scopes.to_vec());
            let (key, record) = new.mint(&SystemClock)?;
            println!("{}", key.expose());
            list.add(record)?;
        }
        ["rotate", id] => println!("{}", list.rotate(id, OVERLAP, &SystemClock)?.expose()),
        ["revoke", id] => list.revoke(id)?,
        _ => return Err("new <subject> <scope>…, rotate <id> or revoke <id>".into()),
    }
    write(file, &list)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let environment = Environment::process();
    let [file] = environment.require(["API_KEYS"])?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if !words.is_empty() {
        return change(Path::new(file), &words);
    }
    let server = Server::builder("api-keys")
        .auth(ApiKeys::file(file).build()?)
        .components(components![whoami])
        .build()?;
    Ok(server.run().await?)
}
