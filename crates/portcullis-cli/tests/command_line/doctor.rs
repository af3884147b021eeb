//! `portcullis doctor`, before servers that are in order but for one thing each.

use std::net::TcpListener;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::stand::{Answer, ISSUER, RESOURCE, Stand, TOKEN, serve};
use super::{Ran, command};

pub(crate) fn doctor(url: &str, token: Option<&str>, more: &[&str]) -> Ran {
    let mut command = command(&[&["doctor", url][..], more].concat());
    command.env_remove("PORTCULLIS_TOKEN");
    if let Some(token) = token {
        command.env("PORTCULLIS_TOKEN", token);
    }
    Ran::of(command.output().unwrap())
}

/// The first fault that it names.
fn fault(url: &str, token: Option<&str>) -> Value {
    let ran = doctor(url, token, &["--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let fault = report["first_fault"].clone();
    assert_eq!(ran.code, Some(i32::from(!fault.is_null())), "{ran:?}");
    fault
}

/// A token whose signature nobody looks at.
fn jwt(claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "EdDSA", "kid": "first"})), part(claims))
}

#[test]
fn a_server_in_order_has_no_fault() {
    let url = serve(|_| {});
    let ran = doctor(&url, Some(TOKEN), &[]);
    let text = ran.done();
    assert!(text.contains("pass  call          version 2025-11-25, 2 tools to see"), "{text}");
    assert!(text.ends_with("no fault was found\n"), "{text}");
    assert!(!text.contains("warn") && !text.contains("fail"), "{text}");
}

