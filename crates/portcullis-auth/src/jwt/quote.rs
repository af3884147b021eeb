/// The longest part of a stranger's text that a log line holds, in characters.
const MAX_CHARS: usize = 80;

/// A stranger's text for a log line: escaped, and cut.
pub(super) fn quoted(text: &str) -> String {
    let mut cut: String = text.chars().take(MAX_CHARS).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j08_what_is_logged_is_escaped_and_cut() {
        assert_eq!(quoted("a\nb\u{1b}[31m"), r#""a\nb\u{1b}[31m""#);
        assert!(quoted(&"x".repeat(64_000)).len() < 100);
    }
}
