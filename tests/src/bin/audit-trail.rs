//! Looks at the audit files that a whole test run has left: `audit-trail FOLDER`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use portcullis_tests::audit::records;

/// What tests send and servers keep, and no record may hold. The reason why a check failed is
/// for the operator: what those that fail on purpose say is not among them.
const SECRETS: [&str; 11] = [
    // Tokens, whole or in a header.
    "dev-token-alice",
    "dev-token-bob",
    "Bearer ",
    // What only the server knows.
    "hunter2",
    "custom-route-secret",
    "internal.db.example.com",
    // Arguments, within URIs and beside them.
    "u-404",
    "what was said",
    "what nobody has",
    "hello.txt",
    "secret://keyz",
];

const VERDICTS: [&str; 6] = ["allowed", "challenged", "denied", "failed", "limited", "refused"];

/// Whether a JSON Web Token begins in a text: what they begin with may be within the sealed id of a
/// client by chance.
fn has_jwt(text: &str) -> bool {
    let is_digit = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    text.match_indices("eyJ").any(|(at, _)| !text[..at].ends_with(is_digit))
}

fn main() -> ExitCode {
    let folder = std::env::args().nth(1).expect("usage: audit-trail FOLDER");
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    let (mut files, mut found) = (0, Vec::new());
    for entry in std::fs::read_dir(Path::new(&folder)).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        for record in records(&path) {
            let verdict = record["verdict"].as_str().unwrap_or("none").to_owned();
            *verdicts.entry(verdict).or_default() += 1;
            let text = record.to_string();
            let in_it = SECRETS.iter().filter(|secret| text.contains(**secret));
            if has_jwt(&text) {
                found.push(format!("a JSON Web Token in {path:?}: {text}"));
            }
            found.extend(in_it.map(|secret| format!("{secret:?} in {path:?}: {text}")));
        }
        files += 1;
    }
    println!("{files} files; records by verdict: {verdicts:?}");
    found.extend(
        VERDICTS
            .iter()
            .filter(|verdict| !verdicts.contains_key(**verdict))
            .map(|verdict| format!("no record has the verdict {verdict}")),
    );
    found.iter().for_each(|found| println!("{found}"));
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
