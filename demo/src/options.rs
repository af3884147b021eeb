//! The command line.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, ValueEnum};

/// A protected MCP server.
///
/// The flags --transport, --listen and --public-url can also be given as the variables
/// PORTCULLIS_TRANSPORT, PORTCULLIS_LISTEN and PORTCULLIS_PUBLIC_URL; a flag wins.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Options {
    /// What carries the messages [default: http]
    #[arg(long, value_enum)]
    pub transport: Option<TransportOption>,

    /// The IP address and port to listen on; port 0 lets the system choose
    /// [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,

    /// The path of the MCP endpoint
    #[arg(long, default_value = "/mcp")]
    pub path: String,

    /// The origin under which clients reach the server, such as `https://mcp.example.com`
    /// [default: the address that is listened on]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,

    /// Who is let in over HTTP [default: static]
    #[arg(long, value_enum)]
    pub auth: Option<AuthOption>,

    /// Whose tokens are accepted.
    #[command(flatten)]
    pub jwt: JwtOptions,

    /// A file of NAME=value lines for variables that are not set
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,

    /// Where the database and the workspace are kept [default: a temporary folder]
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,

    /// What is logged to standard error: error, warn, info, debug, or a filter such as
    /// `info,portcullis=debug`
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    pub log: String,

    /// A file that each operation is recorded in, as one line of JSON
    #[arg(long, value_name = "FILE")]
    pub audit_file: Option<PathBuf>,

    /// What happens while the audit file cannot be written
    #[arg(long, value_enum, default_value_t = AuditFailureOption::Continue, requires = "audit_file")]
    pub audit_failure: AuditFailureOption,

    /// How many requests each caller may make per minute [default: any number]
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit: Option<u32>,

    /// How many seconds the server goes on once it is told to stop, with /readyz saying no
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub drain_delay: u64,

    /// Print who may see and use what, as a table or as JSON, and exit
    #[arg(long, value_enum, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "text")]
    pub print_access: Option<AccessFormat>,
}

/// What happens while the audit file cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditFailureOption {
    /// Requests are served; that records are lost is said in the log
    Continue,
    /// Nothing is served that would not be recorded
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

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TransportOption {
    /// Standard input and output, for a client that starts the server itself
    Stdio,
    /// Streamable HTTP
    Http,
}

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthOption {
    /// JSON Web Tokens, as the flags below or their variables describe them; a shared secret
    /// is given as JWT_HMAC_SECRET, and scopes that every request needs as JWT_REQUIRED_SCOPES
    Jwt,
    /// The development tokens dev-token-alice (read, write, admin; premium, level 5) and
    /// dev-token-bob (read)
    Static,
    /// Everybody; components that require anything are hidden
    None,
}

/// Whose tokens are accepted, with `--auth jwt`. Each flag wins over a variable: JWT_ISSUER,
/// JWT_AUDIENCE, JWT_JWKS_URI, JWT_PUBLIC_KEY, JWT_ALGORITHMS and so on. A shared secret is given as
/// JWT_HMAC_SECRET alone, since everybody can read command lines, and the scopes that every
/// request needs as JWT_REQUIRED_SCOPES.
#[derive(Args, Clone, Debug, Default)]
pub struct JwtOptions {
    /// Who issues the tokens (JWT_ISSUER)
    #[arg(long, help_heading = "Tokens", value_name = "ISSUER", value_parser = NonEmptyStringValueParser::new())]
    pub issuer: Option<String>,

    /// What the tokens must be meant for (JWT_AUDIENCE, several with commas between); given
    /// several times, one of them
    #[arg(long, help_heading = "Tokens", value_name = "AUDIENCE", value_parser = NonEmptyStringValueParser::new())]
    pub audience: Vec<String>,

    /// Where the issuer publishes its keys (JWT_JWKS_URI)
    #[arg(long, help_heading = "Tokens", value_name = "URL", conflicts_with = "public_key", value_parser = NonEmptyStringValueParser::new())]
    pub jwks: Option<String>,

    /// A file with the issuer's public key, in PEM (JWT_PUBLIC_KEY is the text itself)
    #[arg(long, help_heading = "Tokens", value_name = "FILE")]
    pub public_key: Option<PathBuf>,

    /// Which algorithms are accepted, such as RS256,ES256 (JWT_ALGORITHMS)
    /// [default: those that the keys are made for]
    #[arg(long, help_heading = "Tokens", value_name = "NAMES", value_parser = NonEmptyStringValueParser::new())]
    pub algorithms: Option<String>,

    /// Accept tokens of the type at+jwt alone, so that no ID token can pass
    /// (JWT_ACCESS_TOKENS_ONLY=true)
    #[arg(long, help_heading = "Tokens")]
    pub access_tokens_only: bool,

    /// The longest time from `iat` to `exp` that is accepted (JWT_MAX_TOKEN_LIFETIME)
    /// [default: any]
    #[arg(long, help_heading = "Tokens", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_token_lifetime: Option<u64>,

    /// The claim that scopes are in, in place of `scope` and `scp`; given several times, all of
    /// them (JWT_SCOPE_CLAIM)
    #[arg(long, help_heading = "Tokens", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub scope_claim: Vec<String>,

    /// Let the keys come from this machine, in plain http too
    #[arg(long, help_heading = "Tokens")]
    pub allow_loopback_idp: bool,
}
