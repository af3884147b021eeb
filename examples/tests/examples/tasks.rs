//! Each example by task does what its first lines say.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_tests::driver::Testbed;
use serde_json::{Value, json};

use crate::{ALICE, BOB, assert_absent, names_of, text};

/// A folder that goes at the end of the test.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn database_keeps_each_callers_notes_apart_and_reads_no_argument_as_sql() {
    let folder = folder();
    let file = folder.path().join("notes.sqlite");
    let program = env!("CARGO_BIN_EXE_database");
    let start = || Testbed::on_free_port_with(program, &[("NOTES_DATABASE", utf8(&file))]);
    let server = start();
    let add = |token, title: &str| {
        server.call(token, "add_note", json!({"title": title, "text": "Something."}))
    };
    let titles = |server: &Testbed, token| {
        server.call(token, "list_notes", json!({}))["structuredContent"].take()
    };
    let hostile = "x'); DELETE FROM notes; --";
    assert_eq!(text(&add(ALICE, "Plan")), "Kept \"Plan\".");
    assert_eq!(text(&add(ALICE, hostile)), format!("Kept {hostile:?}."));
    assert_eq!(text(&add(BOB, "Plan")), "Kept \"Plan\".");
    let twice = add(ALICE, "Plan");
    assert_eq!(text(&twice), "You have a note of that title already.");
    assert_eq!(twice["isError"], true);
    assert_eq!(titles(&server, ALICE), json!(["Plan", hostile]));
    drop(server);
    assert_eq!(titles(&start(), BOB), json!(["Plan"]));
}

#[test]
fn database_masks_its_errors_and_logs_them() {
    let folder = folder();
    let file = folder.path().join("notes.sqlite");
    let server = Testbed::on_free_port_with(
        env!("CARGO_BIN_EXE_database"),
        &[("NOTES_DATABASE", utf8(&file))],
    );
    // Another program spoils the file under the server.
    std::fs::write(&file, "no database ".repeat(1000)).unwrap();
    let failed = server.call(ALICE, "list_notes", json!({}));
    assert_eq!(failed["isError"], true);
    assert!(!failed.to_string().contains("database"), "{failed}");
    server.wait_for_log("not a database");
}

#[test]
fn files_are_read_in_the_folder_and_nowhere_else() {
    let folder = folder();
    let documents = folder.path().join("documents");
    std::fs::create_dir_all(documents.join("guides")).unwrap();
    std::fs::write(documents.join("guides/start.md"), "First\nSecond\nThird\n").unwrap();
    std::fs::write(documents.join("large.md"), "x".repeat(256 * 1024 + 1)).unwrap();
    std::fs::write(documents.join("intro.md"), "# Intro").unwrap();
    std::fs::write(folder.path().join("secret.md"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret.md", documents.join("link.md")).unwrap();
    let program = env!("CARGO_BIN_EXE_files");
    let server = Testbed::on_free_port_with(program, &[("DOCUMENTS", utf8(&documents))]);
    let read = |path: &str| {
        let answer = server.call(BOB, "read_document", json!({"path": path, "lines": 2}));
        (answer["isError"] == true, text(&answer).to_owned())
    };
    assert_eq!(read("guides/start.md"), (false, "First\nSecond\n".to_owned()));
    let nothing = (true, "no such file in the workspace".to_owned());
    for outside in ["../secret.md", "link.md", "/etc/passwd", "nothing.md", "guides"] {
        assert_eq!(read(outside), nothing, "{outside}");
    }
    assert_ne!(read("large.md"), nothing);
    assert!(read("large.md").0);

    let page = |uri: &str| server.rpc(BOB, "resources/read", json!({"uri": uri}));
    assert!(page("manual://intro").body.contains("# Intro"));
    let uri = "manual://..%2Fsecret";
    assert_eq!(page(uri).normalised(uri), page("manual://none").normalised("manual://none"));

    let output = Command::new(program).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("DOCUMENTS"));
}

#[test]
fn commands_run_one_program_with_what_is_no_option() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_commands"));
    let call = |tool: &str, arguments: Value| {
        let answer = server.call(BOB, tool, arguments);
        (answer["isError"] == true, text(&answer).to_owned())
    };
    let sorted = call("sort_lines", json!({"text": "b,1\na,2\n", "field": 2}));
    assert_eq!(sorted, (false, "b,1\na,2\n".to_owned()));
    let sorted = call("sort_lines", json!({"text": "b-1\na-2\n", "separator": "-"}));
    assert_eq!(sorted, (false, "a-2\nb-1\n".to_owned()), "a dash within an option is a text");
    let day = call("day_of", json!({"date": "2026-11-29"}));
    assert_eq!(day, (false, "Sunday, 2026-11-29\n".to_owned()));
    let option = (true, "a value that begins with - is refused".to_owned());
    for attack in ["--file=/etc/passwd", "-f/etc/passwd", "--help", "-"] {
        assert_eq!(call("day_of", json!({"date": attack})), option, "{attack}");
    }
    let failed = (true, "the program failed".to_owned());
    for attack in ["$(id)", "`id`", "2026-11-29; id", "2026-11-29\nid"] {
        let (is_error, said) = call("day_of", json!({"date": attack}));
        assert_eq!((is_error, said), failed, "{attack}");
    }
}

/// What a sender adds to `body`, which it signs with `secret`.
fn signature(secret: &[u8], id: &str, time: u64, body: &str) -> [String; 3] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, format!("{id}.{time}.{body}").as_bytes());
    [
        format!("webhook-id: {id}"),
        format!("webhook-timestamp: {time}"),
        format!("webhook-signature: v1a,other v1,{}", STANDARD.encode(tag.as_ref())),
    ]
}

