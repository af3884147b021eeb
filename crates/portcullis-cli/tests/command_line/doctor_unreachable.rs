//! `portcullis doctor`, before servers that no client gets an answer from: slow ones, names that lead
//! nowhere, and certificates that nobody trusts.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::doctor::doctor;
use super::stand::{ISSUER, RESOURCE, Stand, TOKEN, serve, serve_tls, tls};

/// What it says of the first fault, as JSON and for people, and that it fails.
#[track_caller]
fn first_fault(url: &str, more: &[&str]) -> Value {
    let ran = doctor(url, None, &[&["--format", "json"], more].concat());
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let findings = report["findings"].as_array().unwrap();
    let first = findings.iter().find(|finding| finding["outcome"] == "fail").unwrap();
    assert_eq!(first["fault"], report["first_fault"], "{report:#}");
    // For people, who watch: what failed, why, and what to do.
    for text in ["seen", "fault", "cause", "fix"] {
        let text = first[text].as_str().unwrap();
        assert!(!text.is_empty() && ran.stderr.contains(text), "{text}: {ran:?}");
    }
    first.clone()
}

#[track_caller]
fn is_at(fault: &Value, name: &str, step: &str) {
    assert_eq!((&fault["fault"], &fault["step"]), (&json!(name), &json!(step)), "{fault:#}");
}

#[test]
fn a_certificate_of_ones_own_authority_is_no_fault() {
    let ran =
        doctor(&serve_tls("server.pem", |_| {}), Some(TOKEN), &["--ca", &tls("authority.pem")]);
    let text = ran.done();
    assert!(text.ends_with("no fault was found\n") && !text.contains("fail"), "{text}");
}

#[test]
fn a_certificate_that_no_client_trusts_is_named_and_why() {
    let authority = tls("authority.pem");
    let trusting = ["--ca", authority.as_str()];
    let good = serve_tls("server.pem", |_| {});
    let expired = serve_tls("expired.pem", |_| {});
    // It is for 127.0.0.1, and for others.
    let other_name = good.replace("127.0.0.1", "localhost");
    for (url, more, why) in [
        (&good, &[][..], "UnknownIssuer"),
        (&expired, &trusting, "expired"),
        (&other_name, &trusting, "not valid for name"),
    ] {
        let fault = first_fault(url, more);
        is_at(&fault, "certificate", "endpoint");
        assert!(fault["seen"].as_str().unwrap().contains(why), "{fault:#}");
        assert!(fault["fix"].as_str().unwrap().contains("--ca FILE"), "{fault:#}");
    }
}

#[test]
fn the_certificate_of_whom_the_server_names_is_judged_too() {
    let trusting = ["--ca", &tls("authority.pem")];
    let expired = serve_tls("expired.pem", |_| {});
    let expired = expired.strip_suffix("/mcp").unwrap();
    let issuer =
        |stand: &mut Stand| stand.change(RESOURCE, "authorization_servers", json!([expired]));
    is_at(&first_fault(&serve_tls("server.pem", issuer), &trusting), "certificate", "issuer");
    let keys =
        |stand: &mut Stand| stand.change(ISSUER, "jwks_uri", json!(format!("{expired}/jwks")));
    let fault = first_fault(&serve_tls("server.pem", keys), &trusting);
    is_at(&fault, "keys-unreachable", "keys");
    assert!(fault["seen"].as_str().unwrap().contains("expired"), "{fault:#}");
}

#[test]
fn a_name_that_nobody_resolves_is_named() {
    // Nobody ever gets a name below `.invalid` (RFC 6761).
    is_at(&first_fault("https://mcp.invalid/mcp", &[]), "name-unknown", "endpoint");
    let url = serve(|stand| {
        stand.change(RESOURCE, "authorization_servers", json!(["https://idp.invalid"]));
    });
    is_at(&first_fault(&url, &[]), "name-unknown", "issuer");
}

#[test]
fn a_server_that_does_not_answer_in_time_is_named_at_the_step_that_waited() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let never = |path: &str| serve(|stand| stand.never_answers = Some(path.to_owned()));
    let cases = [
        // Nobody takes the connection, and no handshake is answered.
        (format!("http://{address}/mcp"), "timeout", "endpoint"),
        (format!("https://{address}/mcp"), "timeout", "endpoint"),
        (never(RESOURCE), "timeout", "resource"),
        (never(ISSUER), "timeout", "issuer"),
        (never("/jwks"), "keys-unreachable", "keys"),
        (never("/register"), "timeout", "registration"),
        (never("/authorize"), "timeout", "authorize"),
    ];
    let began = Instant::now();
    std::thread::scope(|scope| {
        for (url, name, step) in &cases {
            scope.spawn(move || is_at(&first_fault(url, &[]), name, step));
        }
    });
    // As the cause says.
    let waited = began.elapsed();
    assert!(Duration::from_secs(10) <= waited, "{waited:?}");
}
