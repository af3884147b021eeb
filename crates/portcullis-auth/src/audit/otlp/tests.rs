//! Records on their way to a collector that is slow, away or out of order.

mod lost;
mod spans;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use portcullis_guard::{Fetch, OperationId};
use serde_json::{Value, json};

use super::*;
use crate::audit::{Audit, AuditFailure, Verdict};

const SOON: Duration = Duration::from_secs(20);

/// A collector that answers as it is told to.
struct Collector(TcpListener);

/// A request that waits for its answer.
struct Received {
    stream: TcpStream,
    head: String,
    body: Value,
}

impl Collector {
    fn start() -> Self {
        Self::at("127.0.0.1:0")
    }

    #[expect(clippy::disallowed_methods, reason = "the test is the collector")]
    fn at(address: &str) -> Self {
        Self(TcpListener::bind(address).unwrap())
    }

    fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    fn builder(&self) -> OtlpSinkBuilder {
        let url = format!("http://{}/v1/logs", self.address()).parse().unwrap();
        OtlpSink::builder(Fetch::builder().allow_loopback().time(SOON), &url, "users")
    }

    fn sink(&self) -> OtlpSink {
        self.builder().open().unwrap()
    }

    fn next(&self) -> Received {
        let stream = self.0.accept().unwrap().0;
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut reader = BufReader::new(stream);
        let (mut head, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line).unwrap() > 2 {
            head.push_str(&line.to_ascii_lowercase());
            line.clear();
        }
        let (_, length) = head.split_once("content-length: ").unwrap();
        let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let body = serde_json::from_slice(&body).unwrap();
        Received { stream: reader.into_inner(), head, body }
    }
}

impl Received {
    /// Each request has a connection of its own.
    fn answer(mut self, head: &str, body: &str) {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(answer.as_bytes()).unwrap();
    }

    fn take(self) {
        self.answer("200 OK", "{}");
    }

