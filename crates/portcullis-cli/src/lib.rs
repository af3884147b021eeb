//! The command `portcullis`: keys that seal what a server stores, API keys, tokens to try a server with,
//! grants, what the audit trail says, a check of servers before they serve, and a doctor for servers that clients cannot use.
//!
//! ```text
//! cargo install portcullis-cli
//! portcullis --help
//! ```
//!
//! Secrets go to standard output, and only where the command is there to make one. Lists go there
//! too; all else goes to standard error. Exit codes: 0 for done, 1 for refused, with the reason and
//! what to do about it, and 2 for a command line that is wrong. Where nobody reads the output to its end, as
//! before `| head`, it is 1 without a word.

mod api_keys;
mod arguments;
mod audit;
mod check;
mod doctor;
mod duration;
mod grants;
mod keys;
mod moment;
mod output;
mod revoked;
mod table;
mod token;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use self::arguments::{Arguments, Command, KeysCommand};

/// Why a command was refused, in words for whoever typed it. It never holds a secret.
type Error = Box<dyn std::error::Error>;

/// Does what the process was told on its command line.
#[must_use]
pub fn run() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Keys(command) => of_keys(command).map(|()| ExitCode::SUCCESS),
        Command::Token(command) => token::run(&command).map(|()| ExitCode::SUCCESS),
        Command::Grants(command) => grants::run(command).map(|()| ExitCode::SUCCESS),
        Command::Doctor(command) => doctor::run(&command),
        Command::Check(command) => check::run(&command),
        Command::Audit(command) => audit::run(command).map(|()| ExitCode::SUCCESS),
        Command::Why(why) => audit::why(&why).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(error) if is_unread(&error) => ExitCode::FAILURE,
        Err(error) => {
            output::note(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether the reader of the output went away, as `| head` does: it has what it wanted.
fn is_unread(error: &Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn of_keys(command: KeysCommand) -> Result<(), Error> {
    match command {
        KeysCommand::New { file } => keys::create(file.as_deref()),
        KeysCommand::List(of) => keys::list(&of),
        KeysCommand::Stage(of) => keys::stage(&of),
        KeysCommand::Rotate(of) => keys::rotate(&of),
        KeysCommand::Revoke { id, of } => keys::revoke(&of, &id),
        KeysCommand::Api(command) => api_keys::run(command),
    }
}
