//! Untrusted text on its way into a log.

use std::borrow::Cow;
use std::fmt;

use portcullis_guard::json;
use portcullis_guard::text::{self, Escaped};
use serde::{Serialize, Serializer};

/// The most characters of one text that are written.
const MAX_CHARS: usize = 256;

/// A text that somebody else chose, fit for a log (CWE-117).
///
/// Only 256 characters are written, with `…` for the rest. Characters that end lines,
/// control terminals, hide themselves or reorder others (control characters, U+2028 and
/// U+2029, those of bidirectional text and of no width) are written as `\u{…}`.
///
/// # Example
///
/// ```
/// # mod portcullis { pub use portcullis_auth::audit; }
/// use portcullis::audit::LogText;
///
/// assert_eq!(LogText::from("O'Brien").to_string(), "O'Brien");
/// assert_eq!(LogText::from("x\n[INFO] admin").to_string(), "x\\u{a}[INFO] admin");
/// ```
#[derive(Clone, Copy)]
pub struct LogText<'a>(&'a str);

impl<'a> LogText<'a> {
    /// The text itself, if it is short and of visible ASCII: most are, and are written as they
    /// are.
    fn if_plain(self) -> Option<&'a str> {
        let is_visible = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        // The first of them looks at whole blocks, and refuses some that are visible.
        self.if_short().filter(|text| json::is_plain(text) || is_visible(text))
    }

    /// The text itself.
    pub(super) fn as_str(self) -> &'a str {
        self.0
    }

    /// The text itself, if none of it is cut off.
    pub(super) fn if_short(self) -> Option<&'a str> {
        (self.0.len() <= MAX_CHARS).then_some(self.0)
    }

    fn escaped(self) -> Escaped<'a> {
        text::escaped(self.0, MAX_CHARS)
    }
}

impl<'a> From<&'a str> for LogText<'a> {
    fn from(text: &'a str) -> Self {
        Self(text)
    }
}

/// For a field of the log. As a text, rather than as what displays it, it is in quotation marks
/// where lines are for people, with those within it escaped (one would end the text, and begin a
/// field that its author chose), and a plain string in JSON.
impl<'a> From<LogText<'a>> for Cow<'a, str> {
    fn from(text: LogText<'a>) -> Self {
        match text.if_plain() {
            Some(plain) => Cow::Borrowed(plain),
            None => Cow::Owned(text.to_string()),
        }
    }
}

impl fmt::Display for LogText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.if_plain() {
            Some(plain) => f.write_str(plain),
            None => self.escaped().fmt(f),
        }
    }
}

/// In quotation marks, with those within it escaped: one would end the text, and begin a field
/// that its author chose.
impl fmt::Debug for LogText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.escaped(), f)
    }
}

impl Serialize for LogText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.if_plain() {
            Some(plain) => serializer.serialize_str(plain),
            None => serializer.collect_str(self),
        }
    }
}
