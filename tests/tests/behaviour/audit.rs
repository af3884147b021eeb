//! The audit trail: one record for whatever is asked, and what happens when there is nowhere
//! to write it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use portcullis::audit::{AuditError, AuditFailure, AuditRecord, AuditSink, JsonLines};
use portcullis::component::ComponentKind;
use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::middleware::RateLimit;
use portcullis::prelude::*;
use portcullis::route::{get, post};
use portcullis_tests::audit::{AuditFile, records};
use portcullis_tests::driver::{Response, Testbed, initialize, message};
use portcullis_tests::issuer::{AUDIENCE, ISSUER, Issuer, claims};
use portcullis_tests::oracle::{Cause, guarded, uses, with_vaults};
use portcullis_tests::served::Served;
use serde_json::{Value, json};

use crate::{ALICE, BOB, TESTBED};

/// What is in the file at `path`, and what was added since the last look.
struct Trail<'a> {
    path: &'a Path,
    seen: usize,
}

impl Trail<'_> {
    /// The records since the last look, which have to be so many.
    fn next(&mut self, count: usize) -> Vec<Value> {
        let found = || std::fs::read_to_string(self.path).unwrap().lines().count() - self.seen;
        for _ in 0..1_000 {
            if found() >= count {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let new = records(self.path).split_off(self.seen);
        assert_eq!(new.len(), count, "{new:#?}");
        self.seen += count;
        new
    }
}

/// Whether `record` has all of `members`; null stands for what must not be there.
fn has(record: &Value, members: Value) {
    for (name, value) in members.as_object().unwrap() {
        assert_eq!(&record[name], value, "{name}: {record:#}");
    }
}

async fn reset() -> &'static str {
    "done"
}

#[test]
fn e11_whatever_is_asked_has_exactly_one_record_that_says_who_and_what_and_why() {
    let audit = AuditFile::of(&[]);
    let limit = RateLimit::per_principal(6, Duration::from_secs(3_600));
    let server = with_vaults(guarded(&["common"], &Cause::OF_BOB))
        .audit(JsonLines::open(audit.path()).unwrap())
        .middleware(limit)
        .route(post("/reset", reset).require(require_scopes(["admin"])));
    let served = Served::start(server.build().unwrap());
    let mut trail = Trail { path: audit.path(), seen: 0 };
    let mut one = |response: Response, status: u16, members: Value| {
        assert_eq!(response.status, status, "{}", response.body);
        let record = trail.next(1).remove(0);
        has(&record, members);
        has(&record, json!({"transport": "http", "remote": "127.0.0.1"}));
        assert!(record["duration_us"].is_u64() && record["time"].is_string(), "{record:#}");
        record
    };
    let of_bob = |mut members: Value| {
        let bob = json!({
            "subject": "bob", "client_id": "bob@dev.local",
            "client_name": "driver", "client_version": "1",
        });
        members.as_object_mut().unwrap().extend(bob.as_object().unwrap().clone());
        members["protocol"] = json!("2026-07-28");
        members
    };
    let call = |word: &str| {
        let (method, params) = uses(ComponentKind::Tool, word).swap_remove(0);
        served.rpc(BOB, method, params)
    };

    let allowed = json!({
        "operation": "tools/call", "kind": "tool", "component": "use_common",
        "verdict": "allowed", "rule": null, "reason": null, "outcome": "ok",
    });
    one(call("common"), 200, of_bob(allowed));
    let hidden = json!({
        "operation": "tools/call", "kind": "tool", "component": "use_scopes", "verdict": "denied",
        "rule": "scopes admin", "reason": "missing scopes: admin", "outcome": "not_found",
    });
    one(call("scopes"), 200, of_bob(hidden));
    let missing = json!({
        "operation": "tools/call", "kind": null, "component": null, "verdict": "denied",
        "rule": "unknown", "reason": "no component has this name", "outcome": "not_found",
    });
    one(call("scopex"), 200, of_bob(missing));
    let prompts = json!({
        "operation": "prompts/list", "component": null, "verdict": "allowed", "shown": 2,
        "hidden": {
            "visibility": 2, "scopes admin": 1, "on_call": 1,
            "scopes admin for the tag restricted (server)": 1,
        },
    });
    one(served.rpc(BOB, "prompts/list", json!({})), 200, of_bob(prompts));
    let denied = json!({
        "operation": "route", "kind": "route", "component": "POST /reset", "subject": "bob",
        "verdict": "challenged", "reason": "missing scopes: admin", "status": 403,
    });
    let token = "Authorization: Bearer dev-token-bob";
    one(served.request("POST /reset", &[token], b""), 403, denied);
    let unknown = json!({
        "operation": "request", "subject": null, "verdict": "challenged", "rule": "bearer",
        "outcome": "refused", "status": 401,
    });
    one(served.rpc(Some("dev-token-mallory"), "tools/list", json!({})), 401, unknown);
    let foreign = b"POST /mcp HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n";
    let refused = json!({
        "operation": "request", "subject": null, "verdict": "refused", "rule": "host",
        "outcome": "refused", "status": 421,
    });
    one(served.send(foreign), 421, refused);

    // An unlock is told of beside the call that it happens in.
    assert_eq!(served.rpc(BOB, "tools/call", json!({"name": "knock"})).status, 200);
    let unlocked = trail.next(2);
    let outcome = |of: &str| unlocked.iter().find(|record| record["operation"] == of).unwrap();
    let enabled = json!({
        "verdict": "allowed", "rule": "tags vault", "reason": "for this principal",
        "outcome": "enabled",
    });
    has(outcome("visibility"), of_bob(enabled));
    has(outcome("tools/call"), of_bob(json!({"component": "knock", "outcome": "ok"})));

    assert_eq!(call("common").status, 429);
    let limited = json!({"verdict": "limited", "rule": "rate limit per principal", "status": 429});
    let mut all = trail.next(1);
    has(&all[0], of_bob(limited));

    drop(served);
    all = records(audit.path());
    let ids: std::collections::BTreeSet<&str> =
        all.iter().map(|record| record["id"].as_str().unwrap()).collect();
    // The unlock and the call that it happened in are told apart by the operation alone.
    assert_eq!((all.len(), ids.len()), (10, 9));
    assert_eq!(unlocked[0]["id"], unlocked[1]["id"]);
}

