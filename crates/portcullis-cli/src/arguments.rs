//! The command line.

pub(crate) mod audit;
pub(crate) mod check;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use self::audit::{AuditCommand, Why};
use self::check::CheckCommand;
use crate::duration;

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 refused (standard error says why, and what to do), 2 wrong command line";

/// Keys, grants and audit trails of MCP servers that are built with Portcullis, and what is wrong with any
/// MCP server.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make, list, rotate and revoke keys
    #[command(subcommand)]
    Keys(KeysCommand),

    /// Sign a token to try a server with that verifies with a shared secret
    Token(TokenCommand),

    /// List and revoke what users allowed clients
    #[command(subcommand)]
    Grants(GrantsCommand),

    /// Read the audit trail: summaries, denials, the last records
    #[command(subcommand)]
    Audit(AuditCommand),

    Why(Why),

    /// Find out why clients cannot sign in at a server, or cannot call it
    Doctor(DoctorCommand),

    /// Find out whether a server of yours would start, and how it keeps the fifteen rules
    Check(CheckCommand),
}

/// Prints an access token for a server whose JwtVerifier has a shared secret (JWT_HMAC_SECRET): for trying
/// it, and for tests of what it is part of. Nothing takes it back before it ends.
#[derive(Args, Debug)]
#[command(after_help = format!("\
The secret is in JWT_HMAC_SECRET, or in the file that JWT_HMAC_SECRET_FILE names: never on a command line.

Example:
  TOKEN=\"$(portcullis token --subject alice --scope read --scope write)\"

{EXIT_CODES}"))]
pub(crate) struct TokenCommand {
    /// Whom the token speaks for
    #[arg(long, value_parser = NonEmptyStringValueParser::new(), allow_hyphen_values = true)]
    pub(crate) subject: String,

    /// A scope that the token grants; repeat the flag for several [default: none]
    #[arg(long, value_name = "SCOPE", value_parser = scope)]
    pub(crate) scope: Vec<String>,

    /// How long it is good: a number of d, h, m or s, at most 1d
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration::parse)]
    pub(crate) expires: Duration,

    /// The issuer that the server expects [default: JWT_ISSUER]
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,

    /// The audience that the server expects [default: the first of JWT_AUDIENCE]
    #[arg(long, value_name = "URL")]
    pub(crate) audience: Option<String>,
}

/// Plays a client: asks without a token, reads the metadata, registers, asks to sign in, calls. Says
/// at which step a client would fail, the likely cause, and what to do.
///
/// It works with every MCP server over HTTP. A registration is left behind, named `Portcullis doctor`,
/// unless --client-id is given.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  portcullis doctor https://mcp.example.com/mcp
  portcullis doctor https://mcp.example.com/mcp --sign-in
  PORTCULLIS_TOKEN=\"$(my-secret-manager read token)\" portcullis doctor https://mcp.example.com/mcp

Exit codes: 0 no fault, 1 a client would fail (or standard error says why nothing was examined),
2 wrong command line")]
pub(crate) struct DoctorCommand {
    /// The URL of the MCP endpoint, as clients have it
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// Sign in: an address to open is printed, and the one where the browser ends is read
    #[arg(long)]
    pub(crate) sign_in: bool,

    /// A file with a token to call with [default: the token in the variable PORTCULLIS_TOKEN]
    #[arg(long, value_name = "PATH", conflicts_with = "sign_in")]
    pub(crate) token_file: Option<PathBuf>,

    /// Be this client, rather than one that registers
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new(),
        allow_hyphen_values = true)]
    pub(crate) client_id: Option<String>,

    /// Ask for these scopes, separated by spaces [default: those that the server gives by itself]
    #[arg(long, value_name = "SCOPES", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) scope: Option<String>,

    /// A host on a private network that may be called; repeat the flag for several
    #[arg(long, value_name = "HOST", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) private_host: Vec<String>,

    /// Trust the certificate authorities in this PEM file alone
    #[arg(long, value_name = "PATH")]
    pub(crate) ca: Option<PathBuf>,

    /// How the findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// Lines, as they are found
    Text,
    /// One JSON object at the end
    Json,
}

/// Keys that seal what a server stores: the newest valid one seals, retained ones still open, and
/// what a revoked one sealed is lost. A running server reads a changed file within seconds.
#[derive(Debug, Subcommand)]
#[command(after_help = format!("\
Examples:
  portcullis keys new --file /etc/my-server/keys
  portcullis keys rotate --file /etc/my-server/keys
  portcullis keys list --file /etc/my-server/keys

