//! `portcullis doctor`: what keeps clients from signing in at a server, or from calling it.
//!
//! It plays a client, step by step, and judges each answer as the strictest of the clients that are in
//! use would.

mod call;
mod client;
mod endpoint;
pub(crate) mod fault;
mod issuer;
mod report;
mod resource;
mod sign_in;
mod token;

use std::path::Path;
use std::process::ExitCode;

use portcullis::guard::{Environment, Secret, Url};

use self::client::Client;
use self::endpoint::Reached;
use self::issuer::Issuer;
use self::report::{Report, Step};
use self::sign_in::SignIn;
use crate::Error;
use crate::arguments::DoctorCommand;

/// How many authorization servers are looked at. Their list is a word of the server's.
const MOST_ISSUERS: usize = 4;

/// The variable that holds a token.
const TOKEN_VARIABLE: &str = "PORTCULLIS_TOKEN";

/// Examines a server. The exit code is 1 if a client would fail.
pub(crate) fn run(command: &DoctorCommand) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(examine(command))
}

async fn examine(command: &DoctorCommand) -> Result<ExitCode, Error> {
    let url = endpoint_url(&command.url)?;
    let client = Client::new(&url, &command.private_host, command.ca.as_deref())?;
    let given = given_token(command.token_file.as_deref())?;
    let mut report = Report::new(command.format);
    match endpoint::reach(&client, &url, &mut report).await {
        Reached::Guarded(answer) => {
            issuer::clock(Step::Clock, &answer, &mut report);
            let named = endpoint::challenge(&answer, &mut report);
            let (issuers, got) =
                sign_in(&client, &url, named.as_deref(), command, given.is_some(), &mut report)
                    .await?;
            match given.or(got) {
                Some(token) => {
                    call::first(&client, &url, Some(&token), &issuers, &mut report).await
                }
                None => report.skipped(
                    Step::Call,
                    format_args!("there is no token: --sign-in, --token-file or {TOKEN_VARIABLE}"),
                ),
            }
        }
        Reached::Open => call::first(&client, &url, None, &[], &mut report).await,
        Reached::No => {}
    }
    let failed = report.has_failed();
    report.end(url.as_str())?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What clients do before they have a token.
async fn sign_in(
    client: &Client,
    url: &Url,
    named: Option<&str>,
    command: &DoctorCommand,
    has_token: bool,
    report: &mut Report,
) -> Result<(Vec<Issuer>, Option<Secret<String>>), Error> {
    let names = resource::authorization_servers(client, url, named, has_token, report).await;
    let mut issuers = Vec::new();
    if names.len() > MOST_ISSUERS {
        let seen = format!("{} are named: the first {MOST_ISSUERS} are looked at", names.len());
        report.skipped(Step::Issuer, seen);
    }
    for name in names.iter().take(MOST_ISSUERS) {
        issuers.extend(Issuer::look_at(client, name, report).await);
    }
    // Clients try the first one alone.
    let Some(first) = issuers.first().filter(|issuer| names.first() == Some(&issuer.name)) else {
        return Ok((issuers, None));
    };
    let mut token = None;
    let id =
        sign_in::client_id(client, first, command.client_id.as_deref(), has_token, report).await;
    if let Some(id) = id {
        let scope = command.scope.as_deref();
        let begun = SignIn::begin(client, first, id, url, scope, report).await?;
        match begun.filter(|_| command.sign_in && !has_token) {
            // The code and the password of the user would go to whoever took the server's place.
            Some(_) if !first.is_sound => report.skipped(
                Step::Token,
                "nobody signs in at an authorization server whose metadata has a fault",
            ),
            Some(begun) => token = begun.end(client, first, url, report).await?,
            None => {}
        }
    }
    Ok((issuers, token))
}

fn endpoint_url(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|_| "write the whole URL: https://HOST/mcp")?;
    match (url.scheme(), url.query(), url.fragment()) {
        ("http" | "https", None, None) => Ok(url),
        _ => Err("the URL of an MCP endpoint is https://HOST/mcp, without ? and #".into()),
    }
}

/// The token of the file, or else that of the variable.
fn given_token(file: Option<&Path>) -> Result<Option<Secret<String>>, Error> {
    let token = match file {
        Some(path) => Environment::default().with_variable_from_file("TOKEN", path)?,
        None => Environment::process(),
    };
    let token = token.variable(if file.is_some() { "TOKEN" } else { TOKEN_VARIABLE });
    Ok(token.map(|token| Secret::known(token.trim().to_owned())))
}
