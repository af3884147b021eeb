//! What an environment file may be, and how its lines are read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::iter::Peekable;
use std::path::Path;
use std::str::Chars;

use super::EnvironmentErrorKind;

/// The largest file that is read, in bytes: far more than any list of variables or key.
const MAX_BYTES: u64 = 1024 * 1024;

/// What is wrong with a file, and where: never what it holds.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(super) kind: EnvironmentErrorKind,
    pub(super) line: Option<usize>,
    pub(crate) text: String,
}

impl Flaw {
    fn of_file(kind: EnvironmentErrorKind, text: impl Into<String>) -> Self {
        Self { kind, line: None, text: text.into() }
    }

    fn in_line(line: usize, kind: EnvironmentErrorKind, text: impl Into<String>) -> Self {
        Self { kind, line: Some(line), text: text.into() }
    }

    fn unread(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::InvalidData => EnvironmentErrorKind::NotText,
            _ => EnvironmentErrorKind::Unreadable,
        };
        Self::of_file(kind, format!("cannot be read as text: {error}"))
    }
}

/// The text of the regular file at `path`, which is one value.
///
/// # Errors
///
/// As [`text`], and when there is nothing but white space.
pub(crate) fn value(path: &Path) -> Result<String, Flaw> {
    let text = text(path)?;
    match text.trim().is_empty() {
        true => Err(Flaw::of_file(EnvironmentErrorKind::Empty, "is empty")),
        false => Ok(text),
    }
}

/// The text of the regular file at `path`.
///
/// # Errors
///
/// Says what is wrong, without what the file holds.
pub(super) fn text(path: &Path) -> Result<String, Flaw> {
    let unread = |error: io::Error| Flaw::unread(&error);
    let file = open(path).map_err(unread)?;
    let found = file.metadata().map_err(unread)?;
    if !found.is_file() {
        return Err(Flaw::of_file(EnvironmentErrorKind::NotRegularFile, "is not a regular file"));
    }
    if found.len() > MAX_BYTES {
        return Err(Flaw::of_file(EnvironmentErrorKind::TooLarge, "is larger than 1 MiB"));
    }
    // Room for all of it: a secret that moves as its text grows would stay behind in memory.
    let room = found.len().min(MAX_BYTES) + 1;
    let mut text = String::with_capacity(usize::try_from(room).unwrap_or_default());
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unread)?;
    if read as u64 > MAX_BYTES {
        return Err(Flaw::of_file(EnvironmentErrorKind::TooLarge, "is larger than 1 MiB"));
    }
    // No variable of a process can hold one, and readers in C end there.
    if text.contains('\0') {
        return Err(Flaw::of_file(EnvironmentErrorKind::NotText, "holds a NUL"));
    }
    Ok(text)
}

#[expect(clippy::disallowed_methods, reason = "this is the door to environment files")]
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe without a writer would block the open for ever.
        options.custom_flags(crate::open_flags::O_NONBLOCK);
    }
    options.open(path)
}

/// Reads `NAME=value` lines.
///
/// 1. A line is empty, begins with `#`, or is an assignment, with or without `export`.
/// 2. A value is one word, some of it perhaps in quotes, which may span lines. What comes after
///    it is a comment.
/// 3. A backslash takes the meaning of a quote, a backslash, a `$` or a space, or makes a line
///    feed of an `n`; between single quotes it is itself.
/// 4. A `$` that another reader would replace by a variable is refused: nothing is expanded.
///
/// # Errors
///
/// Names the line, never what is in it.
pub(super) fn assignments(text: &str) -> Result<Vec<(String, String)>, Flaw> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Lines { rest: text.chars().peekable(), line: 1 };
    let mut found = Vec::new();
    while let Some(next) = lines.rest.peek() {
        match next {
            '#' => lines.skip_line(),
            next if next.is_whitespace() => drop(lines.next()),
            _ => found.push(lines.assignment()?),
        }
    }
    Ok(found)
}

struct Lines<'t> {
    rest: Peekable<Chars<'t>>,
    /// That of the next character.
    line: usize,
}

