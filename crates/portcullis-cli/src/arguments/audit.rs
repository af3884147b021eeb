//! The command line of what reads audit files.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};

use super::EXIT_CODES;
use crate::moment::{When, when};

/// What audit files say: who asked for what, what was decided by which rule, and what came of it. Each
/// command reads the file, the files that it was rotated to, and compressed ones (gzip, zstd).
#[derive(Debug, Subcommand)]
#[command(after_help = format!("\
Examples:
  portcullis audit summary /var/log/my-server/audit.jsonl
  portcullis audit denied --since 24h /var/log/my-server/audit.jsonl
  portcullis audit tail --follow /var/log/my-server/audit.jsonl

{EXIT_CODES}"))]
pub(crate) enum AuditCommand {
    /// Count records by verdict, principal, component, hour and rule
    #[command(after_help = "\
Examples:
  portcullis audit summary --since 7d /var/log/my-server/audit.jsonl
  portcullis audit summary --format html --output report.html /var/log/my-server")]
    Summary {
        #[command(flatten)]
        of: OfAudit,

        #[command(flatten)]
        report: Report,
    },

    /// Show who was denied what, by which rule: whatever was not allowed
    #[command(after_help = "\
Examples:
  portcullis audit denied --principal alice /var/log/my-server/audit.jsonl
  portcullis audit denied --verdict challenged --since 1h /var/log/my-server/audit.jsonl")]
    Denied {
        /// Only this verdict: denied, challenged, limited, refused or failed; repeat it for several
        #[arg(long, value_name = "VERDICT",
            value_parser = ["denied", "challenged", "limited", "refused", "failed", "other"])]
        verdict: Vec<String>,

        #[command(flatten)]
        of: OfAudit,

        #[command(flatten)]
        report: Report,
    },

    /// Show the last records, one a line
    #[command(after_help = "\
Examples:
  portcullis audit tail --lines 50 /var/log/my-server/audit.jsonl
  portcullis audit tail --follow --component delete_user /var/log/my-server/audit.jsonl")]
    Tail {
        /// How many
        #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 20)]
        lines: usize,

        /// Go on with what is appended, also when the file is rotated
        #[arg(long, short)]
        follow: bool,

        /// Print the records as they are, one JSON object a line
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        of: OfAudit,
    },
}

/// Explain what happened to one request: when, who asked for what, what was decided by which rule, and
/// what its caller did before and after.
#[derive(Args, Debug)]
#[command(after_help = format!("\
Example:
  portcullis why 5f0b2c4d6e8f9a1b /var/log/my-server/audit.jsonl

{EXIT_CODES}"))]
pub(crate) struct Why {
    /// The reference that the caller was shown, or the text around it, or the id of a record or a trace
    #[arg(value_name = "REFERENCE", value_parser = reference)]
    pub(crate) reference: String,

    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) files: Files,
}

/// Which files are read.
#[derive(Args, Debug)]
pub(crate) struct Files {
    /// An audit file, with what it was rotated to, or a folder: what is called *.jsonl* in it
    /// [default: what the variable PORTCULLIS_AUDIT_FILE names]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

/// Which records are meant.
#[derive(Args, Debug)]
pub(crate) struct OfAudit {
    #[command(flatten)]
    pub(crate) files: Files,

    /// Only records from then on: a day, a time in UTC (2026-07-28T12:34Z), or how long ago (12h)
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(crate) since: Option<When>,

    /// Only records before then
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub(crate) until: Option<When>,

    /// Only records of this subject
    #[arg(long, value_name = "SUBJECT", value_parser = NonEmptyStringValueParser::new(),
        allow_hyphen_values = true)]
    pub(crate) principal: Option<String>,

    /// Only records about this component: its name, its URI template, or METHOD and path of a route
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) component: Option<String>,
}

/// How it is shown.
#[derive(Args, Debug)]
pub(crate) struct Report {
    /// A table, a JSON object with all of it, or a page with charts that needs no other file
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,

    /// How many rows each table has
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub(crate) top: usize,

    /// Write it to a new file, for its owner alone [default: standard output]
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Html,
}

/// Finds the digits in what somebody copied: sixteen of a reference or an id, or 32 of a trace.
fn reference(text: &str) -> Result<String, &'static str> {
    let is_one = |word: &&str| matches!(word.len(), 16 | 32);
    let digits = text.split(|c: char| !c.is_ascii_hexdigit()).find(is_one);
    let digits = digits.ok_or(
        "a reference has sixteen hexadecimal digits, as 5f0b2c4d6e8f9a1b, and the id of a trace has 32",
    )?;
    Ok(digits.to_ascii_lowercase())
}
