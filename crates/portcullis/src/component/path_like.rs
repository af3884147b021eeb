//! Texts that something could take for a path.

use percent_encoding::percent_decode_str;

/// How often a text may have been percent-encoded before it is refused unread.
const MAX_ENCODINGS: usize = 4;

/// Whether `text`, or what it is when it is decoded once more, could be taken for a path on some
/// system: it has a separator or a control character, is made of dots alone, or begins with a
/// drive. Letters count as what Unicode calls compatible with them (`．．／` is `../`).
pub(crate) fn is_path_like(text: &str) -> bool {
    let mut text = text.to_owned();
    for _ in 0..MAX_ENCODINGS {
        if is_path_like_as_it_is(&text) {
            return true;
        }
        let Ok(decoded) = percent_decode_str(&text).decode_utf8() else { return true };
        if decoded == text {
            return false;
        }
        text = decoded.into_owned();
    }
    true
}

fn is_path_like_as_it_is(text: &str) -> bool {
    let mut letters = text.chars().filter(|c| !is_unseen(*c)).map(compatible);
    let is_drive = matches!(
        (letters.next(), letters.next()),
        (Some(letter), Some(':')) if is_letter(letter)
    );
    let divides = |c: char| matches!(compatible(c), '/' | '\\') || c.is_control();
    is_drive || text.contains(divides) || is_dots(text)
}

/// `.`, `..`, and what Windows takes for them: it drops spaces and dots at the end.
fn is_dots(text: &str) -> bool {
    let is_dot = |c| compatible(c) == '.';
    text.contains(is_dot) && text.chars().all(|c| is_dot(c) || c.is_whitespace() || is_unseen(c))
}

/// Marks of the direction of writing, joiners and soft hyphens: nobody sees them, and some file systems
/// drop them (HFS+).
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}

/// Whether it is a letter of ASCII, or in a block with letters that NFKC makes such letters of.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
        || matches!(
            c,
            'ª' | 'º' | 'ſ' | '\u{2b0}'..='\u{2e3}' | '\u{1d2c}'..='\u{1dbf}' | '\u{2070}'..='\u{209c}'
                | '\u{2100}'..='\u{217f}' | '\u{24b6}'..='\u{24e9}' | '\u{2c7c}'..='\u{2c7d}'
                | '\u{a7f1}'..='\u{a7f4}' | '\u{ff21}'..='\u{ff5a}' | '\u{1d400}'..='\u{1d7ff}'
                | '\u{107a5}' | '\u{1f12b}'..='\u{1f149}'
        )
}

/// The ASCII character that Unicode's normal form NFKC makes of one, where that matters in a path: all
/// that it makes dots of, or something with a separator in it.
fn compatible(c: char) -> char {
    match c {
        '\u{ff0e}' | '\u{fe52}' | '\u{2024}' | '\u{2025}' | '\u{2026}' | '\u{fe19}'
        | '\u{fe30}' => '.',
        // `℀`, `℁`, `℅` and `℆` are letters with a slash between.
        '\u{ff0f}' | '\u{2100}' | '\u{2101}' | '\u{2105}' | '\u{2106}' => '/',
        '\u{ff3c}' | '\u{fe68}' => '\\',
        '\u{ff1a}' | '\u{fe55}' | '\u{fe13}' => ':',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p01_dots_and_separators_are_path_like_in_every_encoding() {
        for path in [
            ".",
            "..",
            "...",
            ".. ",
            " ..",
            ".\u{202e}.",
            ".\u{206b}.",
            ".\u{ad}.",
            "\u{fe19}",
            "\u{fe30}",
            "\u{2100}",
            "a\u{2105}b",
            "\u{feff}..",
            "．．",
            "‥",
            "a/b",
            "/",
            "a\\b",
            "．．／",
            "a＼b",
            "%2e%2e",
            "%2E.",
            "%252e%252e",
            "%25252e.",
            "a%2fb",
            "a%255cb",
            "%00",
            "\0",
            "a\nb",
            "%0d",
            "%c0%af",
            "%ff",
        ] {
            assert!(is_path_like(path), "{path:?}");
        }
        let often = format!("%25{}41", "25".repeat(10));
        assert!(is_path_like(&often), "{often}");
    }

    #[test]
    fn p02_what_begins_with_a_drive_is_path_like() {
        for path in [
            "C:",
            "c:x",
            "C:\\x",
            "C%3a",
            "C%253Ax",
            "C：",
            "Ｃ:",
            "\u{200b}C:",
            "ſ:",
            "//srv",
            "\\\\srv\\share",
            "\\\\?\\C:",
        ] {
            assert!(is_path_like(path), "{path:?}");
        }
    }

    #[test]
    fn names_numbers_and_texts_are_not_path_like() {
        for plain in [
            "",
            " ",
            "a",
            "42",
            "a.b",
            ".env",
            "a..b",
            "..a",
            "HEAD~3..HEAD",
            "Ann Lee",
            "50%",
            "%41",
            "100%25",
            "urn:x",
            "中:x",
            "12:30",
            "é",
            "10.0.0.1",
            "a?b",
            "~",
            "-x",
        ] {
            assert!(!is_path_like(plain), "{plain:?}");
        }
    }
}
