//! `portcullis audit` and `portcullis why`.

mod files;
mod tail;
mod why;

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Ran, mode, portcullis};

/// A folder with audit files.
struct Place(TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, lines)| place.put(name, lines.as_bytes()));
        place
    }

    fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.0.path().join(name), content).unwrap();
    }

    fn path(&self) -> String {
        self.0.path().join("audit.jsonl").to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        portcullis(&[arguments, &[&self.path()]].concat())
    }

    fn summary(&self, more: &[&str]) -> Value {
        let ran = self.run(&[&["audit", "summary", "--format", "json"], more].concat());
        serde_json::from_str(&ran.done()).unwrap()
    }
}

/// A record as a server writes it, and with `more`.
fn record(time: &str, subject: &str, verdict: &str, component: &str, more: Value) -> String {
    let mut record = json!({
        "time": format!("2026-07-28T{time}.000000Z"), "id": "00000000000000ff",
        "transport": "http", "operation": "tools/call", "protocol": "2026-07-28",
        "remote": "192.0.2.1", "issuer": "https://issuer.example", "subject": subject,
        "kind": "tool", "component": component, "verdict": verdict,
        "outcome": if verdict == "allowed" { "ok" } else { "not_found" }, "duration_us": 1_500,
    });
    if let Value::Object(more) = more {
        record.as_object_mut().unwrap().extend(more);
    }
    format!("{record}\n")
}

fn three() -> String {
    [
        record("10:00:00", "alice", "allowed", "read_file", json!({"duration_us": 500})),
        record("10:30:00", "bob", "denied", "delete_user", json!({"rule": "scopes admin"})),
        record("11:00:00", "bob", "denied", "delete_user", json!({"rule": "scopes admin"})),
    ]
    .concat()
}

#[test]
fn a_summary_counts_by_verdict_principal_component_rule_and_hour() {
    let place = Place::new(&[("audit.jsonl", &three())]);
    let expected = "\
3 of 3 records in 1 file, from 2026-07-28T10:00:00Z to 2026-07-28T11:00:00Z

By verdict
VERDICT  RECORDS   SHARE
allowed        1  33.3 %
denied         2  66.7 %

By principal
PRINCIPAL  ISSUER                  RECORDS  ALLOWED  DENIED    MEAN  LONGEST
bob        https://issuer.example        2        0       2  1.5 ms   1.5 ms
alice      https://issuer.example        1        1       0  500 µs   500 µs

By component
COMPONENT    RECORDS  ALLOWED  DENIED    MEAN  LONGEST
delete_user        2        0       2  1.5 ms   1.5 ms
read_file          1        1       0  500 µs   500 µs

By rule
RULE          RECORDS  ALLOWED  DENIED    MEAN  LONGEST
scopes admin        2        0       2  1.5 ms   1.5 ms

By hour
TIME (UTC)        RECORDS  ALLOWED  DENIED    MEAN  LONGEST
2026-07-28 10:00        2        1       1  1.0 ms   1.5 ms
2026-07-28 11:00        1        0       1  1.5 ms   1.5 ms

Who was denied what
PRINCIPAL  ISSUER                  WHAT         VERDICT  RULE          RECORDS  FIRST                 LAST
bob        https://issuer.example  delete_user  denied   scopes admin        2  2026-07-28T10:30:00Z  2026-07-28T11:00:00Z
";
    assert_eq!(place.run(&["audit", "summary"]).done(), expected);
}

#[test]
fn who_is_denied_what_is_shown_by_verdict() {
    let lines = three()
        + &record("12:00:00", "carol", "challenged", "write", json!({"rule": "scopes write"}));
    let place = Place::new(&[("audit.jsonl", &lines)]);
    let all = place.run(&["audit", "denied"]).done();
    assert!(all.starts_with("3 of 4 records in 1 file"), "{all}");
    assert!(all.contains("bob ") && all.contains("carol ") && !all.contains("alice"), "{all}");
    let one = place.run(&["audit", "denied", "--verdict", "challenged"]).done();
    assert!(one.contains("carol ") && !one.contains("bob "), "{one}");
    let none = place.run(&["audit", "denied", "--principal", "alice"]).done();
    assert!(none.starts_with("0 of 4 records"), "{none}");
    let top = place.run(&["audit", "denied", "--top", "1"]).done();
    assert!(
        top.contains("bob ") && !top.contains("carol ") && top.contains("\nand 1 more"),
        "{top}"
    );
}

