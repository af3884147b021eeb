//! `portcullis keys`.

use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::Duration;

use super::{Ran, by_the_modes, chmod, command, mode, names, on_a_full_disk, place, portcullis};

/// The ids and states that `list` shows.
fn list(path: &str) -> Vec<(String, String)> {
    let listed = portcullis(&["keys", "list", "--file", path]).done();
    assert!(!listed.contains("pck1_"), "{listed}");
    let words = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        (words.next().unwrap(), words.next().unwrap())
    };
    assert!(listed.starts_with("ID "), "{listed}");
    listed.lines().skip(1).map(words).collect()
}

fn states(path: &str) -> Vec<String> {
    list(path).into_iter().map(|(_, state)| state).collect()
}

#[test]
fn a_key_without_a_file_is_one_line_for_the_variable() {
    let ran = portcullis(&["keys", "new"]);
    assert!(ran.stderr.contains("PORTCULLIS_KEYS"), "{ran:?}");
    let line = ran.done();
    assert_eq!(line.lines().count(), 1);
    assert_ne!(line, portcullis(&["keys", "new"]).done());
    let keys = portcullis::guard::keys::KeyRing::from_text(line.trim_end()).unwrap();
    assert_eq!(keys.states().len(), 1);
}

#[test]
fn e23_a_new_file_is_its_owners_alone_and_is_never_overwritten() {
    let (folder, path, text) = place("keys");
    let made = portcullis(&["keys", "new", "--file", &text]);
    assert!(made.stderr.contains(&format!("PORTCULLIS_KEY_FILE={text}")), "{made:?}");
    assert!(!made.stderr.contains("pck1_"), "{made:?}");
    assert_eq!((made.done().as_str(), mode(&path)), ("", 0o600));
    let before = std::fs::read(&path).unwrap();
    let again = portcullis(&["keys", "new", "--file", &text]).refused();
    assert!(again.contains("portcullis keys rotate"), "{again}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(names(&folder), ["keys"]);

    let dangling = folder.path().join("link");
    symlink(folder.path().join("elsewhere"), &dangling).unwrap();
    for words in ["new", "list", "rotate"] {
        let refused = portcullis(&["keys", words, "--file", dangling.to_str().unwrap()]).refused();
        assert!(refused.contains("a link to a file that is not there"), "{refused}");
    }
    assert_eq!(names(&folder), ["keys", "link"], "nothing is made through a link");
}

#[test]
fn a_rotated_file_lists_the_newest_first_and_a_revoked_key_loses_its_bytes() {
    let (_folder, path, text) = place("keys");
    portcullis(&["keys", "new", "--file", &text]).done();
    let first = list(&text)[0].0.clone();
    portcullis(&["keys", "rotate", "--file", &text]).done();
    assert_eq!(states(&text), ["valid", "retained"]);
    let second = list(&text)[0].0.clone();
    assert_ne!(first, second);

    let sealing = portcullis(&["keys", "revoke", &second, "--file", &text]).refused();
    assert!(sealing.contains("portcullis keys rotate"), "{sealing}");
    let unknown = portcullis(&["keys", "revoke", "0123456789abcdef", "--file", &text]).refused();
    assert!(unknown.contains("portcullis keys list"), "{unknown}");
    portcullis(&["keys", "revoke", &first, "--file", &text]).done();
    assert_eq!(states(&text), ["valid", "revoked"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap().matches("pck1_").count(), 1);

    portcullis(&["keys", "stage", "--file", &text]).done();
    assert_eq!(states(&text), ["staged", "valid", "revoked"]);
    let staged = list(&text)[0].0.clone();
    portcullis(&["keys", "rotate", "--file", &text]).done();
    assert_eq!(list(&text)[0], (staged, "valid".to_owned()));
}

#[test]
fn a_file_is_named_by_the_flag_or_by_the_variable() {
    let (_folder, _, text) = place("keys");
    portcullis(&["keys", "new", "--file", &text]).done();
    let named = command(&["keys", "rotate"]).env("PORTCULLIS_KEY_FILE", &text).output().unwrap();
    assert!(named.status.success());
    assert_eq!(states(&text), ["valid", "retained"]);
    let both = ["keys", "rotate", "--file", &text];
    let both = command(&both).env("PORTCULLIS_KEY_FILE", "/nowhere/keys").output().unwrap();
    assert!(both.status.success(), "the flag wins");
    let neither = portcullis(&["keys", "list"]).refused();
    assert!(neither.contains("--file PATH, or set PORTCULLIS_KEY_FILE"), "{neither}");
    let key = portcullis(&["keys", "new"]).done();
    for words in [&["list"][..], &["rotate"], &["stage"], &["revoke", "0123456789abcdef"]] {
        let mut command = command(&[&["keys"], words].concat());
        let ran = Ran::of(command.env("PORTCULLIS_KEYS", key.trim_end()).output().unwrap());
        let refused = ran.refused();
        assert!(refused.contains("works on a file of keys, not on PORTCULLIS_KEYS"), "{refused}");
        assert!(!refused.contains("pck1_"), "{refused}");
    }
}

#[test]
fn no_rotation_of_many_at_once_is_lost() {
    let (folder, _, text) = place("keys");
    portcullis(&["keys", "new", "--file", &text]).done();
    let children: Vec<_> = (0..12)
        .map(|_| command(&["keys", "rotate", "--file", &text]).stderr(Stdio::null()).spawn())
        .collect();
    for child in children {
        assert!(child.unwrap().wait().unwrap().success());
    }
    assert_eq!(states(&text).len(), 13);
    assert_eq!(names(&folder), ["keys"]);
}

#[test]
fn a_rotation_that_is_killed_leaves_a_whole_file_and_keeps_nobody_waiting() {
    let (folder, _, text) = place("keys");
    portcullis(&["keys", "new", "--file", &text]).done();
    let ids = || list(&text).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let mut known = ids();
    for turn in 0..40 {
        let rotate = ["keys", "rotate", "--file", &text];
        let mut child = command(&rotate).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(turn * 100));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = ids();
        assert!(now.ends_with(&known), "{known:?} {now:?}");
        known = now;
    }
    portcullis(&["keys", "rotate", "--file", &text]).done();
    assert_eq!((ids().len(), names(&folder)), (known.len() + 1, vec!["keys".to_owned()]));
}

#[test]
fn what_cannot_be_written_leaves_the_file_as_it_was() {
    let (folder, path, text) = place("keys");
    let new = on_a_full_disk(0, &["keys", "new", "--file", &text]).refused();
    assert!(new.contains(&text), "{new}");
    assert_eq!(names(&folder), [""; 0]);
    portcullis(&["keys", "new", "--file", &text]).done();
    let before = std::fs::read(&path).unwrap();
    on_a_full_disk(0, &["keys", "rotate", "--file", &text]).refused();
    chmod(folder.path(), 0o555);
    by_the_modes(&["keys", "rotate", "--file", &text]).refused();
    let other = format!("{text}.other");
    by_the_modes(&["keys", "new", "--file", &other]).refused();
    chmod(folder.path(), 0o755);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(names(&folder), ["keys"]);
    by_the_modes(&["keys", "rotate", "--file", &text]).done();
}

#[test]
fn e23_a_foreign_a_linked_or_an_exposed_file_is_refused_and_left_alone() {
    let (folder, path, text) = place("keys");
    let commands = [&["list"][..], &["stage"], &["rotate"], &["revoke", "0123456789abcdef"]];
    let refused = |file: &str, reason: &str| {
        for words in commands {
            let error = portcullis(&[&["keys"], words, &["--file", file]].concat()).refused();
            assert!(error.contains(reason), "{words:?}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    };
    refused(&text, "No such file");
    for foreign in ["", "password = hunter2\n", "# nothing\n", "0123456789abcdef valid hunter2\n"] {
        std::fs::write(&path, foreign).unwrap();
        chmod(&path, 0o600);
        refused(&text, &text);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
    }
    std::fs::remove_file(&path).unwrap();
    portcullis(&["keys", "new", "--file", &text]).done();
    let before = std::fs::read(&path).unwrap();
    for exposed in [0o604, 0o602, 0o620, 0o644] {
        chmod(&path, exposed);
        refused(&text, "chmod 600");
        assert_eq!(mode(&path), exposed, "nothing is repaired");
    }
    chmod(&path, 0o600);

    let second = folder.path().join("second");
    std::fs::hard_link(&path, &second).unwrap();
    refused(&text, "2 names");
    std::fs::remove_file(second).unwrap();

    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    let linked = portcullis(&["keys", "rotate", "--file", link.to_str().unwrap()]).refused();
    assert!(linked.contains("is a link"), "{linked}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_key_in_the_place_of_an_id_is_not_repeated() {
    let (_folder, _, text) = place("keys");
    let key = portcullis(&["keys", "new"]).done();
    let secret = key.split_whitespace().last().unwrap();
    let refused = portcullis(&["keys", "revoke", secret, "--file", &text]).refused();
    assert!(refused.contains("16 hexadecimal digits") && !refused.contains(&secret[5..]));
}

#[test]
fn a_file_of_the_other_kind_is_called_what_it_is() {
    let (folder, _, keys) = place("keys");
    let api_keys = folder.path().join("api-keys");
    let api_keys = api_keys.to_str().unwrap();
    portcullis(&["keys", "new", "--file", &keys]).done();
    portcullis(&["keys", "api", "new", "--name", "reports", "--file", api_keys]).done();
    chmod(api_keys.as_ref(), 0o600);
    for words in ["list", "rotate"] {
        let refused = portcullis(&["keys", words, "--file", api_keys]).refused();
        assert!(refused.contains("these are API keys"), "{refused}");
    }
    let refused = portcullis(&["keys", "api", "list", "--file", &keys]).refused();
    assert!(
        refused.contains("these are keys that seal") && !refused.contains("pck1_"),
        "{refused}"
    );
}
