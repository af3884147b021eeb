//! Debian's nginx in front, as the recipe of docs/manual/deploying.md has it: TLS, a path prefix
//! and the addresses of clients.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use portcullis_tests::driver::{Testbed, free_address, initialize, message, request, root, run};
use portcullis_tests::issuer::{ISSUER, Issuer, claims};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::TESTBED;

const NGINX: &str = "/usr/sbin/nginx";
const PATIENCE: Duration = Duration::from_secs(20);

/// Where clients of the test are, who come to nginx over loopback.
const CLIENT: &str = "127.0.0.9";

/// nginx with the configuration of the page, in front of a testbed.
struct Proxied {
    nginx: Child,
    address: SocketAddr,
    /// That of the endpoint, as clients have it.
    path: String,
    issuer: Issuer,
    /// It reads its audit file once more at its end.
    testbed: Testbed,
    folder: TempDir,
}

/// Where the testbed listens.
enum Place {
    Address(SocketAddr),
    Socket(PathBuf),
}

/// What curl printed.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Proxied {
    /// By the recipe for a path of the endpoint.
    fn start() -> Self {
        Self::with("limit_req_zone", "", "/tools/mcp", str::to_owned)
    }

    /// By the recipe for a public URL with a path, which nginx takes away, or passes on.
    fn below_a_path(taken_away: bool) -> Self {
        let place = "proxy_pass http://127.0.0.1:8000/;";
        Self::with("location /tools/ {", "/tools", "/mcp", move |recipe| {
            assert!(recipe.contains(place), "{recipe}");
            match taken_away {
                true => recipe.to_owned(),
                false => recipe.replace(place, "proxy_pass http://127.0.0.1:8000;"),
            }
        })
    }

    /// By the recipe for a Unix socket: nginx has the user of the testbed.
    fn at_a_socket() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Socket(folder.path().join("mcp.sock"));
        Self::at(folder, place, "http://unix:", "", "/mcp", str::to_owned)
    }

    fn with(recipe: &str, prefix: &str, path: &str, change: impl Fn(&str) -> String) -> Self {
        let place = Place::Address(free_address());
        Self::at(tempfile::tempdir().unwrap(), place, recipe, prefix, path, change)
    }

    fn at(
        folder: TempDir,
        place: Place,
        recipe: &str,
        prefix: &str,
        path: &str,
        change: impl Fn(&str) -> String,
    ) -> Self {
        let (issuer, address) = (Issuer::start(), free_address());
        let public = format!("https://example.com:{}{prefix}", address.port());
        let audience = format!("{public}{path}");
        let audit = folder.path().join("audit.jsonl");
        let tokens = ["--auth", "jwt", "--issuer", ISSUER, "--jwks", issuer.url()];
        let proxy = if let Place::Socket(_) = place { "unix" } else { "127.0.0.1" };
        let url = ["--path", path, "--public-url", &public, "--audience", &audience];
        let rest = ["--trusted-proxy", proxy, "--audit-file", audit.to_str().unwrap()];
        let flags = [&tokens[..], &url, &rest].concat();
        let testbed = match &place {
            Place::Address(server) => Testbed::start_at(TESTBED, *server, &flags, &[]),
            Place::Socket(socket) => Testbed::start_at_socket(TESTBED, socket, &flags),
        };
        let nginx = start_nginx(&change(&recipe_with(recipe)), folder.path(), address, &place);
        Self { nginx, address, path: format!("{prefix}{path}"), issuer, testbed, folder }
    }

    fn resource(&self) -> String {
        format!("https://example.com:{}{}", self.address.port(), self.path)
    }

    fn token(&self) -> String {
        let mut claims = claims("alice", "read write admin");
        claims["aud"] = json!(self.resource());
        format!("Authorization: Bearer {}", self.issuer.token(&claims))
    }

    fn curl(&self, path: &str, headers: &[&str]) -> Command {
        let port = self.address.port();
        let mut curl = Command::new("curl");
        curl.args(["-sSN", "-i", "--http1.1", "--noproxy", "*", "--interface", CLIENT])
            .arg("--cacert")
            .arg(self.folder.path().join("cert.pem"))
            .args(["--resolve", &format!("example.com:{port}:127.0.0.1")])
            .arg(format!("https://example.com:{port}{path}"));
        for header in headers {
            curl.args(["-H", header]);
        }
        curl
    }

    fn get(&self, path: &str, headers: &[&str]) -> Answer {
        Answer::of(&mut self.curl(path, headers))
    }

    fn post(&self, headers: &[&str], body: &Value) -> Answer {
        let all = [
            headers,
            &["Content-Type: application/json"],
            &["Accept: application/json, text/event-stream"],
        ];
        Answer::of(self.curl(&self.path, &all.concat()).args(["-d", &body.to_string()]))
    }

    /// The addresses of the records of requests to the server, from the first one on.
    fn addresses(&self, at_least: usize) -> Vec<String> {
        let since = Instant::now();
        loop {
            let text = std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap();
            let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let remote = |record: Value| record["remote"].as_str().map(str::to_owned);
            let addresses: Vec<_> = records.filter_map(remote).collect();
            if addresses.len() >= at_least {
                return addresses;
            }
            assert!(since.elapsed() < PATIENCE, "{text}\n{}", self.testbed.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Proxied {
    fn drop(&mut self) {
        self.nginx.kill().unwrap();
        self.nginx.wait().unwrap();
    }
}

impl Answer {
    fn of(curl: &mut Command) -> Self {
        let text = run(curl).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find_map(|(own, value)| own.eq_ignore_ascii_case(name).then_some(value))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }
}

/// The recipe of the page that has `word`.
fn recipe_with(word: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/manual/deploying.md")).unwrap();
    let recipes = page.split("\n```nginx\n").skip(1);
    let mut recipes = recipes.map(|rest| rest.split("\n```").next().unwrap());
    recipes.find(|recipe| recipe.contains(word)).unwrap().to_owned()
}

/// A recipe, at the addresses and with the certificate of the test.
fn start_nginx(recipe: &str, folder: &Path, address: SocketAddr, server: &Place) -> Child {
    let own = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let subject = ["-subj", "/CN=example.com", "-addext", "subjectAltName=DNS:example.com"];
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "1", "-keyout", &own("key.pem"), "-out", &own("cert.pem")])
        .args(subject))
    .unwrap();
    let mut site = recipe.to_owned();
    let server = match server {
        Place::Address(address) => ("http://127.0.0.1:8000", format!("http://{address}")),
        Place::Socket(path) => {
            ("http://unix:/run/portcullis-demo/mcp.sock", format!("http://unix:{}", path.display()))
        }
    };
    for (theirs, ours) in [
        server,
        ("listen 443 ssl;", format!("listen {address} ssl;")),
        ("/etc/ssl/example.com.pem", own("cert.pem")),
        ("/etc/ssl/example.com.key", own("key.pem")),
    ] {
        assert!(site.contains(theirs), "the recipe has no {theirs}");
        site = site.replace(theirs, &ours);
    }
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {};\n", own(name)))
        .concat();
    let text = format!(
        "daemon off;\nmaster_process off;\npid {};\nerror_log {};\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}{site}\n}}\n",
        own("nginx.pid"),
        own("error.log"),
    );
    std::fs::write(own("nginx.conf"), text).unwrap();
    let mut nginx = Command::new(NGINX)
        .args(["-p", folder.to_str().unwrap(), "-c", &own("nginx.conf")])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{NGINX}: {error}: ./test --install installs it"));
    let since = Instant::now();
    while TcpStream::connect(address).is_err() {
        let ended = nginx.try_wait().unwrap();
        let log = || std::fs::read_to_string(own("error.log")).unwrap_or_default();
        assert!(ended.is_none() && since.elapsed() < PATIENCE, "{ended:?}: {}", log());
        std::thread::sleep(Duration::from_millis(5));
    }
    nginx
}