#[test]
fn records_are_chosen_by_time_principal_and_component() {
    let place = Place::new(&[("audit.jsonl", &three())]);
    for (chosen, count) in [
        (&["--since", "2026-07-28T10:30Z"][..], 2),
        (&["--until", "2026-07-28T10:30:00Z"], 1),
        (&["--since", "2026-07-28", "--until", "2026-07-29"], 3),
        (&["--until", "2026-07-28"], 0),
        (&["--principal", "bob"], 2),
        (&["--principal", "bo"], 0),
        (&["--component", "read_file"], 1),
        (&["--component", "read_file", "--principal", "bob"], 0),
        (&["--since", "1s"], 0),
    ] {
        let counted = place.summary(chosen);
        let found = (&counted["counted"]["records"], &counted["records"]);
        assert_eq!(found, (&json!(count), &json!(3)), "{chosen:?}");
    }
    for wrong in ["yesterday", "2026-13-01", "2026-07-28T10:30", "2026-07-28T25:00Z", "12", ""] {
        let ran = place.run(&["audit", "summary", "--since", wrong]);
        assert_eq!(ran.code, Some(2), "{wrong:?}: {ran:?}");
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// What drives a terminal, turns text round, or ends a page's element.
const HOSTILE: &str =
    "x\u{1b}[2J\u{9b}31m\u{202e}\r\n\u{7}\u{200b}</title><script>alert(1)</script>\"'&";

#[test]
fn e10_what_records_say_drives_no_terminal_and_no_browser() {
    let more = json!({
        "issuer": HOSTILE, "client_id": HOSTILE, "client_name": HOSTILE, "client_version": HOSTILE,
        "operation": HOSTILE, "kind": HOSTILE, "rule": HOSTILE, "reason": HOSTILE,
        "outcome": HOSTILE, "transport": HOSTILE, "protocol": HOSTILE, "remote": HOSTILE,
        "reference": "00112233445566ff", "hidden": {HOSTILE: HOSTILE}, HOSTILE: HOSTILE,
    });
    let lines: String = (0..3)
        .map(|n| record(&format!("10:00:0{n}"), HOSTILE, "denied", HOSTILE, more.clone()))
        .collect();
    // The last one is another record of the same principal.
    let other = record(
        "10:00:09",
        HOSTILE,
        "denied",
        HOSTILE,
        json!({"issuer": HOSTILE, "outcome": HOSTILE}),
    );
    let place = Place::new(&[("audit.jsonl", &(lines + &other))]);
    for arguments in [
        &["audit", "summary"][..],
        &["audit", "summary", "--format", "json"],
        &["audit", "summary", "--format", "html"],
        &["audit", "denied"],
        &["audit", "denied", "--format", "json"],
        &["audit", "denied", "--format", "html"],
        &["audit", "tail"],
        &["audit", "tail", "--json"],
        &["why", "00112233445566ff"],
        &["why", "--json", "00112233445566ff"],
    ] {
        let text = place.run(arguments).done();
        let drives = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{200b}".contains(c);
        assert!(!text.contains(drives), "{arguments:?}: {text:?}");
        assert!(text.contains("alert(1)"), "{arguments:?}: {text}");
        match arguments.contains(&"html") {
            true => {
                assert!(!text.contains("<script") && text.contains("&lt;script&gt;"), "{text}");
                assert!(text.contains("default-src 'none'"), "{text}");
                assert_eq!(text.matches("</title>").count(), text.matches("<title>").count());
            }
            false if arguments.contains(&"--json") => {
                let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
                let values: Vec<Value> = values.map(Result::unwrap).collect();
                let whole = serde_json::to_string(&values).unwrap();
                assert!(whole.contains("\u{202e}"), "a program reads what is there: {whole}");
            }
            false => {}
        }
    }
}

#[test]
fn a_page_needs_nothing_but_itself_and_is_its_owners_alone() {
    let place = Place::new(&[("audit.jsonl", &three())]);
    let report = place.0.path().join("report.html");
    let made = |path: &Path| {
        place.run(&["audit", "summary", "--format", "html", "--output", path.to_str().unwrap()])
    };
    let ran = made(&report);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.is_empty() && ran.stderr.contains("report.html"), "{ran:?}");
    assert_eq!(mode(&report), 0o600);
    let page = fs::read_to_string(&report).unwrap();
    for outside in ["<script", "<link", "<img", "src=", "href=", "url(", "@import", " style="] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<svg viewBox").count(), 4, "over time, and three kinds of bars");
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("<td>delete_user</td>"));

    let ran = made(&report);
    assert!(ran.refused().contains("report.html is there already: choose another name"));
    assert_eq!(fs::read_to_string(&report).unwrap(), page, "it stays as it was");
    assert!(made(&place.0.path().join("missing/report.html")).refused().contains("missing"));
    assert_eq!(super::names(&place.0).len(), 2, "no draft is left");
}

#[test]
fn a_reader_that_goes_away_is_told_nothing_more() {
    let place = Place::new(&[("audit.jsonl", &three())]);
    for asked in ["summary", "tail", "denied"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = super::command(&["audit", asked, &place.path()]);
        let ran = Ran::of(command.stdout(writer).output().unwrap());
        assert_eq!((ran.code, &*ran.stderr), (Some(1), ""), "{asked}");
    }
}
