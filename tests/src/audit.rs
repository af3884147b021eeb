//! The audit files of the servers that tests start.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::marked::{KeptFolder, kept_in};

/// The audit file of one server.
pub struct AuditFile {
    path: PathBuf,
    flags: Vec<String>,
}

impl AuditFile {
    /// The one that the `arguments` of a program name, or else a new one in `target/audit`.
    #[must_use]
    pub fn of(arguments: &[&str]) -> Self {
        if let Some(at) = arguments.iter().position(|argument| *argument == "--audit-file") {
            return Self { path: arguments[at + 1].into(), flags: Vec::new() };
        }
        let path = kept_in(KeptFolder::Audit, "jsonl");
        let flags = vec!["--audit-file".to_owned(), path.to_str().unwrap().to_owned()];
        Self { path, flags }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the program is to be given.
    #[must_use]
    pub fn flags(&self) -> &[String] {
        &self.flags
    }

    /// Keeps a file that a test named where the files of a run are looked at, once its server has ended.
    pub(crate) fn keep(&self) {
        if self.flags.is_empty() && self.path.is_file() {
            let kept = kept_in(KeptFolder::Audit, "jsonl");
            std::fs::copy(&self.path, kept).unwrap();
        }
    }

    /// Looks for each refusal that a server which has ended wrote to its log.
    pub(crate) fn has_each_refusal_of(&self, log: &str) {
        let refusals = log.lines().filter(|line| line.contains(" portcullis::audit: "));
        let refusals = refusals.filter(|line| !line.contains(r#" verdict="allowed" "#));
        let ids: Vec<&str> = refusals.map(|line| field(line, "id")).collect();
        if ids.is_empty() {
            return;
        }
        let recorded: BTreeSet<String> = records(&self.path)
            .iter()
            .map(|record| record["id"].as_str().unwrap().to_owned())
            .collect();
        for id in ids {
            assert!(recorded.contains(id), "{id} is in the log, and not in {:?}", self.path);
        }
    }
}

/// The records in a file.
#[must_use]
pub fn records(path: &Path) -> Vec<Value> {
    let lines = std::fs::read_to_string(path).unwrap();
    assert!(lines.is_empty() || lines.ends_with('\n'), "{path:?} ends within a line");
    let records = lines.lines().map(|line| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{path:?}: {error}: {line}"))
    });
    records.collect()
}

fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let value = line.split(&format!(" {name}=")).nth(1);
    value.and_then(|rest| rest.split(' ').next()).unwrap_or_else(|| panic!("no {name}: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "2026-07-28T00:00:00Z  INFO portcullis::audit: id=00a1 transport=\"http\" \
                       operation=\"tools/call\" verdict=\"denied\" duration_us=5";

    #[test]
    #[should_panic(expected = "00a1 is in the log")]
    fn a_refusal_that_is_not_in_the_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        std::fs::write(&path, "{\"id\":\"00a2\"}\n").unwrap();
        AuditFile { path, flags: Vec::new() }.has_each_refusal_of(LOG);
    }
}
