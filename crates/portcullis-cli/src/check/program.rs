//! The program that is checked: found, started, and stopped whatever it does.

use std::io;
use std::path::{Path, PathBuf};

use portcullis::guard::{Environment, redaction};
use portcullis_guard::{Command, CommandError, CommandErrorKind, CommandOutput, ErrorChain, text};
use tokio::signal::unix::{SignalKind, signal};

use super::fault::{ENDS_BADLY, FLOODS, Failure, HANGS, NO_REPORT, NOT_STARTED};
use super::report::{self, Report};
use crate::arguments::check::CheckCommand;
use crate::{Error, output};

/// The variable that makes a start a check. A wrapper such as `docker run` has to hand it on.
const VARIABLE: &str = "PORTCULLIS_CHECK";

/// The most that a program may write to each of its two outputs.
const MAX_OUTPUT: usize = 8 * 1024 * 1024;

/// How many of the last lines of a program that failed are shown, and how much of each.
const LAST_LINES: usize = 20;
const LINE_CHARS: usize = 400;

/// A program, with all that it takes to start it.
pub(super) struct Program {
    command: Command,
    arguments: Vec<String>,
}

/// The program that was named.
///
/// # Errors
///
/// When there is no such program.
pub(super) fn described(command: &CheckCommand) -> Result<Program, Error> {
    let (program, arguments) = command.program.split_first().ok_or("name a program")?;
    let described = Command::new(path(program)?);
    let described = described.map_err(|error| format!("{program}: {}", ErrorChain::new(&error)))?;
    let described = described
        .inherit_env()
        .env(VARIABLE, "1")
        .current_dir(".")
        .time(command.time)
        .max_output(MAX_OUTPUT);
    // A build tool before it takes what it needs.
    #[cfg(target_os = "linux")]
    let described = described.max_memory(u64::MAX);
    Ok(Program { command: described, arguments: arguments.to_vec() })
}

/// Where a program is, as a shell finds it.
fn path(program: &str) -> Result<PathBuf, Error> {
    if let Some((folder, name)) = program.rsplit_once('/') {
        let folder = if folder.is_empty() { "/" } else { folder };
        // The folder alone: some programs go by the name of the link that they are called by.
        let folder = Path::new(folder).canonicalize();
        return Ok(folder.map_err(|error| format!("{program}: {error}"))?.join(name));
    }
    let environment = Environment::process();
    let folders = environment.variable("PATH").unwrap_or_default().split(':').map(Path::new);
    let mut paths =
        folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(program));
    let found = paths.find(|path| path.is_file());
    found.ok_or_else(|| {
        format!("{program}: no folder of PATH has it; write ./{program} for one here").into()
    })
}

/// Starts the program, and reads what it reports.
///
/// # Errors
///
/// When the command is interrupted. The program is then killed.
pub(super) async fn checked(program: Program) -> io::Result<Result<Report, Failure>> {
    let Program { command, arguments } = program;
    let [mut interrupt, mut terminate] =
        [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    let run = command.invoke().typed(arguments).run();
    tokio::select! {
        ended = run => Ok(judged(ended)),
        _ = interrupt.recv() => Err(io::ErrorKind::Interrupted.into()),
        _ = terminate.recv() => Err(io::ErrorKind::Interrupted.into()),
    }
}

fn judged(ended: Result<CommandOutput, CommandError>) -> Result<Report, Failure> {
    let output = ended.map_err(|error| match error.kind() {
        CommandErrorKind::TimedOut => Failure::of(HANGS, "it did not end in time, and was killed"),
        CommandErrorKind::OutputTooLarge { max, .. } => {
            Failure::of(FLOODS, format!("it wrote more than {max} bytes, and was killed"))
        }
        _ => Failure::of(NOT_STARTED, ErrorChain::new(&error).to_string()),
    })?;
    let ending = match (output.code, output.signal) {
        (Some(code), _) => format!("it ended with status {code}"),
        (None, signal) => format!("signal {} ended it", signal.unwrap_or_default()),
    };
    let report = report::read(&output.stdout)?;
    match report {
        None => {
            last_words(&output.stderr);
            Err(Failure::of(NO_REPORT, format!("{ending}, and reported nothing")))
        }
        Some(report) if report.refused.is_none() && !output.success() => {
            last_words(&output.stderr);
            Err(Failure::of(ENDS_BADLY, ending))
        }
        Some(report) => Ok(report),
    }
}

/// Shows the end of what the program said to its user.
fn last_words(stderr: &[u8]) {
    let said = redaction::redact_bytes(stderr);
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(LAST_LINES)) {
        output::note(format_args!("| {}", text::escaped(line, LINE_CHARS)));
    }
}
