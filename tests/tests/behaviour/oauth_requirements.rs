//! docs/oauth_requirements.md, kept together with the tests that it names.

use std::collections::BTreeSet;

use portcullis_tests::driver::root;

use crate::named_tests::{cells, named, tests};

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

/// What is wrong with the table, and how many rows it has.
fn judged(document: &str, tests: &BTreeSet<String>) -> (usize, Vec<String>) {
    let (mut rows, mut wrong) = (0, Vec::new());
    for line in document.lines() {
        let Some(cells) = cells(line) else { continue };
        let [section, level, requirement, held] = cells.as_slice() else {
            wrong.push(format!("{} cells, and not four: {line}", cells.len()));
            continue;
        };
        if *section == "§" {
            continue;
        }
        rows += 1;
        let unknown = named(held).filter(|name| !tests.contains(*name));
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
    let tests = tests(&["crates", "tests/tests", "tests/src"]);
    let tests: BTreeSet<String> = tests.into_iter().map(|(_, name)| name).collect();
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
