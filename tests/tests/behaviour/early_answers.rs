//! Answers that are given before the request has arrived.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use portcullis_tests::driver::{Response, Testbed};

use crate::TESTBED;

const JSON: &str = "Content-Type: application/json\r\n";
const ALICE: &str = "Content-Type: application/json\r\nAuthorization: Bearer dev-token-alice\r\n";
const MIB: usize = 1024 * 1024;

/// Sends `head` and then five times one MiB of `part`, each well after the other, and gives the
/// answer.
fn answered(testbed: &Testbed, head: &str, part: &[u8]) -> Response {
    let mut stream = testbed.connect();
    stream.write_all(head.as_bytes()).unwrap();
    for sent in 0..5 {
        std::thread::sleep(Duration::from_millis(20));
        let written = stream.write_all(part);
        assert!(written.is_ok(), "{head}: {written:?} after {sent} MiB");
    }
    Response::read(stream)
}

#[test]
fn trial_a7_an_answer_that_does_not_wait_for_the_body_reaches_who_is_still_sending() {
    let testbed = Testbed::start(TESTBED, &[]);
    let authority = testbed.authority();
    let unknown = format!("{JSON}Authorization: Bearer nobodys\r\n");
    let foreign = format!("{ALICE}Origin: https://evil.example\r\n");
    let cases = [
        (401, "POST /mcp", authority, JSON),
        (401, "POST /mcp", authority, &unknown),
        (403, "POST /mcp", authority, &foreign),
        (404, "POST /nothing", authority, ""),
        (405, "POST /health", authority, ""),
        (405, "PUT /mcp", authority, ALICE),
        (413, "POST /mcp", authority, ALICE),
        (415, "POST /mcp", authority, "Authorization: Bearer dev-token-alice\r\n"),
        (421, "POST /mcp", "evil.example", ALICE),
    ];
    let chunk = [b"100000\r\n", &*vec![b' '; MIB], b"\r\n"].concat();
    std::thread::scope(|scope| {
        for (status, line, host, head) in cases {
            let (testbed, chunk) = (&testbed, &chunk);
            scope.spawn(move || {
                let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{head}");
                let known = format!("{head}Content-Length: {}\r\n\r\n", 5 * MIB);
                let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
                for (head, part) in [(known, &vec![b' '; MIB]), (chunked, chunk)] {
                    let answer = answered(testbed, &head, part);
                    let closes = answer.header("connection");
                    assert_eq!((answer.status, closes), (status, Some("close")), "{head}");
                }
            });
        }
    });
}

#[test]
fn trial_a7_an_answer_to_a_head_that_is_too_large_reaches_who_is_still_sending() {
    let testbed = Testbed::start(TESTBED, &[]);
    let head = format!("POST /mcp HTTP/1.1\r\nHost: {}\r\nX-Long: ", testbed.authority());
    assert_eq!(answered(&testbed, &head, &vec![b'a'; MIB]).status, 431);
}

#[test]
fn trial_a7_a_body_that_comes_after_its_answer_leaves_the_connection_as_it_was() {
    let testbed = Testbed::start(TESTBED, &[]);
    let mut stream = testbed.connect();
    let authority = testbed.authority();
    let mut send = |token: &str, pause: u64| {
        let body = r#"{"jsonrpc":"2.0","method":"notifications/x","params":{}}"#;
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\n\
             Authorization: Bearer {token}\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        stream.write_all(body.as_bytes()).unwrap();
        let read = Response::read(stream.try_clone().unwrap());
        (read.status, read.header("connection").map(str::to_owned))
    };
    for _ in 0..3 {
        assert_eq!(send("nobodys", 50), (401, None));
        assert_eq!(send("dev-token-alice", 50), (202, None));
    }
}

#[test]
fn trial_a7_a_client_that_asks_before_it_sends_is_not_waited_for() {
    let testbed = Testbed::start(TESTBED, &[]);
    let authority = testbed.authority();
    let foreign = "Origin: https://evil.example\r\n";
    let preflight = "Origin: http://localhost\r\nAccess-Control-Request-Method: POST\r\n";
    // What the client does not send would be taken from its next request.
    for (status, line, host, head) in [
        (401, "POST /mcp", authority, ""),
        (421, "POST /mcp", "evil.example", ""),
        (421, "POST /health", "evil.example", ""),
        (403, "POST /mcp", authority, foreign),
        (403, "POST /health", authority, foreign),
        (204, "OPTIONS /mcp", authority, preflight),
        (404, "POST /nothing", authority, ""),
        (405, "POST /.well-known/oauth-protected-resource/mcp", authority, ""),
    ] {
        let mut stream: TcpStream = testbed.connect();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\n{head}Expect: 100-continue\r\n\
             Content-Length: 10\r\n\r\n",
        );
        stream.write_all(head.as_bytes()).unwrap();
        let answer = Response::read(stream.try_clone().unwrap());
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{head}");
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let end = stream.read(&mut [0; 1]).map_err(|error| error.kind());
        assert_ne!(end, Err(ErrorKind::WouldBlock), "the connection goes on: {head}");
    }
}
