//! Untrusted text, cut and escaped: for log lines (log injection, CWE-117) and for answers.

use std::borrow::Cow;
use std::fmt::{self, Write};

use crate::redaction;

/// The longest part of a text that [`quoted`] keeps, in bytes as they are written: an escaped
/// character takes up to ten.
const MAX_QUOTED_BYTES: usize = 80;
/// The most entries of a list that [`quoted_list`] keeps.
const MAX_ENTRIES: usize = 8;

/// The first `most` characters of a text, with `…` for the rest. Nothing is escaped.
///
/// # Example
///
/// ```
/// use portcullis_guard::text::cut;
///
/// assert_eq!(cut("Zürich", 6), "Zürich");
/// assert_eq!(cut("Zürich", 2), "Zü…");
/// ```
#[must_use]
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}

/// The first `most` characters of a text, escaped, with `…` for the rest.
///
/// Characters that end lines, control terminals, hide themselves or reorder others (control
/// characters, U+2028 and U+2029, those of bidirectional text and of no width) are written as
/// `\u{…}`. With `{:?}` the text is in quotation marks, and those within it are escaped too.
///
/// # Example
///
/// ```
/// use portcullis_guard::text::escaped;
///
/// assert_eq!(escaped("O'Brien", 80).to_string(), "O'Brien");
/// assert_eq!(escaped("x\n[INFO] admin", 80).to_string(), "x\\u{a}[INFO] admin");
/// assert_eq!(format!("{:?}", escaped("a\" b", 2)), r#""a\"…""#);
/// ```
#[must_use]
pub fn escaped(text: &str, most: usize) -> Escaped<'_> {
    Escaped { text, most }
}

/// What [`escaped`] gives.
#[derive(Clone, Copy)]
pub struct Escaped<'a> {
    text: &'a str,
    most: usize,
}

impl Escaped<'_> {
    fn write(&self, f: &mut fmt::Formatter<'_>, in_quotes: bool) -> fmt::Result {
        let mut characters = self.text.chars();
        for character in characters.by_ref().take(self.most) {
            write_escaped(f, character, in_quotes)?;
        }
        if characters.next().is_some() { f.write_char('…') } else { Ok(()) }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

/// In quotation marks, with those within it escaped: one would end the text, and begin a field
/// that its author chose.
impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        self.write(f, true)?;
        f.write_char('"')
    }
}

/// A text for the middle of a log line: in quotation marks, escaped, and cut to 80 bytes. Secrets that are
/// [known](crate::redaction) are removed before: what is left of one that was cut would not be found later.
///
/// # Example
///
/// ```
/// use portcullis_guard::text::quoted;
///
/// assert_eq!(quoted("a\nb"), r#""a\u{a}b""#);
/// assert!(quoted(&"x".repeat(16_000)).len() < 100);
/// ```
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in redaction::redact(text).chars() {
        let end = quoted.len();
        // A string takes whatever is written.
        let _ = write_escaped(&mut quoted, character, true);
        if quoted.len() > MAX_QUOTED_BYTES {
            quoted.truncate(end);
            quoted.push('…');
            break;
        }
    }
    quoted.push('"');
    quoted
}

/// The sixteen hexadecimal digits of a number, in ASCII and lower case.
///
/// # Example
///
/// ```
/// use portcullis_guard::text::hex_digits;
///
/// assert_eq!(&hex_digits(0x2a), b"000000000000002a");
/// ```
#[must_use]
pub fn hex_digits(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        let value = (number >> (4 * place)) as u8 & 0xf;
        *digit = value + if value < 10 { b'0' } else { b'a' - 10 };
    }
    digits
}

