//! What a program wrote before it ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::{CommandError, CommandErrorKind};
use crate::redaction::redact_bytes;
use crate::text::quoted;

/// What a program left when it ended. `Debug` does not show what it wrote.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandOutput {
    /// The exit status; `None` for a program that a signal ended.
    pub code: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl CommandOutput {
    pub(super) fn new(status: ExitStatus, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        Self { code: status.code(), stdout, stderr, signal: status.signal() }
    }

    /// Whether the exit status is 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// What a program that succeeded wrote to its standard output, as text.
    ///
    /// # Errors
    ///
    /// When the exit status is not 0, with the beginning of the standard error as the cause, for the
    /// log; and when the output is not UTF-8.
    pub fn text(self) -> Result<String, CommandError> {
        if !self.success() {
            // First: of a secret that was cut, the beginning would stay.
            let stderr = redact_bytes(&self.stderr);
            let stderr = quoted(&String::from_utf8_lossy(&stderr));
            let how = match (self.code, self.signal) {
                (Some(code), _) => format!("status {code}"),
                (None, signal) => format!("signal {}", signal.unwrap_or_default()),
            };
            let cause = format!("it ended with {how}: {stderr}");
            return Err(CommandError::with(CommandErrorKind::Failed, cause));
        }
        String::from_utf8(self.stdout)
            .map_err(|cause| CommandError::with(CommandErrorKind::NotText, cause.utf8_error()))
    }
}

impl fmt::Debug for CommandOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandOutput")
            .field("code", &self.code)
            .field("signal", &self.signal)
            .field("stdout_bytes", &self.stdout.len())
            .field("stderr_bytes", &self.stderr.len())
            .finish()
    }
}
