use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::kept::{KeptFolder, kept_in};
use super::search::{MIN_BYTES, Search};

/// Longer values are noted by their two ends, so that one that was cut short is found too.
const WHOLE: usize = 96;
const END: usize = 48;
/// What repeats fewer letters is no secret, but the length of one.
const MIN_LETTERS: usize = 5;

/// Whose secret it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The server's own, from its variables, flags and files: no response holds one.
    Server,
    /// A client's, such as a token: it is in no log, and in the response that hands it out.
    Client,
}

/// The notes of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// What is looked for, each once.
    pub secrets: Vec<String>,
    /// The values that are too short to be looked for.
    pub short: Vec<String>,
}

#[derive(Default)]
struct Notes {
    seen: HashSet<String>,
    file: Option<File>,
    of_servers: Vec<String>,
    search: Option<Arc<Search>>,
}

static NOTES: LazyLock<Mutex<Notes>> = LazyLock::new(Mutex::default);

/// Notes a secret, for the search at the end of the run.
pub fn note(owner: Owner, value: &str) {
    let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    for part in parts(value) {
        if !notes.seen.insert(part.to_owned()) {
            continue;
        }
        let file = notes.file.get_or_insert_with(|| {
            let path = kept_in(KeptFolder::Secrets, "jsonl");
            OpenOptions::new().append(true).create(true).open(path).unwrap()
        });
        // In one piece: the process may be stopped.
        let line = format!("{}\n", serde_json::Value::from(part));
        file.write_all(line.as_bytes()).unwrap();
        if owner == Owner::Server && is_looked_for(part) {
            notes.of_servers.push(part.to_owned());
            notes.search = None;
        }
    }
}

/// Looks for the servers' own secrets in what one of them answered.
///
/// # Panics
///
/// When one is there.
pub fn check_answer(answer: &[u8]) {
    let search = {
        let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.of_servers.is_empty() {
            return;
        }
        let Notes { of_servers, search, .. } = &mut *notes;
        Arc::clone(search.get_or_insert_with(|| Arc::new(Search::new(of_servers.iter()))))
    };
    search.look(answer, |found| {
        panic!("an answer holds a secret of the server: {}", found.excerpt);
    });
}

/// The notes in a file.
#[must_use]
pub fn read_notes(path: &Path) -> Noted {
    let mut noted = Noted::default();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let secret: String = serde_json::from_str(line).unwrap();
        match is_looked_for(&secret) {
            true => noted.secrets.push(secret),
            false if secret.len() < MIN_BYTES => noted.short.push(secret),
            false => {}
        }
    }
    noted
}

pub(super) fn is_looked_for(part: &str) -> bool {
    part.len() >= MIN_BYTES && part.bytes().collect::<HashSet<_>>().len() >= MIN_LETTERS
}

/// What is looked for of a value: of a signed token its signature, since its claims are no secret.
fn parts(value: &str) -> Vec<&str> {
    let value = value.trim();
    if value.starts_with("eyJ") {
        let mut sections = value.split('.').skip(1);
        let (payload, signature) = (sections.next(), sections.next());
        let signed = signature.filter(|signature| signature.len() >= MIN_BYTES);
        return ends(signed.or(payload).unwrap_or(value));
    }
    ends(value)
}

fn ends(value: &str) -> Vec<&str> {
    if value.len() <= WHOLE {
        return vec![value];
    }
    let (first, last) =
        (value.floor_char_boundary(END), value.ceil_char_boundary(value.len() - END));
    vec![&value[..first], &value[last..]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_signature_and_what_is_long_its_two_ends() {
        assert_eq!(parts(" secret-of-a-server\n"), ["secret-of-a-server"]);
        assert_eq!(parts("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"), ["c2lnbmF0dXJl"]);
        assert_eq!(parts("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."), ["eyJzdWIiOiJhbGljZSJ9"]);
        let long: String = ('a'..='z').cycle().take(200).collect();
        assert_eq!(parts(&long), [&long[..48], &long[152..]]);
        assert!(is_looked_for("secret-of-a-server"));
        assert!(!is_looked_for("hunter2") && !is_looked_for(&"ab".repeat(20)));
    }

    #[test]
    #[should_panic(expected = "an answer holds a secret of the server")]
    fn an_answer_that_holds_a_secret_of_its_server_is_noticed() {
        note(Owner::Server, "marked-secret-of-a-server");
        check_answer(b"HTTP/1.1 200 OK\r\n\r\nit is bWFya2VkLXNlY3JldC1vZi1hLXNlcnZlcg==");
    }
}
