//! docs/manual/rules.md, kept together with the tests that it names.

use std::collections::BTreeSet;

use portcullis_tests::driver::root;

use crate::named_tests::{cells, named, tests};

const HEADINGS: [&str; 6] =
    ["rule", "by construction", "at build", "at run", "by `portcullis check`", "tests"];

/// What is wrong with the table of the fifteen rules.
fn judged(document: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let rows: Vec<Vec<&str>> = document.lines().filter_map(cells).collect();
    if rows.first().is_none_or(|row| *row != HEADINGS) {
        wrong.push(format!("the first row is not {HEADINGS:?}"));
    }
    let numbers: Vec<&str> =
        rows.iter().skip(1).map(|row| row[0].split(". ").next().unwrap()).collect();
    let wanted: Vec<String> = (1..=15).map(|number| number.to_string()).collect();
    if numbers != wanted {
        wrong.push(format!("the rules are {numbers:?}"));
    }
    for row in rows.iter().skip(1) {
        let [rule, stages @ .., proof] = row.as_slice() else { unreachable!("a row has cells") };
        if stages.len() != 4 {
            wrong.push(format!("{rule}: {} cells", row.len()));
        }
        for cell in stages {
            let reason =
                cell.strip_prefix("none").map(|rest| rest.strip_prefix(": ").unwrap_or(""));
            if !cell.contains(char::is_alphabetic) || reason.is_some_and(str::is_empty) {
                wrong.push(format!("{rule}: a cell says nothing: {cell:?}"));
            }
        }
        if named(proof).next().is_none() {
            wrong.push(format!("{rule}: no test"));
        }
        let unknown = named(proof).filter(|test| !tests.contains(*test));
        wrong.extend(unknown.map(|test| format!("{rule}: no test is called {test}")));
    }
    wrong
}

fn table(rows: usize) -> String {
    let row = |number| format!("| {number}. A rule | a | b | none: a reason | d | `m::good` |\n");
    let heading = format!("| {} |\n|---|---|---|---|---|---|\n", HEADINGS.join(" | "));
    (1..=rows).fold(heading, |table, number| table + &row(number))
}

#[test]
fn a_table_without_a_rule_a_cell_a_reason_or_a_test_is_refused() {
    let tests = BTreeSet::from(["m::good".to_owned()]);
    let judged = |document: &str| judged(document, &tests).len();
    let good = table(15);
    assert_eq!(judged(&good), 0);
    assert_eq!(judged(&table(14)), 1);
    let first = |from: &str, to: &str| good.replacen(from, to, 1);
    for wrong in [
        first("| a |", "|  |"),
        first("| a |", "| - |"),
        first("none: a reason", "none"),
        first("none: a reason", "none: "),
        first("| b ", ""),
        first("m::good", "m::bad"),
        first("`m::good`", "a test"),
        first("`m::good`", "`m::good`, `other::good`"),
        first("| 7. A rule", "| 6. A rule"),
        first("| at build ", ""),
    ] {
        assert_eq!(judged(&wrong), 1, "{wrong}");
    }
}

#[test]
fn each_of_the_fifteen_rules_says_what_enforces_it_at_every_stage_and_which_test_proves_it() {
    let folders = ["crates", "examples/tests", "tests/attributes/tests", "tests/tests"];
    let tests = tests(&folders).into_iter().map(|(place, name)| place + &name).collect();
    let document = std::fs::read_to_string(root().join("docs/manual/rules.md")).unwrap();
    let wrong = judged(&document, &tests);
    assert!(wrong.is_empty(), "docs/manual/rules.md:\n{}", wrong.join("\n"));
}
