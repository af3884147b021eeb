//! `portcullis why`, and a server's own audit file.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use portcullis::RunOptions;
use portcullis::audit::{JsonLines, Rotation};
use portcullis::prelude::*;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Place, gzip, record, three};
use crate::names;

#[test]
fn why_explains_a_reference_and_shows_what_its_caller_did_around_it() {
    let reference = "5f0b2c4d6e8f9a1b";
    let failed =
        json!({"outcome": "internal_error", "reference": reference, "id": "00000000000000aa"});
    let mut lines: String = (0..9)
        .map(|n| {
            record(&format!("10:00:0{n}"), "alice", "allowed", &format!("before{n}"), json!({}))
        })
        .collect();
    lines.push_str(&record("10:00:10", "alice", "allowed", "read_file", failed));
    lines.push_str(&record("10:00:11", "bob", "allowed", "of_bob", json!({})));
    lines.push_str(&record(
        "10:00:11",
        "alice",
        "allowed",
        "of_another",
        json!({"issuer": "other"}),
    ));
    for n in 2..9 {
        lines.push_str(&record(
            &format!("10:00:1{n}"),
            "alice",
            "denied",
            &format!("after{n}"),
            json!({}),
        ));
    }
    // Rotated files hold what came before.
    let (old, new) = lines.split_at(lines.find("before5").unwrap());
    let cut = old.rfind('\n').unwrap() + 1;
    let place = Place::new(&[("audit.jsonl", &format!("{}{new}", &old[cut..]))]);
    place.put("audit.jsonl.1.gz", &gzip(&old[..cut]));

    let text = place.run(&["why", reference]).done();
    for expected in [
        "5f0b2c4d6e8f9a1b\n  when      2026-07-28T10:00:10.000000Z, for 1.5 ms\n",
        "  who       alice, issuer https://issuer.example, from 192.0.2.1\n",
        "  what      tools/call tool read_file (http 2026-07-28)\n",
        "  decision  allowed\n",
        "  result    internal_error\n",
        "the log has the error under the reference",
        "The nearest records of alice\n",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    for near in ["before4", "before8", "2.0 s before", "after2", "after6"] {
        assert!(text.contains(near), "{near}: {text}");
    }
    for far in ["before3", "after7", "of_bob", "of_another"] {
        assert!(!text.contains(far), "{far}: {text}");
    }
    let copied = format!("Internal error (reference {})", reference.to_uppercase());
    assert_eq!(place.run(&["why", &copied]).done(), text);
    assert_eq!(place.run(&["why", "00000000000000aa"]).done(), text);
    let told: Value =
        serde_json::from_str(&place.run(&["why", "--json", reference]).done()).unwrap();
    let lengths = ["records", "before", "after"].map(|name| told[name].as_array().unwrap().len());
    assert_eq!(lengths, [1, 5, 5]);
    assert_eq!(told["records"][0]["component"], "read_file");
}

#[test]
fn why_finds_all_records_of_a_trace() {
    let (trace, other) = ("4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4737");
    let of = |time: &str, component: &str, trace: &str| {
        record(time, "alice", "allowed", component, json!({ "trace_id": trace }))
    };
    // The newer record is written first: they are shown in the order of their times.
    let lines = [
        of("10:00:02", "second", trace),
        of("10:00:01", "first", trace),
        of("10:00:03", "of_another", other),
    ];
    let place = Place::new(&[("audit.jsonl", &lines.concat())]);
    let header = format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase());
    for asked in [trace, &header] {
        let text = place.run(&["why", asked]).done();
        let [first, second, near] =
            ["tool first", "tool second", "The nearest"].map(|part| text.find(part).unwrap());
        assert!(first < second && second < near, "{text}");
        assert_eq!(text.find("of_another").map(|at| at > near), Some(true), "{text}");
    }
}

#[test]
fn why_shows_the_first_of_very_many_rules_and_records() {
    let reference = "5f0b2c4d6e8f9a1b";
    let hidden: serde_json::Map<_, _> =
        (0..9_000).map(|n| (format!("scopes of_{n}"), json!(1))).collect();
    let line = record(
        "10:00:00",
        "alice",
        "allowed",
        "a",
        json!({"reference": reference, "hidden": hidden}),
    );
    let place = Place::new(&[("audit.jsonl", &line)]);
    let text = place.run(&["why", reference]).done();
    assert!(text.contains("and 8980 more rules"), "{text}");

    let line = record("10:00:00", "alice", "allowed", "a", json!({"reference": reference}));
    place.put("audit.jsonl", line.repeat(3_000).as_bytes());
    let ran = place.run(&["why", "--json", reference]);
    assert!(ran.stderr.contains("no more than 1000 records are shown"), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.done()).unwrap();
    assert_eq!(told["records"].as_array().unwrap().len(), 1_000);

    // A file that somebody else wrote may hold long ones.
    let line = record(
        "10:00:00",
        "alice",
        "allowed",
        "a",
        json!({"reference": reference, "reason": "x".repeat(400_000)}),
    );
    place.put("audit.jsonl", line.repeat(60).as_bytes());
    let ran = place.run(&["why", "--json", reference]);
    assert!(ran.stderr.contains("no more than 20 records are shown"), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.done()).unwrap();
    assert_eq!(told["records"].as_array().unwrap().len(), 20);
}

