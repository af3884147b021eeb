//! What a record says, what it leaves out, and where it is written.

pub(super) mod events;
mod redacted;

use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use portcullis_guard::{OperationId, Reference, TraceParent};
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span;

use self::events::{Events, with_subscriber};
use super::*;
use crate::{Principal, Scopes};

/// A caller with everything that must not be seen.
fn principal() -> Principal {
    let Value::Object(claims) = json!({ "email": "claim-secret", "jti": "claim-secret" }) else {
        panic!("not an object")
    };
    Principal::new("alice")
        .with_issuer("https://issuer.example")
        .with_client_id("cli")
        .with_scopes(["scope-secret"].into_iter().collect::<Scopes>())
        .with_claims(claims)
        .with_expiry(UNIX_EPOCH + Duration::from_secs(77_777))
}

fn record<'a>() -> AuditRecord<'a> {
    let time = UNIX_EPOCH + Duration::from_micros(1_785_242_096_000_123);
    AuditRecord::new(OperationId::from(255), time, "http", "tools/call")
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn full<'a>(principal: &'a Principal, reference: Reference) -> AuditRecord<'a> {
    let AuditRecord {
        time, id, transport, operation, issuer, subject, client_id, principal, ..
    } = record().with_principal(principal);
    // Every field, so that a new one is not forgotten.
    AuditRecord {
        time,
        id,
        transport,
        operation,
        issuer,
        subject,
        client_id,
        principal,
        protocol: Some("2026-07-28"),
        remote: Some(Ipv4Addr::new(192, 0, 2, 1).into()),
        client_name: Some("claude \"code\"".into()),
        client_version: Some("1.0".into()),
        scopes: Some("notes:read".into()),
        kind: Some("tool"),
        component: Some("read_file"),
        task: Some("0f1e2d3c4b5a6978"),
        verdict: Verdict::Denied,
        rule: Some("auth"),
        reason: Some("missing scopes: write".into()),
        shown: Some(3),
        hidden: &[("auth", 2), ("tags", 1)],
        outcome: "not_found",
        status: Some(404),
        reference: Some(reference),
        trace_id: TraceParent::parse(TRACE).map(TraceParent::trace_id),
        trace_parent: TraceParent::parse(TRACE),
        duration: Duration::from_nanos(1_234_567),
    }
}

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("portcullis-audit-{}", Reference::new());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("audit.jsonl")
    }

    #[expect(clippy::disallowed_methods, reason = "the test reads what was written")]
    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.file()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Fails as long as it is told to, and counts what it took.
#[derive(Debug, Default)]
struct Fickle {
    fails: AtomicBool,
    panics: AtomicBool,
    taken: AtomicU64,
}

