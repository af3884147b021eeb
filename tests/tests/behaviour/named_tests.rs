//! The tests that the tables of the documents name.

use std::collections::BTreeSet;

use portcullis_tests::driver::root;

use crate::threats::{place, sources};

/// All tests in `folders`: where each is, as tables write it, and its function.
pub(crate) fn tests(folders: &[&str]) -> BTreeSet<(String, String)> {
    let mut files = Vec::new();
    folders.iter().for_each(|folder| sources(&root().join(folder), &mut files));
    let mut found = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let place = place(file.strip_prefix(root()).unwrap());
        found.extend(tests_of(&text).into_iter().map(|name| (place.clone(), name)));
    }
    found
}

/// The cells of a row, or None for a line that is no row.
pub(crate) fn cells(line: &str) -> Option<Vec<&str>> {
    let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(cells.split(" | ").map(str::trim).collect())
}

/// What a cell names in backticks.
pub(crate) fn named(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
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

#[test]
fn cells_and_names_are_read_from_a_row() {
    assert_eq!(cells("| a | b c |  |"), Some(vec!["a", "b c", ""]));
    assert_eq!((cells("text"), cells("|---|")), (None, None));
    assert_eq!(named("`a`, and `b::c`").collect::<Vec<_>>(), ["a", "b::c"]);
}
