//! Each example that talks to other services, against stand-ins for them on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use portcullis::testing::IdentityProvider;
use portcullis_tests::driver::Testbed;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{ALICE, BOB, text};

const PATIENCE: Duration = Duration::from_secs(10);

/// A service on loopback that answers everything with `body`, and what it was sent: heads and bodies.
struct Service {
    origin: String,
    requests: Receiver<(String, Vec<u8>)>,
}

impl Service {
    fn start(body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(&stream);
                let lines = reader.by_ref().lines().map(Result::unwrap);
                let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
                let head = head.join("\n").to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let mut sent = vec![0; length.map_or(0, |length| length.parse().unwrap())];
                reader.read_exact(&mut sent).unwrap();
                let _ = sender.send((head, sent));
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { origin, requests }
    }

    fn next(&self) -> (String, Vec<u8>) {
        self.requests.recv_timeout(PATIENCE).unwrap()
    }
}

#[test]
fn metrics_are_for_prometheus_and_probes_for_everybody() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_metrics"));
    let get = |path: &str, token: Option<&str>| {
        let head = token.map(|token| format!("Authorization: Bearer {token}"));
        let head: Vec<&str> = head.as_deref().into_iter().collect();
        server.request(&format!("GET {path}"), &head, b"")
    };
    assert_eq!(text(&server.call(BOB, "roll", json!({"dice": 2}))), "8 in total");
    assert_eq!(get("/metrics", None).status, 401);
    assert_eq!(get("/metrics", BOB).status, 403);
    let metrics = get("/metrics", Some("dev-token-prometheus"));
    assert_eq!(metrics.status, 200);
    let counted = metrics.body.lines().find(|line| line.contains(r#"component="roll""#));
    assert!(counted.is_some(), "{}", metrics.body);
    assert!(!metrics.body.contains("bob"), "{}", metrics.body);
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(get(probe, None).status, 200, "{probe}");
    }
}

#[test]
fn audit_collectors_get_every_record_and_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("log");
    let syslog = UnixDatagram::bind(&socket).unwrap();
    syslog.set_read_timeout(Some(PATIENCE)).unwrap();
    let collector = Service::start("{}");
    let server = Testbed::on_free_port_with(
        env!("CARGO_BIN_EXE_audit_collectors"),
        &[
            ("SYSLOG_SOCKET", socket.to_str().unwrap()),
            ("OTLP_LOGS", &format!("{}/v1/logs", collector.origin)),
            ("LOOPBACK_COLLECTOR", "true"),
        ],
    );
    assert_eq!(text(&server.call(BOB, "greet", json!({}))), "Hello, bob.");
    let mut message = vec![0; 65_536];
    let length = syslog.recv(&mut message).unwrap();
    let message = str::from_utf8(&message[..length]).unwrap();
    // Facility 13 and severity 6, version 1 (RFC 5424 §6).
    assert!(message.starts_with("<110>1 ") && message.contains(" payroll "), "{message}");
    assert!(message.contains(r#""component":"greet""#), "{message}");

    let (head, body) = collector.next();
    assert!(head.starts_with("post /v1/logs "), "{head}");
    let logs: Value = serde_json::from_slice(&body).unwrap();
    let record = &logs["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["body"]["stringValue"], "tools/call: allowed");
    for sent in [message, str::from_utf8(&body).unwrap(), &head] {
        assert!(!sent.contains("dev-token"), "{sent}");
    }
}

#[test]
fn token_exchange_calls_the_orders_with_a_token_for_them_alone() {
    let runtime = Runtime::new().unwrap();
    let provider = runtime.block_on(IdentityProvider::start()).unwrap();
    let orders = Service::start("two lamps");
    let audience = "https://mcp.example.com/mcp";
    let secret = provider.client_secret();
    let server = Testbed::on_free_port_with(
        env!("CARGO_BIN_EXE_token_exchange"),
        &[
            ("ISSUER", provider.issuer()),
            ("AUDIENCE", audience),
            ("TOKEN_ENDPOINT", &format!("{}/token", provider.issuer())),
            ("CLIENT_ID", provider.client_id()),
            ("CLIENT_SECRET", secret.expose()),
            ("ORDERS", &orders.origin),
            ("LOOPBACK", "true"),
        ],
    );
    let alice = provider.token("alice", audience).sign();
    let answer = server.call(Some(&alice), "order", json!({"number": 7}));
    assert_eq!(text(&answer), "two lamps");
    let (head, _) = orders.next();
    assert!(head.starts_with("get /orders/7 "), "{head}");
    assert!(head.contains("\nauthorization: bearer "), "{head}");
    assert!(!head.contains(&alice.to_ascii_lowercase()), "the caller's own token was sent");
    assert_eq!(provider.exchanges(), 1);
    assert!(!server.log().contains(&alice) && !server.log().contains(secret.expose().as_str()));
}

#[test]
fn caller_credentials_go_to_one_origin_and_nothing_goes_without() {
    let tickets = Service::start("the lamp is broken");
    let other = Service::start("");
    let server = Testbed::on_free_port_with(
        env!("CARGO_BIN_EXE_caller_credentials"),
        &[("TICKETS", &tickets.origin), ("ALICES_KEY", "kQ3-alices-own-key"), ("LOOPBACK", "true")],
    );
    let ask = |token, path: &str| server.call(token, "ticket", json!({"path": path}));
    assert_eq!(text(&ask(ALICE, "open/7")), "the lamp is broken");
    let (head, _) = tickets.next();
    assert!(head.starts_with("get /open/7 "), "{head}");
    assert!(head.contains("\nx-api-key: kq3-alices-own-key"), "{head}");

    let missing = "You have no credential for the service that this needs.";
    assert_eq!(text(&ask(BOB, "open/7")), missing);
    let elsewhere = other.origin.strip_prefix("http:").unwrap();
    for path in [elsewhere, &other.origin] {
        assert!(text(&ask(ALICE, path)).starts_with("Internal error (reference "), "{path}");
    }
    assert!(tickets.requests.try_recv().is_err() && other.requests.try_recv().is_err());
    assert!(!server.log().contains("alices-own-key"), "{}", server.log());
}
