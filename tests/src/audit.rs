//! The audit files of the servers that tests start.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// The audit file of one server.
pub struct AuditFile {
    path: PathBuf,
    flags: Vec<String>,
}

impl AuditFile {
    /// That of `program`: the one that `arguments` name, or else one of its own beside the
    /// program, in `target/audit`.
    #[must_use]
    pub fn of(program: &str, arguments: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if let Some(at) = arguments.iter().position(|argument| *argument == "--audit-file") {
            return Self { path: arguments[at + 1].into(), flags: Vec::new() };
        }
        let folder = Path::new(program).ancestors().nth(2).unwrap().join("audit");
        std::fs::create_dir_all(&folder).unwrap();
        let test = std::env::current_exe().unwrap();
        let test = test.file_stem().unwrap().to_str().unwrap();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{test}-{}-{number}.jsonl", std::process::id()));
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