/// A list for the middle of a log line: the first eight entries, each [`quoted`].
#[must_use]
pub fn quoted_list(texts: &[&str]) -> String {
    let first: Vec<String> = texts.iter().take(MAX_ENTRIES).map(|text| quoted(text)).collect();
    match texts.len().saturating_sub(MAX_ENTRIES) {
        0 if first.is_empty() => "an empty list".to_owned(),
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn write_escaped(to: &mut impl Write, character: char, in_quotes: bool) -> fmt::Result {
    match character {
        '"' | '\\' if in_quotes => write!(to, "\\{character}"),
        _ if deceives(character) => write!(to, "{}", character.escape_unicode()),
        _ => to.write_char(character),
    }
}

/// Whether a reader of the log would take the text for something else because of it.
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Spaces that are not the space, and letters that look like one.
            '\u{a0}' | '\u{115f}'..='\u{1160}' | '\u{1680}' | '\u{2000}'..='\u{200a}'
                | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\u{3164}' | '\u{ffa0}'
                // What is not seen: joiners, direction marks, variation selectors, tags.
                | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
                // What joins the signs of one script, and is not seen either.
                | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
                // What has no meaning that is agreed on.
                | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::string::string_regex;

    use super::*;

    /// By the tables of Unicode: controls, formats, separators but the space, and what is private. The
    /// formats that are left out are seen, and are written before the numbers that they belong to.
    const DECEIVES: &str = "[[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Zs}\\p{Co}]--[ \u{600}-\u{605}\u{6dd}\u{70f}\u{890}\u{891}\u{8e2}\u{110bd}\u{110cd}]]";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn e10_what_deceives_is_never_written(deceiving in string_regex(&format!("{DECEIVES}{{1,9}}")).unwrap(), text in "\\PC*") {
            for text in [deceiving.clone(), format!("{text}{deceiving}"), format!("{deceiving}{text}")] {
                let written = [escaped(&text, 9).to_string(), format!("{:?}", escaped(&text, 9)), quoted(&text)];
                for written in written {
                    let left = deceiving.chars().find(|character| written.contains(*character));
                    prop_assert!(left.is_none(), "{:?} in {:?}", left, written);
                    prop_assert!(!written.contains(char::is_control), "{:?}", written);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_number_has_the_digits_that_the_standard_library_writes(number: u64) {
            prop_assert_eq!(hex_digits(number).to_vec(), format!("{number:016x}").into_bytes());
        }
    }

    #[test]
    fn j08_what_is_logged_is_escaped_and_cut() {
        assert_eq!(quoted("a\nb\u{1b}[31m"), r#""a\u{a}b\u{1b}[31m""#);
        assert_eq!(quoted(r#"a" \b"#), r#""a\" \\b""#);
        for character in ["x", "\n", "ä", "\u{1b}", "\u{e007f}", "\u{10ffff}"] {
            assert!(quoted(&character.repeat(16_000)).len() < 100, "{character:?}");
        }
        assert_eq!(quoted_list(&[]), "an empty list");
        assert_eq!(quoted_list(&["a\n", "b"]), r#""a\u{a}", "b""#);
        assert!(quoted_list(&["a"; 10]).ends_with(r#""a" and 2 more"#));
    }

    #[test]
    fn e08_a_secret_is_removed_before_a_text_is_cut() {
        let secret = crate::Secret::known("a-secret-of-text-rs".to_owned());
        let text = format!("{}{}", "x".repeat(72), secret.expose());
        assert!(!quoted(&text).contains("a-sec"), "{}", quoted(&text));
        assert!(!quoted_list(&[&text]).contains("a-sec"));
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äöü", 0), "…");
        assert_eq!(escaped("äöü", 3).to_string(), "äöü");
        assert_eq!(escaped("\n\n\n", 2).to_string(), r"\u{a}\u{a}…");
    }

    #[test]
    fn what_hides_or_reorders_text_is_escaped() {
        for deceiving in [
            "\u{202e}",
            "\u{200b}",
            "\u{2028}",
            "\u{ad}",
            "\u{e0041}",
            "\u{7f}",
            "\u{fe0e}",
            "\u{e0100}",
            "\u{34f}",
            "\u{a0}",
            "\u{3164}",
            "\u{e000}",
            "\u{10ffff}",
        ] {
            let written = escaped(deceiving, 8).to_string();
            assert!(written.starts_with(r"\u{"), "{deceiving:?}: {written}");
        }
    }
}
