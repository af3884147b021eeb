//! `portcullis doctor`, before servers of several makes.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portcullis::testing::TestUser;
use portcullis_tests::driver::{Testbed, free_address, root};
use portcullis_tests::idp::Idp;
use portcullis_tests::sign_in::{Browser, Page};
use serde_json::{Value, json};

use crate::TESTBED;
use crate::identity_provider::Provider;

/// How long a server of Python's may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn doctor(arguments: &[&str]) -> Command {
    let built = root().join("target/debug/portcullis");
    assert!(built.exists(), "{}: cargo build --bin portcullis", built.display());
    let mut command = Command::new(built);
    command.arg("doctor").args(arguments).args(["--format", "json"]).env_remove("PORTCULLIS_TOKEN");
    command
}

/// What it found with a token, or without one.
fn examined(url: &str, token: Option<&str>) -> Value {
    let mut command = doctor(&[url]);
    if let Some(token) = token {
        command.env("PORTCULLIS_TOKEN", token);
    }
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// What it found once its user signed in, which `visit` does from the first page on.
fn signed_in(url: &str, visit: impl FnOnce(&mut Browser, Page) -> Page) -> Value {
    let mut command = doctor(&[url, "--sign-in"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut told = String::new();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().unwrap_or_else(|| panic!("{told}")).unwrap();
        match line.strip_prefix("  http") {
            Some(rest) => break format!("http{rest}"),
            None => told += &format!("{line}\n"),
        }
    };
    let mut browser = Browser::default();
    let page = browser.open(&address);
    let page = visit(&mut browser, page);
    writeln!(process.stdin.take().unwrap(), "{}", page.url).unwrap();
    lines.for_each(drop);
    let output = process.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}\n{output:?}"))
}

#[track_caller]
fn called(report: &Value) {
    assert_eq!(report["first_fault"], Value::Null, "{report:#}");
    let last = report["findings"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["step"], &last["outcome"]), (&"call".into(), &"pass".into()), "{report:#}");
}

#[test]
fn the_demo_has_no_fault_however_it_authenticates() {
    let tokens = Testbed::start(TESTBED, &[]);
    called(&examined(tokens.url(), Some("dev-token-bob")));

    let login = Testbed::start(TESTBED, &["--auth", "login"]);
    called(&signed_in(login.url(), |browser, page| {
        let answers =
            [("user", "alice"), ("password", "dev-password-alice"), ("decision", "allow")];
        browser.submit(&page, &answers)
    }));

    let idp = Idp::start();
    let allow = |browser: &mut Browser, page: Page| browser.submit(&page, &[("decision", "allow")]);
    for (mode, user) in [("proxy", "alice"), ("github", "583231")] {
        idp.provider.sign_in_as(TestUser::new(user).claim("login", "alice"));
        let flags = idp.flags(mode);
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        called(&signed_in(Testbed::start(TESTBED, &flags).url(), allow));
    }
    // Nobody of the tests has an account at Google: as far as its page.
    let client = [("GOOGLE_CLIENT_ID", "id"), ("GOOGLE_CLIENT_SECRET", "Zk3vJ0qTn8-5fXw")];
    let google = Testbed::start_with(TESTBED, &["--auth", "google"], &client);
    let report = examined(google.url(), None);
    assert_eq!(report["first_fault"], Value::Null, "{report:#}");

    called(&examined(Testbed::start(TESTBED, &["--auth", "none"]).url(), None));
    let address = free_address();
    let resource = format!("http://{address}/mcp");
    let secret = idp.provider.client_secret();
    let endpoint = idp.provider.introspection_endpoint();
    let flags = ["--auth", "introspect", "--allow-loopback-idp", "--audience", &resource];
    let whose = ["--idp", idp.provider.issuer(), "--client-id", idp.provider.client_id()];
    let flags = [&flags[..], &whose, &["--introspection-endpoint", &endpoint]].concat();
    let variables = [("INTROSPECTION_CLIENT_SECRET", secret.expose().as_str())];
    let opaque = Testbed::start_at(TESTBED, address, &flags, &variables);
    let token = idp.provider.token("alice", &resource).scopes(["read"]).opaque();
    called(&examined(opaque.url(), Some(&token)));

    let oidc = Provider::start();
    let by_jwt = oidc.testbed_as_resource("");
    let asked = json!({
        "client": "alice-app", "scope": "read", "resource": by_jwt.url(), "alg": "ES256",
    });
    called(&examined(by_jwt.url(), Some(&oidc.token_as(&asked))));
    let remote = oidc.remote("");
    let report = examined(remote.url(), None);
    assert_eq!(report["first_fault"], Value::Null, "{report:#}");
    // The token is for another server of the provider's.
    let report = examined(remote.url(), Some(&oidc.token("alice-app", "read", "ES256")));
    assert_eq!(report["first_fault"], "audience-differs", "{report:#}");
}

/// A server of another make.
struct Foreign {
    process: Child,
    url: String,
}

impl Foreign {
    /// FastMCP's own server.
    fn fastmcp(mode: &str) -> Self {
        let mut command = Command::new(root().join("target/peers/python/bin/python"));
        command.arg(root().join("tests/peers/python/fastmcp_server.py"));
        Self::start(command, &[mode])
    }

    /// rmcp's own server, which lets in everybody, or who has the token.
    fn rmcp(token: Option<&str>) -> Self {
        let built = root().join("target/peers/rmcp/bin/portcullis-peer-rmcp-server");
        assert!(built.exists(), "{}: ./test fetches it", built.display());
        Self::start(Command::new(built), token.as_slice())
    }

    /// Starts it on a port that is free, its first argument.
    fn start(mut command: Command, arguments: &[&str]) -> Self {
        let address = free_address();
        command.arg(address.port().to_string()).args(arguments);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { process, url: format!("http://{address}/mcp") };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(started.elapsed() < PATIENCE, "it does not listen: {command:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn servers_of_fastmcp_have_no_fault_but_one_that_tells_nobody_how_to_sign_in() {
    called(&examined(&Foreign::fastmcp("open").url, None));
    let token = Foreign::fastmcp("token");
    called(&examined(&token.url, Some("good")));
    assert_eq!(examined(&token.url, None)["first_fault"], "metadata-missing");
    // It signs everybody in without a page.
    called(&signed_in(&Foreign::fastmcp("sign-in").url, |_, page| page));
}

#[test]
fn servers_of_rmcp_have_no_fault() {
    called(&examined(&Foreign::rmcp(None).url, None));
    let token = Foreign::rmcp(Some("good"));
    called(&examined(&token.url, Some("good")));
    // Nobody is told where to get a token, and who has none cannot go on.
    let report = examined(&token.url, None);
    assert_eq!(report["first_fault"], "issuer-missing", "{report:#}");
    let report = examined(&token.url, Some("bad"));
    assert_eq!(report["first_fault"], "token-refused", "{report:#}");
}
