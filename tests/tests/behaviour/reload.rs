//! Files that change while the server serves: nothing fails, the new one counts, the old one no
//! longer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portcullis::auth::{ApiKeyList, ApiKeyRecord, ApiKeys, NewApiKey, TokenVerifier};
use portcullis::danger::{self, StaticTokenVerifier};
use portcullis::guard::keys::{KeyFile, KeyRing};
use portcullis::guard::{Secret, SystemClock};
use portcullis::prelude::*;
use portcullis::store::{MemoryStore, Sealed};
use portcullis_tests::audit::records;
use portcullis_tests::driver::{Testbed, hang_up};
use portcullis_tests::issuer::{AUDIENCE, ISSUER, Issuer, Signing, claims};
use portcullis_tests::served::Served;
use serde_json::{Value, json};

use crate::{ALICE, TESTBED};

/// How soon the new value has to be in force.
const BOUND: Duration = Duration::from_secs(5);

/// Asks as fast as four clients can while `change` does its work, and for a hundred answers at least;
/// gives how often it was answered.
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
        let changed = Instant::now();
        while answered.load(Ordering::Relaxed) <= 100 {
            assert!(changed.elapsed() < Duration::from_secs(60), "there is no load");
            std::thread::sleep(Duration::from_millis(20));
        }
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

