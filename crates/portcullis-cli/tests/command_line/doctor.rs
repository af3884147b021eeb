//! `portcullis doctor`, before servers that are in order but for one thing each.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Ran, command};

const RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp";
const ISSUER: &str = "/.well-known/oauth-authorization-server";
/// A token that the server takes.
const TOKEN: &str = "good";

/// An answer: status, headers, body.
#[derive(Clone)]
struct Answer(u16, Vec<(&'static str, String)>, String);

impl Answer {
    fn json(value: &Value) -> Self {
        let headers = [("content-type", "application/json"), ("access-control-allow-origin", "*")];
        Self(200, headers.map(|(name, value)| (name, value.to_owned())).to_vec(), value.to_string())
    }

    fn status(status: u16) -> Self {
        Self(status, Vec::new(), String::new())
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.1.push((name, value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.1.retain(|(had, _)| *had != name);
        self
    }
}

/// A server, with its authorization server at the same origin.
#[derive(Clone)]
struct Stand {
    origin: String,
    /// By path; the endpoint's own is for requests without a token that it takes.
    at: HashMap<String, Answer>,
    /// Whether something in front removes `Authorization`.
    eats_authorization: bool,
    /// Whether a refusal repeats the token.
    echoes_token: bool,
}

impl Stand {
    /// One that is in order.
    fn new(origin: &str) -> Self {
        let challenge = format!(r#"Bearer resource_metadata="{origin}{RESOURCE}""#);
        let resource = json!({
            "resource": format!("{origin}/mcp"), "authorization_servers": [origin],
        });
        let keys = json!({"keys": [{"kty": "OKP", "kid": "first"}]});
        let client = Answer(201, Vec::new(), json!({"client_id": "c1"}).to_string());
        let page = Answer(200, Vec::new(), "<p>Sign in</p>".to_owned());
        let at = [
            ("/mcp", Answer::status(401).with("www-authenticate", challenge)),
            (RESOURCE, Answer::json(&resource)),
            (ISSUER, Answer::json(&issuer(origin))),
            ("/jwks", Answer::json(&keys)),
            ("/register", client.with("content-type", "application/json")),
            ("/authorize", page.with("content-type", "text/html")),
        ];
        let at = at.into_iter().map(|(path, answer)| (path.to_owned(), answer)).collect();
        Self { origin: origin.to_owned(), at, eats_authorization: false, echoes_token: false }
    }

    fn answer(&self, path: &str, token: Option<&str>, body: &str) -> Answer {
        let token = token.filter(|_| !self.eats_authorization);
        match (path, token) {
            ("/mcp", Some(TOKEN)) => {
                let message: Value = serde_json::from_str(body).unwrap();
                let result = match message["method"].as_str() {
                    Some("initialize") => json!({"protocolVersion": "2025-11-25"}),
                    Some("tools/list") => json!({"tools": [{"name": "a"}, {"name": "b"}]}),
                    _ => return Answer::status(202),
                };
                Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
            }
            ("/mcp", Some(token)) if self.echoes_token => Answer::status(401).with(
                "www-authenticate",
                format!(r#"Bearer error="invalid_token", error_description="{token} is unknown""#),
            ),
            ("/mcp", Some(_)) => Answer::status(401).with(
                "www-authenticate",
                r#"Bearer error="invalid_token", error_description="no""#,
            ),
            _ => self.at.get(path).cloned().unwrap_or_else(|| Answer::status(404)),
        }
    }

    fn set(&mut self, path: &str, answer: Answer) {
        self.at.insert(path.to_owned(), answer);
    }

    /// Changes the document at a path.
    fn change(&mut self, path: &str, member: &str, value: Value) {
        let document = self.at.get_mut(path).unwrap();
        let mut object: Value = serde_json::from_str(&document.2).unwrap();
        object[member] = value;
        document.2 = object.to_string();
    }
}

fn issuer(origin: &str) -> Value {
    json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "registration_endpoint": format!("{origin}/register"),
        "jwks_uri": format!("{origin}/jwks"),
        "code_challenge_methods_supported": ["S256"],
        "response_types_supported": ["code"],
    })
}

/// Serves until the process ends; gives its URL.
fn serve(change: impl FnOnce(&mut Stand)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let mut stand = Stand::new(&origin);
    change(&mut stand);
    let stand = Arc::new(stand);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let stand = Arc::clone(&stand);
            std::thread::spawn(move || answer(&stand, &mut connection.unwrap()));
        }
    });
    format!("{origin}/mcp")
}

fn answer(stand: &Stand, connection: &mut TcpStream) {
    let mut lines = BufReader::new(connection.try_clone().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap().split('?').next().unwrap().to_owned();
    let (mut token, mut length) = (None, 0);
    loop {
        line.clear();
        lines.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => token = value.strip_prefix("Bearer ").map(str::to_owned),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let Answer(status, headers, body) = stand.answer(&path, token.as_deref(), &body);
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n");
    connection.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).unwrap();
}

fn doctor(url: &str, token: Option<&str>, more: &[&str]) -> Ran {
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
}

#[test]
fn whoever_has_a_token_needs_no_authorization_server() {
    let without = |path: &'static str| serve(move |stand| stand.set(path, Answer::status(404)));
    let none = serve(|stand| stand.change(RESOURCE, "authorization_servers", json!([])));
    for url in [without(RESOURCE), none] {
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
