//! `portcullis check`, before programs that are no servers. Servers are in the tests of behaviour.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Ran, command, place, portcullis};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

fn checked(flags: &[&str], program: &[&str]) -> (Value, Ran) {
    let arguments = [&["check", "--format", "json"], flags, &["--"], program].concat();
    let ran = portcullis(&arguments);
    let report = serde_json::from_str(&ran.stdout);
    assert!(report.is_ok(), "{ran:?}");
    (report.unwrap(), ran)
}

/// What stops a program that only shells out.
fn sh(script: &str) -> [&str; 3] {
    ["sh", "-c", script]
}

fn report(change: impl FnOnce(&mut Value)) -> String {
    let rule = json!({"outcome": "pass", "seen": "so it is", "fix": null});
    let mut report = json!({
        "portcullis_check": 1, "server": "s", "transport": "http", "url": "http://127.0.0.1/mcp",
        "authentication": "tokens", "refused": null, "rules": vec![rule; 15],
    });
    change(&mut report);
    // A report is known by how it begins.
    let rest = report.to_string();
    let first = report["portcullis_check"].take();
    let rest = rest.replace(&format!("\"portcullis_check\":{first},"), "");
    format!("{{\"portcullis_check\":{first},{}", &rest[1..])
}

/// Prints a text, as a program.
fn printing(text: &str) -> [String; 4] {
    ["sh", "-c", "printf '%s\\n' \"$0\"", text].map(str::to_owned)
}

fn waits_until(done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "it takes too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs: one that was killed and is not waited for yet does not.
fn runs(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    !state.is_empty() && !state.starts_with('Z')
}

fn written(path: &Path) -> String {
    waits_until(|| std::fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n')));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_program_that_is_no_server_is_named_as_such() {
    for (program, fault) in [
        (sh("exit 0"), "no-report"),
        (sh("exit 3"), "no-report"),
        (sh("kill -9 $$"), "no-report"),
        (sh("head -c 100000 /dev/urandom"), "no-report"),
        (sh("echo '{\"portcullis_check\":1}'"), "report-malformed"),
        (sh("yes '{\"portcullis_check\":1' | head -c 100000"), "several-servers"),
        (sh("yes"), "floods"),
        (sh("yes >&2"), "floods"),
    ] {
        let (report, ran) = checked(&[], &program);
        assert_eq!((&report["fault"], ran.code), (&fault.into(), Some(1)), "{program:?}: {ran:?}");
        assert!(report["fix"].is_string() && report["rules"] == json!([]), "{ran:?}");
    }
}

#[test]
fn a_program_that_hangs_is_killed_with_all_that_it_started() {
    let (_folder, path, text) = place("ids");
    let script = format!("sleep 1000 & echo $! >{text}; wait");
    let (report, ran) = checked(&["--time", "1s"], &sh(&script));
    assert_eq!((&report["fault"], ran.code), (&"hangs".into(), Some(1)), "{ran:?}");
    let child = written(&path);
    waits_until(|| !runs(&child));
}

#[test]
fn a_check_that_is_stopped_leaves_no_program_behind() {
    let (_folder, path, text) = place("ids");
    let script = format!("sleep 1000 & echo $! >{text}; wait");
    let mut check = command(&["check", "--", "sh", "-c", &script]).spawn().unwrap();
    let child = written(&path);
    assert!(runs(&child), "{child}");
    let stopped = std::process::Command::new("kill").arg(check.id().to_string()).status().unwrap();
    assert!(stopped.success());
    assert_eq!(check.wait().unwrap().code(), Some(1));
    waits_until(|| !runs(&child));
}

#[test]
fn a_report_is_read_strictly_and_shown_harmlessly() {
    let ran = |report: &str| {
        let program = printing(report);
        let program: Vec<&str> = program.iter().map(String::as_str).collect();
        checked(&[], &program)
    };
    let (good, with) = ran(&report(|_| {}));
    assert_eq!((&good["fault"], with.code), (&Value::Null, Some(0)), "{with:?}");
    let changes: [fn(&mut Value); 8] = [
        |report| drop(report.as_object_mut().unwrap().remove("refused")),
        |report| drop(report["rules"][3].as_object_mut().unwrap().remove("fix")),
        |report| report["portcullis_check"] = json!(2),
        |report| report["more"] = json!("members"),
        |report| report["rules"] = json!([]),
        |report| report["rules"][3]["outcome"] = json!("maybe"),
        |report| report["rules"][3]["seen"] = json!(7),
        |report| drop(report["rules"].as_array_mut().unwrap().pop()),
    ];
    for change in changes {
        let (malformed, with) = ran(&report(change));
        assert_eq!(
            (&malformed["fault"], with.code),
            (&"report-malformed".into(), Some(1)),
            "{with:?}"
        );
    }
    // It is not believed of a program that then fails.
    let text = report(|_| {});
    let (failing, with) = checked(&[], &["sh", "-c", "printf '%s\\n' \"$0\"; exit 7", &text]);
    assert_eq!((&failing["fault"], with.code), (&"ends-badly".into(), Some(1)), "{with:?}");
    let text = report(|report| {
        report["refused"] = json!("two things:\n  - \u{1b}[2Jone\npass  start  other");
        report["rules"][3]["outcome"] = json!("skip");
        report["rules"][4]["seen"] = json!("\u{1b}[2J\npass");
    });
    let shown = portcullis(&["check", "--", "sh", "-c", "printf '%s\\n' \"$0\"", &text]);
    assert_eq!(shown.code, Some(1), "{shown:?}");
    let refused =
        "does not start: two things:\n               - \\u{1b}[2Jone\n             pass  start";
    assert!(shown.stdout.contains(refused), "{shown:?}");
    assert!(!shown.stdout.contains("Secrets in the environment"), "{shown:?}");
    assert!(shown.stdout.contains(r"Mask error details: \u{1b}[2J\u{a}pass"), "{shown:?}");
}

#[test]
fn what_a_program_said_last_is_shown_harmlessly() {
    let ran =
        portcullis(&["check", "--", "sh", "-c", "printf 'first\\n\\033[2Jlast\\n' >&2; exit 1"]);
    assert_eq!(ran.stderr, "| first\n| \\u{1b}[2Jlast\n", "{ran:?}");
}

#[test]
fn the_program_is_found_as_a_shell_finds_it_and_runs_here_with_what_was_typed() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("server");
    let text = "#!/bin/sh\necho \"$PWD $GIVEN $PORTCULLIS_CHECK $*\" >&2\nexit 1\n";
    std::fs::write(&program, text).unwrap();
    super::chmod(&program, 0o755);
    let mut check = command(&["check", "--", "./server", "--flag", "-x", "a b"]);
    let ran = Ran::of(check.current_dir(folder.path()).env("GIVEN", "given").output().unwrap());
    let place = folder.path().canonicalize().unwrap();
    assert_eq!(ran.stderr, format!("| {} given 1 --flag -x a b\n", place.display()), "{ran:?}");
    for missing in ["no-such-program", "./no-such-program", "no/such/program"] {
        let refused = portcullis(&["check", "--", missing]).refused();
        assert!(refused.contains(missing), "{refused}");
    }
}
