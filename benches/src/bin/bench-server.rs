//! The server that is measured: `add(a, b)` behind JWTs, and as many further tools as asked.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use benches::Result;
use clap::{Parser, ValueEnum};
use portcullis::access::require_scopes;
use portcullis::audit::{JsonLines, OtlpTraces};
use portcullis::auth::{Algorithm, IntrospectionVerifier, OAuthProxy};
use portcullis::component::Component;
use portcullis::guard::keys::{KeyFile, KeyRing};
use portcullis::guard::{Fetch, Secret, SystemClock};
use portcullis::metrics::Prometheus;
use portcullis::prelude::*;
use portcullis::store::{FileStore, RedisStore, Sealed};
use portcullis::visibility::names;
use portcullis::{RunOptions, Tool};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// A server to measure, on loopback.
///
/// It has one tool, `add(a, b)`, which needs the scope `read`. It speaks 2026-07-28: each
/// request is a POST of its own with a bearer token.
#[derive(Debug, Parser)]
struct Options {
    /// The port on 127.0.0.1; 0 lets the system choose
    #[arg(long, default_value_t = 8000, overrides_with = "port")]
    port: u16,

    /// A file with the public key that tokens are verified with, in PEM
    #[arg(long, value_name = "FILE", required_unless_present = "sign_in")]
    public_key: Option<PathBuf>,

    /// Which algorithms are accepted, such as RS256,ES256 [default: those of the key]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = algorithm)]
    algorithms: Vec<Algorithm>,

    /// Who issues the tokens: `iss`
    #[arg(long, required_unless_present = "sign_in")]
    issuer: Option<String>,

    /// What the tokens must be meant for: `aud`
    #[arg(long, required_unless_present = "sign_in")]
    audience: Option<String>,

    /// Threads that serve
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    workers: u16,

    /// Whether a token that was verified is verified again
    #[arg(long, value_enum, default_value_t = Switch::On)]
    token_cache: Switch,

    /// Where the audit records go [default: a temporary file]
    #[arg(long, value_name = "FILE")]
    audit_file: Option<PathBuf>,

    /// An introspection endpoint on loopback, which is asked about tokens [default: they are JWTs]
    #[arg(long, value_name = "URL")]
    introspect: Option<String>,

    /// An identity provider on loopback at which users sign in, for tokens of this server's own
    #[arg(long, value_name = "URL", requires = "client_secret")]
    #[arg(conflicts_with_all = ["public_key", "introspect"])]
    sign_in: Option<String>,

    /// The client that this server is there
    #[arg(long, default_value = "mcp-server", value_name = "ID")]
    client_id: String,

    /// Its secret
    #[arg(long, value_name = "SECRET")]
    client_secret: Option<String>,

    /// A folder for the records of sign-ins and the key that seals them; it is made [default: memory]
    #[arg(long, value_name = "FOLDER", requires = "sign_in")]
    state_dir: Option<PathBuf>,

    /// A Redis that keeps the records, unsealed [default: memory]
    #[arg(long, value_name = "URL")]
    redis: Option<String>,

    /// A secret to look for in answers and records: most servers know one
    #[arg(long, value_name = "SECRET")]
    known_secret: Option<String>,

    /// Measure for Prometheus, and keep a span for each operation
    #[arg(long)]
    observed: bool,

    /// Send spans to an OpenTelemetry collector on loopback
    #[arg(long, value_name = "URL")]
    traces: Option<String>,

    /// Of how many requests that name no trace one is sent
    #[arg(long, default_value_t = 1, value_name = "N", requires = "traces")]
    sample_one_in: u32,

    /// Be ready for many sessions of one principal, with tools that tell something
    #[arg(long)]
    sessions: bool,

    /// Further tools; the first and every second one needs the scope `admin`
    #[arg(long, default_value_t = 0, value_name = "N")]
    tools: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

fn algorithm(name: &str) -> std::result::Result<Algorithm, String> {
    Algorithm::parse(name).ok_or_else(|| format!("{name:?} is no algorithm that is served"))
}

/// Adds two numbers.
#[tool(auth = require_scopes(["read"]))]
async fn add(a: i64, b: i64) -> std::result::Result<String, ToolError> {
    let sum = a.checked_add(b).ok_or_else(|| ToolError::new("The sum is too large"))?;
    Ok(sum.to_string())
}

/// Counts to three.
#[tool(auth = require_scopes(["read"]))]
async fn count(
    /// How long each step takes, in milliseconds
    #[arg(default = 0)]
    ms: u64,
    ctx: Context,
) -> &'static str {
    for step in 1..=3 {
        ctx.progress(step, 3);
        wait_for(ms).await;
    }
    "counted"
}

/// Waits.
#[tool(auth = require_scopes(["read"]))]
async fn wait(ms: u64) -> &'static str {
    wait_for(ms).await;
    "waited"
}

async fn wait_for(ms: u64) {
    match ms {
        0 => tokio::task::yield_now().await,
        ms => tokio::time::sleep(Duration::from_millis(ms)).await,
    }
}

