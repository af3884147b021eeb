//! `portcullis doctor --sign-in`, with a user who pastes an address.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use portcullis::guard::Url;
use serde_json::{Value, json};

use super::command;
use super::stand::{Answer, ISSUER, Stand, TOKEN, serve};

const CALLBACK: &str = "http://127.0.0.1:33418/callback";

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

/// What is found once the user, who was shown an address, pasted another one.
fn signed_in(url: &str, paste: impl FnOnce(&Url) -> String) -> Value {
    let mut command = command(&["doctor", url, "--sign-in", "--format", "json"]);
    command.env_remove("PORTCULLIS_TOKEN");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    let shown = lines.by_ref().find_map(|line| Url::parse(line.strip_prefix("  ")?).ok());
    let pasted = paste(&shown.unwrap());
    writeln!(process.stdin.take().unwrap(), "{pasted}").unwrap();
    lines.for_each(drop);
    let output = process.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.success(), report["first_fault"].is_null(), "{report:#}");
    report
}

/// The address at which a sign-in ends that was allowed.
fn allowed(shown: &Url) -> String {
    format!("{CALLBACK}?code=c1&state={}", parameter(shown, "state"))
}

fn token(answer: &Value) -> impl FnOnce(&mut Stand) + use<> {
    let answer = Answer::json(answer);
    move |stand| stand.set("/token", answer)
}

#[test]
fn whoever_signs_in_calls_with_the_token_that_the_code_is_redeemed_for() {
    for answer in [
        json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}),
        json!({"access_token": TOKEN, "token_type": "bearer"}),
    ] {
        let report = signed_in(&serve(token(&answer)), |shown| {
            assert_eq!(parameter(shown, "code_challenge_method"), "S256");
            assert_eq!(parameter(shown, "redirect_uri"), CALLBACK);
            allowed(shown)
        });
        assert_eq!(report["first_fault"], Value::Null, "{report:#}");
        let last = report["findings"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["step"], &last["outcome"]), (&json!("call"), &json!("pass")));
    }
}

#[test]
fn each_way_in_which_a_sign_in_fails_is_named() {
    type Paste = fn(&Url) -> String;
    let of_another: Paste = |_| format!("{CALLBACK}?code=c1&state=another");
    let denied: Paste =
        |shown| format!("{CALLBACK}?error=access_denied&state={}", parameter(shown, "state"));
    let nothing: Paste = |shown| format!("{CALLBACK}?state={}", parameter(shown, "state"));
    let mixed_up: Paste = |shown| allowed(shown) + "&iss=https%3A%2F%2Fother.example.com";
    for (name, paste) in [
        ("sign-in-denied", denied),
        ("sign-in-denied", nothing),
        ("state-differs", of_another),
        ("iss-differs", mixed_up),
        ("code-refused", allowed),
    ] {
        let report = signed_in(&serve(|_| {}), paste);
        assert_eq!(report["first_fault"], name, "{report:#}");
    }
    let announced = serve(|stand| {
        stand.change(ISSUER, "authorization_response_iss_parameter_supported", json!(true));
    });
    assert_eq!(signed_in(&announced, allowed)["first_fault"], "iss-differs");
}

#[test]
fn a_token_that_clients_would_not_read_is_named() {
    for malformed in [
        json!({"token_type": "Bearer"}),
        json!({"access_token": TOKEN, "token_type": "mac"}),
        json!({"access_token": TOKEN}),
        json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 0}),
        json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": -60}),
        json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": "3600"}),
        json!([TOKEN]),
    ] {
        let report = signed_in(&serve(token(&malformed)), allowed);
        assert_eq!(report["first_fault"], "token-malformed", "{malformed}");
    }
}

#[test]
fn e19_an_authorization_endpoint_that_is_no_web_page_is_shown_to_nobody() {
    for address in ["javascript:alert(1)", "file:///etc/passwd", "calc:", "-flag", "x:$(id)"] {
        let url = serve(|stand| stand.change(ISSUER, "authorization_endpoint", json!(address)));
        let mut command = command(&["doctor", &url, "--sign-in"]);
        let output = command.env_remove("PORTCULLIS_TOKEN").output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{address}");
        let asked = String::from_utf8(output.stderr).unwrap();
        assert!(!asked.contains("Open this address"), "{address}: {asked}");
    }
}