pub(super) fn wait_until(what: &str, condition: impl Fn() -> bool) {
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

#[tool(name = "echo")]
async fn echo_back(text: String) -> String {
    text
}

fn serve(verifier: impl TokenVerifier) -> Served {
    let server = Server::builder("reload").auth(verifier).components(components![echo_back]);
    Served::start(server.build().unwrap())
}

/// A file that is replaced whole.
struct Replaced {
    folder: tempfile::TempDir,
}

impl Replaced {
    fn with(text: &str) -> Self {
        let file = Self { folder: tempfile::tempdir().unwrap() };
        file.replace(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("file")
    }

    fn replace(&self, text: &str) {
        let other = self.folder.path().join("other");
        std::fs::write(&other, text).unwrap();
        std::fs::rename(&other, self.path()).unwrap();
    }
}

/// Tokens of before and after a change, and of both.
struct Tokens<'t> {
    old: &'t str,
    new: &'t str,
    kept: Option<&'t str>,
}

/// Under load: `change` lets the new token in and the old one out, within the bound; after `spoil`,
/// which leaves nothing usable in the file, all is as before.
fn change_over(server: &Testbed, tokens: &Tokens<'_>, change: impl Fn(), spoil: impl Fn()) {
    let Tokens { old, new, kept } = *tokens;
    let status = |token| server.rpc(Some(token), "tools/list", json!({})).status;
    let ask = || match kept {
        Some(kept) => echo(server, Some(kept)),
        // The change is between two of the questions at most.
        None => assert!([new, old, new].iter().any(|token| status(token) == 200), "neither"),
    };
    under_load(ask, || {
        assert_eq!((status(old), status(new)), (200, 401));
        change();
        wait_until("the new token", || status(new) == 200);
        assert_eq!(status(old), 401);
        spoil();
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!((status(new), status(old)), (200, 401));
    });
}

#[test]
fn static_tokens_change_with_their_file_and_no_request_fails() {
    let file = Replaced::with(r#"{"kept": {"subject": "carol"}, "old": {"subject": "olga"}}"#);
    let served = serve(StaticTokenVerifier::from_file(file.path()).unwrap());
    change_over(
        &served,
        &Tokens { old: "old", new: "new", kept: Some("kept") },
        || file.replace(r#"{"kept": {"subject": "carol"}, "new": {"subject": "nina"}}"#),
        || file.replace(r#"{"kept": {"subject": "carol"}, "new": {"subj"#),
    );
}

#[test]
fn api_keys_change_with_their_file_and_no_request_fails() {
    let mint = |subject: &str| NewApiKey::of(subject).mint(&SystemClock).unwrap();
    let (kept, old, new) = (mint("carol"), mint("olga"), mint("nina"));
    let list = |records: [&ApiKeyRecord; 2]| {
        let mut list = ApiKeyList::default();
        records.into_iter().for_each(|record| list.add(record.clone()).unwrap());
        list
    };
    let file = Replaced::with(&list([&kept.1, &old.1]).to_string());
    let served = serve(ApiKeys::file(file.path()).build().unwrap());
    let expose = |key: &(Secret<String>, ApiKeyRecord)| key.0.expose().clone();
    let (kept_key, old_key, new_key) = (expose(&kept), expose(&old), expose(&new));
    change_over(
        &served,
        &Tokens { old: &old_key, new: &new_key, kept: Some(&kept_key) },
        || {
            let mut changed = list([&kept.1, &old.1]);
            changed.add(new.1.clone()).unwrap();
            changed.revoke(old.1.id()).unwrap();
            file.replace(&changed.to_string());
        },
        || file.replace("pk_half a rec"),
    );
}

fn good_token(issuer: &Issuer) -> String {
    issuer.token(&claims("carol", "read"))
}

#[test]
fn a_jwk_set_changes_with_its_file_and_no_request_fails() {
    let issuers = [Issuer::start(), Issuer::start(), Issuer::start()];
    let [kept, old, new] = &issuers;
    let set = |issuers: [&Issuer; 2]| {
        // Each with an id of its own, as one issuer's keys have.
        let keys = issuers.map(|issuer| issuer.jwks().pop().unwrap());
        json!({"keys": keys}).to_string()
    };
    let file = Replaced::with(&set([kept, old]));
    let builder = JwtVerifier::jwks_file(file.path()).issuer(ISSUER).audience(AUDIENCE);
    let served = serve(builder.build().unwrap());
    let [kept_token, old_token, new_token] = issuers.each_ref().map(good_token);
    change_over(
        &served,
        &Tokens { old: &old_token, new: &new_token, kept: Some(&kept_token) },
        || file.replace(&set([kept, new])),
        || file.replace(r#"{"keys":[]}"#),
    );
}

#[test]
fn a_public_key_changes_with_its_file_and_no_request_fails() {
    let issuers = [Issuer::start(), Issuer::start()];
    let pem = |issuer: &Issuer| {
        String::from_utf8(issuer.rsa_key_in_every_encoding().pop().unwrap()).unwrap()
    };
    let token = |issuer: &Issuer| {
        issuer.sign(r#"{"alg":"RS256"}"#, &claims("carol", "read").to_string(), Signing::Rs256)
    };
    let [old, new] = &issuers;
    let file = Replaced::with(&pem(old));
    let builder = JwtVerifier::public_key_file(file.path()).issuer(ISSUER).audience(AUDIENCE);
    let served = serve(builder.build().unwrap());
    change_over(
        &served,
        &Tokens { old: &token(old), new: &token(new), kept: None },
        || file.replace(&pem(new)),
        || file.replace(&pem(old).replace("END", "FIN")),
    );
}

#[test]
fn a_shared_secret_changes_with_its_file_at_sighup_and_no_request_fails() {
    let issuer = Issuer::start();
    let [old, new] = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"];
    let token = |secret: &str| {
        let payload = claims("carol", "read").to_string();
        issuer.sign(r#"{"alg":"HS256"}"#, &payload, Signing::Hs256(secret.as_bytes()))
    };
    let file = Replaced::with(&format!("{old}\n"));
    let path = file.path();
    let variables = [
        ("JWT_HMAC_SECRET_FILE", path.to_str().unwrap()),
        ("JWT_ISSUER", ISSUER),
        ("JWT_AUDIENCE", AUDIENCE),
    ];
    let testbed = Testbed::start_with(TESTBED, &["--auth", "jwt"], &variables);
    let replace = |text: &str| {
        file.replace(text);
        hang_up(testbed.id());
    };
    change_over(
        &testbed,
        &Tokens { old: &token(old), new: &token(new), kept: None },
        || replace(&format!("{new}\n")),
        || replace("short\n"),
    );
    let log = testbed.log();
    assert!(log.contains("a watched file is refused"), "{log}");
    assert!(!log.contains(old) && !log.contains(new) && !log.contains("short\n"), "{log}");
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
    under_load(
        || both("bob"),
        || {
            let new = file.rotate().unwrap();
            wait_until("the new key", || keys.sealing_key() == new);
            assert!(call("alice", "wipe").contains("wiped"), "the old key opens");
            file.revoke(old).unwrap();
            wait_until("the end of the old key", || !call("alice", "wipe").contains("wiped"));
        },
    );
    // Hers is sealed with the key that is gone; his, with the new one.
    both("bob");
}
