//! Access tokens of identity providers that are not ours, each set up as the manual's page on
//! authorization servers says: JWTs by discovery, opaque ones by introspection.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use portcullis::auth::{IntrospectionVerifier, IntrospectionVerifierBuilder, RemoteAuthProvider};
use portcullis::guard::{Clock, Secret, SystemClock};
use portcullis::prelude::*;
use portcullis_tests::driver::{Testbed, root};
use portcullis_tests::served::{Served, log};
use portcullis_tests::testbed;
use serde_json::{Value, json};

use crate::TESTBED;
use crate::identity_provider::{AUDIENCE, Provider};

/// For how long an answer is used again, where nobody says otherwise.
const CACHE_LIFETIME: Duration = Duration::from_secs(60);

/// How long a provider may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A provider in a process of its own, until it is dropped.
pub(crate) struct Issuing {
    process: Child,
    said: BufReader<ChildStdout>,
    /// None once it is down.
    orders: Option<ChildStdin>,
    pub(crate) ready: Value,
}

impl Issuing {
    fn python(program: &str) -> Self {
        Self::python_with(program, &[])
    }

    pub(crate) fn python_with(program: &str, arguments: &[String]) -> Self {
        let mut command = Command::new(root().join("target/peers/python/bin/python"));
        command.arg(root().join("tests/peers/python").join(program)).args(arguments);
        Self::start(command)
    }

