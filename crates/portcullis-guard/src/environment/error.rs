//! What is wrong with an environment file or with variables.

use std::fmt;
use std::path::Path;

use super::file::Flaw;

/// A file that could not be used, or variables that are not set.
///
/// Its text names the file and the line, or the variables, and never a value.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvironmentError {
    kind: EnvironmentErrorKind,
    line: Option<usize>,
    text: String,
}

/// What is wrong with an environment file, or with variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EnvironmentErrorKind {
    /// The file does not exist, or cannot be opened or read.
    Unreadable,
    /// It is a folder, a pipe or a device.
    NotRegularFile,
    /// It is larger than 1 MiB.
    TooLarge,
    /// It is not UTF-8, or holds a NUL.
    NotText,
    /// It was to hold one value, and holds nothing.
    Empty,
    /// A line is not `NAME=value`.
    NotAssignment,
    /// A value with a space is not in quotes.
    UnquotedSpace,
    /// A `$` that another reader would expand is not in single quotes.
    UnquotedDollar,
    /// A quote is not closed.
    UnclosedQuote,
    /// A backslash escapes nothing.
    StrayBackslash,
    /// Variables are missing, empty or not UTF-8.
    Unset,
    /// No variable is missing, but some are not of the type that is asked for, or name files that
    /// cannot be read.
    Malformed,
}

impl EnvironmentError {
    pub(super) fn file(path: &Path, flaw: &Flaw) -> Self {
        let text = format!("the file {} {}", path.display(), flaw.text);
        Self { kind: flaw.kind, line: flaw.line, text }
    }

    pub(super) fn unset(names: &[&str]) -> Self {
        let text = format!("set the variables {}: missing, empty or not UTF-8", names.join(", "));
        Self { kind: EnvironmentErrorKind::Unset, line: None, text }
    }

    /// Variables that are not set, and what is wrong with others.
    pub(super) fn refused(unset: &[String], wrong: &[String]) -> Self {
        let unset: Vec<&str> = unset.iter().map(String::as_str).collect();
        let texts = wrong.iter().cloned();
        let (kind, first) = match unset.as_slice() {
            [] => (EnvironmentErrorKind::Malformed, None),
            unset => (EnvironmentErrorKind::Unset, Some(Self::unset(unset).text)),
        };
        let text = first.into_iter().chain(texts).collect::<Vec<_>>().join("; ");
        Self { kind, line: None, text }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> EnvironmentErrorKind {
        self.kind
    }

    /// The line of the file that is wrong, counted from 1, if it is one line.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The same text, because that is what a `main` that returns it prints.
impl fmt::Debug for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for EnvironmentError {}
