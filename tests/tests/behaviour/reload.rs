//! Files that change while the server serves: nothing fails, the new one counts, the old one no
//! longer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portcullis::danger::{self, StaticTokenVerifier};
use portcullis::guard::SystemClock;
use portcullis::guard::keys::{KeyFile, KeyRing};
use portcullis::prelude::*;
use portcullis::store::{MemoryStore, Sealed};
use portcullis_tests::audit::records;
use portcullis_tests::driver::{Testbed, hang_up};
use portcullis_tests::served::Served;
use serde_json::{Value, json};

use crate::{ALICE, TESTBED};

/// How soon the new value has to be in force.
const BOUND: Duration = Duration::from_secs(5);

/// Asks as fast as four clients can while `change` does its work; gives how often it was answered.
fn under_load(ask: impl Fn() + Sync, change: impl FnOnce()) -> usize {
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    ask();
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _over = Over(&over);
        change();
    });
    answered.into_inner()
}

/// Ends the load, also when the change panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < BOUND, "{what}: not within {BOUND:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn echo(server: &Testbed, token: Option<&str>) {
    let answer = server.call(token, "echo", json!({"text": "hello"}));
    assert_eq!(answer["content"][0]["text"], "hello", "{answer}");
}

#[test]
fn a_renamed_audit_file_is_opened_again_at_sighup_and_no_record_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let testbed = Testbed::start(TESTBED, &["--audit-file", path.to_str().unwrap()]);
    let old = |rotation: usize| folder.path().join(format!("audit.{rotation}.jsonl"));
    let asked = under_load(
        || echo(&testbed, ALICE),
        || {
            for rotation in 0..3 {
                wait_until("records", || path.metadata().is_ok_and(|file| file.len() > 10_000));
                std::fs::rename(&path, old(rotation)).unwrap();
                hang_up(testbed.id());
                wait_until("another file", || path.exists());
            }
        },
    );
    let echoes = |path: &Path| {
        let is_echo = |record: &&Value| record["component"] == "echo";
        records(path).iter().filter(is_echo).count()
    };
    let all = || echoes(&path) + (0..3).map(|rotation| echoes(&old(rotation))).sum::<usize>();
    wait_until("the last records", || all() >= asked);
    assert_eq!(all(), asked);
}

#[test]
fn sighup_ends_a_server_that_has_nothing_to_reload() {
    let testbed = Testbed::on_free_port(TESTBED);
    hang_up(testbed.id());
    assert_eq!(testbed.exit_code(), None, "ended by the signal");
}

#[test]
fn static_tokens_change_with_their_file_and_no_request_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let replace = |text: &str| {
        let other = folder.path().join("other");
        std::fs::write(&other, text).unwrap();
        std::fs::rename(&other, &path).unwrap();
    };
    replace(r#"{"kept": {"subject": "carol"}, "old": {"subject": "olga"}}"#);

    #[tool]
    async fn echo(text: String) -> String {
        text
    }
    let tokens = StaticTokenVerifier::from_file(&path).unwrap();
    let server = Server::builder("reload").auth(tokens).components(components![echo]);
    let served = Served::start(server.build().unwrap());
    let status = |token| served.rpc(Some(token), "tools/list", json!({})).status;
    let asked = under_load(
        || self::echo(&served, Some("kept")),
        || {
            assert_eq!((status("old"), status("new")), (200, 401));
            replace(r#"{"kept": {"subject": "carol"}, "new": {"subject": "nina"}}"#);
            wait_until("the new token", || status("new") == 200);
            assert_eq!(status("old"), 401);
            // Half a file keeps what was there.
            replace(r#"{"kept": {"subject": "carol"}, "new": {"subj"#);
            std::thread::sleep(Duration::from_secs(3));
            assert_eq!((status("new"), status("old")), (200, 401));
        },
    );
    assert!(asked > 100, "{asked}");
}

#[test]
fn keys_change_with_their_file_and_no_request_fails() {
    #[tool(tags("admin"))]
    async fn wipe() -> &'static str {
        "wiped"
    }
    #[tool]
    async fn unlock(context: Context) -> Result<&'static str, ToolError> {
        context.enable_components(tags(["admin"])).await?;
        Ok("unlocked")
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let file = KeyFile::new(&path);
    let old = file.create().unwrap();
    let keys = KeyRing::from_file(&path).unwrap();
    let tokens = StaticTokenVerifier::new()
        .token("alice", danger::user("alice"))
        .token("bob", danger::user("bob"));
    let store = Sealed::new(MemoryStore::new(Arc::new(SystemClock)), keys.clone());
    let server = Server::builder("reload")
        .auth(tokens)
        .store(store)
        .components(components![wipe, unlock])
        .disable(tags(["admin"]));
    let served = Served::start(server.build().unwrap());
    let call = |token, tool: &str| {
        let params = json!({"name": tool, "arguments": {}});
        served.rpc(Some(token), "tools/call", params).body
    };
    let both = |token| {
        for (tool, text) in [("unlock", "unlocked"), ("wipe", "wiped")] {
            let body = call(token, tool);
            assert!(body.contains(text), "{token}, {tool}: {body}");
        }
    };
    both("alice");
    let asked = under_load(
        || both("bob"),
        || {
            let new = file.rotate().unwrap();
            wait_until("the new key", || keys.sealing_key() == new);
            assert!(call("alice", "wipe").contains("wiped"), "the old key opens");
            file.revoke(old).unwrap();
            wait_until("the end of the old key", || !call("alice", "wipe").contains("wiped"));
        },
    );
    assert!(asked > 100, "{asked}");
    // Hers is sealed with the key that is gone; his, with the new one.
    both("bob");
}
