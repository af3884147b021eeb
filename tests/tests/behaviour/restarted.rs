//! Signing in, and sessions, while the server is stopped or killed and started again, with records in a
//! file.

use std::path::Path;

use portcullis::guard::keys::new_key;
use portcullis_tests::driver::{Session, Testbed, free_address, kill, request, terminate};
use portcullis_tests::idp::Idp;
use portcullis_tests::restarted::{Restarted, signs_in};
use serde_json::json;

use crate::{ALICE, BOB, TESTBED};

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

/// What Alice sees of herself and of what she has unlocked, without a new `initialize`.
fn goes_on(session: &Session<'_>, unlocked: bool) {
    let who = session.ask("tools/call", json!({"name": "whoami"})).to_string();
    assert!(who.contains("alice"), "{who}");
    let shown = session.ask("tools/list", json!({})).to_string().contains("wipe_database");
    assert_eq!(shown, unlocked);
}

#[test]
fn a_session_goes_on_after_a_restart_and_after_a_loss_of_power_without_initialize() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let flags = ["--store", "file", "--state-dir", state.to_str().unwrap()];
    let (address, key) = (free_address(), new_key().unwrap());
    let start = || {
        Testbed::start_at(TESTBED, address, &flags, &[("PORTCULLIS_KEYS", key.expose().as_str())])
    };
    let mut running = start();
    let (id, ended) = (running.begin(ALICE, "2025-06-18"), running.begin(ALICE, "2025-06-18"));
    goes_on(&running.session(ALICE, &id), false);
    running.session(ALICE, &id).ask("tools/call", json!({"name": "unlock_admin"}));
    assert_eq!(running.session(ALICE, &ended).send("DELETE /mcp", &[], "").status, 204);
    for (stop, code) in [(terminate as fn(u32), Some(0)), (kill, None)] {
        stop(running.id());
        assert_eq!(running.exit_code(), code);
        running = start();
        goes_on(&running.session(ALICE, &id), true);
        let fresh = running.begin(ALICE, "2025-06-18");
        goes_on(&running.session(ALICE, &fresh), false);
    }
    let ping = request(1, "ping", json!({}));
    for (version, status) in [("2025-06-18", 200), ("2025-11-25", 200)] {
        let header = format!("MCP-Protocol-Version: {version}");
        let answer = running.session(ALICE, &id).post(&[&header], &ping);
        assert_eq!(answer.status, status, "{version}");
    }
    for (token, id) in [(BOB, &id), (ALICE, &ended)] {
        assert_eq!(running.session(token, id).post(&[], &ping).status, 404);
    }
}
