//! `portcullis check`: whether a server would start, and how it keeps the fifteen rules.

mod fault;
mod program;
mod report;
mod told;

use std::process::ExitCode;

use crate::Error;
use crate::arguments::check::CheckCommand;

/// Checks a server. The exit code is 1 if it does not start, or breaks a rule.
pub(crate) fn run(command: &CheckCommand) -> Result<ExitCode, Error> {
    let program = program::described(command)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let checked = runtime.block_on(program::checked(program))?;
    told::tell(&checked, command.format)?;
    let good = checked.is_ok_and(|report| report.is_good(command.strict));
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
