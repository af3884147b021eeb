/// The longest part of an untrusted text that a log line holds, in bytes as they are written: a
/// character that is escaped takes up to ten.
const MAX_BYTES: usize = 80;
/// The most entries of an untrusted list that a log line holds.
const MAX_ENTRIES: usize = 8;

/// An untrusted text for a log line: escaped, and cut.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        let escaped = character.escape_debug();
        if quoted.len() + escaped.clone().map(char::len_utf8).sum::<usize>() > MAX_BYTES {
            quoted.push('…');
            break;
        }
        quoted.extend(escaped);
    }
    quoted.push('"');
    quoted
}

/// An untrusted list for a log line: its entries escaped and cut, and the first of them only.
pub(super) fn quoted_list(texts: &[&str]) -> String {
    let first: Vec<String> = texts.iter().take(MAX_ENTRIES).map(|text| quoted(text)).collect();
    match texts.len().saturating_sub(MAX_ENTRIES) {
        0 if first.is_empty() => "an empty list".to_owned(),
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j08_what_is_logged_is_escaped_and_cut() {
        assert_eq!(quoted("a\nb\u{1b}[31m"), r#""a\nb\u{1b}[31m""#);
        for character in ["x", "\n", "ä", "\u{1b}", "\u{10ffff}"] {
            assert!(quoted(&character.repeat(16_000)).len() < 100, "{character:?}");
        }
        assert_eq!(quoted_list(&[]), "an empty list");
        assert_eq!(quoted_list(&["a\n", "b"]), r#""a\n", "b""#);
        assert!(quoted_list(&["a"; 10]).ends_with(r#""a" and 2 more"#));
    }
}
