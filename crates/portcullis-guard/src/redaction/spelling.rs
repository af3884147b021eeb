//! The spellings in which a secret is looked for.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::zeroize::Zeroizing;

use super::MIN_BYTES;

/// A base64 group: so many characters for three bytes.
const GROUP: usize = 4;

/// A text that gives a secret away.
pub(super) struct Spelling {
    pub(super) text: Zeroizing<Vec<u8>>,
    /// How many characters of base64 before it may hold more of the secret.
    pub(super) before: usize,
    /// How many after it.
    pub(super) after: usize,
}

/// All spellings of `secret`, some perhaps more than once.
pub(super) fn spellings(secret: &[u8]) -> Vec<Spelling> {
    let mut found = Spellings(Vec::new());
    for part in parts(secret) {
        found.exact(Zeroizing::new(part.to_vec()));
        if let Ok(text) = std::str::from_utf8(part) {
            found.escaped(text);
        }
        found.percent_encoded(part);
        found.hexadecimal(part);
        found.base64(part);
    }
    found.0
}

/// The lines of a secret that are long enough and no frame of PEM; without one, the whole.
///
/// In a text that was indented, or has other line ends, the whole would not be found.
fn parts(secret: &[u8]) -> Vec<&[u8]> {
    let lines = secret.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let parts: Vec<&[u8]> =
        lines.filter(|line| line.len() >= MIN_BYTES && !line.starts_with(b"-----")).collect();
    if parts.is_empty() { vec![secret] } else { parts }
}

struct Spellings(Vec<Spelling>);

impl Spellings {
    fn exact(&mut self, text: Zeroizing<Vec<u8>>) {
        self.0.push(Spelling { text, before: 0, after: 0 });
    }

    /// A spelling that `write` makes of each of `items`, which take `most` bytes each.
    fn written<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        most: usize,
        write: impl Fn(&mut String, T) -> std::fmt::Result,
    ) {
        // Room for all of it: what moves as it grows would stay behind in memory.
        let mut text = Zeroizing::new(String::with_capacity(items.len() * most));
        for item in items {
            // A string takes whatever is written.
            let _ = write(&mut text, item);
        }
        let bytes = std::mem::take(&mut *text).into_bytes();
        self.exact(Zeroizing::new(bytes));
    }

    /// As strings in JSON, and as `{:?}` writes them, once or twice: a log escapes a text that is JSON.
    fn escaped(&mut self, text: &str) {
        let plain = Json::default();
        let ascii = Json { only_ascii: true, ..plain };
        let once = [
            in_json(text, plain),
            in_json(text, Json { escapes_slash: true, ..plain }),
            in_json(text, ascii),
            in_json(text, Json { upper_case: true, ..ascii }),
            in_debug(text),
        ];
        let twice = once.iter().flat_map(|once| [in_json(once, plain), in_debug(once)]);
        for text in twice.collect::<Vec<_>>().iter().chain(&once) {
            self.exact(Zeroizing::new(text.as_bytes().to_vec()));
        }
    }

    /// As in URLs and forms: encoders differ in what they leave as it is besides letters and digits,
    /// and a few leave nothing.
    fn percent_encoded(&mut self, secret: &[u8]) {
        let lefts = ["", "-._~", "-._~!'()*", "-_.~!'()*;,/?:@&=+$#", "-._*"];
        for left in [None].into_iter().chain(lefts.map(Some)) {
            let space = if left == Some("-._*") { "+" } else { "%20" };
            let is_left = |byte: u8| {
                left.is_some_and(|left| {
                    byte.is_ascii_alphanumeric() || left.as_bytes().contains(&byte)
                })
            };
            let bytes = || secret.iter().copied();
            self.written(bytes(), 3, |to, byte| match byte {
                b' ' => to.write_str(space),
                _ if is_left(byte) => to.write_char(char::from(byte)),
                _ => write!(to, "%{byte:02X}"),
            });
            self.written(bytes(), 3, |to, byte| match byte {
                b' ' => to.write_str(space),
                _ if is_left(byte) => to.write_char(char::from(byte)),
                _ => write!(to, "%{byte:02x}"),
            });
        }
    }

    fn hexadecimal(&mut self, secret: &[u8]) {
        self.written(secret.iter(), 2, |to, byte| write!(to, "{byte:02x}"));
        self.written(secret.iter(), 2, |to, byte| write!(to, "{byte:02X}"));
    }

    /// In base64 the same text has three spellings, by how many bytes stand before it. What is sure
    /// are the whole groups; those around them hold a byte or two.
    fn base64(&mut self, secret: &[u8]) {
        for skipped in 0..3 {
            let Some(rest) = secret.get(skipped..) else { continue };
            let Some(whole) = rest.get(..rest.len() / 3 * 3) else { continue };
            let before = if skipped > 0 { GROUP } else { 0 };
            let after = if whole.len() < rest.len() { GROUP } else { 0 };
            for text in [STANDARD_NO_PAD.encode(whole), URL_SAFE_NO_PAD.encode(whole)] {
                let text = Zeroizing::new(text.into_bytes());
                self.0.push(Spelling { text, before, after });
            }
        }
    }
}

fn in_debug(text: &str) -> Zeroizing<String> {
    let mut debug = Zeroizing::new(String::with_capacity(2 + text.len() * 10));
    // A string takes whatever is written.
    let _ = write!(debug, "{text:?}");
    let within = debug.strip_prefix('"').and_then(|debug| debug.strip_suffix('"'));
    Zeroizing::new(within.unwrap_or(text).to_owned())
}

fn in_json(text: &str, how: Json) -> Zeroizing<String> {
    let mut written = Zeroizing::new(String::with_capacity(text.len() * 6));
    for character in text.chars() {
        let _ = json(&mut written, character, how);
    }
    written
}

/// How a writer of JSON escapes what it need not.
#[derive(Clone, Copy, Default)]
struct Json {
    escapes_slash: bool,
    only_ascii: bool,
    upper_case: bool,
}

fn json(to: &mut String, character: char, how: Json) -> std::fmt::Result {
    match character {
        '"' => to.write_str("\\\""),
        '\\' => to.write_str("\\\\"),
        '/' if how.escapes_slash => to.write_str("\\/"),
        '\n' => to.write_str("\\n"),
        '\r' => to.write_str("\\r"),
        '\t' => to.write_str("\\t"),
        '\u{8}' => to.write_str("\\b"),
        '\u{c}' => to.write_str("\\f"),
        _ if character < ' ' || (how.only_ascii && !character.is_ascii()) => {
            let mut units = [0; 2];
            character.encode_utf16(&mut units).iter().try_for_each(|unit| match how.upper_case {
                true => write!(to, "\\u{unit:04X}"),
                false => write!(to, "\\u{unit:04x}"),
            })
        }
        _ => to.write_char(character),
    }
}