/// Changes the list of tools for everybody.
#[tool(auth = require_scopes(["read"]))]
async fn announce(ctx: Context) -> std::result::Result<&'static str, ToolError> {
    static SHOWN: AtomicBool = AtomicBool::new(true);
    let visibility = ctx.server_visibility();
    match SHOWN.fetch_not(Ordering::Relaxed) {
        true => visibility.disable(names(["wait"]))?,
        false => visibility.enable(names(["wait"]))?,
    }
    Ok("announced")
}

/// What is read.
#[resource("bench://note", auth = require_scopes(["read"]))]
async fn note() -> &'static str {
    "a note"
}

fn further(number: usize) -> Component {
    let scope = if number % 2 == 1 { "admin" } else { "read" };
    Tool::new(format!("tool_{number}"))
        .description(format!("Tool {number}, which is there to be listed."))
        .auth(require_scopes([scope]))
        .parameter::<String>(portcullis::component::Argument::new("text"))
        .handler(|_call| async { "done" })
}

fn main() -> ExitCode {
    let options = Options::parse();
    let served = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.workers.into())
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(serve(&options)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn jwt_verifier(options: &Options) -> Result<JwtVerifier> {
    let public_key = options.public_key.as_deref().ok_or("--public-key is missing")?;
    let mut verifier = JwtVerifier::public_key_pem(std::fs::read_to_string(public_key)?)
        .issuer(options.issuer.as_deref().unwrap_or_default())
        .audience(options.audience.as_deref().unwrap_or_default());
    if !options.algorithms.is_empty() {
        verifier = verifier.algorithms(options.algorithms.iter().copied());
    }
    if options.token_cache == Switch::Off {
        verifier = verifier.token_cache(0);
    }
    Ok(verifier.build()?)
}

fn introspection_verifier(options: &Options, url: &str) -> Result<IntrospectionVerifier> {
    let verifier = IntrospectionVerifier::endpoint(url)
        .client_secret_basic("bench-server", Secret::new("not a secret".to_owned()))
        .issuer(options.issuer.as_deref().unwrap_or_default())
        .audience(options.audience.as_deref().unwrap_or_default())
        .allow_loopback_idp();
    Ok(verifier.build()?)
}

fn oauth_proxy(options: &Options, url: &str) -> Result<OAuthProxy> {
    let secret = options.client_secret.clone().unwrap_or_default();
    let provider = OAuthProxy::builder()
        .authorization_endpoint(format!("{url}/authorize"))
        .token_endpoint(format!("{url}/token"))
        .userinfo_endpoint(format!("{url}/userinfo"))
        .client(&options.client_id, Secret::new(secret))
        .upstream_scopes(["profile"])
        .scopes(["read"])
        .allow_loopback_idp();
    let Some(folder) = &options.state_dir else { return Ok(provider) };
    // It makes the folder.
    let store = FileStore::open(folder.join("store.redb"), Arc::new(SystemClock))?;
    let key_file = folder.join("keys");
    if !key_file.exists() {
        KeyFile::new(&key_file).create()?;
    }
    let keys = KeyRing::from_file(&key_file)?;
    Ok(provider.store(Arc::new(Sealed::new(store, keys.clone()))).keys(keys))
}

async fn serve(options: &Options) -> Result<()> {
    // As long as it serves.
    let _known = options.known_secret.clone().map(Secret::known);
    let components = match options.sessions {
        true => components![add, announce, count, wait, note],
        false => components![add],
    };
    let components =
        (1..=options.tools).fold(components, |components, number| components.with(further(number)));
    // As in production, each request leaves a line.
    let temporary = tempfile::NamedTempFile::new()?;
    let audit_file = options.audit_file.as_deref().unwrap_or(temporary.path());
    let audit = JsonLines::open(audit_file)?;
    let server = Server::builder("bench-server");
    let mut server = match (&options.sign_in, &options.introspect) {
        (Some(url), _) => server.auth(oauth_proxy(options, url)?),
        (None, Some(url)) => server.auth(introspection_verifier(options, url)?),
        (None, None) => server.auth(jwt_verifier(options)?),
    };
    server = server.audit(audit).page_size(components.len()).components(components);
    if options.sessions {
        // All sessions of the load are one principal's.
        server = server.limits(|limits| {
            (limits.sessions, limits.sessions_per_principal) = (20_000, 20_000);
            (limits.connections, limits.streams_per_principal) = (8_192, 4_096);
            limits.requests_per_principal = limits.concurrent_requests;
        });
    }
    if options.observed {
        // It keeps each span while it lasts. What a layer makes of it costs what the layer costs. The
        // log is silent, as it is without.
        tracing_subscriber::registry().with(filter_fn(|metadata| metadata.is_span())).init();
        let route = Prometheus::install()?.route("/metrics");
        server = server.route(route.require(require_scopes(["read"])));
    }
    if let Some(url) = &options.traces {
        let traces = OtlpTraces::builder(Fetch::builder().allow_loopback(), &url.parse()?, "bench");
        server = server.traces(traces.sample_one_in(options.sample_one_in).open()?);
    }
    if let Some(url) = &options.redis {
        let store = RedisStore::builder(url).dangerously_unsealed().open().await;
        server = server.store(store?);
    }
    let server = server.build()?;
    let listening =
        server.listen(&RunOptions::new().listen(format!("127.0.0.1:{}", options.port))).await?;
    eprintln!("URL             {}", listening.url());
    Ok(listening.run().await?)
}
