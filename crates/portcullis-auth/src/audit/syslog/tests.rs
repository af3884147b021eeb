//! Records as syslog messages, and servers that are away.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use portcullis_guard::OperationId;
use serde_json::Value;

use super::*;
use crate::audit::{Audit, AuditFailure, LogText, Verdict};

struct Server {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
    socket: UnixDatagram,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "the test is the server")]
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { _folder: folder, path, socket }
    }

    /// The next message.
    fn message(&self) -> String {
        let mut buffer = vec![0; 100_000];
        let length = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// The header and the text of the next message.
    fn parts(&self) -> (String, Value) {
        let message = self.message();
        let (header, text) = message.split_once(" - {").unwrap();
        (header.to_owned(), serde_json::from_str(&format!("{{{text}")).unwrap())
    }
}

fn record<'a>() -> AuditRecord<'a> {
    let time = UNIX_EPOCH + Duration::from_micros(1_785_242_096_000_123);
    AuditRecord::new(OperationId::from(255), time, "http", "tools/call")
}

#[test]
fn e11_a_record_is_a_message_of_rfc_5424() {
    let server = Server::start();
    let sink = SyslogSink::unix(&server.path).unwrap();
    sink.record(&AuditRecord {
        subject: Some("alice".into()),
        verdict: Verdict::Allowed,
        outcome: "ok",
        ..record()
    })
    .unwrap();
    let process = std::process::id();
    assert_eq!(
        server.message(),
        format!(
            "<86>1 2026-07-28T12:34:56.000123Z - portcullis {process} tools/call - \
             {{\"time\":\"2026-07-28T12:34:56.000123Z\",\"id\":\"00000000000000ff\",\
             \"transport\":\"http\",\"operation\":\"tools/call\",\"subject\":\"alice\",\
             \"verdict\":\"allowed\",\"outcome\":\"ok\",\"duration_us\":0}}"
        )
    );
    let sink = sink.app_name("users").unwrap().host_name("mcp.example.com").unwrap();
    let sink = sink.facility(Facility::Local(2));
    sink.record(&AuditRecord { operation: "a kind of its own", ..record() }).unwrap();
    let (header, _) = server.parts();
    assert_eq!(
        header,
        format!("<148>1 2026-07-28T12:34:56.000123Z mcp.example.com users {process} -")
    );
    for (facility, code) in [
        (Facility::Daemon, 3),
        (Facility::AuthPriv, 10),
        (Facility::LogAudit, 13),
        (Facility::Local(0), 16),
        (Facility::Local(8), 23),
        (Facility::Local(255), 23),
    ] {
        let sink = SyslogSink::unix(&server.path).unwrap().facility(facility);
        for (verdict, severity) in
            [(Verdict::Allowed, 6), (Verdict::Denied, 5), (Verdict::Failed, 4)]
        {
            sink.record(&AuditRecord { verdict, ..record() }).unwrap();
            let priority = format!("<{}>1 ", code * 8 + severity);
            assert!(server.message().starts_with(&priority), "{facility:?} {verdict}");
        }
    }
}

#[test]
fn a_name_that_ends_its_field_is_refused() {
    let server = Server::start();
    let sink = || SyslogSink::unix(&server.path).unwrap();
    for name in ["", "two words", "a\nb", "é", &"x".repeat(49)] {
        assert!(sink().app_name(name).is_err(), "{name:?}");
    }
    assert!(sink().app_name(&"x".repeat(48)).is_ok());
    assert!(sink().host_name(&"x".repeat(255)).is_ok());
    assert!(sink().host_name(&"x".repeat(256)).is_err());
}

