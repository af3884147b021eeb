//! What a user allowed, seen and taken back over a live port, and what the audit trail says of it.

use std::time::{Duration, Instant};

use portcullis_tests::audit::{AuditFile, records};
use portcullis_tests::driver::{Response, Testbed, terminate};
use serde_json::{Value, json};

use crate::TESTBED;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const CALLBACK: &str = "http%3A%2F%2F127.0.0.1%3A33418%2Fcallback";
const PASSWORD: &str = "dev-password-alice";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The text between two others.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("no {begin}: {text}"));
    rest.split_once(end).unwrap().0
}

/// The hidden field of a page's form.
fn hidden(page: &Response) -> &str {
    between(&page.body, "name=\"request\" value=\"", "\"")
}

/// A browser at one server.
struct Browser<'a> {
    testbed: &'a Testbed,
    cookies: Vec<(String, String)>,
}

impl<'a> Browser<'a> {
    fn new(testbed: &'a Testbed) -> Self {
        Self { testbed, cookies: Vec::new() }
    }

    fn send(&mut self, line: &str, head: &[&str], body: &str) -> Response {
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = format!("Cookie: {}", cookies.join("; "));
        let answer = self.testbed.request(line, &[head, &[&cookies]].concat(), body.as_bytes());
        for (_, set) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    fn open(&mut self, uri: &str) -> Response {
        let navigation = ["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"];
        self.send(&format!("GET {uri}"), &navigation, "")
    }

    fn submit(&mut self, path: &str, body: &str) -> Response {
        let origin = format!("Origin: http://{}", self.testbed.authority());
        let own = [FORM, &origin, "Sec-Fetch-Site: same-origin"];
        self.send(&format!("POST {path}"), &own, body)
    }
}

/// Tokens of a client that Alice allowed in a browser of her own: access, and refresh.
struct Client {
    id: String,
    code: String,
    access: String,
    refresh: String,
}

impl Client {
    fn sign_in(testbed: &Testbed) -> Self {
        let metadata =
            json!({"redirect_uris": ["http://127.0.0.1:33418/callback"], "client_name": "Notes"});
        let json = ["Content-Type: application/json"];
        let registered = testbed.request("POST /register", &json, metadata.to_string().as_bytes());
        let id = registered.json()["client_id"].as_str().unwrap().to_owned();
        let mut browser = Browser::new(testbed);
        let page = browser.open(&format!(
            "/authorize?response_type=code&client_id={id}&redirect_uri={CALLBACK}&scope=read\
             &code_challenge={CHALLENGE}&code_challenge_method=S256"
        ));
        let form = |password: &str| {
            let request = hidden(&page);
            format!("request={request}&user=alice&password={password}&decision=allow")
        };
        assert_eq!(browser.submit("/consent", &form("wrong-guess")).status, 403);
        let allowed = browser.submit("/consent", &form(PASSWORD));
        let code = between(allowed.header("location").unwrap(), "code=", "&").to_owned();
        let mut client = Self { id, code, access: String::new(), refresh: String::new() };
        let answer = client.redeem(testbed);
        client.keep(&answer);
        client
    }

    fn keep(&mut self, answer: &Response) {
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.access = answer.json()["access_token"].as_str().unwrap().to_owned();
        self.refresh = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    }

    fn token(&self, testbed: &Testbed, fields: &str) -> Response {
        let body = format!("client_id={}&{fields}", self.id);
        testbed.request("POST /token", &[FORM], body.as_bytes())
    }

    fn redeem(&self, testbed: &Testbed) -> Response {
        let code = &self.code;
        let fields = format!("grant_type=authorization_code&code={code}&code_verifier={VERIFIER}");
        self.token(testbed, &fields)
    }

    fn refresh(&mut self, testbed: &Testbed) -> Response {
        let fields = format!("grant_type=refresh_token&refresh_token={}", self.refresh);
        self.token(testbed, &fields)
    }

    fn is_let_in(&self, testbed: &Testbed) -> bool {
        testbed.rpc(Some(&self.access), "tools/list", json!({})).status == 200
    }
}

fn signed_in(testbed: &Testbed) -> (Browser<'_>, Response) {
    let mut alice = Browser::new(testbed);
    let page = alice.open("/connections");
    let form = format!("request={}&user=alice&password={PASSWORD}", hidden(&page));
    let answer = alice.submit("/connections/sign-in", &form);
    assert_eq!(answer.header("location"), Some("/connections"), "{}", answer.body);
    let page = alice.open("/connections");
    (alice, page)
}

#[test]
fn a_user_revokes_a_connection_and_its_tokens_end_within_five_seconds() {
    let testbed = Testbed::start(TESTBED, &["--auth", "login"]);
    let (revoked, kept) = (Client::sign_in(&testbed), Client::sign_in(&testbed));
    assert!(revoked.is_let_in(&testbed) && kept.is_let_in(&testbed));
    let (mut alice, page) = signed_in(&testbed);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.body.matches("name=\"connection\"").count(), 2, "{}", page.body);
    // Which one is which, the page does not say: both are of one program.
    let id = between(&page.body, "name=\"connection\" value=\"", "\"").to_owned();
    let form = format!("request={}&connection={id}", hidden(&page));
    let began = Instant::now();
    assert_eq!(alice.submit("/connections/revoke", &form).status, 303);
    let both = || (revoked.is_let_in(&testbed), kept.is_let_in(&testbed));
    while both() == (true, true) {
        assert!(began.elapsed() < Duration::from_secs(6), "both are still let in");
    }
    assert_ne!(both().0, both().1, "the other one goes on");
    let page = alice.open("/connections");
    assert_eq!(page.body.matches("name=\"connection\"").count(), 1);
}

