//! From options to a running server, with what it says at start.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use portcullis::access::AccessTable;
use portcullis::audit::{AuditFailure, JsonLines};
use portcullis::danger::{LoginProvider, StaticTokenVerifier, user};
use portcullis::guard::{Environment, Secret};
use portcullis::middleware::RateLimit;
use portcullis::server::{AuthSet, AuthUnset};
use portcullis::{RunOptions, ServerBuilder};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::options::{AccessFormat, AuditFailureOption, AuthOption, Options, TransportOption};
use crate::storage::{self, Stored};
use crate::tokens::CLIENT_SECRET;
use crate::{Error, flags, provider};

/// How long a message at the end waits for whoever reads standard error.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Logs to standard error, where nothing of the protocol is, and stops nothing if nobody reads it.
/// Of h2 only errors are logged, unless the filter names it.
///
/// # Errors
///
/// When `--log` is not a filter.
pub fn start_log(options: &Options) -> Result<(), Error> {
    let refused = |reason: &str| Error::from(format!("--log {:?}: {reason}", options.log));
    // A bare word would be taken for a module's name, and silence everything else.
    let word = options.log.bytes().all(|b| b.is_ascii_alphabetic());
    if word && options.log.parse::<LevelFilter>().is_err() {
        return Err(refused("write error, warn, info, debug, trace or off"));
    }
    let filter = format!("h2=error,{}", options.log);
    let filter = EnvFilter::try_new(filter).map_err(|error| refused(&error.to_string()))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(portcullis::stderr)
        // It would say on standard error that standard error cannot be written, and panic.
        .log_internal_errors(false)
        .init();
    Ok(())
}

/// Builds `server` as the options say, tells the operator what it is, and serves it.
///
/// # Errors
///
/// Whatever keeps it from being built or served.
pub async fn serve(options: &Options, server: ServerBuilder<AuthUnset>) -> Result<(), Error> {
    let environment = environment(options)?;
    let run = run_options(options, &environment)?;
    let server = match &options.path {
        Some(path) => server.path(path),
        None => server,
    };
    let server = with_limits(options, server);
    let stored = match options.print_access {
        Some(_) => Stored::in_memory(),
        None => storage::open(options, &environment).await?,
    };
    let server = with_auth(options, environment, server, &stored)?;
    if let Some(format) = options.print_access {
        return print(&server.build()?.access_table(), format);
    }
    let server = with_audit(options, stored.given_to(server))?.build()?;
    if options.transport(&run) == TransportOption::Stdio {
        return Ok(server.run_stdio().await?);
    }
    let (authentication, table) = (server.authentication(), server.access_table());
    let listening = server.listen(&run).await?;
    let (url, storage) = (listening.url(), &stored.place);
    let attempt = attempt(options, url);
    // It never fails: whether anybody reads it is not the server's concern.
    let _ = writeln!(
        portcullis::stderr(),
        "URL             {url}\nAuthentication  {authentication}\nStorage         {storage}\n\n\
         Who may see and use what:\n{table}\nTry it:\n{attempt}\n"
    );
    Ok(listening.run().await?)
}

/// Says what went wrong, in one place.
#[must_use]
pub fn exit_code(result: Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut stderr = portcullis::stderr();
            // It never fails.
            let _ = writeln!(stderr, "error: {error}");
            if let Some(flags) = flags::for_message(&error.to_string()) {
                let _ = writeln!(stderr, "{flags}");
            }
            stderr.drain(LAST_WORDS);
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn transport(&self, run: &RunOptions) -> TransportOption {
        match (self.transport, run.transport()) {
            (Some(transport), _) => transport,
            (None, Some(portcullis::server::Transport::Stdio)) => TransportOption::Stdio,
            (None, _) => TransportOption::Http,
        }
    }
}

/// Variables, and where one is not set, the file of variables.
fn environment(options: &Options) -> Result<Environment, Error> {
    let environment = Environment::process();
    Ok(match &options.env_file {
        Some(file) => environment.with_file(file)?,
        None => environment,
    })
}

/// Flags, over variables.
fn run_options(options: &Options, environment: &Environment) -> Result<RunOptions, Error> {
    let mut run = RunOptions::from_env(environment)?;
    if let Some(address) = &options.listen {
        run = run.listen(address);
    }
    if let Some(url) = &options.public_url {
        run = run.public_url(url);
    }
    if let (Some(cert), Some(key)) = (&options.tls_cert, &options.tls_key) {
        run = run.tls(cert, key);
    }
    if !options.trusted_proxy.is_empty() {
        run = run.trusted_proxies(options.trusted_proxy.clone());
    }
    if options.transport == Some(TransportOption::Sse) {
        run = run.with_legacy_sse();
    }
    Ok(run)
}

fn with_limits<A>(options: &Options, server: ServerBuilder<A>) -> ServerBuilder<A> {
    let drain_delay = Duration::from_secs(options.drain_delay);
    let server = server.limits(|limits| limits.drain_delay = drain_delay);
    match options.rate_limit {
        Some(requests) => {
            server.middleware(RateLimit::per_principal(requests, Duration::from_secs(60)))
        }
        None => server,
    }
}

fn with_audit<A>(options: &Options, server: ServerBuilder<A>) -> Result<ServerBuilder<A>, Error> {
    let Some(file) = &options.audit_file else { return Ok(server) };
    let lines = JsonLines::open(file)
        .map_err(|error| format!("--audit-file {}: {error}", file.display()))?;
    Ok(server.audit(lines).audit_failure(match options.audit_failure {
        AuditFailureOption::Continue => AuditFailure::Continue,
        AuditFailureOption::Stop => AuditFailure::Stop,
    }))
}