{EXIT_CODES}"))]
pub(crate) enum KeysCommand {
    /// Make the first key: a file, or a value for the variable PORTCULLIS_KEYS
    ///
    /// A file is made for its owner alone, and never overwritten. Without --file the key is printed
    /// to standard output, for a secret manager.
    #[command(after_help = "\
Examples:
  portcullis keys new --file /etc/my-server/keys
  export PORTCULLIS_KEYS=\"$(portcullis keys new)\"")]
    New {
        /// The file to make
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
    },

    /// Show the ids and states of the keys, newest first; never a key
    #[command(after_help = "\
Example:
  portcullis keys list --file /etc/my-server/keys")]
    List(OfFile),

    /// Add a key that only opens, until the next rotation
    ///
    /// Where several replicas share a store, each has to know a key before the first one seals with
    /// it: stage it, bring the file to all of them, then rotate.
    #[command(after_help = "\
Example:
  portcullis keys stage --file /etc/my-server/keys")]
    Stage(OfFile),

    /// Seal with a new key from now on, or with the staged one; the old keys still open
    #[command(after_help = "\
Example:
  portcullis keys rotate --file /etc/my-server/keys")]
    Rotate(OfFile),

    /// Destroy a key that no longer seals: what it sealed can never be opened again
    #[command(after_help = "\
Example:
  portcullis keys revoke 8a32caa555d10204 --file /etc/my-server/keys")]
    Revoke {
        /// The id of the key, as `portcullis keys list` shows it
        #[arg(value_name = "ID")]
        id: String,

        #[command(flatten)]
        of: OfFile,
    },

    /// Make, list, rotate and revoke API keys, with which programs authenticate
    #[command(subcommand)]
    Api(ApiCommand),
}

/// What users allowed clients at a server where they sign in. What is revoked ends with all its tokens,
/// within five seconds at every replica, and its user is asked again. Tokens of an identity provider are
/// removed with it, and not revoked there.
#[derive(Debug, Subcommand)]
#[command(after_help = format!("\
Examples:
  portcullis grants list --subject alice --url https://mcp.example.com/mcp \\
      --store /var/lib/my-server/store/records.redb --key-file /etc/my-server/keys
  portcullis grants revoke --subject alice --dry-run --url https://mcp.example.com/mcp \\
      --store redis://127.0.0.1:6379 --key-file /etc/my-server/keys

{EXIT_CODES}"))]
pub(crate) enum GrantsCommand {
    /// Show the grants of a user or of a client, those that were used last first
    ///
    /// A client that is in use gets new tokens every hour: that is what LAST TOKEN says.
    #[command(after_help = "\
Example:
  portcullis grants list --subject alice --url https://mcp.example.com/mcp \\
      --store /var/lib/my-server/store/records.redb --key-file /etc/my-server/keys")]
    List {
        #[command(flatten)]
        whose: Whose,

        /// Print a JSON object, with the whole ids of clients
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        at: AtServer,
    },

    /// Revoke one grant, or all of a user, or all that a client was given
    #[command(after_help = "\
Examples:
  portcullis grants revoke J6H1bsFp2rVOC0Vzkm9RXw --url https://mcp.example.com/mcp \\
      --store /var/lib/my-server/store/records.redb --key-file /etc/my-server/keys
  portcullis grants revoke --client https://app.example/client.json \\
      --url https://mcp.example.com/mcp --store redis://127.0.0.1:6379 --key-file /etc/my-server/keys")]
    Revoke {
        /// The id of one grant, as `portcullis grants list` shows it
        #[arg(value_name = "ID", required_unless_present_any = ["subject", "client"],
            conflicts_with_all = ["subject", "client"], allow_hyphen_values = true,
            value_parser = grant_id)]
        id: Option<String>,

        #[command(flatten)]
        whose: AllOf,

        /// Show what would be revoked, and revoke nothing; for --subject and --client
        #[arg(long, conflicts_with = "id")]
        dry_run: bool,

        /// Append an audit record of it to this file, as a server does with its own
        #[arg(long, value_name = "FILE")]
        audit_file: Option<PathBuf>,

        #[command(flatten)]
        at: AtServer,
    },
}

/// Whose grants are listed.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// The user, by the subject of their tokens
    #[arg(long, value_parser = NonEmptyStringValueParser::new(), allow_hyphen_values = true)]
    pub(crate) subject: Option<String>,

    /// The client, by its id
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new(),
        allow_hyphen_values = true)]
    pub(crate) client: Option<String>,
}

/// Whose grants are revoked, all of them.
#[derive(Args, Debug)]
#[group(required = false, multiple = false)]
pub(crate) struct AllOf {
    /// The user, by the subject of their tokens: all of theirs
    #[arg(long, value_parser = NonEmptyStringValueParser::new(), allow_hyphen_values = true)]
    pub(crate) subject: Option<String>,

    /// The client, by its id: all that it was given, by whomever
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new(),
        allow_hyphen_values = true)]
    pub(crate) client: Option<String>,
}

