//! Secrets that are known are in no record.

use std::sync::Mutex;

use portcullis_guard::Secret;

use super::events::Events;
use super::*;

#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<String>>);

impl AuditSink for Kept {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        *self.0.lock().unwrap() = serde_json::to_string(record).unwrap();
        Ok(())
    }
}

#[test]
fn e08_texts_of_others_hold_no_secret_even_where_they_are_cut() {
    let secret = "e08-secret-of-a-record";
    let _known = Secret::known(secret.to_owned());
    // The text is cut within the secret.
    let text = format!("{} {secret} and more", "x".repeat(245));
    let foreign = || Some(LogText::from(text.as_str()));
    let full = AuditRecord {
        issuer: foreign(),
        subject: foreign(),
        client_id: foreign(),
        client_name: foreign(),
        client_version: foreign(),
        scopes: foreign(),
        reason: foreign(),
        ..record()
    };
    let kept = Kept::default();
    let audit = Audit::new(AuditFailure::Stop).sink(kept.clone());
    let events = Events::during(|| audit.record(&full).unwrap());
    let written = kept.0.lock().unwrap().clone();
    for text in [&written, &events[0]] {
        assert!(!text.contains("e08-"), "{text}");
        assert_eq!(text.matches("[redacted]").count(), 7, "{text}");
    }
}

#[test]
fn e08_one_text_with_a_secret_is_enough() {
    let secret = "e08-secret-in-one-text";
    let _known = Secret::known(secret.to_owned());
    let foreign = Some(LogText::from(secret));
    let records = [
        AuditRecord { issuer: foreign, ..record() },
        AuditRecord { subject: foreign, ..record() },
        AuditRecord { client_id: foreign, ..record() },
        AuditRecord { client_name: foreign, ..record() },
        AuditRecord { client_version: foreign, ..record() },
        AuditRecord { scopes: foreign, ..record() },
        AuditRecord { reason: foreign, ..record() },
    ];
    for record in records {
        let kept = Kept::default();
        Audit::new(AuditFailure::Stop).sink(kept.clone()).record(&record).unwrap();
        let written = kept.0.lock().unwrap().clone();
        assert!(!written.contains("e08-") && written.contains("[redacted]"), "{written}");
    }
}

/// Lines, as a file has them.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl AuditSink for Lines {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        let mut line = Vec::new();
        line::append(&mut line, record).unwrap();
        let line = String::from_utf8(line).unwrap();
        assert_eq!(line, serde_json::to_string(record).unwrap());
        self.0.lock().unwrap().push(line);
        Ok(())
    }
}

#[test]
fn e08_a_secret_that_becomes_known_leaves_the_lines_of_whoever_was_recorded_before() {
    let secret = "e08-subject-of-lines";
    let alice = Principal::new(secret).with_issuer("https://idp.example").with_client_id("c");
    let bob = Principal::new("bob");
    let lines = Lines::default();
    let audit = Audit::new(AuditFailure::Stop).sink(lines.clone());
    let write = |principal| audit.record(&record().with_principal(principal)).unwrap();
    write(&alice);
    write(&bob);
    write(&alice);
    let known = Secret::known(secret.to_owned());
    write(&alice);
    drop(known);
    write(&alice);
    write(&alice.clone().with_client_id("d"));
    let lines = lines.0.lock().unwrap().clone();
    let has = |text: &str| lines.iter().map(|line| line.contains(text)).collect::<Vec<_>>();
    assert_eq!(has(secret), [true, false, true, false, true, true]);
    assert_eq!(has("[redacted]"), [false, false, false, true, false, false]);
    assert_eq!(has(r#""client_id":"d""#), [false, false, false, false, false, true]);
}
