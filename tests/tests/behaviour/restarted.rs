//! Signing in while the server is killed and started again, with records in a file.

use std::path::Path;

use portcullis::guard::keys::new_key;
use portcullis_tests::restarted::{Restarted, signs_in};

use crate::TESTBED;

/// The bytes of all files in a folder.
fn resting(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        bytes.extend(if path.is_dir() { resting(&path) } else { std::fs::read(path).unwrap() });
    }
    bytes
}

#[test]
fn e23_a_sign_in_outlives_the_server_at_each_step_and_its_file_says_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let key = new_key().unwrap();
    let arguments = ["--auth", "login", "--store", "file", "--state-dir", state.to_str().unwrap()];
    let mut restarted = Restarted::start(TESTBED, &arguments, key.expose());
    let left = signs_in(&mut restarted);
    drop(restarted);

    left.is_not_in(&resting(&state.join("store")), key.expose());
}
