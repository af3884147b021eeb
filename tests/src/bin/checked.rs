//! A server that keeps the fifteen rules, or breaks the one that it is told to: `checked CASE`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use portcullis::audit::JsonLines;
use portcullis::auth::{ClientPolicy, Registration, RemoteAuthProvider};
use portcullis::component::FormElicitation;
use portcullis::danger::{LoginProvider, StaticTokenVerifier, user};
use portcullis::guard::{Secret, SecretFile};
use portcullis::prelude::*;
use portcullis::route::{get, post};
use portcullis::server::{AuthSet, CredentialsInResults};
use portcullis::{ServerBuilder, Tool};
use portcullis_demo::options::Options;
use portcullis_demo::serve;
use schemars::JsonSchema;
use serde::Deserialize;

/// The public key of an issuer that signs nothing.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE6ayZiqIUki0hpeHwq+rrURxSh0T1
ViOzPE3flZPpcp3CpQuB0pxVW6hlBHuxpvoawUuHVMndTGpDprVzZVzyIQ==
-----END PUBLIC KEY-----
";

type Builder = ServerBuilder<AuthSet>;
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Say it again.
#[tool(auth = require_scopes(["read"]))]
async fn echo(text: String) -> String {
    text
}

/// Take a password for what is elsewhere.
#[tool(auth = require_scopes(["read"]))]
async fn take(
    #[arg(secret, reason = "the other system knows no other way")] password: String,
) -> String {
    password
}

/// Sign with the caller's key.
#[tool(auth = require_scopes(["read"]))]
async fn sign(api_key: String) -> String {
    api_key
}

#[derive(Deserialize, JsonSchema)]
struct Login {
    password: String,
}

/// Ask for a password.
#[tool(auth = require_scopes(["read"]))]
async fn sign_in(login: FormElicitation<Login>) -> Result<String, ToolError> {
    let login = login.elicit("Who are you?").await?;
    Ok(login.accepted().map(|login| login.password).unwrap_or_default())
}

/// Read a file by itself.
#[tool(auth = require_scopes(["read"]))]
async fn read_by_itself(file_path: String) -> String {
    file_path
}

/// Read a file through the workspace.
#[tool(auth = require_scopes(["read"]))]
async fn read_within(file_path: String, workspace: State<Workspace>) -> Result<String, ToolError> {
    Ok(workspace.read_text(&file_path).await?)
}

/// Fetch a page by itself.
#[tool(auth = require_scopes(["read"]))]
async fn fetch_by_itself(page_url: String) -> String {
    page_url
}

/// Fetch a page through the client.
#[tool(auth = require_scopes(["read"]))]
async fn fetch_within(page_url: String, context: Context) -> Result<String, ToolError> {
    context.http().map(|_| page_url)
}

/// Ask the database whatever is asked.
#[tool(auth = require_scopes(["read"]))]
async fn ask(sql: String) -> String {
    sql
}

/// Ask the database one of two things.
#[tool(auth = require_scopes(["read"]))]
async fn ask_one_of(#[arg(one_of("count", "latest"))] statement: String) -> String {
    statement
}

/// Anybody may.
#[tool]
async fn greet() -> &'static str {
    "hello"
}

fn tokens() -> portcullis::auth::JwtVerifierBuilder {
    JwtVerifier::public_key_pem(KEY).issuer("https://idp.example.com")
}

fn remote(tokens: portcullis::auth::JwtVerifierBuilder) -> Result<Builder, Error> {
    let provider = RemoteAuthProvider::jwt(tokens).build()?;
    Ok(Server::builder("checked").auth(provider))
}

fn kept() -> Result<Builder, Error> {
    Ok(remote(tokens().required_scopes(["read"]))?.components(components![echo]))
}

/// The server of a case, in which what is loaded lives as long as it does.
fn server(case: &str, loaded: &mut Vec<Secret<String>>) -> Result<Builder, Error> {
    let with = |component: Components| Ok(kept()?.components(component));
    let login = |policy: ClientPolicy| {
        let provider = LoginProvider::new().user("alice", Secret::new("a-password".to_owned()));
        let server = Server::builder("checked").auth(provider.scopes(["read"]).clients(policy));
        server.components(components![echo])
    };
    match case {
        "kept" | "silent" => kept(),
        "recorded" => Ok(kept()?.audit(JsonLines::open("audit.jsonl")?)),
        "credential" => with(components![sign]),
        "credential-in-form" => with(components![sign_in]),
        "credential-on-purpose" => with(components![take]),
        "blanket-scope" => {
            Ok(remote(tokens().required_scopes(["read", "admin"]))?.components(components![echo]))
        }
        "no-scope" => Ok(remote(tokens())?.components(components![greet])),
        "unauthenticated" => {
            let server = Server::builder("checked").no_auth().dangerously_serve_unauthenticated();
            Ok(server.components(components![greet]))
        }
        "secret-in-text" => {
            let tool = Tool::new("ask").description("Asks postgres://app:hunter2@db/app.");
            Ok(kept()?.component(tool.handler(|_| async { "" })))
        }
        "development" => {
            let tokens =
                StaticTokenVerifier::new().token("dev-token-alice", user("alice").scopes(["read"]));
            Ok(Server::builder("checked").auth(tokens).components(components![echo]))
        }
        "internal-errors" => Ok(kept()?.dangerously_show_internal_errors()),
        "any-client" => Ok(login(Registration::Open.into())),
        "known-clients" => Ok(login(Registration::Known.into())),
        "no-keys" => remote(
            JwtVerifier::jwks("http://127.0.0.1:9/jwks.json")
                .issuer("https://idp.example.com")
                .required_scopes(["read"])
                .allow_loopback_idp(),
        )
        .map(|server| server.components(components![echo])),
        "other-audience" => {
            let tokens =
                tokens().audience("https://other.example.com/mcp").required_scopes(["read"]);
            Ok(Server::builder("checked").auth(tokens.build()?).components(components![echo]))
        }
        "path" => with(components![read_by_itself]),
        "path-within" => {
            Ok(kept()?.state(Workspace::open(".")?).components(components![read_within]))
        }
        "url" => with(components![fetch_by_itself]),
        "url-within" => with(components![fetch_within]),
        "credentials-in-results" => Ok(kept()?.credentials_in_results(CredentialsInResults::Off)),
        "statement" => with(components![ask]),
        "statement-of-a-list" => with(components![ask_one_of]),
        "route-for-nobody" => {
            let route = get("/report", async || "ok").require(require_scopes(["read"]));
            Ok(Server::builder("checked").no_auth().components(components![greet]).route(route))
        }
        "public-admin-route" => {
            Ok(kept()?
                .route(post("/admin/reset", async || "ok").public("checks a secret of its own")))
        }
        "public-route" => Ok(kept()?.route(get("/health", async || "ok").public("liveness"))),
        "no-timeout" => {
            Ok(kept()?.limits(|limits| limits.handler_timeout = Duration::from_secs(3_600)))
        }
        "fixed-secret" => {
            loaded.push(Secret::known("a-secret-of-the-provider".to_owned()));
            kept()
        }
        "watched-secret" => Ok(kept()?.state(SecretFile::open("secret")?)),
        other => Err(format!("no case is called {other}").into()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let case = std::env::args().nth(1).unwrap_or_default();
    serve::exit_code(run(&case).await)
}

async fn run(case: &str) -> Result<(), Error> {
    if case != "silent" {
        serve::start_log(&Options::parse_from(["checked"]))?;
    }
    let mut loaded = Vec::new();
    Ok(server(case, &mut loaded)?.build()?.run().await?)
}
