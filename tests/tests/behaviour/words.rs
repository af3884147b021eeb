//! The words of this repository: phrases that had to be read twice stay away, and the terms of
//! the field are where a security team looks for them.

use std::path::{Path, PathBuf};

use portcullis_tests::driver::root;

/// Phrases that had to be read twice. What was meant is plainer in other words.
const REFUSED: [&str; 25] = [
    "a component rules",
    "anew",
    "are let finish",
    "are none",
    "come to the same",
    "comes to",
    "gates come",
    "in no time",
    "in unproven",
    "is none",
    "is there twice",
    "it was said",
    "let finish",
    "lets him in",
    "none of which",
    "of which each",
    "of which none",
    "of which the",
    "on a stranger's word",
    "out of which",
    "rule for nothing",
    "types put away",
    "was said who",
    "who is let in",
    "who only knocks",
];

/// Refused in comments and documents, where clients are untrusted or unauthenticated.
const REFUSED_IN_PROSE: [&str; 4] = ["of which", "stranger", "stranger's", "strangers"];

/// Terms of the field, and where each has to stand.
const TERMS: [(&str, &[&str]); 8] = [
    ("SSRF", &["README.md", "SECURITY.md", "docs/threats.md", "crates/portcullis-guard/src/fetch"]),
    (
        "path traversal",
        &["README.md", "SECURITY.md", "docs/threats.md", "crates/portcullis-guard/src/workspace"],
    ),
    (
        "CSRF",
        &[
            "README.md",
            "SECURITY.md",
            "docs/threats.md",
            "crates/portcullis-protocol/src/http/guard",
        ],
    ),
    (
        "DNS rebinding",
        &[
            "README.md",
            "SECURITY.md",
            "docs/threats.md",
            "crates/portcullis-guard/src",
            "crates/portcullis-protocol/src/http/guard",
        ],
    ),
    (
        "side channel",
        &[
            "SECURITY.md",
            "docs/threats.md",
            "crates/portcullis-protocol/src/limits",
            "crates/portcullis/src/operation",
        ],
    ),
    ("token bucket", &["README.md", "SECURITY.md", "crates/portcullis/src/middleware/rate_limit"]),
    (
        "fail closed",
        &[
            "ARCHITECTURE.md",
            "SECURITY.md",
            "crates/portcullis-auth/src/access",
            "crates/portcullis/src/access",
        ],
    ),
    (
        "allow-list",
        &["SECURITY.md", "docs/threats.md", "crates/portcullis-protocol/src/http/guard"],
    ),
];

/// Sources and documents, but what was built or fetched.
fn texts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() && !name.starts_with('.') && !["target", "node_modules"].contains(&name) {
            texts(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
            found.push(path);
        }
    }
}

/// A text in one line, and without the signs that begin a comment's lines.
fn one_line<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let words = lines.flat_map(|line| {
        let line = line.trim_start();
        let line =
            ["//!", "///", "//"].iter().find_map(|sign| line.strip_prefix(sign)).unwrap_or(line);
        line.split_whitespace()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What is for readers: a document without its code, the comments of a source.
fn prose(file: &Path, text: &str) -> String {
    if file.extension().is_some_and(|extension| extension == "md") {
        return text.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    }
    one_line(text.lines().filter(|line| line.trim_start().starts_with("//")))
}

/// Where a phrase stands in a text, whole words only and in any case.
fn find<'a>(text: &'a str, phrase: &str) -> Option<&'a str> {
    let lower = text.to_ascii_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    lower.match_indices(&phrase.to_ascii_lowercase()).find_map(|(start, found)| {
        let end = start + found.len();
        let whole = !lower[..start].ends_with(is_word) && !lower[end..].starts_with(is_word);
        let from = lower[..start].char_indices().rev().nth(40).map_or(0, |(index, _)| index);
        whole.then(|| &text[from..end])
    })
}

#[test]
fn phrases_that_had_to_be_read_twice_stay_away() {
    let mut files = Vec::new();
    texts(root(), &mut files);
    assert!(files.len() > 200, "no files were found");
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("behaviour/words.rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        let (whole, prose) = (one_line(text.lines()), prose(file, &text));
        let refused = REFUSED.iter().filter_map(|phrase| find(&whole, phrase));
        let in_prose = REFUSED_IN_PROSE.iter().filter_map(|phrase| find(&prose, phrase));
        for place in refused.chain(in_prose) {
            found.push(format!("{}: {place}", file.strip_prefix(root()).unwrap().display()));
        }
    }
    assert!(found.is_empty(), "say it in plainer words:\n{}", found.join("\n"));
}

#[test]
fn the_terms_of_the_field_are_where_they_are_looked_for() {
    let mut files = Vec::new();
    texts(root(), &mut files);
    let mut missing = Vec::new();
    for (term, places) in TERMS {
        for place in places {
            let mut at_place = files.iter().filter(|file| {
                let file = file.strip_prefix(root()).unwrap().to_str().unwrap();
                file.strip_prefix(place)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
            });
            let has_term = |file: &PathBuf| {
                one_line(std::fs::read_to_string(file).unwrap().lines())
                    .to_ascii_lowercase()
                    .contains(&term.to_ascii_lowercase())
            };
            if !at_place.any(has_term) {
                missing.push(format!("{place} does not say {term:?}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn phrases_are_found_over_the_ends_of_lines_and_as_whole_words() {
    let comment = "    /// That the list\n    /// is\n    /// none, and\n    let x = none_of;";
    assert_eq!(find(&one_line(comment.lines()), "is none"), Some("That the list is none"));
    for no_phrase in ["this none", "is nonexistent", "is_none", "is  // nothing"] {
        assert_eq!(find(&one_line(no_phrase.lines()), "is none"), None, "{no_phrase}");
    }
    let source = Path::new("a.rs");
    assert_eq!(find(&prose(source, "let stranger = 1;"), "stranger"), None);
    assert!(find(&prose(source, "// A stranger.\nlet x = 1;"), "stranger").is_some());
    assert_eq!(find(&prose(Path::new("a.md"), "the flag `stranger` here"), "stranger"), None);
}