fn with_auth(
    options: &Options,
    environment: Environment,
    server: ServerBuilder<AuthUnset>,
    stored: &Stored,
) -> Result<ServerBuilder<AuthSet>, Error> {
    let auth = options.auth.unwrap_or(AuthOption::Static);
    match auth {
        AuthOption::Jwt | AuthOption::Remote => {}
        AuthOption::Introspect => options.jwt.refuse_beside_introspection()?,
        AuthOption::Proxy | AuthOption::Github | AuthOption::Google => {
            options.jwt.refuse_beside_provider()?;
        }
        AuthOption::Login | AuthOption::Static | AuthOption::None => options.jwt.refuse()?,
    }
    let at_provider = matches!(auth, AuthOption::Proxy | AuthOption::Github | AuthOption::Google);
    if auth != AuthOption::Introspect {
        options.introspection.refuse(at_provider)?;
    }
    if !at_provider {
        options.provider.refuse()?;
    }
    if auth != AuthOption::Login && !at_provider {
        options.clients.refuse()?;
    }
    if options.auth.is_none() {
        refuse_token_variables(&environment)?;
    }
    Ok(match auth {
        AuthOption::Jwt => server.auth(options.jwt.verifier(environment)?),
        AuthOption::Remote => server.auth(options.jwt.remote(environment)?),
        AuthOption::Introspect => {
            server.auth(options.introspection.verifier(&options.jwt, environment)?)
        }
        AuthOption::None => server.no_auth(),
        AuthOption::Login => server.auth(login(options, stored)?),
        AuthOption::Proxy => server.auth(provider::proxy(options, environment, stored)?),
        AuthOption::Github => server.auth(provider::github(options, environment, stored)?),
        AuthOption::Google => server.auth(provider::google(options, environment, stored)?),
        AuthOption::Static => {
            let alice = user("alice")
                .client_id("alice@dev.local")
                .scopes(["read", "write", "admin"])
                .claim("premium", true)
                .claim("level", 5);
            let bob = user("bob").client_id("bob@dev.local").scopes(["read"]);
            server.auth(
                StaticTokenVerifier::new()
                    .token("dev-token-alice", alice)
                    .token("dev-token-bob", bob),
            )
        }
    })
}

/// Alice and Bob, who sign in with a password.
fn login(options: &Options, stored: &Stored) -> Result<LoginProvider, Error> {
    let password = |name: &str| Secret::new(format!("dev-password-{name}"));
    let provider = LoginProvider::new()
        .user("alice", password("alice"))
        .user("bob", password("bob"))
        .scopes(["read", "write", "admin"])
        .clients(options.clients.policy()?)
        .clock(Arc::clone(&options.clock));
    Ok(match &stored.sealed {
        Some((store, keys)) => provider.store(Arc::clone(store)).keys(keys.clone()),
        None => provider,
    })
}

/// Whoever has set them up believes that tokens are verified.
fn refuse_token_variables(environment: &Environment) -> Result<(), Error> {
    let variables = [
        "JWT_JWKS_URI",
        "JWT_JWKS_FILE",
        "JWT_DISCOVERY",
        "JWT_PUBLIC_KEY",
        "JWT_PUBLIC_KEY_FILE",
        "JWT_HMAC_SECRET",
        "JWT_HMAC_SECRET_FILE",
        "JWT_ISSUER",
        CLIENT_SECRET,
    ];
    let set = variables.into_iter().find(|name| environment.variable(name).is_some());
    let Some(name) = set else { return Ok(()) };
    let auth = if name == CLIENT_SECRET { "introspect" } else { "jwt" };
    Err(Error::from(format!(
        "{name} is set, but --auth is not: write --auth {auth} to use it, or --auth static or none to \
         ignore it"
    )))
}

/// Standard output is free for it: nothing is served.
fn print(table: &AccessTable, format: AccessFormat) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match format {
        AccessFormat::Text => write!(out, "{table}")?,
        AccessFormat::Json => writeln!(out, "{:#}", table.to_json())?,
    }
    Ok(())
}

/// How clients that sign users in are told of the server.
fn added(url: &str) -> String {
    format!(
        "claude mcp add --transport http portcullis-demo {url} && claude mcp login portcullis-demo\n\
         codex mcp add portcullis-demo --url {url}"
    )
}

/// A request that lists what the token of Bob may see, or how a client signs in.
fn attempt(options: &Options, url: &str) -> String {
    let token = match options.auth.unwrap_or(AuthOption::Static) {
        AuthOption::Login => {
            let add = added(url);
            return format!(
                "{add}\nSign in as alice (dev-password-alice) or bob (dev-password-bob)."
            );
        }
        AuthOption::Proxy | AuthOption::Github | AuthOption::Google => {
            let origin = url.strip_suffix(options.path.as_deref().unwrap_or("/mcp")).unwrap_or(url);
            let add = added(url);
            return format!("{add}\nRegister {origin}/auth/callback at the identity provider.");
        }
        AuthOption::Static => "-H 'Authorization: Bearer dev-token-bob' ",
        AuthOption::Jwt | AuthOption::Remote | AuthOption::Introspect => {
            "-H \"Authorization: Bearer $TOKEN\" "
        }
        AuthOption::None => "",
    };
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    format!(
        "curl -s {url} {token}-H 'Content-Type: application/json' -H 'MCP-Protocol-Version: 2026-07-28' \
         -H 'Mcp-Method: tools/list' -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{{\"_meta\":{meta}}}}}'"
    )
}