    fn records(&self) -> &Vec<Value> {
        self.body["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap()
    }

    /// The statuses of the records, by which the tests tell them apart.
    fn statuses(&self) -> Vec<u16> {
        self.records().iter().map(|record| attribute(record, "audit.status")).collect()
    }
}

fn attribute(record: &Value, key: &str) -> u16 {
    let mut attributes = record["attributes"].as_array().unwrap().iter();
    let value = &attributes.find(|attribute| attribute["key"] == key).unwrap()["value"];
    value["intValue"].as_str().unwrap().parse().unwrap()
}

fn record<'a>() -> AuditRecord<'a> {
    let time = UNIX_EPOCH + Duration::from_micros(1_785_242_096_000_123);
    AuditRecord::new(OperationId::from(255), time, "http", "tools/call")
}

fn numbered<'a>(status: u16) -> AuditRecord<'a> {
    AuditRecord { status: Some(status), ..record() }
}

fn wait_until(fails: bool, sink: &OtlpSink) {
    while sink.ready().is_err() != fails {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn e11_a_record_is_a_log_record_of_otlp() {
    let collector = Collector::start();
    let secret = Secret::new("Bearer hunter2".to_owned());
    let sink = collector.builder().header("authorization", secret).open().unwrap();
    sink.record(&AuditRecord {
        subject: Some("alice \u{202e}".into()),
        verdict: Verdict::Denied,
        hidden: &[("scopes admin", 2)],
        status: Some(404),
        duration: Duration::from_micros(1_234),
        ..record()
    })
    .unwrap();
    let received = collector.next();
    assert!(received.head.starts_with("post /v1/logs http/1.1\r\n"), "{}", received.head);
    for header in ["content-type: application/json\r\n", "authorization: bearer hunter2\r\n"] {
        assert!(received.head.contains(header), "{}", received.head);
    }
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let number = |key: &str, value: &str| json!({ "key": key, "value": { "intValue": value } });
    let hidden = json!({ "kvlistValue": { "values": [number("scopes admin", "2")] } });
    let expected = json!({ "resourceLogs": [{
        "resource": { "attributes": [text("service.name", "users")] },
        "scopeLogs": [{
            "scope": { "name": "portcullis.audit", "version": env!("CARGO_PKG_VERSION") },
            "logRecords": [{
                "traceId": "",
                "timeUnixNano": "1785242096000123000",
                "severityNumber": 10,
                "severityText": "INFO2",
                "body": { "stringValue": "tools/call: denied" },
                "attributes": [
                    text("audit.time", "2026-07-28T12:34:56.000123Z"),
                    text("audit.id", "00000000000000ff"),
                    text("audit.transport", "http"),
                    text("audit.operation", "tools/call"),
                    text("audit.subject", "alice \\u{202e}"),
                    text("audit.verdict", "denied"),
                    { "key": "audit.hidden", "value": hidden },
                    text("audit.outcome", "internal_error"),
                    number("audit.status", "404"),
                    number("audit.duration_us", "1234"),
                ],
            }],
        }],
    }] });
    assert_eq!(received.body, expected);
    received.take();
    sink.flush().unwrap();
    for shown in [format!("{sink:?}"), format!("{:?}", collector.builder())] {
        assert!(shown.contains("127.0.0.1") && !shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn records_go_in_batches_in_their_order_and_none_is_lost_or_twice() {
    let collector = Collector::start();
    let sink = collector.sink();
    sink.record(&numbered(0)).unwrap();
    let first = collector.next();
    // While the first waits for its answer, the others gather.
    (1..2_000).for_each(|number| sink.record(&numbered(number)).unwrap());
    let mut statuses = first.statuses();
    first.take();
    let mut requests = 0;
    while statuses.len() < 2_000 {
        let received = collector.next();
        assert!(received.records().len() <= 512);
        statuses.extend(received.statuses());
        received.take();
        requests += 1;
    }
    assert_eq!(statuses, (0..2_000).collect::<Vec<_>>());
    assert_eq!(requests, 4, "1999 in batches of 512");
    sink.flush().unwrap();
}

#[test]
fn what_a_collector_cannot_take_now_is_sent_again() {
    for status in ["429 Slow", "502 Bad", "503 Away", "504 Slow", "302 Found", "307 Elsewhere"] {
        let collector = Collector::start();
        let sink = collector.sink();
        sink.record(&numbered(1)).unwrap();
        collector.next().answer(status, "");
        wait_until(true, &sink);
        sink.record(&numbered(2)).unwrap();
        let again = collector.next();
        assert_eq!(again.statuses(), [1], "{status}");
        again.take();
        let rest = collector.next();
        assert_eq!(rest.statuses(), [2], "{status}");
        rest.take();
        sink.flush().unwrap();
        wait_until(false, &sink);
        assert_eq!(sink.lost(), 0, "{status}");
    }
}

#[test]
fn a_collector_that_breaks_off_or_was_started_again_gets_every_record() {
    let collector = Collector::start();
    let sink = collector.sink();
    sink.record(&numbered(1)).unwrap();
    drop(collector.next());
    wait_until(true, &sink);
    let address = collector.address();
    drop(collector);
    sink.record(&numbered(2)).unwrap();
    let collector = Collector::at(&address);
    let mut statuses = Vec::new();
    while statuses.len() < 2 {
        let received = collector.next();
        statuses.extend(received.statuses());
        received.take();
    }
    assert_eq!(statuses, [1, 2]);
    sink.flush().unwrap();
}

#[test]
fn lines_are_cut_behind_their_ends() {
    let cut = |lines: &'static str, most| {
        let lines = collector::first(lines.as_bytes(), most).into_iter();
        lines.map(|line| str::from_utf8(line).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(cut("a\nbc\n\nd\n", 512), ["a\n", "bc\n", "\n", "d\n"]);
    assert_eq!(cut("a\nbc\nd\n", 2), ["a\n", "bc\n"]);
    assert_eq!(cut("a\nbc", 512), ["a\n", "bc"]);
    assert!(cut("", 512).is_empty() && cut("a\n", 0).is_empty());
}

#[test]
fn a_collector_is_left_alone_for_as_long_as_it_says() {
    let said = |value: &str| {
        let mut headers = portcullis_guard::fetch::HeaderMap::new();
        headers.insert("retry-after", value.parse().unwrap());
        collector::retry_after(&headers)
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(said("7"), seconds(7));
    assert_eq!(said("0"), seconds(1), "never at once");
    assert_eq!(said("99999999"), seconds(300), "nor for ever");
    for other in ["-1", "soon", "", "18446744073709551616", "Fri, 31 Jul 2026 23:59:59 GMT"] {
        assert_eq!(said(other), None, "{other}");
    }
    // One that says nothing is left alone for longer each time.
    let mut pause = Duration::ZERO;
    let pauses = [(); 6].map(|()| {
        pause = collector::longer(pause);
        pause.as_secs()
    });
    assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
    // As the thread that delivers asks.
    let collector = Collector::start();
    let sink = collector.sink();
    sink.record(&numbered(1)).unwrap();
    let asked = collector.next();
    let begun = tokio::time::Instant::now();
    asked.answer("503 Unavailable\r\nretry-after: 3", "");
    let again = collector.next();
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    again.take();
}

#[test]
fn e11_operations_stop_while_the_collector_fails_if_they_have_to() {
    for (policy, stops) in [(AuditFailure::Continue, false), (AuditFailure::Stop, true)] {
        let collector = Collector::start();
        let sink = std::sync::Arc::new(collector.sink());
        let audit = Audit::new(policy).sink(sink.clone());
        audit.record(&numbered(1)).unwrap();
        audit.ready().unwrap();
        collector.next().answer("503 Unavailable", "");
        wait_until(true, &sink);
        assert_eq!(audit.ready().is_err(), stops);
        audit.record(&numbered(2)).unwrap();
        assert_eq!(audit.failures(), 0, "it waits, and is not lost");
        collector.next().take();
        collector.next().take();
        audit.flush();
        audit.ready().unwrap();
    }
}

#[test]
fn records_are_refused_and_counted_once_too_many_wait() {
    let collector = Collector::start();
    let audit = Audit::new(AuditFailure::Continue).sink(collector.sink());
    let mut taken = 0_usize;
    while audit.failures() == 0 {
        audit.record(&numbered(1)).unwrap();
        taken += 1;
    }
    assert_eq!(audit.failures(), 1);
    let mut arrived = 0;
    while arrived < taken - 1 {
        let received = collector.next();
        arrived += received.records().len();
        received.take();
    }
    assert_eq!(arrived, taken - 1);
}

#[test]
fn a_url_that_is_no_collector_is_refused() {
    let open = |fetch: FetchBuilder, url: &str| {
        OtlpSink::builder(fetch, &url.parse().unwrap(), "users").open()
    };
    let fetch = || Fetch::builder().allow_loopback();
    assert!(open(fetch(), "http://127.0.0.1:4318/").is_err(), "no path");
    assert!(open(Fetch::builder(), "http://127.0.0.1:4318/v1/logs").is_err(), "not allowed");
    assert!(open(fetch(), "http://otel.example.com/v1/logs").is_err(), "not encrypted");
    assert!(open(fetch(), "http://127.0.0.1:4318/v1/logs").is_ok(), "need not be there yet");
    let forged = Secret::new("a\r\nb: c".to_owned());
    assert!(Collector::start().builder().header("authorization", forged).open().is_err());
}
