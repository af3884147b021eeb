//! The recipes of docs/manual/deploying.md, taken from that page and run.

#[cfg(feature = "peers")]
#[path = "../redis/server.rs"]
#[expect(dead_code, reason = "the tests of the store use the rest")]
mod server;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::guard::keys::KeyFile;
use portcullis_tests::driver::{Response, Testbed, message, root, run, terminate};
use portcullis_tests::issuer::{Issuer, claims};
use serde_json::{Value, json};

#[cfg(feature = "peers")]
use self::server::Redis;
use crate::demo::demo;

fn page() -> String {
    std::fs::read_to_string(root().join("docs/manual/deploying.md")).unwrap()
}

/// The blocks of code in `language`, in their order.
fn recipes(language: &str) -> Vec<String> {
    let page = page();
    let fence = format!("\n```{language}\n");
    let blocks = page.split(&fence).skip(1);
    let recipes: Vec<String> =
        blocks.map(|block| block.split("\n```").next().unwrap().to_owned()).collect();
    assert!(!recipes.is_empty(), "the page has no recipe in {language}");
    recipes
}

/// The one recipe in `language` that has `word`.
fn recipe(language: &str, word: &str) -> String {
    let mut found = recipes(language).into_iter().filter(|recipe| recipe.contains(word));
    let recipe = found.next().unwrap_or_else(|| panic!("no recipe in {language} has {word}"));
    assert!(found.next().is_none(), "several recipes in {language} have {word}");
    recipe
}

