//! The door to environment variables and `.env` files.

mod error;
mod file;
#[cfg(fuzzing)]
pub mod fuzzing;
mod variables;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

pub use self::error::{EnvironmentError, EnvironmentErrorKind};
pub(crate) use self::file::value as file_text;
pub(crate) use self::variables::without_line_end;
pub use self::variables::{FromEnv, Variable, Variables};

/// The variables that the process was started with, and those of an `.env` file if one
/// was asked for.
///
/// An empty variable counts as a missing one. A file never overrides a variable, and is
/// read only by [`with_file`](Self::with_file): nothing looks for one by itself.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// use portcullis::guard::Environment;
///
/// let environment = Environment::from_pairs([("PORT", "8000"), ("EMPTY", "")]);
/// assert_eq!(environment.variable("PORT"), Some("8000"));
/// assert_eq!(environment.variable("EMPTY"), None);
/// ```
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    /// The names of those that are not UTF-8.
    unreadable: HashSet<String>,
}

impl Environment {
    /// The variables of this process. One that is not UTF-8 is
    /// [unreadable](Self::is_unreadable).
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door to the environment")]
    pub fn process() -> Self {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(environment.variables.insert(name, value)),
                Err(_) => drop(environment.unreadable.insert(name)),
            }
        }
        environment
    }

    /// An environment made of `pairs`, for tests.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        Self { variables, unreadable: HashSet::new() }
    }

    /// Adds the variables of the `.env` file at `path` that are not set already.
    ///
    /// A line is `NAME=value`, the value perhaps in quotes, which may span lines, and perhaps with
    /// a comment after it. Nothing is expanded: a `$` stands between single quotes or after a
    /// backslash. Of a duplicate name, the first value counts.
    ///
    /// Warns when other users may read or change the file, or when git tracks it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is not regular, is larger than 1 MiB, holds a NUL, or is
    /// malformed. The message names the file and the line, never a value.
    pub fn with_file(mut self, path: impl AsRef<Path>) -> Result<Self, EnvironmentError> {
        let path = path.as_ref();
        let malformed = |flaw| EnvironmentError::file(path, &flaw);
        let text = file::text(path).map_err(malformed)?;
        let lines = file::assignments(&text).map_err(malformed)?;
        for (name, value) in lines {
            if self.variable(&name).is_none() && !self.unreadable.contains(&name) {
                self.variables.insert(name, value);
            }
        }
        warn_if_exposed(path);
        Ok(self)
    }

    /// Sets a variable, over whatever it was: a command-line flag does that. An empty value
    /// makes it a missing one.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.unreadable.remove(&name);
        self.variables.insert(name, value.into());
        self
    }

    /// Sets a variable to what the file at `path` holds: a key or a secret that was mounted.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is not a regular file, is empty or larger than 1 MiB, is not
    /// UTF-8, or holds a NUL.
    pub fn with_variable_from_file(
        self,
        name: impl Into<String>,
        path: impl AsRef<Path>,
    ) -> Result<Self, EnvironmentError> {
        let path = path.as_ref();
        let text = file::value(path).map_err(|flaw| EnvironmentError::file(path, &flaw))?;
        Ok(self.with_variable(name, text))
    }

    /// The values of all variables in `names`, in their order.
    ///
    /// # Errors
    ///
    /// Names every one that is missing, empty or not UTF-8, all at once.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_guard as guard; }
    /// use portcullis::guard::{Environment, Secret};
    ///
    /// let environment = Environment::from_pairs([("MAIL_KEY", "hunter2"), ("MAIL_HOST", "")]);
    /// let [key] = environment.require(["MAIL_KEY"])?;
    /// let key = Secret::new(key.to_owned());
    ///
    /// let refused = environment.require(["MAIL_KEY", "MAIL_HOST", "MAIL_FROM"]).unwrap_err();
    /// // What a `main` prints that returns it:
    /// assert_eq!(format!("{refused:?}"), "set the variables MAIL_HOST, MAIL_FROM: missing, empty or not UTF-8");
    /// # Ok::<(), portcullis::guard::EnvironmentError>(())
    /// ```
    pub fn require<const N: usize>(&self, names: [&str; N]) -> Result<[&str; N], EnvironmentError> {
        let values = names.map(|name| self.variable(name));
        let unset = names.iter().zip(values).filter(|(_, value)| value.is_none());
        let unset: Vec<&str> = unset.map(|(name, _)| *name).collect();
        match unset.as_slice() {
            [] => Ok(values.map(Option::unwrap_or_default)),
            unset => Err(EnvironmentError::unset(unset)),
        }
    }

    /// Whether the variable `name` is there and is not UTF-8, so that it has no
    /// [value](Self::variable): who reads it should refuse, not go on without.
    #[must_use]
    pub fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.contains(name)
    }

    /// The value of the variable `name`, unless it is missing or empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.variables.len())
    }
}

fn warn_if_exposed(path: &Path) {
    warn_of_mode(path);
    if tracked_by_git(path) {
        tracing::warn!(path = %path.display(), "git tracks the environment file: remove it and change its secrets");
    }
}

/// Warns when every user may read or change a file of secrets.
pub(crate) fn warn_of_mode(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = path.metadata().map_or(0, |file| file.permissions().mode());
        if let Some(warning) = exposure(mode) {
            tracing::warn!(path = %path.display(), "{warning}");
        }
    }
}

/// What is wrong with the permissions of a file of secrets.
#[cfg(unix)]
fn exposure(mode: u32) -> Option<&'static str> {
    if mode & 0o002 != 0 {
        Some("every user may change the file, and with it the server: chmod 600 it")
    } else if mode & 0o004 != 0 {
        Some("every user may read the file: chmod 600 it")
    } else {
        None
    }
}

#[expect(clippy::disallowed_methods, reason = "git alone knows what it tracks")]
fn tracked_by_git(path: &Path) -> bool {
    let (Some(file), Ok(directory)) = (path.file_name(), path.canonicalize()) else {
        return false;
    };
    let Some(directory) = directory.parent() else { return false };
    std::process::Command::new("git")
        .arg("-C")
        .arg(directory)
        // The folder's own configuration must not start anything.
        .args(["-c", "core.fsmonitor=false", "ls-files", "--error-unmatch", "--"])
        .arg(file)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests;
