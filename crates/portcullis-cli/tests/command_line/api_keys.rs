//! `portcullis keys api`.

use std::os::unix::fs::symlink;
use std::process::Stdio;

use portcullis::auth::{ApiKeys, TokenVerifier, VerifyError};

use super::{by_the_modes, chmod, command, mode, names, on_a_full_disk, place, portcullis};

const NEW: [&str; 5] = ["keys", "api", "new", "--name", "reports"];

/// A key of `reports`.
fn new(file: &str) -> String {
    portcullis(&[&NEW[..], &["--scope", "read", "--file", file]].concat()).done()
}

/// The lines of `list`, each as its words.
fn list(file: &str) -> Vec<Vec<String>> {
    let listed = portcullis(&["keys", "api", "list", "--file", file]).done();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<_> = listed.lines().map(words).collect();
    assert_eq!(lines[0], ["ID", "STATE", "ENDS", "NAME", "CLIENT", "SCOPES"]);
    lines[1..].to_vec()
}

/// The subject and the scopes of a key, where the file lists it.
fn verified(file: &str, key: &str) -> Result<(String, String), VerifyError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let keys = ApiKeys::file(file).build().unwrap();
    let principal = runtime.block_on(keys.verify(&key.trim_end().into()))?;
    Ok((principal.subject().to_owned(), principal.scopes().to_string()))
}

#[test]
fn g01_a_key_is_shown_once_and_the_file_holds_its_digest() {
    let (folder, path, text) = place("api-keys");
    let flags = ["--scope", "read", "--scope", "write", "--client-id", "ci", "--expires", "2h"];
    let ran = portcullis(&[&NEW[..], &flags, &["--file", &text]].concat());
    let (said, key) = (ran.stderr.clone(), ran.done());
    assert_eq!(key.lines().count(), 1);
    assert_eq!(verified(&text, &key).unwrap(), ("reports".into(), "read write".into()));
    let file = std::fs::read_to_string(&path).unwrap();
    for shown in [&said, &file] {
        assert!(!shown.contains(&key.trim_end()[3..20]), "{shown}");
    }
    assert_eq!((mode(&path), names(&folder)), (0o644, vec!["api-keys".to_owned()]));

    let listed = list(&text);
    let [id, state, _, name, client, scopes @ ..] = &listed[0][..] else { panic!("{listed:?}") };
    assert_eq!(state, "valid");
    assert_eq!([name, client], ["reports", "ci"]);
    assert_eq!(scopes, ["read", "write"]);
    assert!(said.contains(id), "{said}");
}

#[test]
fn g01_a_revoked_key_is_refused_and_a_rotated_one_has_its_overlap() {
    let (_folder, path, text) = place("api-keys");
    let first = new(&text);
    let comment = "# handed out by the platform team\n";
    std::fs::write(&path, comment.to_owned() + &std::fs::read_to_string(&path).unwrap()).unwrap();
    let id = list(&text)[0][0].clone();
    let rotate = ["keys", "api", "rotate", &id, "--overlap", "1h", "--file", &text];
    let second = portcullis(&rotate).done();
    for key in [&first, &second] {
        assert_eq!(verified(&text, key).unwrap(), ("reports".into(), "read".into()));
    }
    portcullis(&["keys", "api", "revoke", &id, "--file", &text]).done();
    assert!(verified(&text, &first).is_err());
    assert!(verified(&text, &second).is_ok());
    let states: Vec<_> = list(&text).into_iter().map(|words| words[1].clone()).collect();
    assert_eq!(states, ["revoked", "valid"]);
    assert!(std::fs::read_to_string(&path).unwrap().starts_with(comment));
    let ended = portcullis(&["keys", "api", "rotate", &id, "--file", &text]).refused();
    assert!(ended.contains("make a new one"), "{ended}");
}

#[test]
fn a_key_that_has_ended_says_so() {
    let (_folder, _, text) = place("api-keys");
    portcullis(&[&NEW[..], &["--expires", "1s", "--file", &text]].concat()).done();
    let patience = std::time::Instant::now();
    while list(&text)[0][1] == "valid" {
        assert!(patience.elapsed().as_secs() < 20, "it does not end");
    }
    assert_eq!(list(&text)[0][1], "ended");
}