/// A shell script that runs a recipe, in a folder of its own, as the server's program.
struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    /// `text` with the paths and addresses of a real machine replaced by the test's own.
    fn new(text: &str, issuer: &Issuer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let text = text
            .replace("/var/lib/portcullis-demo", &own("state"))
            .replace("/var/log/portcullis-demo", folder.path().to_str().unwrap())
            .replace("/usr/local/bin/portcullis-demo", "portcullis-demo")
            .replace("portcullis-demo", demo())
            .replace("https://idp.example.com/.well-known/jwks.json", issuer.url())
            .replace("--auth jwt", "--auth jwt --allow-loopback-idp");
        std::fs::create_dir(own("state")).unwrap();
        std::fs::write(own("run"), format!("#!/bin/sh\nset -e\n{text}\n")).unwrap();
        std::fs::set_permissions(own("run"), PermissionsExt::from_mode(0o700)).unwrap();
        Self { folder }
    }

    /// Starts it; the script's own process becomes the server.
    fn start(&self, variables: &[(&str, &str)]) -> Testbed {
        Testbed::on_free_port_with(self.folder.path().join("run").to_str().unwrap(), variables)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn token_for(issuer: &Issuer, audience: &str) -> String {
    let mut claims = claims("alice", "read");
    claims["aud"] = json!(audience);
    issuer.token(&claims)
}

/// Asks for the list of tools at `path`, as a client that knows the server as `host`.
fn tools(address: SocketAddr, host: &str, path: &str, token: Option<&str>) -> Response {
    post(address, host, path, token, ("tools/list", ""), json!({}))
}

/// Calls `unlock_admin` at the page's public URL.
fn unlock(address: SocketAddr, token: &str) -> Response {
    let named = ("tools/call", "Mcp-Name: unlock_admin\r\n");
    let params = json!({"name": "unlock_admin", "arguments": {}});
    post(address, "example.com", "/mcp", Some(token), named, params)
}

fn post(
    address: SocketAddr,
    host: &str,
    path: &str,
    token: Option<&str>,
    (method, fields): (&str, &str),
    params: Value,
) -> Response {
    let body = message(method, params).to_string();
    let authorization =
        token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    ask(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{authorization}\
             Content-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: {method}\r\n{fields}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

fn get(address: SocketAddr, host: &str, path: &str) -> Response {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

pub(crate) fn ask(address: SocketAddr, bytes: &str) -> Response {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    Response::read(stream)
}

fn address(server: &Testbed) -> SocketAddr {
    server.authority().parse().unwrap()
}

/// A reverse proxy that does what the page has nginx do: it passes on the paths of `location`,
/// unchanged, with the headers of `proxy_set_header`.
struct Proxy {
    paths: Vec<String>,
    headers: Vec<(String, String)>,
}

impl Proxy {
    fn of_the_page() -> Self {
        let recipe = recipe("nginx", "limit_req_zone");
        let after = |word: &'static str| {
            recipe.lines().filter_map(move |line| line.trim().strip_prefix(word)).map(str::trim)
        };
        let location = after("location ~ ").next().expect("nginx has a location");
        let paths = location.strip_prefix("^(").and_then(|rest| rest.split_once(")/?$ {"));
        let (paths, _) = paths.expect("the location is a list of whole paths");
        let paths = paths.split('|').map(|path| path.replace('\\', "")).collect();
        assert_eq!(
            after("proxy_pass ").next(),
            Some("http://127.0.0.1:8000;"),
            "no path of its own"
        );
        let headers = after("proxy_set_header ").map(|header| {
            let (name, value) = header.trim_end_matches(';').split_once(' ').unwrap();
            (name.to_owned(), value.trim_matches('"').to_owned())
        });
        Self { headers: headers.collect(), paths }
    }

    /// Serves in front of `upstream` until the test ends.
    fn start(self, upstream: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let proxy = Arc::new(self);
            for client in listener.incoming().map_while(Result::ok) {
                let proxy = Arc::clone(&proxy);
                std::thread::spawn(move || proxy.pass(client, upstream));
            }
        });
        address
    }

    fn pass(&self, mut client: TcpStream, upstream: SocketAddr) {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        let end = loop {
            let read = client.read(&mut buffer).unwrap();
            bytes.extend_from_slice(&buffer[..read]);
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            assert!(read > 0, "a head without an end");
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let (first, fields) = head.split_once("\r\n").unwrap();
        let path = first.split(' ').nth(1).unwrap();
        if !self.paths.iter().any(|own| own == path.strip_suffix('/').unwrap_or(path)) {
            client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
            return;
        }
        let host = fields.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap();
        let is_set = |line: &str| {
            self.headers.iter().any(|(name, _)| line.starts_with(&format!("{name}: ")))
        };
        let mut sent = format!("{first}\r\n");
        for line in fields.lines().filter(|line| !is_set(line)) {
            sent += &format!("{line}\r\n");
        }
        for (name, value) in self.headers.iter().filter(|(_, value)| !value.is_empty()) {
            // nginx: `$http_host` is the header, `$host` the name in it.
            let name_of_host = host.rsplit_once(':').map_or(host, |(name, _)| name);
            let value = value.replace("$http_host", host).replace("$host", name_of_host);
            sent += &format!("{name}: {value}\r\n");
        }
        let mut server = TcpStream::connect(upstream).unwrap();
        server.write_all(format!("{sent}\r\n").as_bytes()).unwrap();
        server.write_all(&bytes[end + 4..]).unwrap();
        // The request is whole by now; the answer is passed on as it comes.
        while let Ok(read @ 1..) = server.read(&mut buffer) {
            if client.write_all(&buffer[..read]).is_err() {
                return;
            }
        }
    }
}

#[test]
fn behind_the_proxy_of_the_page_clients_find_the_server_under_its_public_url() {
    let issuer = Issuer::start();
    let command = recipe("sh", "--path ").replace("127.0.0.1:8000", "\"$PORTCULLIS_LISTEN\"");
    let script = Script::new(&format!("exec {command}"), &issuer);
    let server = script.start(&[]);
    let proxy = Proxy::of_the_page().start(address(&server));
    let token = token_for(&issuer, "https://example.com/tools/mcp");

    let listed = tools(proxy, "example.com", "/tools/mcp", Some(&token));
    assert_eq!(listed.status, 200, "{}", listed.body);
    assert!(listed.body.contains("search_items"), "{}", listed.body);
    assert_eq!(tools(proxy, "example.com", "/tools/mcp/", Some(&token)).status, 200);

    // Without a token the challenge leads, through the proxy, to where a token comes from.
    let challenged = tools(proxy, "example.com", "/tools/mcp", None);
    assert_eq!(challenged.status, 401);
    let metadata = "/.well-known/oauth-protected-resource/tools/mcp";
    let challenge = challenged.header("www-authenticate").unwrap();
    assert!(challenge.contains(&format!("\"https://example.com{metadata}\"")), "{challenge}");
    let metadata = get(proxy, "example.com", metadata).json();
    assert_eq!(metadata["resource"], "https://example.com/tools/mcp");
    assert_eq!(metadata["authorization_servers"], json!(["https://idp.example.com"]));

    // What is not for clients is not passed on, and other names are not the server's.
    assert_eq!(get(proxy, "example.com", "/health").status, 404);
    assert_eq!(get(address(&server), "example.com", "/health").status, 200);
    assert_eq!(tools(proxy, "internal.example", "/tools/mcp", Some(&token)).status, 421);
    let elsewhere = token_for(&issuer, "https://example.com/mcp");
    assert_eq!(tools(proxy, "example.com", "/tools/mcp", Some(&elsewhere)).status, 401);
}

#[test]
fn the_proxy_of_the_page_keeps_the_port_of_a_public_url() {
    let issuer = Issuer::start();
    let command = recipe("sh", "--path ").replace("127.0.0.1:8000", "\"$PORTCULLIS_LISTEN\"");
    let command = command.replace("https://example.com", "https://example.com:8443");
    let server = Script::new(&format!("exec {command}"), &issuer);
    let server = server.start(&[]);
    let proxy = Proxy::of_the_page().start(address(&server));
    let token = token_for(&issuer, "https://example.com:8443/tools/mcp");
    let status = |host: &str| tools(proxy, host, "/tools/mcp", Some(&token)).status;
    assert_eq!((status("example.com:8443"), status("example.com")), (200, 421));
}

#[test]
fn both_proxies_of_the_page_pass_the_same_paths_on() {
    let proxy = Proxy::of_the_page();
    let caddy = recipe("caddy", "reverse_proxy");
    let matcher = caddy.lines().find_map(|line| line.trim().strip_prefix("@mcp path ")).unwrap();
    let paths: Vec<&str> = matcher.split(' ').filter(|path| !path.ends_with('/')).collect();
    assert_eq!(proxy.paths, paths);
    assert!(caddy.contains("reverse_proxy @mcp 127.0.0.1:8000 {"), "{caddy}");
}

/// What a process was given, of `/proc/PID/limits`.
fn soft_limit(process: u32, name: &str) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

/// The values of `key` in the unit of the page.
fn unit(key: &str) -> Vec<String> {
    let unit = recipe("ini", "[Unit]");
    let key = format!("{key}=");
    unit.lines().filter_map(|line| line.strip_prefix(&key)).map(str::to_owned).collect()
}

/// The unit's variables but for the address, which the test chooses.
fn unit_variables(issuer: &Issuer) -> Vec<(String, String)> {
    let variables = unit("Environment").into_iter().map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        let value = value.replace("https://idp.example.com/.well-known/jwks.json", issuer.url());
        (name.to_owned(), value)
    });
    variables.filter(|(name, _)| name != "PORTCULLIS_LISTEN").collect()
}

