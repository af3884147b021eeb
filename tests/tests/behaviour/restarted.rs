//! Signing in while the server is killed and started again, with records in a file.

use std::path::Path;

use portcullis::guard::keys::new_key;
use portcullis_tests::idp::Idp;
use portcullis_tests::restarted::{Restarted, signs_in};

use crate::TESTBED;

/// The bytes of all files in a folder.
pub(crate) fn resting(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        bytes.extend(if path.is_dir() { resting(&path) } else { std::fs::read(path).unwrap() });
    }
    bytes
}

/// What a sign-in leaves in a file that is sealed with `key`, where users sign in as `auth` says.
fn left_in_a_file(auth: &[&str], secrets: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let key = new_key().unwrap();
    let store = ["--store", "file", "--state-dir", state.to_str().unwrap()];
    let arguments = [auth, &store].concat();
    let mut restarted = Restarted::start(TESTBED, &arguments, key.expose());
    let mut left = signs_in(&mut restarted);
    drop(restarted);
    left.secrets.extend(secrets.iter().map(|secret| (*secret).to_owned()));
    left.is_not_in(&resting(&state.join("store")), key.expose());
}

#[test]
fn e23_a_sign_in_outlives_the_server_at_each_step_and_its_file_says_nothing_of_it() {
    left_in_a_file(&["--auth", "login"], &[]);
}

#[test]
fn e23_so_does_one_at_an_identity_provider() {
    let idp = Idp::of_alice();
    let flags = idp.flags("proxy");
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    left_in_a_file(&flags, &[idp.provider.client_secret().expose()]);
}