    fn node(program: &str) -> Self {
        let mut command = Command::new("node");
        command.arg(root().join("target/peers/node").join(program));
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let orders = process.stdin.take();
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("{command:?} said {line:?}\nis it there? ./test fetches it")
        });
        Self { process, said, orders, ready }
    }

    fn issuer(&self) -> &str {
        self.ready["issuer"].as_str().unwrap()
    }

    fn token(&self, name: &str) -> &str {
        self.ready["tokens"][name].as_str().unwrap()
    }

    /// Asks at the provider's introspection endpoint, as the client that it made for that.
    fn introspection(&self) -> IntrospectionVerifierBuilder {
        introspection(self.issuer(), &self.ready["introspection"])
    }

    fn revoke(&mut self, name: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{name}").unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line, "\n", "{name} is not revoked");
    }

    /// Ends it, and what it may have started, by closing its standard input.
    fn stop(&mut self) {
        self.orders = None;
        let since = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && since.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Issuing {
    fn drop(&mut self) {
        self.stop();
    }
}

fn introspection(issuer: &str, at: &Value) -> IntrospectionVerifierBuilder {
    let text = |name: &str| at[name].as_str().unwrap().to_owned();
    IntrospectionVerifier::endpoint(text("endpoint"))
        .client_secret_basic(text("client_id"), Secret::new(text("client_secret")))
        .issuer(issuer)
        .allow_loopback_idp()
}

/// The time, and what a test adds to it.
#[derive(Clone, Debug, Default)]
struct Later(Arc<Mutex<Duration>>);

impl Later {
    fn add(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for Later {
    fn now(&self) -> SystemTime {
        SystemClock.now() + *self.0.lock().unwrap()
    }
}

/// A server whose clients bring what `verifier` accepts.
fn introspecting(verifier: IntrospectionVerifierBuilder) -> Served {
    let provider = RemoteAuthProvider::verifier(verifier.build().unwrap()).build().unwrap();
    let server = Server::builder("peers").auth(provider).components(components![testbed::whoami]);
    Served::start(server.build().unwrap())
}

/// Whether one line of the log has all of `texts`.
fn logged(texts: &[&str]) -> bool {
    log().lines().any(|line| texts.iter().all(|text| line.contains(text)))
}

fn status(server: &Testbed, token: &str) -> u16 {
    server.rpc(Some(token), "tools/list", json!({})).status
}

fn whoami(server: &Testbed, token: &str) -> Value {
    server.call(Some(token), "whoami", json!({}))["structuredContent"].clone()
}

/// What a provider's opaque tokens have to do: ours is accepted, the other is refused, and so is
/// ours within the cache's lifetime after it was revoked, and everything once nobody answers.
fn accepts_ours_until_it_is_revoked(
    issuer: &str,
    verifier: IntrospectionVerifierBuilder,
    [ours, others]: [&str; 2],
    expected: &Value,
    revoke: impl FnOnce(),
    stop: impl FnOnce(),
) {
    let clock = Later::default();
    let server = introspecting(verifier.clock(clock.clone()));
    assert_eq!(whoami(&server, ours), *expected);
    assert_eq!(status(&server, others), 401);
    revoke();
    assert_eq!(status(&server, ours), 200, "an answer is used again");
    clock.add(CACHE_LIFETIME);
    assert_eq!(status(&server, ours), 401, "revoked");
    stop();
    clock.add(CACHE_LIFETIME);
    for token in [ours, others] {
        assert_eq!(status(&server, token), 503, "the provider is down");
    }
    let cause = format!("the introspection endpoint of {issuer} does not answer");
    assert!(logged(&[&cause, "Connection refused"]), "not logged: {cause}");
}

#[test]
fn oidc_provider_issues_opaque_tokens_for_a_resource() {
    let provider = Provider::start();
    let [ours, others] = [AUDIENCE, "https://other.example.com/mcp"].map(|resource| {
        let asked = json!({
            "client": "alice-app", "user": "alice", "scope": "read", "resource": resource,
            "format": "opaque",
        });
        provider.token_as(&asked)
    });
    let expected = json!({
        "authenticated": true, "sub": "alice", "scopes": ["read"], "client_id": "alice-app",
    });
    let by_secret =
        || introspection(provider.issuer(), &provider.started["introspection"]).audience(AUDIENCE);
    let assertion = &provider.started["assertion"];
    let [client, pem] = ["client_id", "pem"].map(|name| assertion[name].as_str().unwrap());
    let endpoint = provider.started["introspection"]["endpoint"].as_str().unwrap();
    let by_assertion = IntrospectionVerifier::endpoint(endpoint)
        .private_key_jwt(client, Secret::new(pem.to_owned()))
        .issuer(provider.issuer())
        .audience(AUDIENCE)
        .allow_loopback_idp();
    assert_eq!(whoami(&introspecting(by_assertion), &ours), expected);
    let jwt = provider.token("alice-app", "read", "RS256");
    assert_eq!(status(&introspecting(by_secret()), &jwt), 503, "it introspects no JWTs");
    assert!(logged(&["introspection was answered with 400, unsupported_token_type"]));
    accepts_ours_until_it_is_revoked(
        provider.issuer(),
        by_secret(),
        [&ours, &others],
        &expected,
        || provider.revoke("alice-app", &ours),
        || provider.stop(),
    );
}

#[test]
fn django_oauth_toolkit_issues_opaque_tokens_without_a_subject() {
    let mut provider = Issuing::python("django_provider.py");
    let [ours, others] = ["ours", "others"].map(|name| provider.token(name).to_owned());
    let bare = introspecting(provider.introspection().audience(AUDIENCE));
    assert_eq!(status(&bare, &ours), 401, "its answers have no `sub`");
    let verifier = provider.introspection().audience(AUDIENCE).subject_claim("username");
    let expected = whoami(&introspecting(verifier), &ours);
    assert_eq!([&expected["sub"], &expected["scopes"]], [&json!("alice"), &json!(["read"])]);
    let verifier = provider.introspection().audience(AUDIENCE).subject_claim("username");
    let issuer = provider.issuer().to_owned();
    let provider = Mutex::new(&mut provider);
    accepts_ours_until_it_is_revoked(
        &issuer,
        verifier,
        [&ours, &others],
        &expected,
        || provider.lock().unwrap().revoke("ours"),
        || provider.lock().unwrap().stop(),
    );
}

/// A testbed that verifies the JWTs of `issuer` for `audience`.
fn remote(issuer: &str, audience: &str) -> Testbed {
    Testbed::start(TESTBED, &["--auth", "remote", "--idp", issuer, "--audience", audience])
}

/// The last refusal in the log of `server`.
fn refused_for(server: &Testbed, token: &str, reason: &str) {
    let since = server.log().len();
    assert_eq!(status(server, token), 401);
    server.wait_for_log_since(since, reason);
}

#[test]
fn canaille_issues_jwts_whose_audience_is_a_list_of_clients() {
    let mut provider = Issuing::python("canaille_provider.py");
    let [ours, others] = ["ours", "others"].map(|name| provider.token(name).to_owned());
    let server = remote(provider.issuer(), "mcp-server");
    let expected = json!({"authenticated": true, "sub": "alice", "scopes": [], "client_id": null});
    assert_eq!(whoami(&server, &ours), expected);
    refused_for(&server, &others, "aud");
    // Introspection knows more: scopes, and that a token was revoked.
    let expected = json!({
        "authenticated": true, "sub": "alice", "scopes": ["openid", "profile"], "client_id": "app",
    });
    let verifier = provider.introspection().audience("mcp-server");
    let issuer = provider.issuer().to_owned();
    let provider = Mutex::new(&mut provider);
    accepts_ours_until_it_is_revoked(
        &issuer,
        verifier,
        [&ours, &others],
        &expected,
        || provider.lock().unwrap().revoke("ours"),
        || provider.lock().unwrap().stop(),
    );
    assert_eq!(status(&server, &ours), 200, "a JWT is good until it expires");
}

#[test]
fn openauth_issues_jwts_without_scopes_for_a_client() {
    let mut provider = Issuing::node("openauth_provider.mjs");
    let server = remote(provider.issuer(), "mcp-server");
    let expected = json!({"authenticated": true, "sub": "alice", "scopes": [], "client_id": null});
    assert_eq!(whoami(&server, provider.token("ours")), expected);
    refused_for(&server, provider.token("others"), "another-server");
    let issuer = provider.issuer().to_owned();
    provider.stop();
    let cold = remote(&issuer, "mcp-server");
    assert_eq!(status(&cold, provider.token("ours")), 503, "the provider is down");
    cold.wait_for_log("Connection refused");
    assert_eq!(status(&server, provider.token("ours")), 200, "its keys are known");
}

#[test]
fn glewlwyd_issues_jwts_for_a_resource_and_lets_a_client_ask_about_its_own() {
    let mut provider = Issuing::python("glewlwyd_provider.py");
    let [ours, others] = ["ours", "others"].map(|name| provider.token(name).to_owned());
    let server = remote(provider.issuer(), AUDIENCE);
    let expected = whoami(&server, &ours);
    assert_eq!(expected["scopes"], json!(["openid", "read"]));
    assert_eq!(expected["client_id"], "app");
    assert!(expected["sub"].as_str().is_some_and(|sub| !sub.is_empty()), "{expected}");
    refused_for(&server, &others, "https://other.example.com/mcp");
    let issuer = provider.issuer().to_owned();
    let verifier = provider.introspection().audience(AUDIENCE);
    let provider = Mutex::new(&mut provider);
    accepts_ours_until_it_is_revoked(
        &issuer,
        verifier,
        [&ours, &others],
        &expected,
        || provider.lock().unwrap().revoke("ours"),
        || provider.lock().unwrap().stop(),
    );
}
