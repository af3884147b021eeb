//! The door to child processes.

mod error;
mod invocation;
mod limits;
mod output;
mod running;

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

pub use self::error::{CommandError, CommandErrorKind};
pub use self::invocation::Invocation;
pub use self::output::CommandOutput;

/// How long a program may run.
const TIME: Duration = Duration::from_secs(10);
/// The most that a program may write to each of its two outputs: 1 MiB.
const MAX_OUTPUT: usize = 1024 * 1024;
/// The most memory of its own that each process may have: 512 MiB.
#[cfg(target_os = "linux")]
const MAX_MEMORY: u64 = 512 * 1024 * 1024;

/// A program that tools may run, safe against the injection of commands and of options.
///
/// It is described once, when the server starts; [`invoke`](Self::invoke) begins one use of it. What
/// it decides:
///
/// 1. The program is a file with an absolute path that the server's author wrote: nothing is looked
///    up in `PATH`, and no caller names a program.
/// 2. Arguments reach it as they are, one by one. There is no shell, so that `;`, `$(…)` and quotes
///    are letters like others (CWE-78).
/// 3. [`flag`](Invocation::flag) takes texts of the source alone. What callers send is a
///    [`value`](Invocation::value), and one that begins with `-` is refused, since the program would
///    read an option in it (CWE-88).
/// 4. It sees no variable of the server's environment, which holds secrets, but those that
///    [`env`](Self::env) gives; its folder is `/`, its standard input is empty.
/// 5. Time, output and memory are limited. When one of the first two is used up, the caller goes
///    away or the program ends, its whole process group is killed: children that it left behind too.
///
/// **Deployment caveat.** It is no sandbox: the program has the rights of the server's user, reads and
/// writes what that user may, and can leave its process group. Some programs read more than options in
/// their arguments: names of files in `@name`, protocols in `ext::…`, expressions. Memory is limited
/// on Linux, with `RLIMIT_DATA`, as soon as the program runs: for each process, not for all together.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use portcullis::guard::{Command, CommandErrorKind};
///
/// let printf = Command::find("printf", ["/usr/bin", "/bin"])?;
/// let output = printf.invoke().flag("%s\n").value("$(id); rm -rf /").run().await?;
/// assert_eq!(output.text()?, "$(id); rm -rf /\n");
///
/// let refused = printf.invoke().flag("%s\n").value("--help").run().await.unwrap_err();
/// assert_eq!(refused.kind(), CommandErrorKind::OptionLike);
/// # Ok::<(), portcullis::guard::CommandError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Command {
    program: PathBuf,
    environment: BTreeMap<String, String>,
    /// Whether it sees the variables of this process, too.
    inherits: bool,
    folder: PathBuf,
    time: Duration,
    max_output: usize,
    #[cfg(target_os = "linux")]
    max_memory: u64,
}

impl Command {
    /// Describes the program at `path`.
    ///
    /// # Errors
    ///
    /// When the path is not absolute or has `..` in it, and when it is no file that can be executed,
    /// or one that every user can change.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, CommandError> {
        let program = path.into();
        check(&program).map_err(|why| CommandError::unusable(&program, &why))?;
        Ok(Self {
            program,
            environment: BTreeMap::new(),
            inherits: false,
            folder: PathBuf::from("/"),
            time: TIME,
            max_output: MAX_OUTPUT,
            #[cfg(target_os = "linux")]
            max_memory: MAX_MEMORY,
        })
    }

    /// Describes the program `name` in the first of `folders` that has it.
    ///
    /// # Errors
    ///
    /// As those of [`new`](Self::new), when none of them has it.
    pub fn find<F: AsRef<Path>>(
        name: &'static str,
        folders: impl IntoIterator<Item = F>,
    ) -> Result<Self, CommandError> {
        let unusable = |why| CommandError::unusable(Path::new(name), why);
        if name.contains('/') {
            return Err(unusable("it is the name of a program, without a folder"));
        }
        let mut paths = folders.into_iter().map(|folder| folder.as_ref().join(name));
        match paths.find(|path| path.exists()) {
            Some(path) => Self::new(path),
            None => Err(unusable("no folder has it")),
        }
    }

    /// Gives the program a variable of its environment, which is empty else.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Gives the program the variables of this process, below those of [`env`](Self::env). They may hold
    /// secrets: it is for a program whose user runs this one to run it, and never for a tool's.
    #[must_use]
    pub fn inherit_env(mut self) -> Self {
        self.inherits = true;
        self
    }

    /// The folder in which the program runs. Default: `/`.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// How long the program may run. Default: 10 s.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// The most bytes that the program may write to each of its two outputs. Default: 1 MiB.
    #[must_use]
    pub fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// The most memory of its own, in bytes, that each process of the program may have; it then gets
    /// no more (`RLIMIT_DATA`). Default: 512 MiB.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = bytes;
        self
    }

    /// Begins one use of the program.
    pub fn invoke(&self) -> Invocation {
        Invocation::new(self.clone())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("environment", &self.environment.keys())
            .finish_non_exhaustive()
    }
}

/// Whether the program at `path` may be run; if not, why.
fn check(path: &Path) -> Result<(), String> {
    if !path.is_absolute() {
        return Err("the path is not absolute".to_owned());
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("the path has `..` in it".to_owned());
    }
    let metadata = path.metadata().map_err(|error| error.to_string())?;
    let mode = metadata.permissions().mode();
    match () {
        () if !metadata.is_file() => Err("it is not a regular file".to_owned()),
        () if mode & 0o111 == 0 => Err("it is not executable".to_owned()),
        () if mode & 0o002 != 0 => Err("every user can change it: chmod o-w".to_owned()),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests;