#[test]
fn the_unit_of_the_page_serves_records_and_stops_as_it_says() {
    let issuer = Issuer::start();
    let command = unit("ExecStart").concat().replace("--drain-delay 10", "--drain-delay 2");
    let limits = recipe("sh", "ulimit -n");
    let script = Script::new(&format!("{limits}\nexec {command}"), &issuer);
    // What systemd hands to the service: `%d`.
    assert_eq!(unit("LoadCredential"), ["keys:/etc/portcullis-demo/keys"]);
    KeyFile::new(script.path("keys")).create().unwrap();
    let credentials = script.folder.path().to_str().unwrap();
    let variables: Vec<_> = unit_variables(&issuer)
        .into_iter()
        .map(|(name, value)| (name, value.replace("%d", credentials)))
        .collect();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (&**name, &**value)).collect();
    let server = script.start(&variables);
    assert!(script.path("state/store/records.redb").exists());

    // The recipe for the system's limits says what the unit says.
    assert_eq!(soft_limit(server.id(), "Max open files"), unit("LimitNOFILE").concat());
    assert_eq!(soft_limit(server.id(), "Max core file size"), unit("LimitCORE").concat());

    let token = token_for(&issuer, "https://example.com/mcp");
    assert_eq!(tools(address(&server), "example.com", "/mcp", Some(&token)).status, 200);
    // A record may be written after the answer.
    let since = Instant::now();
    let recorded = || std::fs::read_to_string(script.path("audit.jsonl")).unwrap();
    while !recorded().contains("\"subject\":\"alice\"") {
        assert!(since.elapsed() < Duration::from_secs(10), "{}", recorded());
        std::thread::sleep(Duration::from_millis(10));
    }

    // A probe asks by address, and learns of the stop before anything else ends.
    let probe = |path: &str| get(address(&server), "10.244.0.5:8000", path).status;
    assert_eq!((probe("/healthz"), probe("/readyz")), (200, 200));
    terminate(server.id());
    server.wait_for_log("stopping");
    assert_eq!((probe("/healthz"), probe("/readyz")), (200, 503));
    assert_eq!(tools(address(&server), "example.com", "/mcp", Some(&token)).status, 200);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit_of_the_page() {
    let delay: u64 =
        unit("ExecStart").concat().split("--drain-delay ").nth(1).unwrap().parse().unwrap();
    let stop: u64 = unit("TimeoutStopSec").concat().parse().unwrap();
    assert!(stop > delay + 30, "systemd would kill running requests");
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("systemd-analyze is not on this machine: the unit was not verified");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis-demo.service");
    let text = recipe("ini", "[Unit]").replace("/usr/local/bin/portcullis-demo", demo());
    std::fs::write(&file, text).unwrap();
    let verified = Command::new("systemd-analyze").arg("verify").arg(&file).output().unwrap();
    let complaints = String::from_utf8_lossy(&verified.stderr);
    // Complaints about others' units do not count.
    let ours: Vec<&str> =
        complaints.lines().filter(|line| line.contains("portcullis-demo")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{complaints}");
    // The exposure level, times ten.
    let security = ["security", "--offline=true", "--threshold=20", "--no-pager"];
    let judged = Command::new("systemd-analyze").args(security).arg(&file).output().unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
}

#[test]
fn the_container_of_the_page_starts_the_server_with_what_podman_is_told() {
    let issuer = Issuer::start();
    let container = recipe("dockerfile", "ENTRYPOINT");
    let entry = container.lines().find_map(|line| line.strip_prefix("ENTRYPOINT ")).unwrap();
    let entry: Vec<String> = serde_json::from_str(entry).unwrap();
    let podman = recipe("sh", "podman run");
    let state = tempfile::tempdir().unwrap();
    let place = |name: &str| state.path().join(name).to_str().unwrap().to_owned();
    KeyFile::new(place("keys")).create().unwrap();
    let arguments = podman.rsplit_once(" portcullis-demo ").unwrap().1;
    assert!(podman.contains("--volume portcullis-state:/state:U"), "{podman}");
    let variables: Vec<(String, String)> = podman
        .split("--env ")
        .skip(1)
        .map(|rest| rest.split_whitespace().next().unwrap().split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .map(|(name, value)| match &*name {
            "JWT_JWKS_URI" => (name, issuer.url().to_owned()),
            "PORTCULLIS_KEY_FILE" => (name, place("keys")),
            _ => (name, value),
        })
        .collect();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (&**name, &**value)).collect();
    // All addresses, on the port that the test chose.
    let command = entry.join(" ").replace("0.0.0.0:8000", "0.0.0.0:${PORTCULLIS_LISTEN##*:}");
    let arguments = arguments.replace("/state", &place("state"));
    let script = Script::new(&format!("exec {command} {arguments}"), &issuer);
    let server = script.start(&variables);
    assert!(state.path().join("state/store/records.redb").exists());
    let token = token_for(&issuer, "https://example.com/mcp");
    assert_eq!(tools(address(&server), "example.com", "/mcp", Some(&token)).status, 200);
    assert_eq!(tools(address(&server), "localhost", "/mcp", Some(&token)).status, 421);

    // What the image is built from is what the repository is tested with.
    let toolchain = std::fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let rust = container.split("rust:").nth(1).unwrap().split('-').next().unwrap();
    assert!(toolchain.contains(&format!("\"{rust}.")), "{rust} is not in {toolchain}");
    assert!(
        container.contains("cargo build --locked --release --features redis --bin portcullis-demo")
    );
    let ignored = std::fs::read_to_string(root().join(".dockerignore")).unwrap();
    assert!(ignored.lines().any(|line| line == "**/target"), "an image would hold {ignored}");
}

#[test]
fn a_secret_of_podman_that_everybody_in_the_container_can_read_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let keys = state.path().join("keys");
    KeyFile::new(&keys).create().unwrap();
    std::fs::set_permissions(&keys, PermissionsExt::from_mode(0o444)).unwrap();
    let mut command = Command::new(demo());
    command.args(["--state-dir", state.path().to_str().unwrap()]);
    let output = command.env("PORTCULLIS_KEY_FILE", &keys).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("has mode 0444"), "{message}");
}

