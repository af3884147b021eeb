use std::borrow::Cow;
use std::fmt::{self, Write};

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
/// # extern crate portcullis_auth as portcullis;
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
        self.if_short().filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')))
    }

    /// The text itself, if none of it is cut off.
    pub(super) fn if_short(self) -> Option<&'a str> {
        (self.0.len() <= MAX_CHARS).then_some(self.0)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, quoted: bool) -> fmt::Result {
        let mut chars = self.0.chars();
        for character in chars.by_ref().take(MAX_CHARS) {
            match character {
                '"' | '\\' if quoted => write!(f, "\\{character}")?,
                _ if deceives(character) => write!(f, "{}", character.escape_unicode())?,
                _ => f.write_char(character)?,
            }
        }
        if chars.next().is_some() { f.write_char('…') } else { Ok(()) }
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
            None => self.write(f, false),
        }
    }
}

/// In quotation marks, with those within it escaped: one would end the text, and begin a field
/// that its author chose.
impl fmt::Debug for LogText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        self.write(f, true)?;
        f.write_char('"')
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

/// Whether a reader of the log would take the text for something else because of it.
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}
