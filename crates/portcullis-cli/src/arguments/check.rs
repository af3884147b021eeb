//! The command line of what checks a server before it serves.

use std::time::Duration;

use clap::Args;

use super::Format;
use crate::duration;

/// Starts a server that is built with Portcullis, up to where it would listen: settings are read,
/// secrets, stores and keys are opened, identity providers are asked. Then it ends, and each of the
/// fifteen rules of the manual is judged, with what to do.
///
/// The program is run as it is in production: with your variables, in this folder. It has no port, but
/// what else it does before it serves is done: give it the configuration to check, and folders of its
/// own if a server holds them already.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  portcullis check -- ./my-server
  portcullis check --strict --format json -- cargo run --release -- --config production.toml
  portcullis check -- docker run --rm -e PORTCULLIS_CHECK --env-file production.env my-server

Exit codes: 0 the server starts and keeps the rules, 1 it does not (or standard error says why nothing
was checked), 2 wrong command line")]
pub(crate) struct CheckCommand {
    /// The program to start, and its arguments
    #[arg(value_name = "PROGRAM", last = true, required = true, num_args = 1..)]
    pub(crate) program: Vec<String>,

    /// What is only warned of fails, too
    #[arg(long)]
    pub(crate) strict: bool,

    /// How long the program may take: a number of d, h, m or s. It is then killed, with its process
    /// group
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration::parse)]
    pub(crate) time: Duration,

    /// How the findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}