impl Fickle {
    fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl AuditSink for Fickle {
    fn record(&self, _: &AuditRecord<'_>) -> Result<(), AuditError> {
        self.ready()?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn ready(&self) -> Result<(), AuditError> {
        assert!(!self.panics.load(Ordering::Relaxed), "the sink is broken");
        match self.fails.load(Ordering::Relaxed) {
            true => Err(AuditError::new("no space")),
            false => Ok(()),
        }
    }
}

#[test]
fn e11_a_record_is_one_line_of_json() {
    let (folder, principal, reference) = (Folder::new(), principal(), Reference::new());
    let audit = Audit::new(AuditFailure::Stop).sink(JsonLines::open(folder.file()).unwrap());
    audit.record(&full(&principal, reference)).unwrap();
    audit.record(&record()).unwrap();
    audit.flush();
    let expected = format!(
        concat!(
            r#"{{"time":"2026-07-28T12:34:56.000123Z","id":"00000000000000ff","transport":"http","#,
            r#""operation":"tools/call","protocol":"2026-07-28","remote":"192.0.2.1","#,
            r#""issuer":"https://issuer.example","subject":"alice","client_id":"cli","#,
            r#""client_name":"claude \"code\"","client_version":"1.0","#,
            r#""scopes":"notes:read","kind":"tool","#,
            r#""component":"read_file","task":"0f1e2d3c4b5a6978","verdict":"denied","rule":"auth","#,
            r#""reason":"missing scopes: write","shown":3,"hidden":{{"auth":2,"tags":1}},"#,
            r#""outcome":"not_found","status":404,"reference":"{}","#,
            r#""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","duration_us":1234}}"#,
        ),
        reference
    );
    let bare = concat!(
        r#"{"time":"2026-07-28T12:34:56.000123Z","id":"00000000000000ff","transport":"http","#,
        r#""operation":"tools/call","verdict":"failed","outcome":"internal_error","#,
        r#""duration_us":0}"#,
    );
    assert_eq!(folder.lines(), [expected.as_str(), bare]);
}

#[test]
fn e11_a_record_is_one_event_with_the_same_fields() {
    let (principal, reference) = (principal(), Reference::new());
    let audit = Audit::new(AuditFailure::Continue);
    let events = Events::during(|| {
        audit.record(&full(&principal, reference)).unwrap();
        audit.record(&record()).unwrap();
    });
    let expected = format!(
        concat!(
            "INFO portcullis::audit id=00000000000000ff transport=\"http\" ",
            "operation=\"tools/call\" protocol=\"2026-07-28\" remote=192.0.2.1 ",
            "issuer=\"https://issuer.example\" subject=\"alice\" client_id=\"cli\" ",
            "client_name=\"claude \\\"code\\\"\" client_version=\"1.0\" ",
            "scopes=\"notes:read\" kind=\"tool\" ",
            "component=\"read_file\" task=\"0f1e2d3c4b5a6978\" verdict=\"denied\" rule=\"auth\" ",
            "reason=\"missing scopes: write\" shown=3 hidden=2 by auth, 1 by tags ",
            "outcome=\"not_found\" status=404 reference={} ",
            "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 duration_us=1234",
        ),
        reference
    );
    let bare = concat!(
        "INFO portcullis::audit id=00000000000000ff transport=\"http\" ",
        "operation=\"tools/call\" verdict=\"failed\" outcome=\"internal_error\" duration_us=0",
    );
    assert_eq!(events, [expected.as_str(), bare]);
}

/// The line of the file, which has to be what serde_json writes.
fn line(record: &AuditRecord<'_>) -> String {
    let mut line = b"before ".to_vec();
    line::append(&mut line, record).unwrap();
    let line = String::from_utf8(line.split_off(7)).unwrap();
    assert_eq!(line, serde_json::to_string(record).unwrap());
    line
}

#[test]
fn a_line_is_what_serde_json_writes() {
    let principal = principal();
    let reference = Reference::new();
    line(&record());
    let own = ["a\"b", "a\\b", "\u{7f}\u{0}\n\t", "é \u{1f980}", "", " !#[]^~"];
    for own in own {
        let hidden = [(own, 2), ("tags", 1), (own, usize::MAX)];
        let record = AuditRecord {
            remote: Some(std::net::Ipv6Addr::LOCALHOST.into()),
            operation: own,
            protocol: Some(own),
            kind: Some(own),
            component: Some(own),
            rule: Some(own),
            outcome: own,
            hidden: &hidden,
            duration: Duration::MAX,
            ..full(&principal, reference)
        };
        line(&record);
        line(&AuditRecord { hidden: &hidden[..1], ..record });
    }
}

#[test]
fn e11_of_a_principal_only_the_identity_is_written() {
    let principal = principal();
    let record = record().with_principal(&principal);
    let json = serde_json::to_string(&record).unwrap();
    let events = Events::during(|| drop(Audit::new(AuditFailure::Stop).record(&record)));
    for text in [json, events.concat(), format!("{record:?}")] {
        assert!(text.contains("alice") && text.contains("issuer.example"), "{text}");
        for never in ["secret", "email", "jti", "scope-", "77777", "expires"] {
            assert!(!text.contains(never), "{never} in {text}");
        }
    }
}

#[test]
fn e10_what_a_client_says_starts_no_line_and_moves_no_cursor() {
    let long = "x".repeat(1_000_000);
    for (attack, written) in [
        ("a\nb", r"a\u{a}b"),
        ("x\r\n[INFO] admin login", r"x\u{d}\u{a}[INFO] admin login"),
        ("\u{1b}[2J\u{1b}]0;title\u{7}", r"\u{1b}[2J\u{1b}]0;title\u{7}"),
        ("\u{9b}31m\u{85}", r"\u{9b}31m\u{85}"),
        ("a\u{2028}b\u{2029}", r"a\u{2028}b\u{2029}"),
        ("\u{202e}nimda\u{2066}\u{200f}\u{61c}", r"\u{202e}nimda\u{2066}\u{200f}\u{61c}"),
        ("ad\u{200b}min\u{feff}\u{ad}\u{e0041}", r"ad\u{200b}min\u{feff}\u{ad}\u{e0041}"),
        ("nul\0\u{7f}", r"nul\u{0}\u{7f}"),
        ("Zoë \u{1f980} \"\\'", "Zoë \u{1f980} \"\\'"),
        (long.as_str(), &format!("{}…", "x".repeat(256))),
        (&"é".repeat(257), &format!("{}…", "é".repeat(256))),
        (&"é".repeat(256), &"é".repeat(256)),
    ] {
        let principal = Principal::new(attack).with_issuer(attack).with_client_id(attack);
        let record = AuditRecord {
            client_name: Some(attack.into()),
            client_version: Some(attack.into()),
            reason: Some(attack.into()),
            ..record().with_principal(&principal)
        };
        let json: Value = serde_json::from_str(&line(&record)).unwrap();
        for name in ["issuer", "subject", "client_id", "client_name", "client_version", "reason"] {
            assert_eq!(json[name], written, "{name}");
        }
        let events = Events::during(|| drop(Audit::new(AuditFailure::Stop).record(&record)));
        let quoted = format!("={} ", quoted(written));
        assert_eq!(events.concat().matches(&quoted).count(), 6, "{events:?}");
    }
}

/// As the log has it: a quotation mark that the client wrote ends no field.
fn quoted(written: &str) -> String {
    format!("\"{}\"", written.replace('\\', r"\\").replace('"', "\\\""))
}

#[test]
fn trial_d3_a_log_for_programs_has_texts_as_they_are() {
    struct Subject(Option<String>);
    impl Visit for Subject {
        fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
        fn record_str(&mut self, field: &Field, value: &str) {
            if field.name() == "subject" {
                self.0 = Some(value.to_owned());
            }
        }
    }
    for (subject, logged) in [("alice", "alice"), ("a\nb", r"a\u{a}b")] {
        let principal = Principal::new(subject);
        let record = record().with_principal(&principal);
        let logs = Logs::default();
        with_subscriber(logs.clone(), || {
            drop(Audit::new(AuditFailure::Continue).record(&record));
        });
        assert_eq!(logs.0.lock().unwrap().as_deref(), Some(logged));
    }

    #[derive(Clone, Default)]
    struct Logs(Arc<Mutex<Option<String>>>);
    impl tracing::Subscriber for Logs {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let mut subject = Subject(None);
            event.record(&mut subject);
            *self.0.lock().unwrap() = subject.0;
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }
}

#[test]
fn e10_an_injected_line_stays_within_its_record() {
    let folder = Folder::new();
    let sink = JsonLines::open(folder.file()).unwrap();
    let forged = "\"}\n{\"verdict\":\"allowed\",\"subject\":\"admin\"}\n";
    for _ in 0..3 {
        // A component is the server's own, but a sink does not take that on trust.
        sink.record(&AuditRecord {
            client_name: Some(forged.into()),
            component: Some(forged),
            rule: Some(forged),
            hidden: &[("a\nb", 1)],
            ..record()
        })
        .unwrap();
    }
    drop(sink);
    assert_eq!(folder.lines().len(), 3);
    for line in folder.lines() {
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["verdict"], "failed");
        assert_eq!(line["component"], forged);
    }
}

#[test]
fn e11_every_sink_gets_every_record_and_failures_are_counted() {
    for (policy, stops) in [(AuditFailure::Continue, false), (AuditFailure::Stop, true)] {
        let (fickle, steady) = (Arc::new(Fickle::default()), Arc::new(Fickle::default()));
        let audit = Audit::new(policy).sink(fickle.clone()).sink(steady.clone());
        fickle.fail(true);
        for _ in 0..2 {
            assert_eq!(audit.ready().is_err(), stops);
            assert_eq!(audit.record(&record()).is_err(), stops);
        }
        assert_eq!((fickle.taken(), steady.taken(), audit.failures()), (0, 2, 2));

        fickle.fail(false);
        assert!(audit.ready().is_ok());
        assert!(audit.record(&record()).is_ok());
        assert_eq!((fickle.taken(), steady.taken(), audit.failures()), (1, 3, 2));
    }
}

#[test]
fn a_sink_that_panics_has_failed() {
    let (broken, steady) = (Arc::new(Fickle::default()), Arc::new(Fickle::default()));
    broken.panics.store(true, Ordering::Relaxed);
    let audit = Audit::new(AuditFailure::Stop).sink(broken).sink(steady.clone());
    assert_eq!(audit.ready().unwrap_err().to_string(), "the sink panicked");
    assert_eq!(audit.record(&record()).unwrap_err().to_string(), "the sink panicked");
    assert_eq!((steady.taken(), audit.failures()), (1, 1));
}

#[test]
fn a_failure_and_its_end_are_logged_once_each() {
    let fickle = Arc::new(Fickle::default());
    let audit = Audit::new(AuditFailure::Stop).sink(fickle.clone());
    let serve = |times| {
        for _ in 0..times {
            drop(audit.ready().and_then(|()| audit.record(&record())));
        }
    };
    let errors: Vec<_> = Events::during(|| {
        serve(2);
        fickle.fail(true);
        serve(5);
        fickle.fail(false);
        serve(5);
    })
    .into_iter()
    .filter(|event| event.starts_with("ERROR"))
    .collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("failed") && errors[0].contains("no space"), "{errors:?}");
    assert!(errors[1].contains("takes records again"), "{errors:?}");
}

/// A sink may take a record that waits, while others fail.
#[test]
fn a_sink_that_takes_what_waits_does_not_count_as_mended() {
    #[derive(Debug)]
    struct Waiting;
    impl AuditSink for Waiting {
        fn record(&self, _: &AuditRecord<'_>) -> Result<(), AuditError> {
            Ok(())
        }
        fn ready(&self) -> Result<(), AuditError> {
            Err(AuditError::new("the collector is away"))
        }
    }
    let audit = Audit::new(AuditFailure::Stop).sink(Waiting);
    let events = Events::during(|| {
        for _ in 0..3 {
            assert!(audit.ready().is_err());
            audit.record(&record()).unwrap();
        }
    });
    let errors: Vec<_> = events.iter().filter(|event| event.starts_with("ERROR")).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn what_is_written_as_a_verdict_is_its_word() {
    use Verdict::{Allowed, Challenged, Denied, Failed, Limited, Refused};
    for verdict in [Allowed, Challenged, Denied, Failed, Limited, Refused] {
        assert_eq!(json!(verdict), verdict.as_str());
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error() {
    let folder = Folder::new();
    let error = JsonLines::open(&folder.0).unwrap_err().to_string();
    assert!(error.contains(&folder.0.display().to_string()), "{error}");
}
