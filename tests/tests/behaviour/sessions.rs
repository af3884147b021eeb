//! The versions with sessions, over Streamable HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use portcullis_tests::driver::{Testbed, initialize, request, terminate};
use portcullis_tests::http2::Unreading;
use portcullis_tests::issuer::{Issuer, changed, claims, now};
use serde_json::{Value, json};

use crate::{ALICE, BOB, TESTBED};

const VERSIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];
const NEWEST: &str = "2025-11-25";

fn cancelled(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
}

#[test]
fn every_version_initialises_lists_and_calls() {
    let testbed = Testbed::start(TESTBED, &[]);
    for version in VERSIONS {
        let id = testbed.begin(ALICE, version);
        let session = testbed.session(ALICE, &id);
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let response = session.post(&[], &initialized);
        assert_eq!((response.status, &*response.body), (202, ""));
        let tools = session.ask("tools/list", json!({}))["result"]["tools"].take();
        assert_eq!(tools.as_array().unwrap().len(), 15, "{version}");
        let whoami = session.ask("tools/call", json!({"name": "whoami"}))["result"].take();
        let text: Value =
            serde_json::from_str(whoami["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text["sub"], "alice");
        assert_eq!(whoami.get("structuredContent").is_some(), version >= "2025-06-18", "{version}");
        assert_eq!(whoami.get("resultType"), None, "{version}");
        let config = session.ask("resources/read", json!({"uri": "secret://config"}));
        assert!(config.to_string().contains("internal.db.example.com"), "{config}");
        let prompt = json!({"name": "financial_report", "arguments": {"quarter": "Q1"}});
        assert!(session.ask("prompts/get", prompt).to_string().contains("report for Q1"));
        assert_eq!(session.ask("ping", json!({}))["result"], json!({}));
        let response = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
        assert_eq!(session.post(&[], &response).status, 202);
        for (method, params, code) in [
            ("resources/read", json!({"uri": "nope://x"}), -32002),
            ("tools/destroy", json!({}), -32601),
            ("server/discover", json!({}), -32601),
            ("tools/call", json!({}), -32602),
        ] {
            assert_eq!(session.ask(method, params)["error"]["code"], code, "{method}");
        }
        for (body, code) in [("nonsense", -32700), ("{}", -32600), ("1", -32600)] {
            let response = session.send("POST /mcp", &[], body);
            assert_eq!((response.status, response.code()), (400, code), "{body}");
        }
        assert!(!testbed.log().contains(&id), "the session id is in the log");
    }
}

#[test]
fn versions_that_are_not_served_are_answered_with_the_newest() {
    let testbed = Testbed::start(TESTBED, &[]);
    for asked in ["2024-11-05", "2026-07-28", "2099-01-01", ""] {
        let response = testbed.outside(ALICE).post(&[], &initialize(asked));
        assert_eq!(response.json()["result"]["protocolVersion"], NEWEST, "{asked}");
    }
    let header = "MCP-Protocol-Version: 2099-01-01";
    let response = testbed.outside(ALICE).post(&[header], &initialize(NEWEST));
    assert_eq!((response.status, response.code()), (400, -32022));
    // Without `_meta` nothing says that the client knows no sessions.
    let response = testbed.outside(ALICE).post(&[header], &request(1, "tools/list", json!({})));
    assert_eq!((response.status, response.code()), (400, -32022));
    let supported = &response.json()["error"]["data"]["supported"];
    assert!(supported.as_array().unwrap().contains(&json!("2026-07-28")), "{supported}");
}

#[test]
fn n11_ids_are_given_and_not_taken() {
    let testbed = Testbed::start(TESTBED, &[]);
    let known = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let alice = testbed.begin(ALICE, NEWEST);
    for named in [known, &alice] {
        let response = testbed.session(BOB, named).post(&[], &initialize(NEWEST));
        let given = response.header("mcp-session-id").unwrap();
        assert_eq!(response.status, 200);
        assert_ne!(given, named);
        assert!(given.len() == 32 && given.bytes().all(|byte| (0x21..=0x7e).contains(&byte)));
        testbed.session(BOB, given).ask("ping", json!({}));
    }
    assert_eq!(testbed.session(BOB, known).post(&[], &request(1, "ping", json!({}))).status, 404);
}

#[test]
fn a_request_of_a_session_names_it_and_no_version_without_sessions() {
    let testbed = Testbed::start(TESTBED, &["--auth", "none"]);
    let id = testbed.begin(None, "2025-06-18");
    let ping = request(1, "ping", json!({})).to_string();
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let twice = format!("Mcp-Session-Id: {id}");
    let (outside, inside) = (testbed.outside(None), testbed.session(None, &id));
    for line in ["POST /mcp", "GET /mcp", "DELETE /mcp"] {
        for body in [&*ping, initialized] {
            assert_eq!(outside.send(line, &[], body).status, 400, "{line}");
            assert_eq!(inside.send(line, &[&twice], body).status, 400, "{line}");
        }
        for version in ["nonsense", "2025-06-18, 2025-06-18"] {
            let header = format!("MCP-Protocol-Version: {version}");
            assert_eq!(inside.send(line, &[&header], &ping).status, 400, "{line} {version}");
        }
    }
    for version in ["2025-06-18", "2025-03-26", "2025-11-25"] {
        let header = format!("MCP-Protocol-Version: {version}");
        assert_eq!(inside.send("POST /mcp", &[&header], &ping).status, 200, "{version}");
    }
    assert_eq!(inside.send("POST /mcp", &[], &ping).status, 200);
    // Whatever a header names, batches are those of the session's own version.
    let batch = format!("[{ping}]");
    let header = "MCP-Protocol-Version: 2025-03-26";
    assert_eq!(inside.send("POST /mcp", &[header], &batch).status, 400);
    testbed.result(None, "tools/list", json!({}));
}

#[test]
fn the_stateless_version_has_no_streams_to_open_and_no_sessions_to_end() {
    let testbed = Testbed::start(TESTBED, &["--auth", "none"]);
    let id = testbed.begin(None, NEWEST);
    let session = testbed.session(None, &id);
    for method in ["GET", "DELETE"] {
        let line = format!("{method} /mcp");
        let response = session.send(&line, &["MCP-Protocol-Version: 2026-07-28"], "");
        assert_eq!((response.status, response.header("allow")), (405, Some("POST, OPTIONS")));
    }
    let response = session.send("PUT /mcp", &[], "");
    assert_eq!(response.status, 405);
    assert_eq!(response.header("allow"), Some("GET, POST, DELETE, OPTIONS"));
    session.ask("ping", json!({}));
}

#[test]
fn n10_what_is_another_principals_is_what_was_never_there() {
    let testbed = Testbed::start(TESTBED, &[]);
    let id = testbed.begin(ALICE, NEWEST);
    let ended = testbed.begin(BOB, NEWEST);
    assert_eq!(testbed.session(BOB, &ended).send("DELETE /mcp", &[], "").status, 204);
    let mut stream = testbed.session(ALICE, &id).stream();
    assert_eq!(stream.response.status, 200);
    let ping = request(1, "ping", json!({})).to_string();
    for line in ["POST /mcp", "GET /mcp", "DELETE /mcp"] {
        for head in [&[][..], &["MCP-Protocol-Version: 2025-03-26"], &["Last-Event-ID: 1"]] {
            let answer = |id: &str| {
                let response = testbed.session(BOB, id).send(line, head, &ping);
                assert_eq!((response.status, response.code()), (404, 404), "{line}");
                response.normalised("ECHOED")
            };
            let unknown = answer("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
            for id in [&*id, &*ended, "not an id"] {
                assert_eq!(answer(id), unknown, "{line}");
            }
        }
    }
    assert!(stream.is_open());
    testbed.session(ALICE, &id).ask("ping", json!({}));
}

#[test]
fn trial_b2_the_newest_stream_of_a_session_takes_over_and_the_older_one_ends() {
    let testbed = Testbed::start(TESTBED, &[]);
    let id = testbed.begin(ALICE, NEWEST);
    let session = testbed.session(ALICE, &id);
    // Neither read nor closed, as by a client that sleeps.
    let mut first = session.stream();
    let response = &first.response;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("x-accel-buffering"), Some("no"));
    for _ in 0..40 {
        let mut next = session.stream();
        assert_eq!(next.response.status, 200);
        assert!(!first.is_open(), "two streams of one session");
        assert_eq!(next.line(Duration::from_secs(5)).unwrap().unwrap(), ": keep-alive");
        first = next;
    }
    session.ask("tools/call", json!({"name": "unlock_admin"}));
    let told = first.message(Duration::from_secs(5)).expect("the newest stream is told nothing");
    assert_eq!(told["method"], "notifications/tools/list_changed");

    let refused = testbed.session(BOB, &id).send("GET /mcp", &[], "");
    assert_eq!(refused.status, 404);
    assert!(first.is_open(), "another principal ended the stream");
    let accept = testbed.request(
        "GET /mcp",
        &["Authorization: Bearer dev-token-alice", "Accept: application/json"],
        b"",
    );
    assert_eq!(accept.status, 406);
}

#[test]
fn trial_b2_a_stream_that_is_refused_ends_no_other() {
    let testbed = Testbed::start(TESTBED, &["--rate-limit", "2"]);
    let id = testbed.begin(ALICE, NEWEST);
    let mut stream = testbed.session(ALICE, &id).stream();
    assert_eq!(testbed.session(ALICE, &id).send("GET /mcp", &[], "").status, 429);
    assert!(stream.is_open());
}

#[test]
fn n13_nothing_is_sent_again() {
    let testbed = Testbed::start(TESTBED, &["--auth", "none"]);
    let id = testbed.begin(None, NEWEST);
    let mut connection = testbed.connect();
    write!(
        connection,
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: {id}\r\nLast-Event-ID: 0\r\n\r\n"
    )
    .unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut read = Vec::new();
    let _ = connection.read_to_end(&mut read);
    let read = String::from_utf8(read).unwrap();
    assert!(read.starts_with("HTTP/1.1 200 ") && read.contains(": keep-alive"), "{read}");
    assert!(!read.contains("data:") && !read.contains("id:"), "{read}");
}

#[test]
fn a_stream_stays_open_as_long_as_it_is_read() {
    let testbed = Testbed::start(TESTBED, &[]);
    let id = testbed.begin(ALICE, NEWEST);
    let mut stream = testbed.session(ALICE, &id).stream();
    let opened = Instant::now();
    for _ in 0..4 {
        assert_eq!(stream.line(Duration::from_secs(20)).unwrap().unwrap(), ": keep-alive");
    }
    assert!((40..60).contains(&opened.elapsed().as_secs()), "{:?}", opened.elapsed());
    assert!(stream.is_open());
}

#[test]
fn delete_ends_the_session_its_stream_and_what_runs_in_it() {
    let testbed = Testbed::start(TESTBED, &[]);
    let id = testbed.begin(ALICE, NEWEST);
    let session = testbed.session(ALICE, &id);
    let mut stream = session.stream();
    std::thread::scope(|scope| {
        let started = Instant::now();
        let running = scope.spawn(|| session.wait(1, 10_000));
        std::thread::sleep(Duration::from_millis(300));
        let ended = session.send("DELETE /mcp", &[], "");
        assert_eq!((ended.status, &*ended.body), (204, ""));
        assert_eq!(running.join().unwrap().status, 404);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    });
    assert!(!stream.is_open());
    for line in ["POST /mcp", "GET /mcp", "DELETE /mcp"] {
        let ping = request(1, "ping", json!({})).to_string();
        assert_eq!(session.send(line, &[], &ping).status, 404, "{line}");
    }
}

#[test]
fn a_request_in_flight_is_not_started_twice() {
    let testbed = Testbed::start(TESTBED, &[]);
    let (id, other) = (testbed.begin(ALICE, NEWEST), testbed.begin(ALICE, NEWEST));
    let session = testbed.session(ALICE, &id);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| session.wait(7, 1_500));
        std::thread::sleep(Duration::from_millis(300));
        let second = session.wait(7, 0);
        assert_eq!((second.status, second.code()), (400, -32600));
        assert_eq!(second.json()["id"], 7);
        assert_eq!(session.wait(8, 0).status, 200);
        assert_eq!(testbed.session(ALICE, &other).wait(7, 0).status, 200);
        let first = first.join().unwrap().json();
        assert_eq!(first["result"]["content"][0]["text"], "waited 1500 ms");
    });
    assert_eq!(session.wait(7, 0).status, 200, "the id is free again");
}

