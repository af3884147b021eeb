//! What `#[derive(FromEnv)]` reads the fields of a struct with.

use std::path::Path;
use std::str::FromStr;

use secrecy::zeroize::{Zeroize, Zeroizing};

use super::{Environment, EnvironmentError, file};
use crate::Secret;

/// Settings that environment variables hold: derive it.
///
/// All variables are read before anything is refused, so one error names each that is missing and
/// each that is wrong. It never repeats a value.
pub trait FromEnv: Sized {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing, empty, not UTF-8 or not of its field's type, and every
    /// file of a value that cannot be read.
    fn from_env(environment: &Environment) -> Result<Self, EnvironmentError>;
}

/// What the derived code says of one variable.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    pub name: &'static str,
    /// The type of its field, for people.
    pub kind: &'static str,
    pub default: Option<&'static str>,
    /// Whether `NAME_FILE` may name a file with the value.
    pub may_be_file: bool,
}

/// What is read, and everything that is wrong so far.
#[doc(hidden)]
#[derive(Debug)]
pub struct Variables<'e> {
    environment: &'e Environment,
    unset: Vec<String>,
    wrong: Vec<String>,
}

/// The text of a variable, or of its file.
enum Text {
    There(Zeroizing<String>),
    Missing,
    /// What is wrong with it is noted.
    Wrong,
}

impl<'e> Variables<'e> {
    #[must_use]
    pub fn new(environment: &'e Environment) -> Self {
        Self { environment, unset: Vec::new(), wrong: Vec::new() }
    }

    /// The value, or nothing, which is then noted.
    pub fn required<T: FromStr>(&mut self, variable: Variable) -> Option<T> {
        let text = self.required_text(variable)?;
        self.parsed(variable, &text)
    }

    /// The value if there is one, or nothing if it is wrong.
    pub fn optional<T: FromStr>(&mut self, variable: Variable) -> Option<Option<T>> {
        match self.text(variable) {
            Text::There(text) => self.parsed(variable, &text).map(Some),
            Text::Missing => Some(None),
            Text::Wrong => None,
        }
    }

    /// As [`required`](Self::required), known as a secret.
    pub fn required_secret<T: FromStr + Zeroize>(
        &mut self,
        variable: Variable,
    ) -> Option<Secret<T>> {
        let text = self.required_text(variable)?;
        self.secret(variable, &text)
    }

    /// As [`optional`](Self::optional), known as a secret.
    pub fn optional_secret<T: FromStr + Zeroize>(
        &mut self,
        variable: Variable,
    ) -> Option<Option<Secret<T>>> {
        match self.text(variable) {
            Text::There(text) => self.secret(variable, &text).map(Some),
            Text::Missing => Some(None),
            Text::Wrong => None,
        }
    }

    /// All that was wrong.
    #[must_use]
    pub fn into_error(self) -> EnvironmentError {
        EnvironmentError::refused(&self.unset, &self.wrong)
    }

    fn required_text(&mut self, variable: Variable) -> Option<Zeroizing<String>> {
        match self.text(variable) {
            Text::There(text) => Some(text),
            Text::Missing => {
                self.unset.push(variable.name.to_owned());
                None
            }
            Text::Wrong => None,
        }
    }

    fn text(&mut self, variable: Variable) -> Text {
        let Variable { name, default, may_be_file, .. } = variable;
        let path_name = format!("{name}_FILE");
        let names = [Some(name), may_be_file.then_some(path_name.as_str())];
        let unreadable =
            names.into_iter().flatten().find(|name| self.environment.is_unreadable(name));
        if let Some(unreadable) = unreadable {
            self.unset.push(unreadable.to_owned());
            return Text::Wrong;
        }
        let path = self.environment.variable(&path_name).filter(|_| may_be_file);
        match (self.environment.variable(name), path) {
            (Some(_), Some(_)) => {
                self.wrong.push(format!("{name} and {path_name} are both set"));
                Text::Wrong
            }
            (Some(text), None) => Text::There(Zeroizing::new(text.to_owned())),
            (None, Some(path)) => self.file(&path_name, Path::new(path)),
            (None, None) => match default {
                Some(default) => Text::There(Zeroizing::new(default.to_owned())),
                None => Text::Missing,
            },
        }
    }

    /// The value that a file holds, as Kubernetes and Docker mount it: without one line end after it.
    fn file(&mut self, name: &str, path: &Path) -> Text {
        super::warn_of_mode(path);
        match file::value(path) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                Text::There(Zeroizing::new(without_line_end(&text).to_owned()))
            }
            Err(flaw) => {
                self.wrong.push(format!("the file that {name} names {}", flaw.text));
                Text::Wrong
            }
        }
    }

    fn secret<T: FromStr + Zeroize>(
        &mut self,
        variable: Variable,
        text: &str,
    ) -> Option<Secret<T>> {
        let value = Secret::new(self.parsed(variable, text)?);
        Some(value.kept_known_as(text.as_bytes(), variable.name))
    }

    /// Why a value is not of its type may repeat it, so it stays unsaid.
    fn parsed<T: FromStr>(&mut self, variable: Variable, text: &str) -> Option<T> {
        let value = text.parse().ok();
        if value.is_none() {
            self.wrong.push(format!("{} is not of the type {}", variable.name, variable.kind));
        }
        value
    }
}

/// The text without the one line end after it.
pub(crate) fn without_line_end(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line)
}