/// Which server is meant, and where its records rest.
#[derive(Args, Debug)]
pub(crate) struct AtServer {
    /// The URL of the server's MCP endpoint, as clients have it
    #[arg(long)]
    pub(crate) url: String,

    /// The server's public_url, if that has a path: https://HOST/a, for the --url https://HOST/a/mcp
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,

    /// The file in which its records rest, which no server may hold meanwhile, or the URL of Redis
    /// [default: the URL in the variable PORTCULLIS_STORE]
    #[arg(long, value_name = "PATH|URL")]
    pub(crate) store: Option<String>,

    /// The file of the keys that seal the records [default: PORTCULLIS_KEYS, or the file that
    /// PORTCULLIS_KEY_FILE names]
    #[arg(long, value_name = "PATH")]
    pub(crate) key_file: Option<PathBuf>,
}

/// Which file of keys is meant.
#[derive(Args, Debug)]
pub(crate) struct OfFile {
    /// The file of keys [default: the file that the variable PORTCULLIS_KEY_FILE names]
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
}

/// API keys: credentials of programs, for servers with `ApiKeys::file`. The file holds digests and
/// no key. A running server reads a changed file within seconds.
#[derive(Debug, Subcommand)]
#[command(after_help = format!("\
Examples:
  portcullis keys api new --name reports --scope read --file /etc/my-server/api-keys
  portcullis keys api list --file /etc/my-server/api-keys

{EXIT_CODES}"))]
pub(crate) enum ApiCommand {
    /// Make an API key, print it once to standard output, and add its digest to the file
    #[command(after_help = "\
Examples:
  portcullis keys api new --name reports --scope read --file /etc/my-server/api-keys
  portcullis keys api new --name ci --client-id nightly --scope read --scope write \\
      --expires 30d --file /etc/my-server/api-keys | my-secret-manager store ci-key")]
    New {
        /// Whom the key speaks for: the subject, in checks and in audit records
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        name: String,

        /// A scope that the key grants; repeat the flag for several [default: none]
        #[arg(long, value_name = "SCOPE", value_parser = scope)]
        scope: Vec<String>,

        /// How long it is good: a number of d, h, m or s, at most 3650d
        #[arg(long, value_name = "DURATION", default_value = "90d", value_parser = duration::parse)]
        expires: Duration,

        /// The program that has the key, in audit records [default: the id of the key]
        #[arg(long, value_name = "ID")]
        client_id: Option<String>,

        /// What the key begins with, as the server's `ApiKeys` has it
        #[arg(long, default_value = "pk_")]
        prefix: String,

        #[command(flatten)]
        of: OfApiKeys,
    },

    /// Show what the file says of each key: id, state, end, names and scopes
    #[command(after_help = "\
Example:
  portcullis keys api list --file /etc/my-server/api-keys")]
    List(OfApiKeys),

    /// Make a second key like the first, print it once, and let the first end after an overlap
    #[command(after_help = "\
Example:
  portcullis keys api rotate 9f86d081884c7d65 --overlap 7d --file /etc/my-server/api-keys")]
    Rotate {
        /// The id of the key, as `portcullis keys api list` shows it
        #[arg(value_name = "ID")]
        id: String,

        /// How long the first key is still good: a number of d, h, m or s
        #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = duration::parse)]
        overlap: Duration,

        #[command(flatten)]
        of: OfApiKeys,
    },

    /// Refuse a key from now on; its line stays, for the log to name it
    #[command(after_help = "\
Example:
  portcullis keys api revoke 9f86d081884c7d65 --file /etc/my-server/api-keys")]
    Revoke {
        /// The id of the key, as `portcullis keys api list` shows it
        #[arg(value_name = "ID")]
        id: String,

        #[command(flatten)]
        of: OfApiKeys,
    },
}

/// Reads the id of a grant: 22 letters, digits, `-` and `_`, and one of 64 begins with a hyphen. What
/// else does is a mistyped flag.
fn grant_id(text: &str) -> Result<String, String> {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match text.starts_with('-') && !(text.len() == 22 && text.bytes().all(is_digit)) {
        false => Ok(text.to_owned()),
        true => Err("there is no such flag, and the id of a grant has 22 characters".to_owned()),
    }
}

/// Reads one scope. A comma may be in one (RFC 6749 §3.3), and is hardly meant to be.
fn scope(text: &str) -> Result<String, String> {
    match text.split_once(',') {
        None => Ok(text.to_owned()),
        Some((first, second)) => Err(format!(
            "a comma does not part scopes: repeat the flag, as in --scope {first} --scope {second}"
        )),
    }
}

/// Which file of API keys is meant.
#[derive(Args, Debug)]
pub(crate) struct OfApiKeys {
    /// The file of API keys
    #[arg(long, value_name = "PATH")]
    pub(crate) file: PathBuf,
}