#[test]
fn behind_nginx_clients_find_the_server_under_its_public_url() {
    let proxied = Proxied::start();
    let (resource, token) = (proxied.resource(), proxied.token());
    let origin = resource.strip_suffix("/tools/mcp").unwrap();

    // The challenge leads, through nginx, to where a token comes from.
    let challenged = proxied.post(&[], &message("tools/list", json!({})));
    assert_eq!(challenged.status, 401, "{}", challenged.head);
    let metadata = "/.well-known/oauth-protected-resource/tools/mcp";
    let challenge = challenged.header("www-authenticate").unwrap();
    assert!(challenge.contains(&format!("\"{origin}{metadata}\"")), "{challenge}");
    let found = proxied.get(metadata, &[]).json();
    assert_eq!(found["resource"], json!(resource));
    assert_eq!(found["authorization_servers"], json!([ISSUER]));

    // What a client claims of where it came to is not believed.
    let claims = ["X-Forwarded-Host: evil.example", "X-Forwarded-Proto: http"];
    assert_eq!(proxied.get(metadata, &claims).json(), found);
    assert_eq!(proxied.get(metadata, &["Host: evil.example"]).status, 421);
    assert_eq!(proxied.get("/health", &[]).status, 404, "it is not passed on");

    let version = "MCP-Protocol-Version: 2026-07-28";
    let listed = proxied
        .post(&[&token, version, "Mcp-Method: tools/list"], &message("tools/list", json!({})));
    assert_eq!(listed.status, 200, "{}", listed.body);
    assert!(listed.body.contains("whoami"), "{}", listed.body);
}