/// Takes everything but unlocks, and says so only when it is asked to take one.
#[derive(Debug)]
struct NoUnlocks;

impl AuditSink for NoUnlocks {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        match record.operation == "visibility" {
            true => Err(AuditError::new("the disk is full")),
            false => Ok(()),
        }
    }
}

#[test]
fn what_is_unlocked_without_a_record_is_not_unlocked() {
    for (on_failure, unlocked) in [(AuditFailure::Stop, false), (AuditFailure::Continue, true)] {
        let server = with_vaults(guarded(&["common"], &Cause::OF_BOB));
        let server = server.audit(NoUnlocks).audit_failure(on_failure);
        let served = Served::start(server.build().unwrap());
        let knocked = served.rpc(ALICE, "tools/call", json!({"name": "knock"}));
        assert_eq!(knocked.json()["result"]["isError"] == json!(true), !unlocked);
        let (method, params) = uses(ComponentKind::Tool, "vault").swap_remove(0);
        let used = served.rpc(ALICE, method, params).json();
        assert_eq!(used["error"].is_null(), unlocked, "{used}");
    }
}

#[test]
fn q01_each_component_has_a_limit_for_each_caller_that_says_nothing_of_what_is_hidden() {
    let audit = AuditFile::of(&[]);
    let server = guarded(&["common"], &Cause::OF_BOB)
        .audit(JsonLines::open(audit.path()).unwrap())
        .middleware(RateLimit::per_component(2, Duration::from_secs(3_600)));
    let served = Served::start(server.build().unwrap());
    let status = |token, kind: ComponentKind, word: &str| {
        let (method, params) = uses(kind, word).swap_remove(0);
        served.rpc(token, method, params).status
    };
    for _ in 0..2 {
        assert_eq!(status(BOB, ComponentKind::Tool, "common"), 200);
    }
    let (method, params) = uses(ComponentKind::Tool, "common").swap_remove(0);
    let refused = served.rpc(BOB, method, params);
    assert_eq!((refused.status, refused.code()), (429, 429));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(status(BOB, ComponentKind::Prompt, "common"), 200, "another component");
    assert_eq!(status(ALICE, ComponentKind::Tool, "common"), 200, "another caller");
    for _ in 0..3 {
        assert_eq!(status(BOB, ComponentKind::Tool, "scopes"), 200, "what is hidden");
        assert_eq!(status(BOB, ComponentKind::Tool, "missing"), 200, "what is not there");
        assert_eq!(served.rpc(BOB, "tools/list", json!({})).status, 200);
    }
    let limited = Trail { path: audit.path(), seen: 0 }.next(14).swap_remove(2);
    let rule = "rate limit per component";
    has(&limited, json!({"verdict": "limited", "rule": rule, "component": "use_common"}));
}

