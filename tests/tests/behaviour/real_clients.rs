//! docs/real_clients.md, kept together with the tests that carry the numbers of its rules.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_tests::driver::root;

use crate::threats::{place, sources};

/// How many rules each table has: of clients, and of identity providers for who is their client.
const RULES: [(Kind, u8); 2] = [(Kind::Client, 37), (Kind::Provider, 26)];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Client,
    Provider,
}

/// For each rule the tests that carry it, as a table names them: where, and how the name begins.
type Carried = BTreeMap<(Kind, u8), BTreeSet<String>>;

/// The rules in the name of a test, and the name up to them.
fn rules(name: &str) -> Option<(Kind, Vec<u8>, String)> {
    let (before, after) = name.split_once("rule_")?;
    let kind = if before.ends_with("idp_") { Kind::Provider } else { Kind::Client };
    let is_number = |word: &&str| word.len() == 2 && word.bytes().all(|b| b.is_ascii_digit());
    let words: Vec<&str> = after.split('_').take_while(is_number).collect();
    let numbers: Vec<u8> = words.iter().map(|word| word.parse().unwrap()).collect();
    (!numbers.is_empty()).then(|| (kind, numbers, format!("{before}rule_{}", words.join("_"))))
}

fn carried_by_tests() -> Carried {
    let mut files = Vec::new();
    for folder in ["crates", "demo", "tests/tests"] {
        sources(&root().join(folder), &mut files);
    }
    let mut carried = Carried::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let place = place(file.strip_prefix(root()).unwrap());
        for after in text.split("fn ").skip(1) {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let Some((kind, numbers, name)) = rules(&after[..end.unwrap_or(after.len())]) else {
                continue;
            };
            for number in numbers {
                let tests = carried.entry((kind, number)).or_default();
                tests.insert(format!("{place}{name}_…"));
            }
        }
    }
    carried
}

/// The rows of the document: the tests of each, or why it has none.
fn rows() -> BTreeMap<(Kind, u8), Result<BTreeSet<String>, String>> {
    let text = std::fs::read_to_string(root().join("docs/real_clients.md")).unwrap();
    let mut rows = BTreeMap::new();
    let mut kind = Kind::Client;
    for line in text.lines() {
        match line.strip_prefix("## ") {
            Some("Identity providers") => kind = Kind::Provider,
            Some(_) => kind = Kind::Client,
            None => {}
        }
        let cells: Vec<&str> = line.trim_matches(['|', ' ']).split(" | ").collect();
        let Ok(number) = cells[0].trim().parse::<u8>() else { continue };
        let [_, rule, tests] = cells.as_slice() else { panic!("{number}: not three cells") };
        assert!(!rule.trim().is_empty(), "{number}");
        let named: BTreeSet<_> = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let named = if named.is_empty() { Err(tests.trim().to_owned()) } else { Ok(named) };
        assert!(rows.insert((kind, number), named).is_none(), "{number} has two rows");
    }
    rows
}

#[test]
fn every_rule_of_real_clients_has_its_row_and_its_tests_or_says_why_it_has_none() {
    let (carried, rows) = (carried_by_tests(), rows());
    let wanted: Vec<_> =
        RULES.iter().flat_map(|(kind, last)| (1..=*last).map(|number| (*kind, number))).collect();
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), wanted, "a row for each, in order");
    let unlisted: Vec<_> = carried.keys().filter(|rule| !rows.contains_key(rule)).collect();
    assert!(unlisted.is_empty(), "they have no row: {unlisted:?}");
    let mut wrong = Vec::new();
    for (rule, row) in rows {
        match (row, carried.get(&rule)) {
            (Ok(row), Some(tests)) if row == *tests => {}
            (Err(why), None) if why.starts_with("none: ") => {}
            (row, tests) => {
                wrong.push(format!("{rule:?}: the row has {row:?}, the tests {tests:?}"))
            }
        }
    }
    assert!(wrong.is_empty(), "docs/real_clients.md and the tests differ:\n{}", wrong.join("\n"));
}

#[test]
fn the_rules_of_a_name_are_its_numbers() {
    let read = |name| rules(name).map(|(kind, numbers, _)| (kind, numbers));
    assert_eq!(read("rule_07_08_metadata"), Some((Kind::Client, vec![7, 8])));
    assert_eq!(read("o08_idp_rule_12_a_sign_in"), Some((Kind::Provider, vec![12])));
    assert_eq!(read("r07_rule_16_the_port"), Some((Kind::Client, vec![16])));
    assert_eq!(read("rule_12_d04_a_registration"), Some((Kind::Client, vec![12])));
    for none in ["rules", "rule_of", "rule_4_the_resource", "rule_120_x"] {
        assert_eq!(read(none), None, "{none}");
    }
}
