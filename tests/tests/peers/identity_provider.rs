//! Tokens and keys of a certified identity provider: oidc-provider, on loopback.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portcullis_tests::driver::{Response, Testbed, free_address, root};
use portcullis_tests::issuer::encode;
use serde_json::{Value, json};

use crate::TESTBED;

pub(crate) const AUDIENCE: &str = "https://mcp.example.com/mcp";

/// The provider, until it is dropped.
pub(crate) struct Provider {
    process: Mutex<Child>,
    issuer: String,
    jwks: String,
    control: String,
    /// What it said when it was ready.
    pub(crate) started: Value,
}

impl Provider {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Its issuer ends with a slash.
    pub(crate) fn with_trailing_slash() -> Self {
        Self::start_with(&["--trailing-slash"])
    }

    /// Its users meet the library's own pages.
    pub(crate) fn with_pages() -> Self {
        Self::start_with(&["--pages"])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let mut process = Command::new("node")
            .arg(root().join("target/peers/node/identity_provider.mjs"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let started: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("{line:?}\nis it there? ./test fetches it"));
        let text = |name: &str| started[name].as_str().unwrap().to_owned();
        let (issuer, jwks, control) = (text("issuer"), text("jwks_uri"), text("control"));
        Self { process: Mutex::new(process), issuer, jwks, control, started }
    }

    /// A testbed that accepts the provider's tokens.
    pub(crate) fn testbed(&self) -> Testbed {
        Testbed::start(TESTBED, &self.flags(AUDIENCE))
    }

    /// A testbed that accepts the provider's tokens for the URL where it listens, which is
    /// what a client asks for that was told nothing else. Every request needs `required`, which
    /// is what a client without a token is told to ask for.
    pub(crate) fn testbed_as_resource(&self, required: &str) -> Testbed {
        let address = free_address();
        let resource = format!("http://{address}/mcp");
        let variables = [("JWT_REQUIRED_SCOPES", required)];
        Testbed::start_at(TESTBED, address, &self.flags(&resource), &variables)
    }

    /// A testbed whose clients sign in at the provider by themselves. Every request needs
    /// `required`.
    pub(crate) fn remote(&self, required: &str) -> Testbed {
        let flags = ["--auth", "remote", "--idp", &self.issuer];
        Testbed::start_with(TESTBED, &flags, &[("JWT_REQUIRED_SCOPES", required)])
    }

    fn flags<'a>(&'a self, audience: &'a str) -> [&'a str; 8] {
        let Self { issuer, jwks, .. } = self;
        ["--auth", "jwt", "--issuer", issuer, "--audience", audience, "--jwks", jwks]
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// An access token of `client`, from the provider's own token endpoint.
    pub(crate) fn token(&self, client: &str, scope: &str, alg: &str) -> String {
        self.token_as(&json!({"client": client, "scope": scope, "resource": AUDIENCE, "alg": alg}))
    }

    /// An access token as the control server is asked for it.
    pub(crate) fn token_as(&self, asked: &Value) -> String {
        let answer = self.post("/token", asked);
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// A client of the authorization code: its id and secret.
    pub(crate) fn client(&self, redirect_uri: &str) -> Value {
        self.post("/client", &json!({"redirect_uri": redirect_uri}))
    }

    pub(crate) fn revoke(&self, client: &str, token: &str) {
        let answer = self.post("/revoke", &json!({"client": client, "token": token}));
        assert_eq!(answer, json!({}), "it is not revoked");
    }

    /// Ends the process; nobody listens any more.
    pub(crate) fn stop(&self) {
        let mut process = self.process.lock().unwrap();
        let _ = process.kill();
        let _ = process.wait();
    }

    fn rotate(&self, alg: &str) {
        self.post("/rotate", &json!({"alg": alg, "keep_old": true}));
    }

    fn behave(&self, mode: &str) {
        self.post("/behaviour", &json!({"mode": mode}));
    }

    fn fetches(&self) -> u64 {
        self.ask("GET", "/stats", "")["jwks_requests"].as_u64().unwrap()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, &body.to_string())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let authority = self.control.trim_start_matches("http://");
        let mut stream = TcpStream::connect(authority).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {authority}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).unwrap();
        Response::read(stream).json()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}

fn status(testbed: &Testbed, token: &str) -> u16 {
    testbed.rpc(Some(token), "tools/list", json!({})).status
}

/// A token with a key id that nobody has.
fn made_up(provider: &Provider, number: usize) -> String {
    let claims = json!({
        "iss": provider.issuer, "aud": AUDIENCE, "sub": "mallory",
        "exp": portcullis_tests::issuer::now() + 600,
    });
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": format!("made-up-{number}")});
    let part = |value: Value| encode(value.to_string().as_bytes());
    format!("{}.{}.{}", part(header), part(claims), encode(&[1; 64]))
}

#[test]
fn tokens_are_accepted_in_every_algorithm() {
    let provider = Provider::start();
    let testbed = provider.testbed();
    for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
        let token = provider.token("alice-app", "read write", alg);
        let whoami = &testbed.call(Some(&token), "whoami", json!({}))["structuredContent"];
        let alice = json!({"authenticated": true, "sub": "alice-app", "scopes": ["read", "write"], "client_id": "alice-app"});
        assert_eq!(*whoami, alice, "{alg}");
    }
    let elsewhere = provider.post(
        "/token",
        &json!({"client": "alice-app", "scope": "read", "resource": "https://other.example.com", "alg": "RS256"}),
    );
    assert_eq!(status(&testbed, elsewhere["access_token"].as_str().unwrap()), 401, "c11");
}

