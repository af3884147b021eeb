//! `portcullis check`, before servers that keep the rules and servers that break one each.

use std::process::{Command, Output};
use std::sync::LazyLock;

use portcullis_tests::driver::root;
use serde_json::Value;

use crate::TESTBED;
use crate::demo::{built, demo};

const CHECKED: &str = env!("CARGO_BIN_EXE_checked");

/// The command, with the folder in which the program is run.
fn check(flags: &[&str], program: &[&str]) -> (Command, tempfile::TempDir) {
    static PORTCULLIS: LazyLock<String> = LazyLock::new(|| built("portcullis"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "a-secret-of-the-provider\n").unwrap();
    let mut command = Command::new(&*PORTCULLIS);
    command.arg("check").args(flags).arg("--").args(program).current_dir(folder.path());
    (command, folder)
}

fn run(flags: &[&str], program: &[&str], variables: &[(&str, &str)]) -> Output {
    let (mut command, _folder) = check(flags, program);
    command.envs(variables.iter().copied()).output().unwrap()
}

/// What was found out, and the exit code.
fn found(program: &[&str], variables: &[(&str, &str)]) -> (Value, i32) {
    let output = run(&["--format", "json"], program, variables);
    let report = serde_json::from_slice(&output.stdout);
    (report.unwrap_or_else(|_| panic!("{output:?}")), output.status.code().unwrap())
}

/// How one rule was judged, with what was seen.
fn rule(report: &Value, number: usize) -> (&str, &str) {
    let rule = &report["rules"][number - 1];
    assert_eq!(rule["rule"], number, "{report:#}");
    (rule["outcome"].as_str().unwrap(), rule["seen"].as_str().unwrap())
}

#[test]
fn a_server_that_keeps_the_rules_passes_each_of_them_and_is_bound_nowhere() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (report, code) = found(&[CHECKED, "kept"], &[("PORTCULLIS_LISTEN", &address)]);
    assert_eq!((code, &report["fault"], &report["refused"]), (0, &Value::Null, &Value::Null));
    assert_eq!(report["server"], "checked");
    assert_eq!(report["url"], format!("http://{address}/mcp"));
    for number in 1..=15 {
        let (outcome, seen) = rule(&report, number);
        // Those about what it does not have: sign-in, paths, URLs, statements, routes.
        let expected = if [6, 8, 9, 11, 12].contains(&number) { "skip" } else { "pass" };
        assert_eq!(outcome, expected, "{number}: {seen}");
    }
    let strict = run(&["--strict"], &[CHECKED, "kept"], &[]);
    assert!(strict.status.success(), "{strict:?}");
}

#[test]
fn each_rule_that_is_broken_is_named_and_fails() {
    let beyond = [("PORTCULLIS_LISTEN", "0.0.0.0:8000")];
    let named = [("PORTCULLIS_LISTEN", "localhost:8000")];
    let at_url = [("PORTCULLIS_PUBLIC_URL", "https://mcp.example.com")];
    let http: &[_] = &[("PORTCULLIS_TRANSPORT", "http")];
    for (case, variables, broken, text) in [
        ("credential", &[][..], 1, "named like a credential"),
        ("credential-in-form", &[], 1, "the field `password` of a form"),
        ("blanket-scope", &[], 2, "\"admin\""),
        ("kept", &beyond, 3, "needs a public_url"),
        ("kept", &named, 3, "`localhost` is a name"),
        ("development", &at_url, 3, "static development token"),
        ("unauthenticated", http, 3, "dangerously_serve_unauthenticated"),
        ("secret-in-text", &[], 4, "looks like a secret"),
        ("internal-errors", &[], 5, "dangerously_show_internal_errors"),
        ("no-keys", &[], 7, "no token can be verified"),
        ("other-audience", &[], 7, "other.example.com"),
        ("credentials-in-results", &[], 10, "CredentialsInResults::Off"),
        ("route-for-nobody", http, 12, "GET /report"),
        ("no-timeout", &[], 13, "3600s"),
        ("silent", &[], 14, "no access is recorded"),
    ] {
        let (report, code) = found(&[CHECKED, case], variables);
        let (outcome, seen) = rule(&report, broken);
        assert_eq!((outcome, code), ("fail", 1), "{case}: {report:#}");
        assert!(seen.contains(text), "{case}: {seen}");
        assert_eq!(report["broken"], serde_json::json!([broken]), "{case}: {report:#}");
        assert!(report["rules"][broken - 1]["fix"].is_string(), "{case}: {report:#}");
    }
}