#[test]
fn a_cancelled_request_is_dropped_and_answered_with_nothing() {
    let testbed = Testbed::start(TESTBED, &[]);
    let (id, other) = (testbed.begin(ALICE, NEWEST), testbed.begin(ALICE, NEWEST));
    let session = testbed.session(ALICE, &id);
    std::thread::scope(|scope| {
        let started = Instant::now();
        let running = scope.spawn(|| session.wait(7, 10_000));
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(testbed.session(ALICE, &other).post(&[], &cancelled(7)).status, 202);
        assert_eq!(session.post(&[], &cancelled(8)).status, 202);
        std::thread::sleep(Duration::from_millis(300));
        assert!(!running.is_finished(), "what was not named was cancelled");
        assert_eq!(session.post(&[], &cancelled(7)).status, 202);
        let response = running.join().unwrap();
        assert_eq!((response.status, &*response.body), (202, ""));
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    });
    assert_eq!(session.wait(7, 0).status, 200, "the id is free again");
}

#[test]
fn batches_exist_in_2025_03_26_alone() {
    let testbed = Testbed::start(TESTBED, &[]);
    let whoami = |id| request(id, "tools/call", json!({"name": "whoami"}));
    let mut apart = request(5, "tools/list", json!({}));
    apart["params"]["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let batch = json!([whoami(1), initialized, initialize("2025-03-26"), whoami(1), apart, 5]);
    let id = testbed.begin(ALICE, "2025-03-26");
    let session = testbed.session(ALICE, &id);
    let response = session.post(&[], &batch);
    assert_eq!((response.status, response.header("mcp-session-id")), (200, None));
    let answers = response.json();
    let codes: Vec<_> =
        answers.as_array().unwrap().iter().map(|answer| &answer["error"]["code"]).collect();
    assert_eq!(
        codes,
        [&Value::Null, &json!(-32600), &json!(-32600), &json!(-32600), &json!(-32600)]
    );
    assert!(answers[0].to_string().contains("alice"), "{answers}");
    let told = session.post(&[], &json!([initialized, {"jsonrpc": "2.0", "id": 1, "result": {}}]));
    assert_eq!((told.status, &*told.body), (202, ""));
    let many = Value::Array(vec![whoami(1); 65]).to_string();
    for (body, code) in [("[]", -32600), ("[1", -32700), (&*many, -32600)] {
        let response = session.send("POST /mcp", &[], body);
        assert_eq!((response.status, response.code()), (400, code));
    }
    let waiting = json!([
        request(7, "tools/call", json!({"name": "wait", "arguments": {"ms": 10_000}})),
        cancelled(7)
    ]);
    let response = session.post(&[], &waiting);
    assert_eq!((response.status, &*response.body), (202, ""));

    for version in ["2025-06-18", "2025-11-25"] {
        let id = testbed.begin(ALICE, version);
        let response = testbed.session(ALICE, &id).post(&[], &batch);
        assert_eq!((response.status, response.code()), (400, -32600), "{version}");
    }
    assert_eq!(testbed.outside(ALICE).post(&[], &batch).status, 400);
    assert_eq!(testbed.session(BOB, &id).post(&[], &batch).status, 404);
}

#[test]
fn trial_b9_forgotten_sessions_make_room_for_new_ones_of_their_principal() {
    let testbed = Testbed::start(TESTBED, &[]);
    let bobs = testbed.begin(BOB, NEWEST);
    let first = testbed.begin(ALICE, NEWEST);
    let second = testbed.begin(ALICE, NEWEST);
    testbed.session(ALICE, &first).ask("ping", json!({}));
    for _ in 2..257 {
        testbed.begin(ALICE, NEWEST);
    }
    let ping = request(1, "ping", json!({}));
    assert_eq!(testbed.session(ALICE, &second).post(&[], &ping).status, 404, "the longest unused");
    testbed.session(ALICE, &first).ask("ping", json!({}));
    testbed.session(BOB, &bobs).ask("ping", json!({}));
    testbed.wait_for_log("a session made room");
}

#[test]
fn n14_rejected_requests_leave_no_session() {
    let testbed = Testbed::start(TESTBED, &[]);
    let good = initialize(NEWEST).to_string();
    let json = "Content-Type: application/json";
    let alice = "Authorization: Bearer dev-token-alice";
    let bad = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    for (head, body, status) in [
        (&[json, alice, "Accept: text/html"][..], &*good, 406),
        (&["Content-Type: text/plain", alice], &good, 415),
        (&[json, "Authorization: Bearer wrong"], &good, 401),
        (&[json, alice, "Origin: https://evil.example"], &good, 403),
        (&[json, alice, "MCP-Protocol-Version: 2099-01-01"], &good, 400),
        (&[json, alice], bad, 400),
    ] {
        for _ in 0..50 {
            let response = testbed.request("POST /mcp", head, body.as_bytes());
            assert_eq!((response.status, response.header("mcp-session-id")), (status, None));
        }
    }
    let ids: Vec<String> = (0..256).map(|_| testbed.begin(ALICE, NEWEST)).collect();
    for id in ids {
        testbed.session(ALICE, &id).ask("ping", json!({}));
    }
}

#[test]
fn trial_b9_the_17th_stream_of_a_principal_ends_their_oldest_and_nobody_elses() {
    let testbed = Testbed::start(TESTBED, &[]);
    let bobs = testbed.begin(BOB, NEWEST);
    let mut bobs = testbed.session(BOB, &bobs).stream();
    let filter = json!({"notifications": {"toolsListChanged": true}});
    let mut oldest = testbed.rpc_stream(ALICE, "subscriptions/listen", filter.clone());
    let ids: Vec<String> = (0..16).map(|_| testbed.begin(ALICE, NEWEST)).collect();
    let open = |id: &String| testbed.session(ALICE, id).stream();
    let mut streams: Vec<_> = ids.iter().map(open).collect();
    assert!(streams.iter().all(|stream| stream.response.status == 200));
    let acknowledged = oldest.message(Duration::from_secs(5)).unwrap();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    let ended = oldest.message(Duration::from_secs(5)).unwrap();
    assert_eq!(ended["result"]["resultType"], "complete", "a subscription ends gracefully");
    assert!(!oldest.is_open());
    assert!(streams.iter_mut().take(2).all(|stream| stream.is_open()));
    assert_eq!(testbed.rpc_stream(ALICE, "subscriptions/listen", filter).response.status, 200);
    assert!(!streams[0].is_open());
    assert!(streams[1].is_open() && bobs.is_open());
}

fn resident_bytes(testbed: &Testbed) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", testbed.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    resident.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// Sends `initialize` so many times over one connection; gives the statuses.
fn begin_many(testbed: &Testbed, times: usize) -> Vec<String> {
    let body = initialize(NEWEST).to_string();
    let bytes = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = testbed.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    let answers = (0..times).map(|_| {
        stream.write_all(bytes.as_bytes()).unwrap();
        let (mut status, mut length) = (String::new(), 0);
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            match line.trim_end().to_ascii_lowercase() {
                end if end.is_empty() => break,
                head if head.starts_with("http/1.1 ") => status = head[9..12].to_owned(),
                head => {
                    if let Some(text) = head.strip_prefix("content-length: ") {
                        length = text.parse().unwrap();
                    }
                }
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        status
    });
    answers.collect()
}

#[test]
fn n14_ten_thousand_idle_sessions_are_cheap_and_one_more_is_refused() {
    let testbed = Testbed::start(TESTBED, &["--auth", "none"]);
    begin_many(&testbed, 100);
    let before = resident_bytes(&testbed);
    assert!(begin_many(&testbed, 9_900).iter().all(|status| status == "200"));
    let each = resident_bytes(&testbed).saturating_sub(before) / 9_900;
    println!("an idle session costs {each} bytes");
    assert!(each < 4 * 1_024, "{each} bytes");
    let refused = testbed.outside(None).post(&[], &initialize(NEWEST));
    assert_eq!((refused.status, refused.code()), (200, 503));
    assert_eq!((&refused.json()["id"], refused.header("retry-after")), (&json!(0), None));
    testbed.result(None, "tools/list", json!({}));
}

#[test]
fn sigterm_ends_streams_at_once_and_lets_calls_finish() {
    let testbed = Testbed::start(TESTBED, &[]);
    let id = testbed.begin(ALICE, NEWEST);
    let session = testbed.session(ALICE, &id);
    let mut stream = session.stream();
    let process = testbed.id();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| session.wait(1, 1_500));
        std::thread::sleep(Duration::from_millis(300));
        let stopped = Instant::now();
        terminate(process);
        assert_eq!(stream.line(Duration::from_secs(5)).unwrap().unwrap(), ": keep-alive");
        let ended = stream.line(Duration::from_secs(5)).unwrap_err();
        assert_eq!(ended.kind(), std::io::ErrorKind::UnexpectedEof);
        assert!(stopped.elapsed() < Duration::from_secs(1), "{:?}", stopped.elapsed());
        let text = running.join().unwrap().json()["result"]["content"][0]["text"].take();
        assert_eq!(text, "waited 1500 ms");
    });
    let stopped = Instant::now();
    assert_eq!(testbed.exit_code(), Some(0));
    assert!(stopped.elapsed() < Duration::from_secs(2), "{:?}", stopped.elapsed());
}