#[test]
fn webhook_takes_what_its_sender_signed_just_now_once() {
    let secret = b"0123456789abcdef0123456789abcdef";
    let server = Testbed::on_free_port_with(
        env!("CARGO_BIN_EXE_webhook"),
        &[("WEBHOOK_SECRET", &STANDARD.encode(secret))],
    );
    let send = |head: &[String], body: &str| {
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let answer = server.request("POST /webhooks/orders", &head, body.as_bytes());
        (answer.status, answer.body)
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let body = r#""three chains""#;
    let signed = signature(secret, "msg_1", now, body);
    let refused = (401, String::new());
    // Without a signature, with another key, for another body, id or time, and too late or early.
    assert_eq!(send(&[], body), refused);
    assert_eq!(send(&signature(b"another", "msg_1", now, body), body), refused);
    assert_eq!(send(&signed, r#""four chains""#), refused);
    for (at, other) in
        ["webhook-id: msg_2", &format!("webhook-timestamp: {}", now - 1)].into_iter().enumerate()
    {
        let mut changed = signed.clone();
        changed[at] = other.to_owned();
        assert_eq!(send(&changed, body), refused, "{other}");
    }
    for time in [now - 400, now + 400, u64::MAX] {
        assert_eq!(send(&signature(secret, "msg_1", time, body), body), refused, "{time}");
    }
    assert_eq!(send(&signature(secret, "msg_1", now, "{"), "{").0, 400);

    assert_eq!(send(&signed, body), (204, String::new()));
    assert_eq!(send(&signed, body).0, 204, "a delivery that is repeated");
    let orders = server.call(BOB, "list_orders", json!({}));
    assert_eq!(orders["structuredContent"], json!(["three chains"]));
}

/// Answers every request with `page`, on a port of its own.
fn website(page: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{page}",
                page.len()
            );
        }
    });
    format!("http://{address}/")
}

#[test]
fn outbound_http_goes_to_public_addresses_alone() {
    let program = env!("CARGO_BIN_EXE_outbound_http");
    let site = website("<html><title>\n Chains,\n and more </title></html>");
    let ask = |server: &Testbed, url: &str| {
        let answer = server.call(BOB, "page_title", json!({"url": url}));
        (answer["isError"] == true, text(&answer).to_owned())
    };
    let server = Testbed::on_free_port(program);
    let refused = (true, "That address is not public.".to_owned());
    for url in [
        site.as_str(),
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://0x7f000001/",
        "https://10.0.0.1/",
        "https://localhost/",
        "http://169.254.169.254/latest/meta-data/",
        "http://example.com/",
        "file:///etc/passwd",
    ] {
        assert_eq!(ask(&server, url), refused, "{url}");
    }
    assert_eq!(ask(&server, "chains"), (true, "That is not a URL.".to_owned()));

    let developing = Testbed::on_free_port_with(program, &[("ALLOW_LOOPBACK", "yes")]);
    assert_eq!(ask(&developing, &site), (false, "Chains, and more".to_owned()));
    assert_eq!(ask(&developing, "https://10.0.0.1/"), refused);
}

#[test]
fn own_middleware_stops_writing_while_reading_goes_on() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_own_middleware"));
    let write = || server.call(BOB, "write_page", json!({"text": "abc"}));
    assert_absent(&server, BOB, "set_maintenance");
    assert_eq!(text(&write()), "Wrote 3 bytes");
    server.call(ALICE, "set_maintenance", json!({"on": true}));
    let stopped = write();
    assert_eq!(stopped["isError"], true);
    assert_eq!(text(&stopped), "Down for maintenance: reading works, writing does not.");
    assert_eq!(text(&server.call(BOB, "read_page", json!({}))), "A page");
    assert_eq!(names_of(&server, BOB), ["read_page", "write_page"]);
    server.call(ALICE, "set_maintenance", json!({"on": false}));
    assert_eq!(text(&write()), "Wrote 3 bytes");
    server.wait_for_log("CallTool(write_page)");
}

#[test]
fn audit_sink_is_given_what_was_denied_and_the_file_everything() {
    let folder = folder();
    let file = folder.path().join("audit.jsonl");
    let server = Testbed::on_free_port_with(
        env!("CARGO_BIN_EXE_audit_sink"),
        &[("AUDIT_FILE", utf8(&file))],
    );
    assert_eq!(text(&server.call(BOB, "greet", json!({}))), "Hello, bob.");
    assert_absent(&server, BOB, "salaries");
    server.wait_for_log(r#""component":"salaries","verdict":"denied""#);
    let log = server.log();
    let alerts: Vec<&str> = log.lines().filter(|line| line.contains(r#"{"time":"#)).collect();
    assert!(!alerts.is_empty());
    assert!(alerts.iter().all(|line| !line.contains(r#""component":"greet""#)), "{alerts:?}");
    portcullis_tests::driver::terminate(server.id());
    assert_eq!(server.exit_code(), Some(0));
    let records = std::fs::read_to_string(&file).unwrap();
    let of = |component: &str| {
        let records = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter(|record| record["component"] == component).count()
    };
    assert_eq!((of("greet"), of("salaries")), (1, 1));
}

#[test]
fn tested_serves_what_its_own_tests_say() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_tested"));
    assert_eq!(names_of(&server, BOB), ["account"]);
    assert_eq!(text(&server.call(ALICE, "transfer", json!({"amount": 2}))), "Transferred 2");
    let masked = server.call(ALICE, "transfer", json!({"amount": 13}));
    assert!(masked["isError"] == true && !masked.to_string().contains("db-7"), "{masked}");
}
