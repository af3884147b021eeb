//! Why a program was not run, in words that a caller may read.

use std::error::Error;
use std::fmt;
use std::path::Path;

/// Why a program was not run, or did not succeed.
///
/// Its text is meant for the caller: it holds no path, argument or output, and nor does its `Debug`.
/// The cause, for the log, is its [`source`](std::error::Error::source).
pub struct CommandError {
    kind: CommandErrorKind,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

/// Why a program was not run, or did not succeed, as far as a caller may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommandErrorKind {
    /// A value begins with `-`: the program would read an option in it.
    OptionLike,
    /// An argument holds a NUL, or the name of an option does not begin with `--`.
    Malformed,
    /// The program cannot be used at all: known when it is described.
    Unusable,
    /// The program could not be started, limited or waited for.
    NotStarted,
    /// The program ran longer than it may, and was killed.
    TimedOut,
    /// The program wrote more than it may, and was killed.
    #[non_exhaustive]
    OutputTooLarge {
        /// The most that it may write to each output, in bytes.
        max: usize,
    },
    /// The program ended with a status other than 0, or by a signal.
    Failed,
    /// What the program wrote is not UTF-8.
    NotText,
}

impl CommandError {
    /// Why, as far as a caller may know.
    #[must_use]
    pub fn kind(&self) -> CommandErrorKind {
        self.kind
    }

    pub(super) fn of(kind: CommandErrorKind) -> Self {
        Self { kind, cause: None }
    }

    pub(super) fn with(
        kind: CommandErrorKind,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { kind, cause: Some(cause.into()) }
    }

    pub(super) fn unusable(program: &Path, why: &str) -> Self {
        Self::with(CommandErrorKind::Unusable, format!("{}: {why}", program.display()))
    }
}

impl fmt::Debug for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            CommandErrorKind::OptionLike => f.write_str("a value that begins with - is refused"),
            CommandErrorKind::Malformed => f.write_str("an argument is malformed"),
            CommandErrorKind::Unusable => f.write_str("the program cannot be used"),
            CommandErrorKind::NotStarted => f.write_str("the program could not be started"),
            CommandErrorKind::TimedOut => f.write_str("the program took too long"),
            CommandErrorKind::OutputTooLarge { max } => {
                write!(f, "the program wrote more than {max} bytes")
            }
            CommandErrorKind::Failed => f.write_str("the program failed"),
            CommandErrorKind::NotText => f.write_str("what the program wrote is not UTF-8 text"),
        }
    }
}

impl Error for CommandError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
