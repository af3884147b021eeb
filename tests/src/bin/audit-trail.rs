//! Looks at what the servers of a whole test run have left: `audit-trail TARGET`.
//!
//! No audit record and no line of a log holds a secret of the run, in whichever spelling, and every
//! kind of verdict is in the audit files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};

use portcullis::testing::IdentityProvider;
use portcullis_tests::audit::records;
use portcullis_tests::marked::{KeptFolder, Search, read_notes, shapes};

/// What tests send and servers keep, and no record may hold. The reason why a check failed is
/// for the operator: what those that fail on purpose say is not among them.
const OF_RECORDS: [&str; 11] = [
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

/// Secrets that are in the code of the tests, or begin so.
const FIXED: [&str; 5] = [
    "dev-token-alice",
    "dev-token-bob",
    "dev-password-alice",
    "custom-route-secret",
    IdentityProvider::SECRET_PREFIX,
];

/// What tests send in the place of a secret, too short to be looked for: wrong guesses, names, and the
/// tokens of verifiers that know few words. One that is not here has to be longer.
const WORDS: [&str; 24] = [
    "",
    "1",
    "600",
    "AAAA",
    "Bearer",
    "alice",
    "another",
    "any",
    "bob",
    "eDp5",
    "expired",
    "guess",
    "hunter2",
    "kept",
    "new",
    "old",
    "opaque:bob",
    "pcac_x",
    "pcr_x",
    "true",
    "unknown",
    "wrong",
    "x",
    "y",
];

/// How the lines begin by which the demo tells its user a token or a password for development.
const TOLD: [&str; 2] = ["curl -s http", "Sign in as alice (dev-password-alice)"];

const VERDICTS: [&str; 6] = ["allowed", "challenged", "denied", "failed", "limited", "refused"];

/// How many places are shown of those in which something was found.
const SHOWN: usize = 50;

fn main() -> ExitCode {
    let target = PathBuf::from(std::env::args().nth(1).expect("usage: audit-trail TARGET"));
    let mut wrong = of_records(&target);
    wrong.extend(secrets(&target));
    wrong.iter().take(SHOWN).for_each(|wrong| println!("{wrong}"));
    if let Some(more) = wrong.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        println!("and {more} more");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is wrong with the audit records.
fn of_records(target: &Path) -> Vec<String> {
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    let (files, mut wrong) = (files(target, KeptFolder::Audit), Vec::new());
    for path in &files {
        for record in records(path) {
            let verdict = record["verdict"].as_str().unwrap_or("none").to_owned();
            *verdicts.entry(verdict).or_default() += 1;
            let text = record.to_string();
            let secrets = OF_RECORDS.iter().filter(|secret| text.contains(**secret));
            wrong.extend(secrets.map(|secret| format!("{secret:?} in {path:?}: {text}")));
        }
    }
    println!("{} audit files; records by verdict: {verdicts:?}", files.len());
    let missing = VERDICTS.iter().filter(|verdict| !verdicts.contains_key(**verdict));
    wrong.extend(missing.map(|verdict| format!("no record has the verdict {verdict}")));
    wrong
}

/// Where the secrets of the run are in its logs and audit files.
fn secrets(target: &Path) -> Vec<String> {
    let mut all: Vec<String> = FIXED.iter().map(ToString::to_string).collect();
    let mut short = BTreeSet::new();
    for path in files(target, KeptFolder::Secrets) {
        let noted = read_notes(&path);
        all.extend(noted.secrets);
        short.extend(noted.short);
    }
    all.sort();
    all.dedup();
    let logs = files(target, KeptFolder::Logs);
    let looked_at: Vec<PathBuf> =
        logs.iter().cloned().chain(files(target, KeptFolder::Audit)).collect();
    let search = Search::new(all.iter());
    let mut wrong = blind(&search, &all);
    let (next, bytes, told) = (AtomicUsize::new(0), Mutex::new(0), AtomicUsize::new(0));
    let (say, said) = mpsc::channel();
    std::thread::scope(|scope| {
        for say in std::iter::repeat_n(say, threads()) {
            scope.spawn(|| {
                let say = say;
                while let Some(path) = looked_at.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let read = search.look_in(File::open(path).unwrap(), |found| {
                        match TOLD.iter().any(|line| found.line.starts_with(line.as_bytes())) {
                            true => drop(told.fetch_add(1, Ordering::Relaxed)),
                            false => say.send(format!("{path:?}: {}", found.excerpt)).unwrap(),
                        }
                    });
                    *bytes.lock().unwrap() += read.unwrap();
                    of_shape(path).into_iter().for_each(|found| say.send(found).unwrap());
                }
            });
        }
    });
    wrong.extend(said);
    println!(
        "{} logs, {} MB with the audit files; {} secrets looked for; found {}, and {} in lines that \
         tell them; {} words of tests in the place of one",
        logs.len(),
        *bytes.lock().unwrap() / 1_000_000,
        all.len(),
        wrong.len(),
        told.into_inner(),
        short.len(),
    );
    // What is too short to be looked for may not be a secret.
    let unknown = short.iter().filter(|value| !WORDS.contains(&value.as_str()));
    wrong.extend(unknown.map(|value| format!("{value:?} is too short to be looked for")));
    if logs.is_empty() || all.len() == FIXED.len() {
        wrong.push("the run left no log, or noted no secret".to_owned());
    }
    wrong
}

/// What in a file has the shape of a token or a key: those that servers gave to real clients, which
/// nobody noted, above all.
fn of_shape(path: &Path) -> Vec<String> {
    let lines = BufReader::new(File::open(path).unwrap()).split(b'\n');
    let found = lines.flat_map(|line| {
        let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
        shapes(&line).map(|what| format!("{what} in {path:?}: {line}")).collect::<Vec<_>>()
    });
    found.collect()
}

/// Which of the secrets would not be found where they are.
fn blind(search: &Search, secrets: &[String]) -> Vec<String> {
    let unseen = secrets.iter().enumerate().filter(|(number, secret)| {
        let mut seen = false;
        let line = serde_json::json!({ "reason": secret }).to_string();
        search.look(line.as_bytes(), |found| seen |= found.secret == *number);
        !seen
    });
    unseen.map(|(_, secret)| format!("{secret:?} would not be found in a log")).collect()
}

fn files(target: &Path, folder: KeptFolder) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(target.join(folder.name())) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
