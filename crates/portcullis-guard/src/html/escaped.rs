//! Text that is safe within HTML.

use std::fmt::{self, Write};

use crate::text;

/// The longest text of somebody else that a page shows, in characters.
const MOST: usize = 100;

/// A text that is text in HTML, and in its quoted attributes: as it is, or cut to 100 characters and
/// with what hides or reorders text made visible.
///
/// Exhaustive: a text is the server's own or somebody else's.
///
/// # Example
///
/// ```
/// use portcullis_guard::html::Escaped;
///
/// assert_eq!(Escaped::Own("R&D <team>").to_string(), "R&amp;D &lt;team&gt;");
/// assert_eq!(Escaped::Untrusted("a\u{202e}b").to_string(), r"a\u{202e}b");
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Escaped<'a> {
    /// The server's own text.
    Own(&'a str),
    /// A text that others chose (homoglyphs stay: no page can tell them).
    Untrusted(&'a str),
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(text) => Html(f).write_str(text),
            Self::Untrusted(untrusted) => write!(Html(f), "{}", text::escaped(untrusted, MOST)),
        }
    }
}

struct Html<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Html<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            c => self.0.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o17_text_of_others_is_text_and_shows_what_hides_in_it() {
        let script = Escaped::Untrusted("<script>alert(\"1\")</script>' onx=&").to_string();
        let written = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39; onx=&amp;";
        assert_eq!(script, written);
        assert_eq!(
            Escaped::Untrusted("Cla\u{202e}edu\u{200b}").to_string(),
            r"Cla\u{202e}edu\u{200b}"
        );
        assert_eq!(Escaped::Untrusted(&"ä".repeat(10_240)).to_string().chars().count(), MOST + 1);
        assert_eq!(Escaped::Own("a<b\u{200d}").to_string(), "a&lt;b\u{200d}");
    }
}
