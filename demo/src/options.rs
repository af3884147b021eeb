//! The command line.

use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, ValueEnum};
use portcullis::guard::{Clock, SystemClock};

use crate::clients::ClientOptions;
use crate::provider::ProviderOptions;

/// A protected MCP server.
///
/// The variables PORTCULLIS_TRANSPORT, PORTCULLIS_LISTEN, PORTCULLIS_PUBLIC_URL,
/// PORTCULLIS_TRUSTED_PROXIES, PORTCULLIS_TLS_CERT and PORTCULLIS_TLS_KEY set --transport, --listen,
/// --public-url, --trusted-proxy, --tls-cert and --tls-key too; a flag wins over its variable.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Options {
    /// The transport of the protocol [default: http]
    #[arg(long, value_enum)]
    pub transport: Option<TransportOption>,

    /// The IP address and port to listen on, where port 0 picks a free port; or unix: and the path of a
    /// socket [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,

    /// The path of the MCP endpoint [default: /mcp]
    #[arg(long)]
    pub path: Option<String>,

    /// The origin under which clients reach the server, such as `https://mcp.example.com`
    /// [default: the --listen address]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,

    /// Speak TLS with the certificates in this PEM file, the server's own first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<String>,

    /// The PEM file of the certificate's private key, which only its owner and its group may read
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<String>,

    /// A proxy in front, or a network of them, such as 10.1.0.0/16, whose X-Forwarded-For or Forwarded
    /// says where clients are, for records and limits; repeat the flag for several [default: none]
    #[arg(long, value_name = "ADDRESS")]
    pub trusted_proxy: Vec<String>,

    /// How clients authenticate over HTTP [default: static]
    #[arg(long, value_enum)]
    pub auth: Option<AuthOption>,

    /// Which tokens are accepted.
    #[command(flatten)]
    pub jwt: JwtOptions,

    /// Whom to ask about tokens.
    #[command(flatten)]
    pub introspection: IntrospectionOptions,

    /// Which clients sign in.
    #[command(flatten)]
    pub clients: ClientOptions,

    /// At which identity provider users sign in.
    #[command(flatten)]
    pub provider: ProviderOptions,

    /// Read variables that are not set from this file of NAME=value lines
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,

    /// The folder for the database, the workspace and the store [default: a temporary folder]
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,

    /// Where records rest, such as what somebody has unlocked: memory; file, which is in
    /// --state-dir; or, in a program built with `--features redis`, redis://HOST:PORT or rediss://
    /// for TLS, which replicas share. Only the variable PORTCULLIS_STORE takes a URL with a password,
    /// since everybody can read command lines [default: file with --state-dir, memory without it]
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,

    /// The file of the keys that seal the store, as `portcullis keys new` makes it
    /// (PORTCULLIS_KEY_FILE; PORTCULLIS_KEYS holds keys themselves)
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// Log to standard error at this level (error, warn, info, debug) or filter, such as
    /// `info,portcullis=debug`
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    pub log: String,

    /// Append an audit record of each operation to this file, as one line of JSON
    #[arg(long, value_name = "FILE")]
    pub audit_file: Option<PathBuf>,

    /// What to do while the audit file cannot be written
    #[arg(long, value_enum, default_value_t = AuditFailureOption::Continue, requires = "audit_file")]
    pub audit_failure: AuditFailureOption,

    /// Limit the requests of each caller per minute [default: no limit]
    #[arg(long, value_name = "REQUESTS", value_parser = requests)]
    pub rate_limit: Option<u32>,

    /// Keep serving for this many seconds after a stop signal, while /readyz answers 503
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub drain_delay: u64,

    /// Print who may see and use which component, as a table or as JSON, and exit
    #[arg(long, value_enum, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "text")]
    pub print_access: Option<AccessFormat>,

    /// By which what users signed in for, and what rests in a file, expires. No flag sets it.
    #[arg(skip = system_clock())]
    pub clock: Arc<dyn Clock>,
}

fn system_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn requests(text: &str) -> Result<u32, &'static str> {
    let requests = text.parse().ok().filter(|requests| *requests > 0);
    requests.ok_or("write how many requests a minute each caller may make, such as 60")
}

/// What to do while the audit file cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditFailureOption {
    /// Keep serving, and log that records are lost
    Continue,
    /// Refuse requests until the file can be written
    Stop,
}

/// How the access table is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccessFormat {
    /// A table, for people
    Text,
    /// An array of rows, for programs
    Json,
}

/// The transport of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TransportOption {
    /// Standard input and output, for a client that starts the server itself
    Stdio,
    /// Streamable HTTP
    Http,
    /// HTTP+SSE, which is deprecated, at /sse beside Streamable HTTP
    Sse,
}

