//! What one client may take.

use std::io::{Read, Write};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use portcullis_tests::driver::{Response, StdioTestbed, Testbed, interrupt, message, terminate};
use portcullis_tests::http2::Unreading;
use serde_json::json;

use crate::{ALICE, TESTBED};

/// Connects, writes `bytes`, and says when the server closed the connection.
fn closed_after(testbed: &Testbed, bytes: &[u8]) -> Duration {
    let mut stream = testbed.connect();
    stream.write_all(bytes).unwrap();
    let started = Instant::now();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    started.elapsed()
}

#[test]
fn a_connection_that_sends_half_a_head_is_closed_within_the_limit() {
    let testbed = Testbed::start(TESTBED, &[]);
    std::thread::scope(|scope| {
        for bytes in ["POST /mcp HTTP/1.1\r\nHost: local", "P", "", "PRI * HTTP/2"] {
            let testbed = &testbed;
            scope.spawn(move || {
                let elapsed = closed_after(testbed, bytes.as_bytes());
                assert!((9..15).contains(&elapsed.as_secs()), "{bytes:?} was open for {elapsed:?}");
            });
        }
    });
}

/// An HTTP/2 connection that acknowledges pings and does nothing else.
fn ping_for_ever(testbed: &Testbed, first: &[u8]) -> Duration {
    let mut stream = testbed.connect();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(first).unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        let mut head = [0; 9];
        match stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => break,
        }
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).unwrap();
        let (settings, ping, acknowledged) = (head[3] == 4, head[3] == 6, head[4] & 1 == 1);
        if settings && !acknowledged {
            stream.write_all(&[0, 0, 0, 4, 1, 0, 0, 0, 0]).unwrap();
        }
        if ping && !acknowledged {
            let frame = [&[0, 0, 8, 6, 1, 0, 0, 0, 0][..], &payload].concat();
            if stream.write_all(&frame).is_err() {
                break;
            }
        }
    }
    started.elapsed()
}

#[test]
fn an_http2_connection_that_only_answers_pings_is_closed() {
    let testbed = Testbed::start(TESTBED, &[]);
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // The same with no room for any answer: SETTINGS_INITIAL_WINDOW_SIZE of 0.
    let no_window = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    std::thread::scope(|scope| {
        for first in [&settings[..], &no_window] {
            let testbed = &testbed;
            scope.spawn(move || {
                let elapsed = ping_for_ever(testbed, first);
                assert!(elapsed < Duration::from_secs(45), "open for {elapsed:?}");
            });
        }
    });
}

#[test]
fn a_client_that_does_not_read_its_answers_is_closed() {
    let testbed = Testbed::start(TESTBED, &[]);
    let mut stream = testbed.connect();
    stream.set_write_timeout(Some(Duration::from_secs(45))).unwrap();
    let request = b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let started = Instant::now();
    let failed = loop {
        if let Err(error) = stream.write_all(&request) {
            break error;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "answers are taken without end");
    };
    let timed_out = failed.kind() == std::io::ErrorKind::WouldBlock;
    assert!(!timed_out, "the connection was still open after {:?}", started.elapsed());
}

#[test]
fn n20_arguments_that_would_fill_the_memory_are_refused_for_everybody_alike() {
    let testbed = Testbed::start(TESTBED, &[]);
    let many = format!(r#"{{"x":[{}{{}}]}}"#, r#"{"":0},"#.repeat(500_000));
    let send = |tool: &str| {
        let call =
            message("tools/call", json!({"name": tool, "arguments": "ARGUMENTS"})).to_string();
        let name = format!("Mcp-Name: {tool}");
        let head = [
            "Authorization: Bearer dev-token-bob",
            "Content-Type: application/json",
            "MCP-Protocol-Version: 2026-07-28",
            "Mcp-Method: tools/call",
            &name,
        ];
        testbed.request("POST /mcp", &head, call.replace("\"ARGUMENTS\"", &many).as_bytes())
    };
    for unknown in ["nope", "delete_user"] {
        assert_eq!(send(unknown).code(), -32602, "{unknown}");
    }
    let refused = send("echo").json();
    assert!(
        refused["result"]["content"][0]["text"].as_str().unwrap().contains("too many values"),
        "{refused}"
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", testbed.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 128 * 1024, "{peak} kB");
}

#[test]
fn n19_a_body_over_4_mib_is_refused_however_it_is_declared() {
    let testbed = Testbed::start(TESTBED, &[]);
    let head = ["Authorization: Bearer dev-token-alice", "Content-Type: application/json"];
    let declared = testbed.request("POST /mcp", &head, &vec![b' '; 5 * 1024 * 1024]);
    assert_eq!((declared.status, declared.code()), (413, 413));
    let unsent = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\n{}\r\nContent-Length: 5242880\r\n\r\n",
        testbed.authority(),
        head.join("\r\n")
    );
    let started = Instant::now();
    assert_eq!(testbed.send(unsent.as_bytes()).status, 413);
    assert!(started.elapsed() < Duration::from_secs(5), "the body was waited for");

    let mut chunked = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\n{}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        testbed.authority(),
        head.join("\r\n")
    )
    .into_bytes();
    for _ in 0..80 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend_from_slice(&[b' '; 0x10000]);
        chunked.extend_from_slice(b"\r\n");
    }
    assert_eq!(testbed.send(&chunked).status, 413);
    let within = testbed.request("POST /mcp", &head, &vec![b' '; 4 * 1024 * 1024]);
    assert_eq!(within.code(), -32700, "4 MiB are read, and are not JSON");
}

