//! What a server measures, as Prometheus reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use portcullis::auth::{BearerToken, Principal, TokenVerifier, VerifyError};
use portcullis::guard::MaybeFuture;
use portcullis::prelude::*;
use portcullis::route::{alive, ready};
use portcullis_tests::driver::Testbed;
use portcullis_tests::issuer::{Issuer, changed};
use portcullis_tests::served::Served;
use serde_json::json;

use crate::{ALICE, BOB, TESTBED};

/// How long something that has to happen may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn scrape(testbed: &Testbed, token: &str) -> String {
    let token = format!("Authorization: Bearer {token}");
    let response = testbed.request("GET /metrics", &[&token], b"");
    assert_eq!(response.status, 200, "{}", response.body);
    let media_type = response.header("content-type");
    assert_eq!(media_type, Some("text/plain; version=0.0.4; charset=utf-8"));
    response.body
}

/// The line for these labels, without its value.
fn requests(labels: &str) -> String {
    format!("portcullis_requests_total{{{labels},transport=\"http\",verdict=")
}

#[test]
fn a_scrape_counts_requests_by_verdict_and_names_no_caller() {
    let testbed = Testbed::start(TESTBED, &["--metrics"]);
    testbed.call(ALICE, "whoami", json!({}));
    testbed.call(BOB, "whoami", json!({}));
    for name in ["delete_user", "made_up_a", "made_up_b"] {
        testbed.rpc(BOB, "tools/call", json!({"name": name, "arguments": {"user_id": "u-17"}}));
    }
    testbed.rpc(Some("made-up-token"), "tools/list", json!({}));
    testbed.call(ALICE, "unlock_admin", json!({}));
    assert_eq!(testbed.request("GET /metrics", &[], b"").status, 401);

    let text = scrape(&testbed, "dev-token-bob");
    let of = "kind=\"tool\",operation=\"tools/call\"";
    for line in [
        requests(&format!("component=\"whoami\",{of},outcome=\"ok\"")) + "\"allowed\"} 2\n",
        requests("operation=\"tools/call\",outcome=\"not_found\",rule=\"unknown\"")
            + "\"denied\"} 2\n",
        requests("operation=\"request\",outcome=\"refused\",rule=\"bearer\"")
            + "\"challenged\"} 1\n",
        requests(
            "component=\"GET /metrics\",kind=\"route\",operation=\"route\",outcome=\"refused\",\
             rule=\"bearer\"",
        ) + "\"challenged\"} 1\n",
        "portcullis_request_duration_seconds_count{component=\"whoami\",operation=\"tools/call\",\
         verdict=\"allowed\"} 2\n"
            .to_owned(),
        "# TYPE portcullis_request_duration_seconds histogram\n".to_owned(),
        "# HELP portcullis_requests_total ".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}\n---\n{text}");
    }
    let denied = requests(&format!(
        "component=\"delete_user\",{of},outcome=\"not_found\",rule=\"scopes admin write\""
    ));
    assert!(text.contains(&denied), "{denied}\n---\n{text}");
    let stored = "portcullis_store_operation_duration_seconds_count{operation=\"";
    assert!(text.contains(stored), "{text}");
    for of_callers in ["made_up", "made-up", "alice", "bob", "u-17", "dev-token", "127.0.0.1"] {
        assert!(!text.contains(of_callers), "{of_callers}\n---\n{text}");
    }
    let visibility = "operation=\"visibility\"";
    let unlocked = text.lines().find(|line| line.contains(visibility)).unwrap();
    assert!(!unlocked.contains("rule="), "{unlocked}");
}

#[test]
fn sessions_and_streams_are_counted_while_they_last() {
    let testbed = Testbed::start(TESTBED, &["--metrics"]);
    let has = |line: &str| scrape(&testbed, "dev-token-bob").lines().any(|own| own == line);
    let id = testbed.begin(ALICE, "2025-11-25");
    let session = testbed.session(ALICE, &id);
    let stream = session.stream();
    assert_eq!(stream.response.status, 200);
    assert!(has("portcullis_sessions 1") && has("portcullis_streams 1"));
    drop(stream);
    assert_eq!(session.send("DELETE /mcp", &[], "").status, 204);
    assert!(has("portcullis_sessions 0"));
    let since = Instant::now();
    while !has("portcullis_streams 0") {
        assert!(since.elapsed() < PATIENCE, "{}", scrape(&testbed, "dev-token-bob"));
    }
}

#[test]
fn tokens_that_are_known_and_fetches_of_keys_are_counted() {
    let issuer = Issuer::start();
    let flags = [&issuer.flags()[..], &["--metrics"]].concat();
    let testbed = Testbed::start(TESTBED, &flags);
    let token = issuer.token(&changed(&json!({"scope": "read"})));
    // Each is a connection of its own.
    for _ in 0..3 {
        testbed.call(Some(&token), "whoami", json!({}));
    }
    let text = scrape(&testbed, &token);
    for line in [
        "portcullis_key_refreshes_total{result=\"ok\"} 1\n",
        "portcullis_token_cache_lookups_total{result=\"hit\"} ",
        "# TYPE portcullis_token_cache_lookups_total counter\n",
    ] {
        assert!(text.contains(line), "{line}\n---\n{text}");
    }

    let nobody = "http://127.0.0.1:1/jwks";
    let mut flags = flags;
    *flags.iter_mut().find(|flag| **flag == issuer.url()).unwrap() = nobody;
    let testbed = Testbed::start(TESTBED, &flags);
    testbed.wait_for_log("cannot fetch the issuer's keys");
    assert_eq!(testbed.rpc(Some(&token), "tools/list", json!({})).status, 503);
}

/// Verifies nothing, and says whether it could.
#[derive(Clone, Debug)]
struct Waiting(Arc<AtomicBool>);

impl TokenVerifier for Waiting {
    fn verify<'a>(
        &'a self,
        _: &'a BearerToken,
    ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
        MaybeFuture::ready(Err(VerifyError::invalid("nobody")))
    }

    fn ready(&self) -> MaybeFuture<'_, Result<(), VerifyError>> {
        MaybeFuture::ready(match self.0.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(VerifyError::unavailable("no keys yet")),
        })
    }
}

/// Answer.
#[tool]
async fn answer() -> &'static str {
    "42"
}

#[test]
fn a_server_without_keys_lives_and_is_not_ready() {
    let has_keys = Arc::new(AtomicBool::new(false));
    let server = Server::builder("test").auth(Waiting(Arc::clone(&has_keys)));
    let server = server.components(components![answer]).route(alive("/healthz"));
    let served = Served::start(server.route(ready("/readyz")).build().unwrap());
    let status = |path: &str| served.request(&format!("GET {path}"), &[], b"").status;
    assert_eq!((status("/healthz"), status("/readyz")), (200, 503));
    has_keys.store(true, Ordering::SeqCst);
    let since = Instant::now();
    while status("/readyz") != 200 {
        assert!(since.elapsed() < PATIENCE);
    }
    has_keys.store(false, Ordering::SeqCst);
    assert_eq!(status("/readyz"), 200, "the known keys go on verifying");
}