#[test]
fn n16_streams_that_are_never_read_are_dropped_and_their_places_given_back() {
    let testbed = Testbed::start(TESTBED, &[]);
    let ids: Vec<String> = (0..2).map(|_| testbed.begin(ALICE, NEWEST)).collect();
    let mut client = Unreading::begin(testbed.connect(), testbed.authority());
    let streams: Vec<u32> = ids
        .iter()
        .map(|id| {
            let head = [("authorization", "Bearer dev-token-alice"), ("mcp-session-id", id)];
            client.request("GET", &head, b"")
        })
        .collect();
    let started = Instant::now();
    while !streams.iter().all(|stream| client.is_reset(*stream)) {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", client.frames);
        client.listen(Duration::from_secs(1));
    }
    // Headers, nothing that there was no room for, and the end of that stream alone.
    assert!(streams.iter().all(|stream| client.of(*stream) == [1, 3]), "{:?}", client.frames);
    for id in ids {
        assert_eq!(testbed.session(ALICE, &id).stream().response.status, 200);
    }
}

#[test]
fn n16_answers_that_are_never_read_are_dropped_though_the_client_goes_on() {
    let testbed = Testbed::start(TESTBED, &["--auth", "none"]);
    let session = testbed.begin(None, NEWEST);
    let head = [("mcp-session-id", session.as_str()), ("content-type", "application/json")];
    let list = request(1, "tools/list", json!({})).to_string();
    let notification = br#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
    let mut client = Unreading::begin(testbed.connect(), testbed.authority());
    let unread: Vec<u32> = (0..2).map(|_| client.request("POST", &head, list.as_bytes())).collect();
    let started = Instant::now();
    while !unread.iter().all(|stream| client.is_reset(*stream)) {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", client.frames);
        client.listen(Duration::from_secs(4));
        client.request("POST", &head, notification);
    }
}