/// How clients authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthOption {
    /// JSON Web Tokens, configured by the flags below or their variables; JWT_HMAC_SECRET
    /// sets a shared secret, and JWT_REQUIRED_SCOPES the scopes that every request needs
    Jwt,
    /// JSON Web Tokens of the authorization server --idp, at which clients sign in by themselves;
    /// of the flags below those about its keys are not needed
    Remote,
    /// Opaque tokens, about which the authorization server --idp is asked (RFC 7662)
    Introspect,
    /// The server's own sign-in, for development: clients register by themselves, and alice and bob
    /// sign in with the passwords dev-password-alice and dev-password-bob
    Login,
    /// Users sign in at the OpenID provider --idp, as whose client --client-id this server is
    /// registered there (IDP_ISSUER, IDP_CLIENT_ID, IDP_CLIENT_SECRET); clients register by themselves
    Proxy,
    /// Users sign in with accounts of GitHub, or of the GitHub Enterprise Server --idp
    /// (GITHUB_CLIENT_ID, GITHUB_CLIENT_SECRET)
    Github,
    /// Users sign in with accounts of Google (GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET)
    Google,
    /// The development tokens dev-token-alice (read, write, admin; premium, level 5) and
    /// dev-token-bob (read)
    Static,
    /// No authentication; components that need it are hidden
    None,
}

/// Which tokens are accepted, with `--auth jwt` and `--auth remote`. Each flag wins over its variable: JWT_ISSUER,
/// JWT_AUDIENCE, JWT_JWKS_URI, JWT_PUBLIC_KEY, JWT_ALGORITHMS and so on. Only the variable
/// JWT_HMAC_SECRET sets a shared secret, since everybody can read command lines, and only
/// JWT_REQUIRED_SCOPES the scopes that every request needs.
#[derive(Args, Clone, Debug, Default)]
pub struct JwtOptions {
    /// With --auth remote, introspect and proxy: the issuer. With remote its metadata says where its
    /// keys are, and the audience is this server's URL, unless --audience names another. With --auth
    /// github: the URL of a GitHub Enterprise Server
    #[arg(long, help_heading = "Tokens", value_name = "ISSUER", conflicts_with_all = ["issuer", "jwks", "public_key"], value_parser = NonEmptyStringValueParser::new())]
    pub idp: Option<String>,

    /// The issuer of the tokens, their `iss` (JWT_ISSUER)
    #[arg(long, help_heading = "Tokens", value_name = "ISSUER", value_parser = NonEmptyStringValueParser::new())]
    pub issuer: Option<String>,

    /// The audience of the tokens, their `aud`; repeat the flag to accept several (JWT_AUDIENCE,
    /// separated by commas)
    #[arg(long, help_heading = "Tokens", value_name = "AUDIENCE", value_parser = NonEmptyStringValueParser::new())]
    pub audience: Vec<String>,

    /// The URL of the issuer's JWK set (JWT_JWKS_URI)
    #[arg(long, help_heading = "Tokens", value_name = "URL", conflicts_with = "public_key", value_parser = NonEmptyStringValueParser::new())]
    pub jwks: Option<String>,

    /// A PEM file with the issuer's public key, read again as it changes (JWT_PUBLIC_KEY_FILE)
    #[arg(long, help_heading = "Tokens", value_name = "FILE")]
    pub public_key: Option<PathBuf>,

    /// The accepted algorithms, such as RS256,ES256 (JWT_ALGORITHMS)
    /// [default: the algorithms that fit the keys]
    #[arg(long, help_heading = "Tokens", value_name = "NAMES", value_parser = NonEmptyStringValueParser::new())]
    pub algorithms: Option<String>,

    /// Accept only tokens of the type at+jwt, so that no ID token can pass
    /// (JWT_ACCESS_TOKENS_ONLY=true)
    #[arg(long, help_heading = "Tokens")]
    pub access_tokens_only: bool,

    /// The longest accepted time from `iat` to `exp` (JWT_MAX_TOKEN_LIFETIME)
    /// [default: no limit]
    #[arg(long, help_heading = "Tokens", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_token_lifetime: Option<u64>,

    /// The claim that holds the scopes, instead of `scope` and `scp`; repeat the flag to read
    /// several claims (JWT_SCOPE_CLAIM)
    #[arg(long, help_heading = "Tokens", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub scope_claim: Vec<String>,

    /// Allow an identity provider and its keys on this machine (loopback), over plain http too
    #[arg(long, help_heading = "Tokens")]
    pub allow_loopback_idp: bool,
}

/// Whom to ask about tokens, with `--auth introspect`. Only the variable INTROSPECTION_CLIENT_SECRET or
/// a file sets the secret, since everybody can read command lines.
#[derive(Args, Clone, Debug, Default)]
pub struct IntrospectionOptions {
    /// The URL at which --idp is asked about a token
    #[arg(long, help_heading = "Introspection", value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub introspection_endpoint: Option<String>,

    /// This server's own client id at --idp
    #[arg(long, help_heading = "Introspection", value_name = "ID", allow_hyphen_values = true,
        value_parser = NonEmptyStringValueParser::new())]
    pub client_id: Option<String>,

    /// A file with the secret of --client-id (INTROSPECTION_CLIENT_SECRET, or with --auth proxy
    /// IDP_CLIENT_SECRET and so on, holds the secret itself)
    #[arg(long, help_heading = "Introspection", value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,
}
