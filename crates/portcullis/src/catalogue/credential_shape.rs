//! The shapes by which credentials are known, whatever they are for.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

/// What each of the shapes is called, for the log, and the shape.
///
/// `\b` is that of ASCII: a set that asks for Unicode's takes far longer for other texts.
const SHAPES: [(&str, &str); 11] = [
    ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    ("an access key of AWS", r"(?-u:\b)(?:AKIA|ASIA)[0-9A-Z]{16}(?-u:\b)"),
    ("an API key of Google", r"(?-u:\b)AIza[0-9A-Za-z_-]{35}"),
    ("a token of GitHub", r"(?-u:\b)gh[pousr]_[0-9A-Za-z]{30,}"),
    ("a token of GitHub", r"(?-u:\b)github_pat_[0-9A-Za-z_]{30,}"),
    ("a token of GitLab", r"(?-u:\b)glpat-[0-9A-Za-z_-]{20,}"),
    ("a token of Slack", r"(?-u:\b)xox[abeoprs]-[0-9A-Za-z-]{10,}"),
    ("a key of Stripe", r"(?-u:\b)[sr]k_live_[0-9A-Za-z]{16,}"),
    ("an API key that begins with sk-", r"(?-u:\b)sk-[0-9A-Za-z_-]{20,}"),
    ("a JWT", r"(?-u:\b)eyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\."),
    ("a URL with a password", r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*:[^\s/@{}<>$]+@"),
];

static SET: LazyLock<Option<RegexSet>> =
    LazyLock::new(|| RegexSet::new(SHAPES.map(|(_, shape)| shape)).ok());

static ASSIGNMENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)(?i-u:password|passwd|secret|api[_-]?key|token)\s*[=:]\s*[^\s,;<>{}$]{8,}")
        .ok()
});

/// What kind of credential a text holds, by its shape.
pub(crate) fn find(text: &str) -> Option<&'static str> {
    // Patterns that do not compile find a credential everywhere: the tests would not pass.
    let Some(set) = SET.as_ref() else { return Some("a credential") };
    if !set.is_match(text) {
        return None;
    }
    let first = set.matches(text).iter().next();
    first.and_then(|number| SHAPES.get(number)).map(|(kind, _)| *kind)
}

/// Whether a text says `password: …`, which is enough in a description and says little in a result:
/// it may be a lesson about passwords.
pub(crate) fn is_assignment(text: &str) -> bool {
    ASSIGNMENT.as_ref().is_none_or(|assignment| assignment.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_is_found_by_its_name_and_ordinary_text_has_none() {
        let long = "a1B2".repeat(10);
        for (kind, text) in [
            ("a private key", "-----BEGIN EC PRIVATE KEY-----".to_owned()),
            ("an access key of AWS", "\u{e4} AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("an API key of Google", format!("key=AIza{}", &long[..35])),
            ("a token of GitHub", format!("ghp_{long}")),
            ("a token of GitHub", format!("github_pat_{long}")),
            ("a token of GitLab", format!("glpat-{long}")),
            ("a token of Slack", format!("xoxb-{long}")),
            ("a key of Stripe", format!("sk_live_{long}")),
            ("an API key that begins with sk-", format!("sk-{long}")),
            ("a JWT", format!("eyJ{long}.eyJ{long}.")),
            ("a URL with a password", "redis://:hunter2@cache/0".to_owned()),
        ] {
            assert_eq!(find(&text), Some(kind), "{text}");
        }
        for text in ["", "password: hunter2hunter2", "https://example.com:8080/a@b", "risk-averse"]
        {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