#[test]
fn j17_long_tokens_and_heads_are_refused_unread() {
    let testbed = Testbed::start(TESTBED, &[]);
    let with_token = |bytes: usize| {
        let header = format!("Authorization: Bearer {}", "a".repeat(bytes));
        testbed.request("POST /mcp", &[&header, "Content-Type: application/json"], b"{}").status
    };
    assert_eq!(with_token(17 * 1024), 401);
    testbed.wait_for_log("the bearer token is longer than 16 KiB");
    assert_eq!(with_token(16 * 1024), 401);
    testbed.wait_for_log("not a listed static token");
    assert_eq!(with_token(64 * 1024), 431);
    let with_fields = |fields: usize| {
        let head = vec!["X-Field: x"; fields];
        testbed.request("POST /mcp", &head, b"{}").status
    };
    assert_eq!((with_fields(90), with_fields(101)), (401, 431));
}

/// Calls `wait` on threads of their own, and returns once all of them run.
fn waiting<'scope>(
    scope: &'scope Scope<'scope, '_>,
    testbed: &'scope Testbed,
    (calls, ms): (usize, u64),
) -> Vec<ScopedJoinHandle<'scope, Response>> {
    let params = move || json!({"name": "wait", "arguments": {"ms": ms}});
    let call = move || testbed.rpc(None, "tools/call", params());
    let running = (0..calls).map(|_| scope.spawn(call)).collect();
    let begun = Instant::now();
    while testbed.log().matches("waiting ms=").count() < calls {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", testbed.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    running
}

