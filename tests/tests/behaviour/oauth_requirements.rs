//! docs/oauth_requirements.md, kept together with the tests that it names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use portcullis_tests::driver::root;

/// The documents whose requirements are listed, as the headings begin.
const SPECIFICATIONS: [&str; 12] = [
    "RFC 6749",
    "RFC 7009",
    "RFC 7591",
    "RFC 7636",
    "RFC 8252",
    "RFC 8414",
    "RFC 8707",
    "RFC 9207",
    "RFC 9700",
    "RFC 9728",
    "Client ID metadata documents",
    "MCP authorization",
];

/// What a row says where no test can hold it alone.
const REASONS: [&str; 4] = ["departs", "documented", "not offered", "operator"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of the functions below an attribute that makes them tests.
fn tests_of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut below = false;
    for line in text.lines().map(str::trim_start) {
        below |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        if let Some((name, _)) = name.and_then(|name| name.split_once('(')) {
            found.extend(std::mem::take(&mut below).then(|| name.to_owned()));
        }
    }
    found
}

#[test]
fn tests_are_found_below_their_attributes() {
    let text = "#[test]\nfn a() {}\nfn b() {}\n#[tokio::test(start_paused = true)]\n#[cfg(unix)]\n\
                async fn c() {}\n  #[test]\n  fn d() {";
    assert_eq!(tests_of(text), ["a", "c", "d"]);
}

/// What is wrong with the table, and how many rows it has.
fn judged(document: &str, tests: &BTreeSet<String>) -> (usize, Vec<String>) {
    let (mut rows, mut wrong) = (0, Vec::new());
    for line in document.lines() {
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            continue;
        };
        let cells: Vec<&str> = cells.split(" | ").map(str::trim).collect();
        let [section, level, requirement, held] = cells.as_slice() else {
            wrong.push(format!("{} cells, and not four: {line}", cells.len()));
            continue;
        };
        if *section == "§" {
            continue;
        }
        rows += 1;
        let named: Vec<&str> = held.split('`').skip(1).step_by(2).collect();
        let unknown = named.iter().filter(|name| !tests.contains(**name));
        wrong.extend(unknown.map(|name| format!("{section}: no test is called {name}")));
        let (kind, reason) = held.split_once(": ").unwrap_or_default();
        let reasoned = REASONS.contains(&kind) && !reason.is_empty() && !reason.starts_with('`');
        if !["MUST", "SHOULD"].contains(level) || requirement.is_empty() || section.is_empty() {
            wrong.push(format!("a cell is empty: {line}"));
        } else if !reasoned && !held.starts_with('`') {
            wrong.push(format!("{section}: neither a test nor a reason: {requirement}"));
        }
    }
    (rows, wrong)
}

#[test]
fn a_row_has_four_cells_and_a_test_or_a_reason() {
    let tests = BTreeSet::from(["good".to_owned()]);
    let judged = |row: &str| judged(row, &tests).1.len();
    for good in [
        "| 2.1 | MUST | It is so | `good` |",
        "| 2.1 | SHOULD | It is so | `good`, `good` |",
        "| 2.1 | MUST | It is so | not offered: it is not there. `good` |",
        "| 2.1 | MUST | It is so | operator: a proxy |",
    ] {
        assert_eq!(judged(good), 0, "{good}");
    }
    for wrong in [
        "| 2.1 | MUST | It is so | `bad` |",
        "| 2.1 | MUST | It is so | `good`, `bad` |",
        "| 2.1 | MUST | It is so | not offered: |",
        "| 2.1 | MUST | It is so | not offered: `good` |",
        "| 2.1 | MUST | It is so | some day: it is not there |",
        "| 2.1 | MUST | It is so |  |",
        "| 2.1 | MUST |  | `good` |",
        "| 2.1 | MAY | It is so | `good` |",
        "| 2.1 | MUST | `good` |",
    ] {
        assert_eq!(judged(wrong), 1, "{wrong}");
    }
}

#[test]
fn every_requirement_has_tests_that_exist_or_a_reason() {
    let mut files = Vec::new();
    for folder in ["crates", "tests/tests", "tests/src"] {
        sources(&root().join(folder), &mut files);
    }
    let texts = files.into_iter().map(|file| std::fs::read_to_string(file).unwrap());
    let tests: BTreeSet<String> = texts.flat_map(|text| tests_of(&text)).collect();
    assert!(tests.len() > 1_000, "only {} tests were found", tests.len());
    let document = std::fs::read_to_string(root().join("docs/oauth_requirements.md")).unwrap();
    let (rows, wrong) = judged(&document, &tests);
    assert!(wrong.is_empty(), "docs/oauth_requirements.md:\n{}", wrong.join("\n"));
    assert!(rows > 200, "only {rows} requirements were found");
    let headings: Vec<&str> =
        document.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    for specification in SPECIFICATIONS {
        let dated = |heading: &&str| {
            let date = heading.strip_prefix(specification).and_then(|rest| rest.split_once(", "));
            date.is_some_and(|(_, date)| date.bytes().any(|byte| byte.is_ascii_digit()))
        };
        assert!(headings.iter().any(dated), "no heading for {specification} with its date");
    }
}