#[test]
fn h17_a_stream_ends_with_its_token_while_the_session_goes_on_with_a_new_one() {
    let issuer = Issuer::start();
    let testbed = Testbed::start(TESTBED, &issuer.flags());
    let (lasting, now) = (issuer.token(&claims("alice", "read")), now());
    // With the leeway of 30 s there are two seconds left.
    let ending = issuer.token(&changed(&json!({"iat": now - 60, "exp": now - 28})));
    let id = testbed.begin(Some(&lasting), NEWEST);
    let mut stream = testbed.session(Some(&ending), &id).stream();
    assert!(stream.is_open());
    let opened = Instant::now();
    while matches!(stream.line(Duration::from_secs(10)), Ok(Some(_))) {}
    assert!(opened.elapsed() < Duration::from_secs(5), "{:?}", opened.elapsed());
    assert_eq!(testbed.session(Some(&lasting), &id).ask("ping", json!({}))["result"], json!({}));
    assert!(testbed.session(Some(&lasting), &id).stream().is_open());
}

#[test]
fn n10_a_session_is_of_an_issuer_a_subject_and_a_client_together() {
    let issuer = Issuer::start();
    let testbed = Testbed::start(TESTBED, &issuer.flags());
    let token = |changes: Value| issuer.token(&changed(&changes));
    let id = testbed.begin(Some(&token(json!({}))), NEWEST);
    let ping = request(1, "ping", json!({}));
    for (changes, status) in [
        (json!({"scope": "read"}), 200),
        (json!({"exp": now() + 300}), 200),
        (json!({"sub": "bob"}), 404),
        (json!({"client_id": "other"}), 404),
        (json!({"client_id": null}), 404),
    ] {
        let other = token(changes.clone());
        assert_eq!(testbed.session(Some(&other), &id).post(&[], &ping).status, status, "{changes}");
    }
}