#[test]
fn sigterm_lets_running_calls_finish_and_refuses_new_ones() {
    let testbed = Testbed::start(TESTBED, &["--auth", "none"]);
    let id = testbed.id();
    // Idle connections must not delay the end.
    let _idle: Vec<_> = (0..20).map(|_| testbed.connect()).collect();
    let started = std::thread::scope(|scope| {
        let running = waiting(scope, &testbed, (20, 3_000));
        let started = Instant::now();
        terminate(id);
        let list = || testbed.rpc(None, "tools/list", json!({}));
        while list().status == 200 {
            assert!(started.elapsed() < Duration::from_secs(2), "it does not stop");
        }
        for _ in 0..50 {
            let refused = list();
            assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
            let error = &refused.json()["error"];
            assert_eq!(error["message"], "The server is stopping");
            assert_eq!(refused.header("connection"), Some("close"));
        }
        let status = |path: &str| testbed.request(&format!("GET {path}"), &[], b"").status;
        assert_eq!((status("/health"), status("/livez")), (503, 200), "probes are answered");
        for call in running {
            let answer = call.join().unwrap();
            assert_eq!(answer.json()["result"]["content"][0]["text"], "waited 3000 ms");
        }
        started
    });
    assert_eq!(testbed.exit_code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[test]
fn the_log_of_an_idle_server_has_the_stop_however_slow_it_is() {
    let testbed = Testbed::start(TESTBED, &["--slow-log"]);
    // A server hears signals from its first answer on; it says its URL before.
    assert_eq!(testbed.request("GET /health", &[], b"").status, 200);
    terminate(testbed.id());
    // Of a server that has ended nothing more is read.
    testbed.wait_for_log("stopping: waiting for running requests to finish");
    assert_eq!(testbed.exit_code(), Some(0));

    let mut testbed = StdioTestbed::start_with(TESTBED, &["--slow-log"]);
    testbed.ask(&message("server/discover", json!({})));
    terminate(testbed.id());
    testbed.wait_for_log("stopping: waiting for running requests to finish");
    assert_eq!(testbed.end(), (String::new(), Some(0)));
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    for (second, status) in [(terminate as fn(u32), 143), (interrupt, 130)] {
        let testbed = Testbed::start(TESTBED, &["--auth", "none"]);
        let call = json!({"name": "wait", "arguments": {"ms": 60_000}});
        let mut running = testbed.connect();
        running.write_all(&testbed.rpc_bytes(None, "tools/call", call)).unwrap();
        testbed.wait_for_log("waiting ms=");
        terminate(testbed.id());
        testbed.wait_for_log("stopping");
        let started = Instant::now();
        second(testbed.id());
        assert_eq!(testbed.exit_code(), Some(status));
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
}

#[test]
fn one_client_may_not_have_more_connections_than_there_are() {
    let testbed = Testbed::start(TESTBED, &[]);
    let mut held: Vec<_> = (0..1_024).map(|_| testbed.connect()).collect();
    let refused = testbed.request("POST /mcp", &[], b"{}");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.code(), 503);
    held.truncate(1_000);
    let started = Instant::now();
    while testbed.request("POST /mcp", &[], b"{}").status != 401 {
        assert!(started.elapsed() < Duration::from_secs(5), "places were not given back");
    }
    drop(held);
}

#[test]
fn n16_a_thousand_half_requests_leave_the_server_answering() {
    let testbed = Testbed::start(TESTBED, &[]);
    let whole = testbed.rpc_bytes(ALICE, "tools/list", json!({}));
    let (head, all) = (whole.len() / 4, whole.len() - 1);
    let half: Vec<_> = (0..1_000)
        .map(|number| {
            let mut stream = testbed.connect();
            // Nothing, a part of the head, and all but the last byte of the body.
            let sent = [0, head, all][number % 3];
            stream.write_all(&whole[..sent]).unwrap();
            stream
        })
        .collect();
    let started = Instant::now();
    for _ in 0..20 {
        testbed.result(ALICE, "tools/list", json!({}));
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop(half);
}

#[test]
fn trial_a10_probes_are_answered_while_strangers_hold_all_connections() {
    let testbed = Testbed::start(TESTBED, &[]);
    let held: Vec<_> = (0..1_024).map(|_| testbed.connect()).collect();
    for _ in 0..100 {
        assert_eq!(testbed.request("GET /health", &[], b"").status, 200);
    }
    drop(held);
}

/// What the process has of memory now, in KiB.
fn memory(testbed: &Testbed) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", testbed.id())).unwrap();
    let now = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    now.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn trial_a5_answers_that_nobody_reads_take_no_more_than_their_budget() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("workspace")).unwrap();
    std::fs::write(folder.path().join("workspace/big"), "x".repeat(1_000_000)).unwrap();
    let testbed = Testbed::start(
        TESTBED,
        &["--state-dir", folder.path().to_str().unwrap(), "--store", "memory"],
    );
    let call = message("tools/call", json!({"name": "read_file", "arguments": {"path": "big"}}));
    let call = call.to_string();
    let head = |token| {
        [
            ("authorization", token),
            ("content-type", "application/json"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "read_file"),
        ]
    };
    let before = memory(&testbed);
    let mut clients: Vec<_> =
        (0..64).map(|_| Unreading::begin(testbed.connect(), testbed.authority())).collect();
    for client in &mut clients {
        for _ in 0..10 {
            client.request("POST", &head("Bearer dev-token-alice"), call.as_bytes());
        }
    }
    clients.last_mut().unwrap().listen(Duration::from_secs(3));
    let taken = memory(&testbed).saturating_sub(before) / 1024;
    // An allocator keeps some of what it was given back.
    assert!((8..96).contains(&taken), "{taken} MiB for 640 answers of a megabyte");
    let begun = Instant::now();
    let head = head("Bearer dev-token-bob").map(|(name, value)| format!("{name}: {value}"));
    let answer =
        testbed.request("POST /mcp", &head.each_ref().map(|line| &**line), call.as_bytes());
    assert_eq!(answer.status, 200, "others are served");
    // Well before those time out that nobody reads.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let client = clients.first_mut().unwrap();
    client.listen(Duration::from_millis(500));
    assert!(client.frames.iter().any(|(kind, stream)| (*kind, *stream) > (1, 0)), "answers began");
}

#[test]
fn e02_a_panic_in_one_request_leaves_the_others_alone() {
    let testbed = Testbed::start(TESTBED, &[]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| testbed.call(ALICE, "wait", json!({"ms": 500})));
        for _ in 0..20 {
            assert_eq!(testbed.call(ALICE, "fail_panic", json!({}))["isError"], true);
        }
        assert_eq!(waiting.join().unwrap()["content"][0]["text"], "waited 500 ms");
    });
}
