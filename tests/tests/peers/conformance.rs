//! The official conformance suite as a judge: every version of the suite, in every version of
//! the specification that it knows, with authentication and without.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use portcullis_tests::driver::{Testbed, free_address, root, run};
use portcullis_tests::issuer::{Issuer, claims};
use portcullis_tests::sign_in::{ALICE, Browser, Client};

use crate::identity_provider::Provider;
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

/// The scenarios of the extension for tasks, which are in no suite.
const TASKS: [&str; 9] = [
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-required-task-error",
    "tasks-mrtr-composition",
];

/// One of them that checks nothing, and says so: the suite has no harness for it.
const UNTESTED_TASKS: &str = "tasks-status-notifications";

/// Runs every suite against `testbed`; says what all of them found.
fn judge(testbed: &Testbed, who: &str, token: Option<&str>) {
    let suites = RUNS.into_iter().map(|(suite, spec)| {
        suite_command(testbed, who, (suite, spec), &format!("{suite}-{spec}"), token)
    });
    let newest = ("0.2.0-alpha.12", "2026-07-28");
    let mut tasks = suite_command(testbed, who, newest, "tasks", token);
    tasks.args(TASKS.iter().chain([&UNTESTED_TASKS]).flat_map(|name| ["--scenario", name]));
    tasks.args(["--untested", UNTESTED_TASKS]);
    let refused: Vec<String> = suites
        .chain([tasks])
        .filter_map(|mut command| run(&mut command).err().map(|error| error.to_string()))
        .collect();
    assert!(refused.is_empty(), "{}\nis it there? ./test fetches it", refused.join("\n\n"));
}

fn suite_command(
    testbed: &Testbed,
    who: &str,
    (suite, spec): (&str, &str),
    what: &str,
    token: Option<&str>,
) -> Command {
    let peer = root().join("target/peers/conformance");
    let mut command = Command::new(node());
    command
        .arg(peer.join("run.mjs"))
        .args(["--url", testbed.url(), "--suite", suite, "--spec", spec, "--results"])
        .arg(peer.join("results").join(format!("{who}-{what}")))
        .args(token.into_iter().flat_map(|token| ["--token", token]));
    command
}

#[test]
fn the_conformance_suite_finds_nothing_wrong_without_authentication() {
    let testbed = Testbed::start(TESTBED, &["--fixtures", "conformance", "--auth", "none"]);
    judge(&testbed, "everybody", None);
}

#[test]
fn the_conformance_suite_finds_nothing_wrong_with_authentication() {
    let issuer = Issuer::start();
    let flags = [&["--fixtures", "conformance"], &issuer.flags()[..]].concat();
    let testbed = Testbed::start(TESTBED, &flags);
    judge(&testbed, "alice", Some(&issuer.token(&claims("alice", "read"))));
}

/// The version of the suite that judges authorization servers, and for each version of the
/// specification how many checks it makes: metadata, and a code that becomes a token.
const AUTHORIZATION: (&str, [(&str, usize); 4]) = (
    "0.2.0-alpha.12",
    [("2025-03-26", 2), ("2025-06-18", 2), ("2025-11-25", 3), ("2026-07-28", 3)],
);

/// Lets the suite judge an authorization server. Its user meets `forms`, one after the other, and
/// enters these fields.
fn judge_authorization(testbed: &Testbed, forms: &[&[(&str, &str)]]) {
    let (suite, specifications) = AUTHORIZATION;
    for (specification, checks) in specifications {
        let peer = root().join("target/peers/conformance");
        let program = peer.join(format!("node_modules/conformance-{suite}/dist/index.js"));
        // Its port is free, since it is one of loopback.
        let (client, port) = (Client::register(testbed), free_address().port().to_string());
        let mut command = Command::new(node());
        command
            .arg(program)
            .args(["authorization", "--url", &format!("http://{}", testbed.authority())])
            .args(["--client-id", &client.id, "--resource", testbed.url(), "--port", &port])
            .args(["--spec-version", specification])
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut suite = command.spawn().expect("it is there: ./test fetches it");
        let mut said = BufReader::new(suite.stdout.take().unwrap());
        let (mut log, mut url) = (String::new(), None);
        // It says where a browser is to go before it listens for the answer.
        while url.is_none() || !log.contains("Callback server started") {
            let start = log.len();
            assert_ne!(said.read_line(&mut log).unwrap(), 0, "it asks for no browser: {log}");
            let line = log[start..].trim();
            if line.starts_with("http://") && line.contains("/authorize?") {
                url = Some(line.to_owned());
            }
        }
        let mut browser = Browser::default();
        let page = browser.open(&url.unwrap());
        let arrived = forms.iter().fold(page, |page, fields| browser.submit(&page, fields));
        assert!(arrived.body().contains("You can close this page"), "{}", arrived.url);
        said.read_to_string(&mut log).unwrap();
        assert!(suite.wait().unwrap().success(), "{specification}: {log}");
        let total = format!("Total: {checks} passed, 0 failed");
        assert!(log.contains(&total), "{specification}: {log}");
        assert!(!log.contains("WARNING") && !log.contains("SKIPPED"), "{specification}: {log}");
    }
}

/// The suite wants metadata documents to be taken.
const DOCUMENTS: [&str; 2] = ["--documents-from", "client.example.com"];

#[test]
fn the_conformance_suite_finds_nothing_wrong_where_users_have_a_password_here() {
    let flags = [&["--auth", "login"], &DOCUMENTS[..]].concat();
    judge_authorization(&Testbed::start(TESTBED, &flags), &[&ALICE]);
}

#[test]
fn the_conformance_suite_finds_nothing_wrong_where_users_sign_in_at_oidc_provider() {
    let (provider, address) = (Provider::with_pages(), free_address());
    let client = provider.client(&format!("http://{address}/auth/callback"));
    let text = |name: &str| client[name].as_str().unwrap();
    let flags = ["--auth", "proxy", "--idp", provider.issuer(), "--allow-loopback-idp"];
    let client = ["--client-id", text("client_id"), "--client-secret", text("client_secret")];
    let flags = [&flags[..], &client, &DOCUMENTS].concat();
    let testbed = Testbed::start_at(TESTBED, address, &flags, &[]);
    // The second and the third are pages of the provider.
    let login = [("login", "alice"), ("password", "any")];
    judge_authorization(&testbed, &[&[("decision", "allow")], &login, &[]]);
}