#[test]
fn behind_nginx_a_path_of_the_public_url_may_be_taken_away_or_passed_on() {
    for taken_away in [true, false] {
        let proxied = Proxied::below_a_path(taken_away);
        let (resource, token) = (proxied.resource(), proxied.token());
        let origin = resource.strip_suffix("/tools/mcp").unwrap();
        let challenged = proxied.post(&[], &message("tools/list", json!({})));
        assert_eq!(challenged.status, 401, "{taken_away}: {}", challenged.head);
        let metadata = "/.well-known/oauth-protected-resource/tools/mcp";
        let challenge = challenged.header("www-authenticate").unwrap();
        assert!(challenge.contains(&format!("\"{origin}{metadata}\"")), "{challenge}");
        assert_eq!(proxied.get(metadata, &[]).json()["resource"], json!(resource));
        let head = [&*token, "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/list"];
        let listed = proxied.post(&head, &message("tools/list", json!({})));
        assert_eq!(listed.status, 200, "{taken_away}: {}", listed.body);
        assert_eq!(proxied.get("/tools/health", &[]).status, 200, "{taken_away}: a route");
        assert_eq!(proxied.get("/health", &[]).status, 404, "it is not passed on");
        assert_eq!(proxied.get(metadata, &["Host: evil.example"]).status, 421);
    }
}

#[test]
fn q01_behind_nginx_records_have_the_address_of_the_client_and_none_that_it_made_up() {
    let proxied = Proxied::start();
    let list = message("tools/list", json!({}));
    let token = proxied.token();
    let head = ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/list"];
    for claim in [
        "X-Forwarded-For: 203.0.113.7",
        "X-Forwarded-For: 127.0.0.1, unknown",
        "X-Real-IP: 203.0.113.7",
        "Forwarded: for=127.0.0.9",
    ] {
        let answer = proxied.post(&[&head[..], &[&token, claim]].concat(), &list);
        assert_eq!(answer.status, 200, "{claim}: {}", answer.body);
        assert_eq!(proxied.post(&[claim], &list).status, 401);
    }
    assert_eq!(proxied.addresses(8), [CLIENT; 8]);
    // nginx passes on what a client writes into the header that nginx does not.
    let claim = "Forwarded: for=203.0.113.7";
    assert_eq!(proxied.post(&[&head[..], &[&token, claim]].concat(), &list).status, 200);
    assert_eq!(proxied.addresses(9).last().unwrap(), "127.0.0.1", "the proxy's own");
}

#[test]
fn q01_behind_nginx_at_a_unix_socket_clients_are_challenged_served_and_recorded_as_at_an_address() {
    let proxied = Proxied::at_a_socket();
    let challenged = proxied.post(&[], &message("tools/list", json!({})));
    assert_eq!(challenged.status, 401, "{}", challenged.head);
    let metadata = "/.well-known/oauth-protected-resource/mcp";
    let challenge = challenged.header("www-authenticate").unwrap();
    assert!(challenge.contains(&format!("{metadata}\"")), "{challenge}");
    assert_eq!(proxied.get(metadata, &[]).json()["resource"], json!(proxied.resource()));
    assert_eq!(proxied.get(metadata, &["Host: evil.example"]).status, 421);
    let (token, claim) = (proxied.token(), "X-Forwarded-For: 203.0.113.7");
    let head = [&*token, claim, "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/list"];
    let listed = proxied.post(&head, &message("tools/list", json!({})));
    assert_eq!(listed.status, 200, "{}", listed.body);
    let addresses = proxied.addresses(3);
    assert!(addresses.iter().all(|address| address == CLIENT), "{addresses:?}");
}

#[test]
fn behind_nginx_streams_come_as_they_are_sent() {
    let proxied = Proxied::start();
    let token = proxied.token();
    let begun = proxied.post(&[&token], &initialize("2025-11-25"));
    assert_eq!(begun.status, 200, "{}", begun.body);
    let session = format!("Mcp-Session-Id: {}", begun.header("mcp-session-id").unwrap());
    let mut stream = proxied
        .curl("/tools/mcp", &[&token, &session, "Accept: text/event-stream"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(stream.stdout.take().unwrap()).lines();
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let until = |text: &str| {
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|line: &String| line.starts_with(text)) {
            let line = received.recv_timeout(PATIENCE);
            seen.push(line.unwrap_or_else(|_| panic!("no {text} within {PATIENCE:?}: {seen:?}")));
        }
    };
    until(": keep-alive");
    let unlock = request(2, "tools/call", json!({"name": "unlock_admin", "arguments": {}}));
    assert_eq!(proxied.post(&[&token, &session], &unlock).status, 200);
    until("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed");
    assert!(stream.try_wait().unwrap().is_none(), "the stream goes on");
    stream.kill().unwrap();
    stream.wait().unwrap();
}