#[cfg(feature = "peers")]
#[test]
fn the_replicas_of_the_page_share_what_was_unlocked() {
    let (issuer, redis) = (Issuer::start(), Redis::start(&[]));
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    KeyFile::new(&keys).create().unwrap();
    let upstream = recipe("nginx", "upstream");
    let recipe = recipe("sh", "PORTCULLIS_STORE=redis")
        .replace("redis://127.0.0.1:6379", &redis.url())
        .replace("/etc/portcullis-demo/keys", keys.to_str().unwrap());
    let (exports, commands) = recipe.split_at(recipe.find("portcullis-demo --listen").unwrap());
    let replicas: Vec<_> = commands
        .lines()
        .map(|command| {
            let address = command.split_whitespace().nth(2).unwrap();
            assert!(upstream.contains(&format!("server {address};")), "{upstream}");
            let command = command.trim_end_matches(" &").replace(address, "\"$PORTCULLIS_LISTEN\"");
            let script = Script::new(&format!("{exports}exec {command}"), &issuer);
            let server = script.start(&[]);
            (script, server)
        })
        .collect();
    assert_eq!(replicas.len(), 2);
    let mut claims = claims("alice", "read write admin");
    claims["aud"] = json!("https://example.com/mcp");
    let token = issuer.token(&claims);
    let shows = |at: usize| {
        let listed = tools(address(&replicas[at].1), "example.com", "/mcp", Some(&token));
        assert_eq!(listed.status, 200, "{}", listed.body);
        listed.body.contains("wipe_database")
    };
    assert_eq!((shows(0), shows(1)), (false, false));
    let unlocked = unlock(address(&replicas[0].1), &token);
    assert_eq!(unlocked.status, 200, "{}", unlocked.body);
    let since = Instant::now();
    while !shows(1) {
        assert!(since.elapsed() < Duration::from_secs(10), "the other replica does not know it");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn flags_and_variables_of_the_page_are_those_of_the_program() {
    let help = run(Command::new(demo()).arg("--help")).unwrap();
    let commands = recipes("sh").into_iter().chain(recipes("ini")).chain(recipes("dockerfile"));
    let mut flags = 0;
    // A recipe may begin a further line with a backslash.
    for line in commands.flat_map(|recipe| lines(&recipe.replace("\\\n", " "))) {
        let Some((_, arguments)) = line.split_once("portcullis-demo") else { continue };
        // Of a container's, flags are those of podman before the image's name.
        for flag in arguments.split([' ', '"', ',']).filter(|word| word.starts_with("--")) {
            assert!(
                help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")),
                "{flag}"
            );
            flags += 1;
        }
    }
    assert!(flags > 8, "only {flags} flags were found");

    let page = page();
    let table = page.split("## Variables").nth(1).unwrap().split("\n## ").next().unwrap();
    let known = sources(&root().join("crates")) + &sources(&root().join("demo"));
    let mut variables = 0;
    for variable in table.split('`').skip(1).step_by(2).filter(|word| is_variable(word)) {
        assert!(known.contains(&format!("\"{variable}\"")), "nothing reads {variable}");
        variables += 1;
    }
    assert_eq!(variables, 24, "{table}");
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn is_variable(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// The text of all Rust files under `folder`.
fn sources(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" => std::fs::read_to_string(&path).unwrap(),
            _ => String::new(),
        })
        .collect()
}

#[test]
fn the_access_table_is_printed_before_anything_is_served() {
    let recipe = recipe("sh", "--print-access");
    let command = recipe.split('#').next().unwrap().replace("portcullis-demo", demo());
    let table = run(Command::new("sh").args(["-c", &command])).unwrap();
    assert!(table.contains("delete_user"), "{table}");
    let _: Value = serde_json::from_str(
        &run(Command::new("sh").args(["-c", &format!("{} json", command.trim())])).unwrap(),
    )
    .unwrap();
}