#[test]
fn e11_a_request_to_a_route_has_its_record_whatever_becomes_of_it() {
    let audit = AuditFile::of(&[]);
    let server = Server::builder("routes")
        .auth(StaticTokenVerifier::new().token("dev-token-alice", user("alice")))
        .audit(JsonLines::open(audit.path()).unwrap())
        .limits(|limits| limits.handler_timeout = Duration::from_millis(200))
        .route(get("/fine", async || "fine").public("says nothing"))
        .route(get("/panics", async || -> &'static str { panic!("route") }).public("ends itself"))
        .route(get("/waits", std::future::pending::<&'static str>).public("never ends"));
    let served = Served::start(server.build().unwrap());
    let mut trail = Trail { path: audit.path(), seen: 0 };
    for (line, status, verdict, outcome) in [
        ("GET /fine", 200, "allowed", "ok"),
        ("HEAD /fine", 200, "allowed", "ok"),
        ("DELETE /fine", 405, "refused", "refused"),
        ("GET /panics", 500, "allowed", "panic"),
        ("GET /waits", 504, "allowed", "timeout"),
    ] {
        assert_eq!(served.request(line, &[], b"").status, status, "{line}");
        let members = json!({"status": status, "verdict": verdict, "outcome": outcome});
        has(&trail.next(1)[0], members);
    }
}

#[test]
fn where_nobody_can_tell_who_calls_the_record_says_that_it_failed() {
    let issuer = Issuer::start();
    let audit = AuditFile::of(&[]);
    let file = audit.path().to_str().unwrap();
    let nowhere = ["--issuer", ISSUER, "--audience", AUDIENCE, "--jwks", "http://127.0.0.1:9/"];
    let flags = [&["--auth", "jwt", "--audit-file", file], &nowhere[..]].concat();
    let testbed = Testbed::start(TESTBED, &flags);
    let token = issuer.token(&claims("alice", "read"));
    assert_eq!(testbed.rpc(Some(&token), "tools/list", json!({})).status, 503);
    drop(testbed);
    let members = json!({"verdict": "failed", "rule": "bearer", "status": 503, "subject": null});
    has(&records(audit.path())[0], members);
}

#[test]
fn e10_a_name_that_a_client_gives_itself_stays_one_harmless_line() {
    let audit = AuditFile::of(&[]);
    let file = audit.path().to_str().unwrap().to_owned();
    let testbed = Testbed::start(TESTBED, &["--audit-file", &file]);
    let evil = "x\r\n{\"verdict\":\"allowed\"}\n\u{1b}[2J\u{202e}nimda\u{2028}\u{0}";
    let client = json!({"name": evil, "version": evil});

    let mut stateless = message("tools/list", json!({}));
    stateless["params"]["_meta"]["io.modelcontextprotocol/clientInfo"] = client.clone();
    let head = ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/list"];
    let answer = testbed.outside(ALICE).post(&head, &stateless);
    assert_eq!(answer.status, 200, "{}", answer.body);

    let mut begin = initialize("2025-11-25");
    begin["params"]["clientInfo"] = client;
    let begun = testbed.outside(ALICE).post(&[], &begin);
    let id = begun.header("mcp-session-id").unwrap();
    testbed.session(ALICE, id).ask("prompts/list", json!({}));
    testbed.wait_for_log("operation=\"prompts/list\"");
    let log = testbed.log();
    drop(testbed);

    let escaped = r#"x\u{d}\u{a}{"verdict":"allowed"}\u{a}\u{1b}[2J\u{202e}nimda\u{2028}\u{0}"#;
    let found = records(audit.path());
    assert_eq!(found.len(), 3, "{found:#?}");
    for record in found {
        has(&record, json!({"client_name": escaped, "client_version": escaped}));
    }
    let file = std::fs::read_to_string(audit.path()).unwrap();
    // There it is a text in quotation marks, and no inner one ends it.
    let in_log = escaped.replace('\\', r"\\").replace('"', "\\\"");
    assert_eq!(log.matches(&format!("client_name=\"{in_log}\"")).count(), 3, "{log}");
    for text in [&file, &log] {
        let harmless = |c: char| c == '\n' || c.is_ascii_graphic() || c == ' ' || c.is_alphabetic();
        assert!(text.chars().all(harmless), "{text:?}");
        let of_client = text.lines().filter(|line| line.contains("nimda"));
        assert!(
            of_client.clone().all(|line| {
                let asked = ["initialize", "prompts/list", "tools/list"];
                line.contains("x\\") && asked.iter().any(|asked| line.contains(asked))
            }),
            "{text}"
        );
        assert_eq!(of_client.count(), 3, "{text}");
    }
}

/// A sink that fails when it is told to.
#[derive(Debug, Default)]
struct Fragile {
    /// It says so before anything is done.
    not_ready: AtomicBool,
    /// It finds out when it is too late.
    full: AtomicBool,
    taken: AtomicU64,
}

impl AuditSink for Fragile {
    fn record(&self, _: &AuditRecord<'_>) -> Result<(), AuditError> {
        match self.full.load(Ordering::SeqCst) || self.not_ready.load(Ordering::SeqCst) {
            true => Err(AuditError::new("secret-sink-detail")),
            false => {
                self.taken.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        }
    }

    fn ready(&self) -> Result<(), AuditError> {
        match self.not_ready.load(Ordering::SeqCst) {
            true => Err(AuditError::new("secret-sink-detail")),
            false => Ok(()),
        }
    }
}

/// How often a handler has run.
#[derive(Clone, Debug, Default)]
struct Ran(Arc<AtomicU64>);

impl Ran {
    fn now(&self) -> String {
        self.0.fetch_add(1, Ordering::SeqCst);
        "what only a record may let out".to_owned()
    }
}

#[tool]
async fn count(ran: State<Ran>) -> String {
    ran.now()
}

#[resource("data://count")]
async fn count_resource(ran: State<Ran>) -> String {
    ran.now()
}

#[resource("count://{id}")]
async fn count_template(id: u8, ran: State<Ran>) -> String {
    format!("{id}: {}", ran.now())
}

#[prompt]
async fn count_prompt(ran: State<Ran>) -> String {
    ran.now()
}

/// Everything that can be asked of it.
fn everything(served: &Served, session: &str) -> Vec<Response> {
    let mut answers = vec![
        served.outside(ALICE).post(&[], &initialize("2025-11-25")),
        served.rpc(ALICE, "server/discover", json!({})),
    ];
    for (method, params) in [
        ("tools/call", json!({"name": "count"})),
        ("resources/read", json!({"uri": "data://count"})),
        ("resources/read", json!({"uri": "count://1"})),
        ("prompts/get", json!({"name": "count_prompt"})),
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("prompts/list", json!({})),
        ("tools/call", json!({"name": "missing"})),
    ] {
        answers.push(served.rpc(ALICE, method, params.clone()));
        let request = portcullis_tests::driver::request(1, method, params);
        answers.push(served.session(ALICE, session).post(&[], &request));
    }
    let token = "Authorization: Bearer dev-token-alice";
    answers.push(served.request("POST /count", &[token], b""));
    answers
}

#[test]
fn where_audit_must_not_fail_nothing_is_served_that_is_not_recorded() {
    let (sink, ran) = (Arc::new(Fragile::default()), Ran::default());
    let in_route = ran.clone();
    let route = post("/count", move || {
        let answer = in_route.now();
        async { answer }
    });
    let server = Server::builder("audited")
        .auth(StaticTokenVerifier::new().token("dev-token-alice", user("alice")))
        .state(ran.clone())
        .components(components![count, count_resource, count_template, count_prompt])
        .route(route.require(|_: &AuthContext<'_>| true))
        .audit(Arc::clone(&sink))
        .audit_failure(AuditFailure::Stop)
        .build()
        .unwrap();
    let served = Served::start(server);
    let session = served.begin(ALICE, "2025-11-25");
    let runs = || ran.0.swap(0, Ordering::SeqCst);
    let refused = |answers: Vec<Response>| {
        for Response { body, status, headers: _ } in answers {
            assert!(!body.contains("what only") && !body.contains("count"), "{body}");
            assert!(!body.contains("secret-sink-detail") && !body.contains("missing"), "{body}");
            assert!(body.contains("Internal error") && status != 0, "{status} {body}");
        }
    };
    let serves_everything = || {
        let before = sink.taken.load(Ordering::SeqCst);
        let answers = everything(&served, &session);
        assert!(answers.iter().all(|answer| !answer.body.contains("Internal error")));
        assert_eq!(runs(), 9, "four uses in two versions, and the route");
        assert_eq!(sink.taken.load(Ordering::SeqCst) - before, answers.len() as u64);
    };

    serves_everything();
    sink.not_ready.store(true, Ordering::SeqCst);
    refused(everything(&served, &session));
    assert_eq!(served.session(ALICE, &session).stream().response.status, 500);
    assert_eq!(served.session(ALICE, &session).send("DELETE /mcp", &[], "").status, 500);
    assert_eq!(runs(), 0, "a handler ran, and nothing would have told of it");
    sink.not_ready.store(false, Ordering::SeqCst);
    serves_everything();
    sink.full.store(true, Ordering::SeqCst);
    refused(everything(&served, &session));
    assert_eq!(runs(), 9, "nothing could have told before that the disk is full");
    sink.full.store(false, Ordering::SeqCst);
    serves_everything();
}
