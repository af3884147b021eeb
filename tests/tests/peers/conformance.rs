//! The official conformance suite as a judge: every version of the suite, in every version of
//! the specification that it knows, with authentication and without.

use std::process::Command;

use portcullis_tests::driver::{Testbed, root, run};
use portcullis_tests::issuer::{Issuer, claims};

use crate::{TESTBED, node};

/// Versions of the suite, with the versions of the specification that each knows.
const RUNS: [(&str, &str); 6] = [
    ("0.1.16", "2025-06-18"),
    ("0.1.16", "2025-11-25"),
    ("0.2.0-alpha.12", "2025-03-26"),
    ("0.2.0-alpha.12", "2025-06-18"),
    ("0.2.0-alpha.12", "2025-11-25"),
    ("0.2.0-alpha.12", "2026-07-28"),
];

/// Runs every suite against `testbed`; says what all of them found.
fn judge(testbed: &Testbed, who: &str, token: Option<&str>) {
    let refused: Vec<String> = RUNS
        .into_iter()
        .filter_map(|(suite, spec)| {
            let found = run(&mut suite_command(testbed, who, suite, spec, token));
            found.err().map(|error| error.to_string())
        })
        .collect();
    assert!(refused.is_empty(), "{}\nis it there? ./test fetches it", refused.join("\n\n"));
}

fn suite_command(
    testbed: &Testbed,
    who: &str,
    suite: &str,
    spec: &str,
    token: Option<&str>,
) -> Command {
    let peer = root().join("target/peers/conformance");
    let expected = format!("tests/peers/conformance/expected-failures/{suite}-{spec}.yml");
    let mut command = Command::new(node());
    command
        .arg(peer.join("run.mjs"))
        .args(["--url", testbed.url(), "--suite", suite, "--spec", spec, "--results"])
        .arg(peer.join("results").join(format!("{who}-{suite}-{spec}")))
        .arg("--expected-failures")
        .arg(root().join(expected))
        .args(token.into_iter().flat_map(|token| ["--token", token]));
    command
}

#[test]
fn the_conformance_suite_finds_only_what_is_expected_without_authentication() {
    let testbed = Testbed::start(TESTBED, &["--fixtures", "conformance", "--auth", "none"]);
    judge(&testbed, "everybody", None);
}

#[test]
fn the_conformance_suite_finds_only_what_is_expected_with_authentication() {
    let issuer = Issuer::start();
    let flags = [&["--fixtures", "conformance"], &issuer.flags()[..]].concat();
    let testbed = Testbed::start(TESTBED, &flags);
    judge(&testbed, "alice", Some(&issuer.token(&claims("alice", "read"))));
}