impl Lines<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|next| next != '\n') {}
    }

    fn skip_blanks(&mut self) {
        while self.rest.next_if(|next| matches!(next, ' ' | '\t')).is_some() {}
    }

    fn assignment(&mut self) -> Result<(String, String), Flaw> {
        let mut name = self.name()?;
        if name == "export" && self.rest.peek() != Some(&'=') {
            name = self.name()?;
        }
        match self.rest.next_if_eq(&'=') {
            Some(_) => Ok((name, self.value()?)),
            None => Err(self.no_assignment()),
        }
    }

    /// A name, and the blanks after it.
    fn name(&mut self) -> Result<String, Flaw> {
        let mut name = String::new();
        let begins = |next: &char| next.is_ascii_alphabetic() || *next == '_';
        let goes_on = |next: &char| next.is_ascii_alphanumeric() || matches!(next, '_' | '.');
        name.extend(self.rest.next_if(begins));
        if name.is_empty() {
            return Err(self.no_assignment());
        }
        while let Some(next) = self.rest.next_if(goes_on) {
            name.push(next);
        }
        self.skip_blanks();
        Ok(name)
    }

    fn value(&mut self) -> Result<String, Flaw> {
        self.skip_blanks();
        let mut value = String::new();
        if self.rest.peek() == Some(&'#') {
            self.skip_line();
            return Ok(value);
        }
        loop {
            let line = self.line;
            match self.next() {
                None | Some('\n') => return Ok(value),
                Some('\r') if matches!(self.rest.peek(), None | Some('\n')) => {}
                Some(' ' | '\t') => return self.only_comment().map(|()| value),
                Some('\'') => self.single_quoted(&mut value, line)?,
                Some('"') => self.double_quoted(&mut value, line)?,
                Some('\\') => value.push(self.escaped(line)?),
                Some('$') => return Err(dollar(line)),
                Some(other) => value.push(other),
            }
        }
    }

    /// Nothing but a comment stands after a value.
    fn only_comment(&mut self) -> Result<(), Flaw> {
        self.skip_blanks();
        let mut ahead = self.rest.clone();
        match (ahead.next(), ahead.next()) {
            (None | Some('\n' | '#'), _) | (Some('\r'), None | Some('\n')) => {
                self.skip_line();
                Ok(())
            }
            _ => Err(Flaw::in_line(
                self.line,
                EnvironmentErrorKind::UnquotedSpace,
                format!("has a value with a space in line {}: put it in single quotes", self.line),
            )),
        }
    }

    fn single_quoted(&mut self, value: &mut String, begun: usize) -> Result<(), Flaw> {
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(other) => value.push(other),
                None => return Err(unclosed(begun)),
            }
        }
    }

    fn double_quoted(&mut self, value: &mut String, begun: usize) -> Result<(), Flaw> {
        loop {
            let line = self.line;
            match self.next() {
                Some('"') => return Ok(()),
                Some('\\') => value.push(self.escaped(line)?),
                Some('$') => return Err(dollar(line)),
                Some(other) => value.push(other),
                None => return Err(unclosed(begun)),
            }
        }
    }

    fn escaped(&mut self, line: usize) -> Result<char, Flaw> {
        match self.next() {
            Some(itself @ ('\\' | '\'' | '"' | '$' | ' ')) => Ok(itself),
            Some('n') => Ok('\n'),
            Some(_) | None => Err(Flaw::in_line(
                line,
                EnvironmentErrorKind::StrayBackslash,
                format!(
                    "has a backslash in line {line} that escapes nothing: put the value in single quotes"
                ),
            )),
        }
    }

    fn no_assignment(&self) -> Flaw {
        let text = format!("has a line that is not NAME=value: line {}", self.line);
        Flaw::in_line(self.line, EnvironmentErrorKind::NotAssignment, text)
    }
}

fn dollar(line: usize) -> Flaw {
    let text = format!(
        "has a `$` in line {line}: variables are not expanded, so put the value in single quotes"
    );
    Flaw::in_line(line, EnvironmentErrorKind::UnquotedDollar, text)
}

fn unclosed(line: usize) -> Flaw {
    let text = format!("has an unclosed quote in line {line}");
    Flaw::in_line(line, EnvironmentErrorKind::UnclosedQuote, text)
}