#[test]
fn k11_a_rotation_under_load_refuses_no_valid_token() {
    let provider = Provider::start();
    let testbed = provider.testbed();
    let tokens = std::sync::Mutex::new(vec![provider.token("alice-app", "read", "RS256")]);
    assert_eq!(status(&testbed, &tokens.lock().unwrap()[0]), 200);
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let token = tokens.lock().unwrap().last().unwrap().clone();
                    assert_eq!(status(&testbed, &token), 200, "{}", testbed.log());
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for alg in ["RS256", "ES256", "EdDSA"] {
            provider.rotate(alg);
            let newest = provider.token("alice-app", "read", alg);
            tokens.lock().unwrap().push(newest);
            let before = served.load(Ordering::Relaxed);
            let since = Instant::now();
            while served.load(Ordering::Relaxed) < before + 100
                && since.elapsed() < Duration::from_secs(20)
            {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    for token in tokens.lock().unwrap().iter() {
        assert_eq!(status(&testbed, token), 200, "the old keys are still published");
    }
    assert_eq!(provider.fetches(), 1 + 3);
}

#[test]
fn k01_k15_a_flood_stays_within_the_cool_down_while_a_rotation_gets_through() {
    let provider = Provider::start();
    let testbed = provider.testbed();
    let known = provider.token("alice-app", "read", "ES256");
    assert_eq!(status(&testbed, &known), 200);
    let started = Instant::now();
    let mut sent = 0;
    let mut flood = |many: usize| {
        for _ in 0..many {
            sent += 1;
            assert_eq!(status(&testbed, &made_up(&provider, sent)), 401);
        }
    };
    flood(300);
    provider.rotate("ES256");
    let rotated = provider.token("alice-app", "read", "ES256");
    let patience = Duration::from_secs(15);
    while status(&testbed, &rotated) != 200 {
        assert!(started.elapsed() < patience, "locked out\n{}", testbed.log());
        flood(20);
        assert_eq!(status(&testbed, &known), 200, "known keys never wait");
    }
    let due = 1 + 3 + started.elapsed().as_secs() / 10 + 1;
    assert!(provider.fetches() <= due, "{} fetches, {due} were due", provider.fetches());
    println!("{sent} made-up key ids, {} fetches in {:?}", provider.fetches(), started.elapsed());
}

#[test]
fn k04_k05_whatever_the_provider_answers_known_keys_go_on_and_nobody_waits_long() {
    let provider = Provider::start();
    for mode in ["down", "slow", "huge", "redirect", "garbage", "half"] {
        let known = provider.token("alice-app", "read", "RS256");
        let testbed = provider.testbed();
        assert_eq!(status(&testbed, &known), 200);
        provider.behave(mode);
        provider.rotate("RS256");
        let unknown = provider.token("alice-app", "read", "RS256");
        let asked = Instant::now();
        assert_eq!(status(&testbed, &unknown), 503, "{mode}");
        assert!(asked.elapsed() < Duration::from_secs(9), "{mode}: {:?}", asked.elapsed());
        let fetches = provider.fetches();
        assert_eq!(status(&testbed, &unknown), 503, "{mode}");
        assert_eq!(provider.fetches(), fetches, "{mode}: not right after a failure");
        assert_eq!(status(&testbed, &known), 200, "{mode}");
        testbed.wait_for_log("cannot fetch the issuer's keys");
        provider.behave("normal");
        let back = Instant::now();
        while status(&testbed, &unknown) != 200 {
            assert!(back.elapsed() < Duration::from_secs(9), "{mode}: it never came back");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    provider.behave("down");
    let cold = provider.testbed();
    assert_eq!(status(&cold, &provider.token("alice-app", "read", "RS256")), 503);
}