#[test]
fn what_deserves_a_look_is_warned_of_and_fails_where_that_is_asked_for() {
    for (case, variables, warned, text) in [
        ("credential-on-purpose", &[][..], 1, "`take` asks for [\"password\"]"),
        ("no-scope", &[], 2, "[\"greet\"]"),
        ("development", &[], 4, "1 static development token"),
        ("silent", &[], 5, "no log was set up"),
        ("any-client", &[], 6, "any client may register"),
        ("development", &[], 7, "for development"),
        ("path", &[], 8, "`file_path` of tool `read_by_itself`"),
        ("url", &[], 9, "`page_url` of tool `fetch_by_itself`"),
        ("statement", &[], 11, "`sql` of tool `ask`"),
        ("public-admin-route", &[], 12, "POST /admin/reset (checks a secret of its own)"),
        ("fixed-secret", &[], 15, "needs a restart"),
    ] {
        let (report, _) = found(&[CHECKED, case], variables);
        let (outcome, seen) = rule(&report, warned);
        assert_eq!(outcome, "warn", "{case}: {report:#}");
        assert!(seen.contains(text), "{case}: {seen}");
    }
    for (flags, code) in [(&[][..], 0), (&["--strict"], 1)] {
        let ran = run(flags, &[CHECKED, "path"], &[]);
        assert_eq!(ran.status.code(), Some(code), "{ran:?}");
    }
}

#[test]
fn what_is_done_safely_passes() {
    for (case, kept, text) in [
        ("known-clients", 6, "that were named"),
        ("path-within", 8, "`file_path` of tool `read_within`"),
        ("url-within", 9, "`page_url` of tool `fetch_within`"),
        ("statement-of-a-list", 11, "of a list or pattern"),
        ("public-route", 12, "GET /health (liveness)"),
        ("recorded", 14, "1 audit sink"),
        ("watched-secret", 15, "read again"),
    ] {
        let (report, _) = found(&[CHECKED, case], &[]);
        let (outcome, seen) = rule(&report, kept);
        assert_eq!(outcome, "pass", "{case}: {report:#}");
        assert!(seen.contains(text), "{case}: {seen}");
    }
}

#[test]
fn a_server_that_does_not_start_says_why_and_one_that_was_never_built_shows_its_last_words() {
    let (report, code) = found(&[CHECKED, "kept"], &[("PORTCULLIS_TRANSPORT", "pigeon")]);
    assert_eq!(code, 1);
    assert!(
        report["refused"].as_str().unwrap().contains("write `stdio`, `http` or `sse`"),
        "{report:#}"
    );
    let never = run(&[], &[CHECKED, "no such case"], &[]);
    let (stdout, stderr) =
        (String::from_utf8(never.stdout).unwrap(), String::from_utf8(never.stderr).unwrap());
    assert_eq!(never.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("no-report: ") && stdout.contains("status 1"), "{stdout}");
    assert!(stderr.contains("| error: no case is called no such case"), "{stderr}");
}

#[test]
fn the_demo_and_a_server_over_stdio_are_checked_as_they_start() {
    let (report, code) = found(&[demo(), "--public-url", "http://localhost:8000"], &[]);
    assert_eq!((code, &report["url"]), (0, &"http://localhost:8000/mcp".into()), "{report:#}");
    let (report, code) = found(&[TESTBED, "--transport", "stdio"], &[]);
    assert_eq!((code, &report["transport"]), (0, &"stdio".into()), "{report:#}");
    for skipped in [2, 3, 6, 7, 12] {
        assert_eq!(rule(&report, skipped).0, "skip", "{report:#}");
    }
    // Standard output is the protocol's where it is served, and a report's here.
    let noisy = run(&[], &[TESTBED, "--transport", "stdio", "--fixtures", "noisy"], &[]);
    assert!(noisy.status.success(), "{noisy:?}");
}

#[test]
fn the_rules_are_called_as_the_manual_calls_them() {
    let page = std::fs::read_to_string(root().join("docs/manual/rules.md")).unwrap();
    let (report, _) = found(&[CHECKED, "kept"], &[]);
    for rule in report["rules"].as_array().unwrap() {
        let row = format!("| {}. {} |", rule["rule"], rule["title"].as_str().unwrap());
        assert!(page.contains(&row), "no row begins with {row}");
    }
}