#[test]
fn e10_a_record_is_one_message_of_visible_ascii_whatever_is_in_it() {
    let server = Server::start();
    let sink = SyslogSink::unix(&server.path).unwrap();
    let forged = "\u{7f}\"}\n<86>1 - - sshd - - - admin\r\u{0}\u{1b}[2J\u{85}\u{2028}é\u{1f980}";
    sink.record(&AuditRecord {
        client_name: Some(forged.into()),
        // The server's own, but a sink does not take that on trust.
        component: Some(forged),
        rule: Some(forged),
        hidden: &[(forged, 1)],
        ..record()
    })
    .unwrap();
    let message = server.message();
    assert!(message.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{message}");
    let (_, text) = message.split_once(" - {").unwrap();
    let text: Value = serde_json::from_str(&format!("{{{text}")).unwrap();
    assert_eq!(text["component"], forged);
    assert_eq!(text["hidden"][forged], 1);
    assert_eq!(text["client_name"], LogText::from(forged).to_string());
    assert_eq!(text["verdict"], "failed");
}

#[test]
fn a_long_record_says_what_was_left_out_and_keeps_who_and_what() {
    let server = Server::start();
    let sink = SyslogSink::unix(&server.path).unwrap().max_bytes(0);
    let long = "é".repeat(256);
    let hidden = ["a", "b"].map(|name| (name, 1));
    let full = AuditRecord {
        client_name: Some(long.as_str().into()),
        client_version: Some(long.as_str().into()),
        reason: Some("a reason".into()),
        subject: Some("alice".into()),
        component: Some("read_file"),
        hidden: &hidden,
        ..record()
    };
    sink.record(&full).unwrap();
    let (_, text) = server.parts();
    assert_eq!(text["left_out"], serde_json::json!(["client_version"]));
    assert_eq!(text["client_name"], long);
    assert_eq!(text["reason"], "a reason");

    // The longest that can be chosen from outside leaves room for the rest.
    sink.record(&AuditRecord { subject: Some(long.as_str().into()), ..full }).unwrap();
    let message = server.message();
    assert!(message.len() <= SyslogSink::SHORTEST, "{}", message.len());
    let (_, text) = message.split_once(" - {").unwrap();
    let text: Value = serde_json::from_str(&format!("{{{text}")).unwrap();
    assert_eq!(
        text["left_out"],
        serde_json::json!(["client_version", "client_name"]),
        "until it fits, and no more"
    );
    assert_eq!((&text["subject"], &text["component"]), (&long.into(), &"read_file".into()));

    // Without room for its bare members, it is refused rather than sent in part.
    let operation: &'static str = "x".repeat(3_000).leak();
    assert!(sink.record(&AuditRecord { operation, ..record() }).is_err());
    let sink = sink.max_bytes(usize::MAX);
    sink.record(&AuditRecord { operation, ..record() }).unwrap();
    assert!(server.message().len() > 3_000);
}

/// Under `Stop` nothing is served while the server is away; what was taken arrives once it is back.
#[test]
fn e11_a_server_that_is_away_stops_operations_or_has_records_wait() {
    for (policy, stops) in [(AuditFailure::Continue, false), (AuditFailure::Stop, true)] {
        let server = Server::start();
        let sink = Arc::new(SyslogSink::unix(&server.path).unwrap());
        let audit = Audit::new(policy).sink(sink.clone());
        audit.ready().unwrap();
        audit.record(&record()).unwrap();
        server.message();
        let Server { _folder, path, socket } = server;
        drop(socket);
        std::fs::remove_file(&path).unwrap();
        audit.record(&AuditRecord { status: Some(1), ..record() }).unwrap();
        while sink.ready().is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(audit.ready().is_err(), stops);
        // An operation that had begun before.
        audit.record(&AuditRecord { status: Some(2), ..record() }).unwrap();
        assert_eq!(audit.failures(), 0);

        #[expect(clippy::disallowed_methods, reason = "the test is the server")]
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let server = Server { _folder, path, socket };
        for status in 1..3 {
            assert_eq!(server.parts().1["status"], status);
        }
        audit.flush();
        audit.ready().unwrap();
    }
}