#[test]
fn o13_no_other_page_shows_or_sends_the_forms_of_connections() {
    let testbed = Testbed::start(TESTBED, &["--auth", "login"]);
    let status = |line: &str, head: &[&str]| testbed.request(line, head, b"").status;
    let sent = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"];
    assert_eq!(
        status("GET /connections", &[&sent[..], &["Sec-Fetch-Dest: document"]].concat()),
        200
    );
    assert_eq!(status("GET /connections", &[&sent[..], &["Sec-Fetch-Dest: iframe"]].concat()), 403);
    for path in ["sign-in", "revoke", "sign-out"] {
        let line = format!("POST /connections/{path}");
        assert_eq!(status(&line, &[FORM, "Origin: https://page.example"]), 403, "{path}");
        assert_eq!(status(&line, &[FORM, "Origin: null"]), 403, "{path}");
        assert_eq!(status(&line, &[FORM, "Sec-Fetch-Site: cross-site"]), 403, "{path}");
        assert_eq!(status(&line, &[FORM]), 400, "{path}: no cookie");
    }
}

/// What a record says of one request: outcome, verdict, rule, subject, client name and scopes.
fn said(record: &Value) -> [&str; 6] {
    ["outcome", "verdict", "rule", "subject", "client_name", "scopes"]
        .map(|name| record[name].as_str().unwrap_or_default())
}

#[test]
fn e11_each_step_of_a_sign_in_has_one_record_that_says_who_and_what_and_holds_no_secret() {
    let audit = AuditFile::of(&[]);
    let flags: Vec<&str> = audit.flags().iter().map(String::as_str).collect();
    let testbed = Testbed::start(TESTBED, &[&["--auth", "login"][..], &flags].concat());
    let mut client = Client::sign_in(&testbed);
    let first = client.refresh.clone();
    for _ in 0..2 {
        let answer = client.refresh(&testbed);
        client.keep(&answer);
    }
    let newest = std::mem::replace(&mut client.refresh, first.clone());
    assert_eq!(client.refresh(&testbed).status, 400, "it was used two times ago");
    let other = Client::sign_in(&testbed);
    assert_eq!(other.redeem(&testbed).status, 400, "it was used before");
    let third = Client::sign_in(&testbed);
    let body = format!("client_id={}&token={}", third.id, third.refresh);
    assert_eq!(testbed.request("POST /revoke", &[FORM], body.as_bytes()).status, 200);
    let fourth = Client::sign_in(&testbed);
    let (mut alice, page) = signed_in(&testbed);
    let id = between(&page.body, "name=\"connection\" value=\"", "\"").to_owned();
    let form = format!("request={}&connection={id}", hidden(&page));
    assert_eq!(alice.submit("/connections/revoke", &form).status, 303);
    let page = alice.open("/connections");
    alice.submit("/connections/revoke", &format!("request={}&all=yes", hidden(&page)));
    testbed.request("POST /connections/revoke", &[FORM], b"request=x");
    terminate(testbed.id());
    assert_eq!(testbed.exit_code(), Some(0));

    let text = std::fs::read_to_string(audit.path()).unwrap();
    let secrets = [&client.code, &client.access, &first, &newest, &other.code, &other.access];
    let others = [&other.refresh, &third.access, &third.refresh, &fourth.code, &fourth.access];
    for secret in secrets.iter().chain(&others).map(|secret| secret.as_str()) {
        assert!(!text.contains(secret), "{secret} is in the trail");
    }
    for secret in [PASSWORD, VERIFIER, "wrong-guess"] {
        assert!(!text.contains(secret), "{secret} is in the trail");
    }
    let records = records(audit.path());
    let forms: Vec<_> = records
        .iter()
        .filter(|record| record["component"].as_str().unwrap_or_default().starts_with("POST /"))
        .filter(|record| record["kind"] == "route")
        .collect();
    let sign_in = [
        ["client_registered", "allowed", "", "", "Notes", ""],
        ["sign_in_failed", "denied", "password", "", "Notes", ""],
        ["sign_in_allowed", "allowed", "", "alice", "Notes", "read"],
        ["code_redeemed", "allowed", "", "alice", "Notes", "read"],
    ];
    let refreshed = ["token_refreshed", "allowed", "", "alice", "Notes", "read"];
    let expected = [
        &sign_in[..],
        &[refreshed, refreshed],
        &[["refresh_token_reused", "denied", "invalid_grant", "alice", "Notes", "read"]],
        &sign_in,
        &[["code_reused", "denied", "invalid_grant", "alice", "Notes", "read"]],
        &sign_in,
        &[["grant_revoked", "allowed", "", "alice", "Notes", "read"]],
        &sign_in,
        &[["connections_opened", "allowed", "", "alice", "", ""]],
        &[["connection_revoked", "allowed", "", "alice", "Notes", "read"]],
        &[["signed_out_everywhere", "allowed", "", "alice", "", ""]],
        &[["refused", "refused", "expired", "", "", ""]],
    ]
    .concat();
    assert_eq!(forms.iter().map(|record| said(record)).collect::<Vec<_>>(), expected);
    for record in &forms {
        let user = record["subject"].as_str();
        assert_eq!(record["issuer"].is_string(), user.is_some(), "{record}");
        assert!(record["remote"].is_string() && record["status"].is_u64(), "{record}");
    }
    assert!(forms.last().unwrap()["reference"].is_string(), "the one that the person was shown");
}