#[test]
fn no_key_of_many_at_once_is_lost() {
    let (folder, _, text) = place("api-keys");
    let children: Vec<_> = (0..12)
        .map(|_| {
            let mut command = command(&[&NEW[..], &["--file", &text]].concat());
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        })
        .collect();
    for child in children {
        assert!(child.unwrap().wait().unwrap().success());
    }
    assert_eq!((list(&text).len(), names(&folder)), (12, vec!["api-keys".to_owned()]));
}

#[test]
fn a_key_that_could_not_be_printed_is_revoked() {
    let (_folder, _, text) = place("api-keys");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let arguments = [&NEW[..], &["--file", &text]].concat();
    let output = command(&arguments).stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("could not be printed") && said.contains("is revoked"), "{said}");
    assert_eq!(list(&text)[0][1], "revoked");
}

#[test]
fn what_cannot_be_written_leaves_the_file_as_it_was() {
    let (folder, path, text) = place("api-keys");
    let arguments = [&NEW[..], &["--file", &text]].concat();
    on_a_full_disk(0, &arguments).refused();
    assert_eq!(names(&folder), [""; 0]);
    new(&text);
    let before = std::fs::read(&path).unwrap();
    on_a_full_disk(0, &arguments).refused();
    chmod(folder.path(), 0o555);
    by_the_modes(&arguments).refused();
    chmod(folder.path(), 0o755);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(names(&folder), ["api-keys"]);
    by_the_modes(&arguments).done();
}

#[test]
fn e23_a_foreign_a_linked_or_an_exposed_file_is_refused_and_left_alone() {
    let (folder, path, text) = place("api-keys");
    let id = "0123456789abcdef";
    let commands = [&NEW[2..], &["list"], &["rotate", id], &["revoke", id]];
    let refused = |file: &str, reason: &str, commands: &[&[&str]]| {
        for words in commands {
            let error = portcullis(&[&["keys", "api"], *words, &["--file", file]].concat());
            let error = error.refused();
            assert!(error.contains(reason), "{words:?}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    };
    refused(&text, "No such file", &commands[1..]);
    for foreign in ["password = hunter2\n", "{\"password\":\"hunter2\"}"] {
        std::fs::write(&path, foreign).unwrap();
        refused(&text, "line 1", &commands);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
    }
    std::fs::remove_file(&path).unwrap();
    new(&text);
    let before = std::fs::read(&path).unwrap();
    chmod(&path, 0o666);
    refused(&text, "chmod 644", &commands);
    chmod(&path, 0o644);
    refused(&text, "no API key has the id", &commands[2..]);
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    refused(link.to_str().unwrap(), "is a link", &[commands[0], commands[2], commands[3]]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_no_key_is_not_made() {
    let (folder, _, text) = place("api-keys");
    for (flags, reason) in [
        (["--scope", "read write"], "not a valid scope"),
        (["--prefix", "ey_"], "the prefix of API keys"),
        (["--expires", "0s"], "at least a second"),
        (["--expires", "3651d"], "3650d at most"),
        (["--expires", "99999d"], "3650d at most"),
        (["--client-id", "a\nb"], "in one line"),
    ] {
        let refused = portcullis(&[&NEW[..], &flags, &["--file", &text]].concat()).refused();
        assert!(refused.contains(reason), "{flags:?}: {refused}");
    }
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn a_key_in_the_place_of_an_id_is_not_repeated() {
    let (_folder, _, text) = place("api-keys");
    let key = new(&text);
    for command in ["revoke", "rotate"] {
        let refused = portcullis(&["keys", "api", command, key.trim_end(), "--file", &text]);
        let refused = refused.refused();
        assert!(refused.contains("16 hexadecimal digits"), "{refused}");
        assert!(!refused.contains(&key[3..20]), "{refused}");
    }
}
