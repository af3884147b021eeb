//! docs/threats.md, kept together with the tests that carry its ids.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use portcullis_tests::driver::root;

/// The groups of the catalogue. Names of other functions begin with `u16_` or `f64_`.
const GROUPS: &str = "acdeghjklmnopqrs";

/// For each id the tests that carry it, as a table names them: where, and the ids that the name
/// begins with.
type Carried = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn is_id(word: &str) -> bool {
    let (letter, number) = word.split_at_checked(1).unwrap_or_default();
    !letter.is_empty()
        && GROUPS.contains(letter)
        && number.len() == 2
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The ids that the name of a function begins with.
fn ids(name: &str) -> Vec<&str> {
    name.split('_').take_while(|word| is_id(word)).collect()
}

/// Where SECURITY.md and the tables say that a file is.
pub(crate) fn place(file: &Path) -> String {
    let file = file.with_extension("");
    let parts: Vec<&str> = file.iter().map(|part| part.to_str().unwrap()).collect();
    match parts.as_slice() {
        ["tests", "tests", "behaviour", modules @ ..] => format!("{}::", modules.join("::")),
        ["tests", "tests", name, ..] | ["crates", name, ..] | [name, ..] => format!("{name}: "),
        [] => unreachable!("a file has a name"),
    }
}

fn carried_by_tests() -> Carried {
    let mut files = Vec::new();
    for folder in ["benches", "crates", "demo", "examples", "fuzz", "tests/src", "tests/tests"] {
        sources(&root().join(folder), &mut files);
    }
    let mut carried = Carried::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let place = place(file.strip_prefix(root()).unwrap());
        for after in text.split("fn ").skip(1) {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let ids = ids(&after[..end.unwrap_or(after.len())]);
            for id in &ids {
                let test = format!("{place}{}_…", ids.join("_"));
                carried.entry(id.to_uppercase()).or_default().insert(test);
            }
        }
    }
    carried
}

/// The rows of the document: under the heading of a letter, that letter's ids in their order.
fn rows() -> Carried {
    let text = std::fs::read_to_string(root().join("docs/threats.md")).unwrap();
    let mut rows = Carried::new();
    let (mut group, mut last) = ("", String::new());
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            group = heading.split_once(": ").map_or("", |(letter, _)| letter);
            last.clear();
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        let id = cells[0].trim_start_matches("| ");
        if !line.starts_with("| ") || !is_id(&id.to_lowercase()) {
            continue;
        }
        let [_, attack, control, source, tests] = cells.as_slice() else {
            panic!("{id} has {} cells, and not five", cells.len());
        };
        assert!([attack, control, source].iter().all(|cell| !cell.trim().is_empty()), "{id}");
        assert!(id.starts_with(group) && *last < *id, "{id} is not in its place");
        id.clone_into(&mut last);
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(rows.insert(id.to_owned(), tests).is_none(), "{id} has two rows");
    }
    rows
}

#[test]
fn every_threat_with_a_test_has_a_row_and_every_row_its_tests() {
    let (carried, rows) = (carried_by_tests(), rows());
    assert!(carried.len() > 50, "no tests were found");
    let mut wrong = Vec::new();
    for id in carried.keys().chain(rows.keys()).collect::<BTreeSet<_>>() {
        match (carried.get(id), rows.get(id)) {
            (Some(tests), None) => {
                wrong.push(format!("{id} has no row, and is tested by {tests:?}"))
            }
            (None, _) => wrong.push(format!("{id} has a row, and no test carries it")),
            (Some(tests), Some(row)) if tests != row => wrong.push(format!(
                "{id}: not in its row {:?}, in its row alone {:?}",
                tests.difference(row).collect::<Vec<_>>(),
                row.difference(tests).collect::<Vec<_>>()
            )),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "docs/threats.md and the tests differ:\n{}", wrong.join("\n"));
}
