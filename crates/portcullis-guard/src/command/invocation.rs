//! The arguments of one run of a program.

use std::fmt;
use std::io;

use super::running::Running;
use super::{Command, CommandError, CommandErrorKind, CommandOutput};

/// One use of a [`Command`], with its arguments.
///
/// What is wrong with an argument is told when it [runs](Self::run).
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use portcullis::guard::Command;
///
/// let sort = Command::find("sort", ["/usr/bin", "/bin"])?;
/// let sorted = sort.invoke().flag("--reverse").option("--key", "1").stdin("a\nb\n").run().await?;
/// assert_eq!(sorted.text()?, "b\na\n");
/// # Ok::<(), portcullis::guard::CommandError>(()) }).unwrap();
/// ```
#[must_use = "a program is run by .run()"]
pub struct Invocation {
    command: Command,
    arguments: Vec<String>,
    stdin: Vec<u8>,
    problem: Option<CommandErrorKind>,
}

impl Invocation {
    pub(super) fn new(command: Command) -> Self {
        Self { command, arguments: Vec::new(), stdin: Vec::new(), problem: None }
    }

    /// Adds a flag, a subcommand or any other argument that the source fixes.
    pub fn flag(mut self, flag: &'static str) -> Self {
        self.push(flag.to_owned());
        self
    }

    /// Adds a value, as one argument. It may not begin with `-`, after
    /// [`end_of_options`](Self::end_of_options) neither, where some programs read a lone `-` as their
    /// standard input: for a file that is called so, write `./-name`.
    pub fn value(mut self, value: impl Into<String>) -> Self {
        let value = value.into();
        if value.starts_with('-') {
            self.problem.get_or_insert(CommandErrorKind::OptionLike);
        }
        self.push(value);
        self
    }

    /// Adds a long option with its value as one argument, `--name=value`, in which the value may begin
    /// with anything. `name` has the dashes: `"--author"`.
    pub fn option(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if !name.starts_with("--") || name.len() < 3 || name.contains('=') {
            self.problem.get_or_insert(CommandErrorKind::Malformed);
        }
        self.push(format!("{name}={}", value.into()));
        self
    }

    /// Adds `--`: whatever comes after it is no option, for programs that follow POSIX (Utility Syntax
    /// Guideline 10).
    pub fn end_of_options(self) -> Self {
        self.flag("--")
    }

    /// Adds arguments as a person typed them, options too. They are that person's, who could run the
    /// program without this one; what a caller sends is a [`value`](Self::value).
    pub fn typed(mut self, arguments: impl IntoIterator<Item = String>) -> Self {
        arguments.into_iter().for_each(|argument| self.push(argument));
        self
    }

    /// What the program reads from its standard input. Default: nothing.
    pub fn stdin(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.stdin = content.into();
        self
    }

    /// Runs the program to its end. A status other than 0 is no error here: the
    /// [`output`](CommandOutput) has it.
    ///
    /// When the future is dropped, the program is killed with its process group.
    ///
    /// # Errors
    ///
    /// When an argument is refused, the program cannot be started, takes too long or writes too much.
    pub async fn run(self) -> Result<CommandOutput, CommandError> {
        let Self { command, arguments, stdin, problem } = self;
        if let Some(problem) = problem {
            return Err(CommandError::of(problem));
        }
        let (time, max_output) = (command.time, command.max_output);
        let start = tokio::task::spawn_blocking(move || Running::start(&command, &arguments));
        let started = start.await.unwrap_or_else(|cause| Err(io::Error::other(cause)));
        let running =
            started.map_err(|cause| CommandError::with(CommandErrorKind::NotStarted, cause))?;
        tokio::time::timeout(time, running.finish(stdin, max_output))
            .await
            .unwrap_or_else(|_| Err(CommandError::of(CommandErrorKind::TimedOut)))
    }

    fn push(&mut self, argument: String) {
        if argument.contains('\0') {
            self.problem.get_or_insert(CommandErrorKind::Malformed);
        }
        self.arguments.push(argument);
    }
}

/// Arguments may be secrets: they are counted, and not shown.
impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation")
            .field("command", &self.command)
            .field("arguments", &self.arguments.len())
            .finish_non_exhaustive()
    }
}