#[test]
fn without_a_token_it_examines_the_way_to_one() {
    let text = doctor(&serve(|_| {}), None, &[]).done();
    for line in ["pass  registration", "pass  authorize", "skip  call"] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn each_server_with_one_fault_has_it_named() {
    type Change = fn(&mut Stand);
    let faults: &[(&str, Change)] = &[
        ("redirected", |s| s.set("/mcp", Answer::status(307).with("location", "/mcp/"))),
        ("not-found", |s| s.set("/mcp", Answer::status(404))),
        ("forbidden", |s| s.set("/mcp", Answer::status(403))),
        ("host-refused", |s| s.set("/mcp", Answer::status(421))),
        ("server-error", |s| s.set("/mcp", Answer::status(502))),
        ("not-mcp", |s| s.set("/mcp", Answer(200, Vec::new(), "<p>Welcome</p>".to_owned()))),
        ("challenge-missing", |s| s.set("/mcp", Answer::status(401))),
        ("metadata-missing", |s| s.set(RESOURCE, Answer::status(404))),
        ("metadata-malformed", |s| {
            s.set(RESOURCE, Answer(200, Vec::new(), "<p>404</p>".to_owned()))
        }),
        ("null-member", |s| s.change(RESOURCE, "scopes_supported", Value::Null)),
        ("resource-differs", |s| {
            s.change(RESOURCE, "resource", json!("http://127.0.0.1:8000/mcp"))
        }),
        ("resource-slash", |s| {
            let slash = format!("{}/mcp/", s.origin);
            s.change(RESOURCE, "resource", json!(slash));
        }),
        ("issuer-missing", |s| s.change(RESOURCE, "authorization_servers", json!([]))),
        ("issuer-http", |s| {
            s.change(RESOURCE, "authorization_servers", json!(["http://idp.example.com"]));
        }),
        ("issuer-unreachable", |s| s.set(ISSUER, Answer::status(503))),
        ("issuer-metadata-missing", |s| s.set(ISSUER, Answer::status(404))),
        ("issuer-differs", |s| {
            let slash = format!("{}/", s.origin);
            s.change(ISSUER, "issuer", json!(slash));
        }),
        ("endpoint-missing", |s| s.change(ISSUER, "token_endpoint", json!(7))),
        ("endpoint-http", |s| {
            s.change(ISSUER, "token_endpoint", json!("http://idp.example.com/token"))
        }),
        ("s256-missing", |s| {
            s.change(ISSUER, "code_challenge_methods_supported", json!(["plain"]))
        }),
        ("keys-unreachable", |s| s.set("/jwks", Answer::status(404))),
        ("keys-empty", |s| s.set("/jwks", Answer::json(&json!({"keys": []})))),
        ("registration-missing", |s| s.change(ISSUER, "registration_endpoint", json!(false))),
        ("registration-refused", |s| s.set("/register", Answer::status(403))),
        ("authorize-refused", |s| {
            let to = "http://127.0.0.1:33418/callback?error=invalid_target";
            s.set("/authorize", Answer::status(302).with("location", to));
        }),
        ("clock-off", |s| {
            let answer = s.at["/mcp"].clone().with("date", "Sun, 06 Nov 1994 08:49:37 GMT");
            s.set("/mcp", answer);
        }),
    ];
    for (name, change) in faults {
        assert_eq!(fault(&serve(change), None), *name);
    }
    let eaten = serve(|stand| stand.eats_authorization = true);
    assert_eq!(fault(&eaten, Some(TOKEN)), "authorization-eaten");
    let scope = r#"Bearer error="insufficient_scope", scope="orders""#;
    let page = Answer(200, Vec::new(), "<p>Welcome</p>".to_owned());
    for (name, answer) in [
        ("scope-missing", Answer::status(403).with("www-authenticate", scope)),
        ("call-failed", page),
        ("call-failed", Answer::status(500)),
    ] {
        let url = serve(|stand| stand.with_token = Some(answer));
        assert_eq!(fault(&url, Some(TOKEN)), name);
    }
}

#[test]
fn whoever_has_a_token_needs_no_authorization_server() {
    let without = |path: &'static str| serve(move |stand| stand.set(path, Answer::status(404)));
    let none = serve(|stand| stand.change(RESOURCE, "authorization_servers", json!([])));
    let closed = serve(|stand| stand.change(ISSUER, "registration_endpoint", json!(false)));
    for url in [without(RESOURCE), none, closed] {
        let text = doctor(&url, Some(TOKEN), &[]).done();
        assert!(text.contains("warn") && text.contains("pass  call"), "{text}");
    }
}

#[test]
fn what_stops_pages_alone_is_a_warning() {
    let url = serve(|stand| {
        let document = stand.at[RESOURCE].clone().without("access-control-allow-origin");
        stand.set(RESOURCE, document);
    });
    let text = doctor(&url, Some(TOKEN), &[]).done();
    assert!(text.contains("warn  browser") && text.contains("cors-missing: "), "{text}");
}

#[test]
fn a_challenge_that_names_no_metadata_is_a_warning() {
    let url = serve(|stand| {
        stand.set("/mcp", Answer::status(401).with("www-authenticate", "Bearer"));
    });
    let text = doctor(&url, Some(TOKEN), &[]).done();
    let warned = text.contains("warn  challenge") && text.contains("challenge-without-metadata: ");
    assert!(warned, "{text}");
}

#[test]
fn a_refused_token_is_explained_by_what_it_says() {
    let url = serve(|_| {});
    let origin = url.strip_suffix("/mcp").unwrap();
    let good = json!({"iss": origin, "aud": url, "exp": 4_000_000_000_i64});
    let with = |member: &str, value: Value| {
        let mut claims = good.clone();
        claims[member] = value;
        jwt(&claims)
    };
    for (token, name) in [
        (with("aud", json!("https://other.example.com/mcp")), "audience-differs"),
        (with("iss", json!("https://idp.example.com")), "token-issuer-differs"),
        (with("exp", json!(1_000_000_000)), "token-expired"),
        (with("nbf", json!(4_000_000_000_i64)), "token-not-yet"),
        (jwt(&good), "token-refused"),
        (
            jwt(&good).replacen(
                &BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":"first"}"#),
                &BASE64_URL_SAFE_NO_PAD.encode(r#"{"kid":"other"}"#),
                1,
            ),
            "key-unknown",
        ),
        ("opaque".to_owned(), "token-refused"),
    ] {
        assert_eq!(fault(&url, Some(&token)), *name);
    }
}

#[test]
fn a_server_that_nobody_runs_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(fault(&url, None), "connection");
    assert_eq!(fault("http://mcp.example.com/mcp", None), "plain-http");
    assert_eq!(fault("https://10.1.2.3/mcp", None), "private-address");
}

#[test]
fn what_a_server_says_drives_no_terminal_and_no_token_is_printed() {
    let url = serve(|stand| {
        stand.change(RESOURCE, "resource", json!("\u{1b}[2Jhttps://x.example/mcp"));
    });
    let ran = doctor(&url, Some("hunter2"), &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let all = ran.stdout + &ran.stderr;
    assert!(all.contains("resource-differs") && !all.contains(['\u{1b}']), "{all}");
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn a_token_that_the_server_repeats_is_not_printed() {
    let url = serve(|stand| stand.echoes_token = true);
    for format in ["text", "json"] {
        let ran = doctor(&url, Some("correct-horse-battery"), &["--format", format]);
        let all = ran.stdout + &ran.stderr;
        assert!(all.contains("[redacted] is unknown"), "{all}");
        assert!(!all.contains("correct-horse"), "{all}");
    }
}

#[test]
fn nobody_signs_in_where_the_metadata_is_of_another() {
    let ends = |url: &str| {
        let ran = doctor(url, None, &["--sign-in"]);
        (ran.stdout, ran.stderr)
    };
    let (_, asked) = ends(&serve(|_| {}));
    assert!(asked.contains("Open this address"), "{asked}");
    let (text, asked) = ends(&serve(|stand| {
        stand.change(ISSUER, "issuer", json!("https://idp.example.com"));
    }));
    assert!(text.contains("skip  token ") && text.contains("issuer-differs"), "{text}");
    assert!(!asked.contains("Open this address"), "{asked}");
}

#[test]
fn of_many_authorization_servers_the_first_four_are_looked_at() {
    let url = serve(|stand| {
        let names: Vec<_> = (0..9).map(|n| format!("http://idp{n}.example.com")).collect();
        stand.change(RESOURCE, "authorization_servers", json!(names));
    });
    let text = doctor(&url, None, &[]).stdout;
    assert!(text.contains("9 are named: the first 4 are looked at"), "{text}");
    assert_eq!(text.matches("it is http://idp").count(), 4, "{text}");
}

#[test]
fn the_manual_lists_every_fault() {
    let page = std::fs::read_to_string("../../docs/manual/doctor.md").unwrap();
    for (file, least) in [("src/doctor/fault.rs", 40), ("src/check/fault.rs", 7)] {
        let faults = std::fs::read_to_string(file).unwrap();
        let names: Vec<_> = faults
            .lines()
            .filter_map(|line| line.strip_suffix("\",")?.split_once(" = \""))
            .map(|(_, name)| name)
            .collect();
        assert!(names.len() >= least, "{names:?}");
        for name in names {
            assert!(page.contains(&format!("| `{name}` |")), "{name}");
        }
    }
}

#[test]
fn what_is_no_endpoint_is_refused_before_anything_is_sent() {
    for url in
        ["mcp.example.com/mcp", "ftp://mcp.example.com/mcp", "https://mcp.example.com/mcp?a=b"]
    {
        let error = doctor(url, None, &[]).refused();
        assert!(error.contains("https://HOST/mcp"), "{error}");
    }
}