#[test]
fn why_says_where_it_looked_for_what_it_does_not_find() {
    let place = Place::new(&[("audit.jsonl", &three()), ("audit.jsonl.1", &three())]);
    let refused = place.run(&["why", "5f0b2c4d6e8f9a1b"]).refused();
    let expected = "no record has the reference 5f0b2c4d6e8f9a1b: 6 records were read, in 2 files, \
                    from 2026-07-28T10:00:00Z to 2026-07-28T11:00:00Z";
    assert!(refused.contains(expected), "{refused}");
    for wrong in ["", "5f0b", "5f0b2c4d6e8f9a1bff", "zf0b2c4d6e8f9a1b"] {
        assert_eq!(place.run(&["why", wrong]).code, Some(2), "{wrong:?}");
    }
}

/// Fails where nobody may see why.
#[tool]
async fn break_down() -> Result<String, ToolError> {
    Err(ToolError::internal("hunter2 was not accepted"))
}

/// Delete a user.
#[tool(auth = require_scopes(["admin"]))]
async fn delete_user() -> &'static str {
    "deleted"
}

/// A server with its audit file, until it is dropped.
struct Serving {
    authority: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    fn start(audit: &str) -> Self {
        let tokens = danger::StaticTokenVerifier::new()
            .token("of-alice", danger::user("alice").scopes(["read"]));
        let server = Server::builder("users")
            .auth(tokens)
            .components(components![break_down, delete_user])
            .audit(JsonLines::rotating(audit, Rotation::at_bytes(Rotation::SMALLEST)).unwrap())
            .build()
            .unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (say, said) = mpsc::channel();
        let serve = async move {
            let listening = server.listen(&RunOptions::new().listen("127.0.0.1:0")).await.unwrap();
            say.send(listening.url().to_owned()).unwrap();
            listening.run_until(async { drop(stopped.await) }).await;
        };
        let thread = thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve);
        });
        let url = said.recv().unwrap();
        let authority =
            url.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap().to_owned();
        Self { authority, stop: Some(stop), thread: Some(thread) }
    }

    /// What the server answers to the use of a tool.
    fn call(&self, token: &str, tool: &str) -> String {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": tool, "arguments": {}, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "driver", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        }})
        .to_string();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.authority,
            body.len(),
        );
        let mut connection = TcpStream::connect(&self.authority).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(!matches!(ended, Some(Err(_))) || thread::panicking());
    }
}

#[test]
fn e11_a_reference_in_a_masked_error_leads_through_a_servers_rotated_files_to_what_happened() {
    let place = Place::new(&[]);
    let serving = Serving::start(&place.path());
    let masked = serving.call("of-alice", "break_down");
    assert!(
        masked.contains("Internal error (reference ") && !masked.contains("hunter2"),
        "{masked}"
    );
    // Copied as a person would.
    let (_, copied) = masked.split_once("(reference ").unwrap();
    let copied = copied.split(')').next().unwrap();
    let denied = 300;
    (0..denied).for_each(|_| drop(serving.call("of-alice", "delete_user")));
    serving.call("of-nobody", "delete_user");
    drop(serving);

    assert!(names(&place.0).len() >= 2, "{:?}", names(&place.0));
    let told = place.run(&["why", &format!("Internal error (reference {copied})")]).done();
    for expected in ["who       alice", "tool break_down", "decision  allowed", "delete_user"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let counted = place.summary(&[]);
    let found = ["records", "allowed", "denied", "challenged"]
        .map(|name| counted["counted"][name].as_u64());
    assert_eq!(found, [denied + 2, 1, denied, 1].map(Some), "{:#}", counted["counted"]);
    let who = &counted["denials"][0];
    let found = (&who["subject"], &who["what"], &who["rule"]);
    assert_eq!(found, (&json!("alice"), &json!("delete_user"), &json!("scopes admin")));
}
