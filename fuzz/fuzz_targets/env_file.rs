//! `.env` files: what is read is what a slow reader finds, which has a grammar and no states.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::in_proportion;
use portcullis_guard::environment::fuzzing::assignments;
use regex_lite::{Captures, Regex};

/// The beginning of an assignment.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*").expect("a grammar")
});
/// A comment in place of a value.
static COMMENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^#[^\n]*\n?").expect("a grammar"));
/// The value of an assignment, and all that may stand after it.
static VALUE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"^((?:'[^']*'|"(?:\\[\\'"$ n]|[^"\\$])*"|\\[\\'"$ n]|[^\n \t'"\\$])*)"#,
        r"(?:\r?(?:\n|$)|[ \t]+(?:#[^\n]*)?\r?(?:\n|$))",
    ))
    .expect("a grammar")
});
/// A part of a value.
static PART: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?s)'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)|([^'"\\]+)"#).expect("a grammar")
});
static ESCAPE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)\\(.)").expect("a grammar"));

fuzz_target!(
    init: {
        // Without this, readers that both refuse everything would agree.
        let text = "export A=1 # one\r\nB='a b'\"\\n\"c\n";
        let expected = [("A", "1"), ("B", "a b\nc")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(assignments(text).as_deref(), Ok(&expected[..]));
        assert_eq!(slowly(text).as_deref(), Some(&expected[..]));
    },
    |input: &[u8]| {
        let Ok(text) = str::from_utf8(input) else { return };
        let read = in_proportion(text.len(), || assignments(text));
        if let Err(line) = read {
            let line = line.expect("a line is malformed");
            assert!((1..=text.split('\n').count()).contains(&line), "{line}");
        }
        assert_eq!(read.ok(), slowly(text), "{text:?}");
    }
);

fn slowly(text: &str) -> Option<Vec<(String, String)>> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(comment) = COMMENT.find(rest) {
            rest = &rest[comment.end()..];
            continue;
        }
        if rest.is_empty() {
            return Some(found);
        }
        let name = NAME.captures(rest)?;
        rest = &rest[name[0].len()..];
        if let Some(comment) = COMMENT.find(rest) {
            rest = &rest[comment.end()..];
            found.push((name[1].to_owned(), String::new()));
            continue;
        }
        let value = VALUE.captures(rest)?;
        rest = &rest[value[0].len()..];
        found.push((name[1].to_owned(), unquoted(&value)));
    }
}

fn unquoted(value: &Captures<'_>) -> String {
    let text = &value[1];
    // One at the end of the line is part of its end.
    let ends = !value[0][text.len()..].starts_with([' ', '\t']);
    let without_escapes = |text: &str| {
        let meaning = |escape: &Captures<'_>| match &escape[1] {
            "n" => "\n".to_owned(),
            itself => itself.to_owned(),
        };
        ESCAPE.replace_all(text, meaning).into_owned()
    };
    let mut whole = String::new();
    let mut last = "";
    for part in PART.captures_iter(text) {
        last = part.get(4).map_or("", |plain| plain.as_str());
        whole += &match (part.get(1), part.get(2), part.get(3)) {
            (Some(single), ..) => single.as_str().to_owned(),
            (_, Some(double), _) => without_escapes(double.as_str()),
            (.., Some(_)) => without_escapes(&part[0]),
            _ => last.to_owned(),
        };
    }
    if ends && last.ends_with('\r') {
        whole.pop();
    }
    whole
}
