//! The server's own TLS, over live ports, with curl and with bytes.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use portcullis_tests::driver::{Testbed, hang_up, initialize, message, request, rpc_head, run};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{ALICE, TESTBED};

const METADATA: &str = "/.well-known/oauth-protected-resource/mcp";

/// A server with a certificate for 127.0.0.1.
struct Secure {
    folder: TempDir,
    testbed: Testbed,
}

/// Makes a key, and a certificate of its own for it.
fn make_pair(folder: &Path, cert: &str, key: &str) {
    let own = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "1", "-keyout", &own(key), "-out", &own(cert)])
        .args(["-subj", "/CN=portcullis", "-addext", "subjectAltName=IP:127.0.0.1"]))
    .unwrap();
    std::fs::set_permissions(own(key), Permissions::from_mode(0o600)).unwrap();
}

/// The flags for the pair in `folder`.
fn flags(folder: &Path) -> [String; 4] {
    let own = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    ["--tls-cert".to_owned(), own("cert.pem"), "--tls-key".to_owned(), own("key.pem")]
}

impl Secure {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_pair(folder.path(), "cert.pem", "key.pem");
        let flags = flags(folder.path());
        let flags = flags.each_ref().map(String::as_str);
        let testbed = Testbed::start(TESTBED, &[&flags[..], arguments].concat());
        assert!(testbed.url().starts_with("https://127.0.0.1:"), "{}", testbed.url());
        Self { folder, testbed }
    }

    fn authority(&self) -> &str {
        self.testbed.url().trim_start_matches("https://").trim_end_matches("/mcp")
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.authority()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Whether a client that trusts the certificate in `cert` is answered, and how.
    fn curl(&self, cert: &str, arguments: &[&str]) -> Option<String> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--noproxy", "*", "--max-time", "20", "--cacert"])
            .arg(self.folder.path().join(cert))
            .arg(format!("https://{}{METADATA}", self.authority()))
            .args(arguments);
        run(&mut curl).ok()
    }

    /// The bytes of a request, as a client writes them within TLS.
    fn posted(&self, head: &[String], body: &Value) -> String {
        let (authority, head, body) = (self.authority(), head.join("\r\n"), body.to_string());
        let length = body.len();
        format!(
            "POST /mcp HTTP/1.1\r\nHost: {authority}\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    /// A client that sends this, and reads no more than fits into a pipe.
    fn unread(&self, request: &str) -> Unread {
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", self.authority()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut sends = client.stdin.take().unwrap();
        sends.write_all(request.as_bytes()).unwrap();
        Unread { client, _sends: sends }
    }

    /// What a client that reads is answered with, head and all.
    fn post(&self, head: &[String], body: &Value) -> String {
        let mut curl = Command::new("curl");
        curl.args(["-sSi", "--http1.1", "--noproxy", "*", "--max-time", "20", "--cacert"]);
        curl.arg(self.folder.path().join("cert.pem")).arg(self.testbed.url());
        for line in head {
            curl.args(["-H", line]);
        }
        run(curl.args(["-d", &body.to_string()])).unwrap()
    }

    /// The text of a tool's answer.
    fn call(&self, tool: &str) -> String {
        let params = json!({"name": tool, "arguments": {}});
        let head = rpc_head(ALICE, "tools/call", &params);
        let answer = self.post(&head, &message("tools/call", params));
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        body["result"]["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// What the process has of memory now, in bytes.
    fn memory(&self) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.testbed.id())).unwrap();
        let now = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        now.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// As [`curl`](Self::curl), of a client that trusts the first certificate.
    fn answers(&self) -> bool {
        self.curl("cert.pem", &[]).is_some()
    }
}

/// A client that reads nothing, until it is dropped.
struct Unread {
    client: Child,
    _sends: ChildStdin,
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

#[test]
fn tls_serves_both_versions_of_http_under_an_https_url() {
    let server = Secure::start();
    let document: Value = serde_json::from_str(&server.curl("cert.pem", &[]).unwrap()).unwrap();
    assert_eq!(document["resource"], *server.testbed.url());
    for (arguments, seen) in [
        (&["--http2"][..], "2 200"),
        (&["--http1.1"], "1.1 200"),
        (&["--http2", "--tls-max", "1.2"], "2 200"),
    ] {
        let form = ["-o", "/dev/null", "-w", "%{http_version} %{http_code}"];
        let answer = server.curl("cert.pem", &[arguments, &form].concat());
        assert_eq!(answer.as_deref(), Some(seen), "{arguments:?}");
    }
    let posted = server.curl("cert.pem", &["-i", "--http1.1", "-d", "{}"]).unwrap();
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
    // The log is all that there is, and the key is not in it.
    let key = std::fs::read_to_string(server.folder.path().join("key.pem")).unwrap();
    let log = server.testbed.log();
    let secret = key.lines().find(|line| !line.contains("--")).unwrap();
    assert!(secret.len() > 40 && !log.contains(secret), "{log}");
}

#[test]
fn plain_http_at_the_tls_port_is_told_so() {
    let server = Secure::start();
    for request in
        ["GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let (mut stream, mut answer) = (server.connect(), String::new());
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.ends_with("This server speaks HTTPS, not HTTP."), "{answer}");
    }
}

#[test]
fn what_is_no_handshake_ends_the_connection_and_half_of_one_does_in_time() {
    let server = Secure::start();
    // A record of TLS that says it has 512 bytes.
    let half = [22, 3, 1, 2, 0, 1, 0, 1];
    let endings: [(&[u8], std::ops::Range<u64>); 5] = [
        (b"\x80\x2e\x01\x03\x01", 0..5),
        (b"\x16\x03\x01\x00\x05hello", 0..5),
        (&[0; 64], 0..5),
        (&half, 9..16),
        (b"", 9..16),
    ];
    std::thread::scope(|scope| {
        for (bytes, ends) in endings {
            let server = &server;
            scope.spawn(move || {
                let (mut stream, started) = (server.connect(), Instant::now());
                stream.write_all(bytes).unwrap();
                let _ = stream.read_to_end(&mut Vec::new());
                let elapsed = started.elapsed().as_secs();
                assert!(ends.contains(&elapsed), "{bytes:?}: after {elapsed} s");
            });
        }
    });
    assert!(server.answers());
}

#[test]
fn n16_a_thousand_half_handshakes_leave_the_server_answering() {
    let server = Secure::start();
    let half: Vec<_> = (0..1_000_u32)
        .map(|number| {
            let mut stream = server.connect();
            stream.write_all(if number % 2 == 0 { b"" } else { &[22, 3, 1, 2, 0, 1] }).unwrap();
            stream
        })
        .collect();
    let started = Instant::now();
    for _ in 0..5 {
        assert!(server.answers());
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop(half);
}

#[test]
fn n16_streams_that_nobody_reads_over_tls_take_little_memory_and_keep_nobody_waiting() {
    let server = Secure::start_with(&["--fixtures", "chatty"]);
    let level = json!({"io.modelcontextprotocol/logLevel": "debug"});
    let params = json!({"name": "chatter", "arguments": {}, "_meta": level});
    let stateless = rpc_head(ALICE, "tools/call", &params);
    let stateless = server.posted(&stateless, &message("tools/call", params.clone()));
    let bearer = format!("Authorization: Bearer {}", ALICE.unwrap());
    let json = "Content-Type: application/json".to_owned();
    let accept = "Accept: application/json, text/event-stream".to_owned();
    let head = vec![bearer, json, accept];
    let begun = server.post(&head, &initialize("2025-11-25"));
    let id = begun.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
    let in_session = [head, vec![format!("Mcp-Session-Id: {id}")]].concat();
    let call = |id| request(id, "tools/call", json!({"name": "chatter", "arguments": {}}));
    server.call("told");
    let before = server.memory();
    let unread: Vec<Unread> = (0..8)
        .map(|number| match number % 2 {
            0 => server.unread(&stateless),
            _ => server.unread(&server.posted(&in_session, &call(number))),
        })
        .collect();
    let began = Instant::now();
    while server.call("told").parse::<usize>().unwrap() < TOLD {
        assert!(began.elapsed() < Duration::from_secs(60), "they do not run");
    }
    let asked = Instant::now();
    for _ in 0..5 {
        server.call("told");
    }
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let more = server.memory().saturating_sub(before);
    assert!(more < 8 * UNREAD, "{more} bytes more for {} streams", unread.len());
}

/// What is told before memory is looked at, in bytes; and what one stream that nobody reads may take.
const TOLD: usize = 128 << 20;
const UNREAD: usize = 1 << 20;

#[test]
fn a_new_certificate_takes_the_place_of_the_old_one_and_a_bad_one_does_not() {
    let server = Secure::start();
    let path = |name: &str| server.folder.path().join(name);
    make_pair(server.folder.path(), "second.pem", "second.key");
    std::fs::copy(path("cert.pem"), path("first.pem")).unwrap();
    let reload = |says: &str| {
        let before = server.testbed.log().len();
        hang_up(server.testbed.id());
        server.testbed.wait_for_log_since(before, says);
    };

    assert!(server.curl("first.pem", &[]).is_some());
    // Half of the new pair, and something else than a key: the old pair goes on.
    std::fs::write(path("key.pem"), "-----BEGIN PRIVATE KEY-----\nno\n").unwrap();
    reload("a watched file is refused");
    assert!(server.curl("first.pem", &[]).is_some());
    std::fs::copy(path("second.key"), path("key.pem")).unwrap();
    reload("the file has changed");
    assert!(server.curl("first.pem", &[]).is_some());
    server.testbed.wait_for_log("those from before stay in force");
    assert!(server.curl("second.pem", &[]).is_none());

    std::fs::copy(path("second.pem"), path("cert.pem")).unwrap();
    reload("the file has changed");
    assert!(server.curl("second.pem", &[]).is_some());
    server.testbed.wait_for_log("a new certificate is in force");
    assert!(server.curl("first.pem", &[]).is_none());

    // A key that others may read is not taken.
    make_pair(server.folder.path(), "cert.pem", "key.pem");
    std::fs::set_permissions(path("key.pem"), Permissions::from_mode(0o644)).unwrap();
    reload("chmod");
    assert!(server.curl("second.pem", &[]).is_some());
}

#[test]
fn a_pair_that_cannot_be_used_starts_no_server() {
    let folder = tempfile::tempdir().unwrap();
    make_pair(folder.path(), "cert.pem", "key.pem");
    make_pair(folder.path(), "other.pem", "other.key");
    let pair = flags(folder.path());
    let own = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let says = |arguments: &[&str]| {
        let flags = pair.each_ref().map(String::as_str);
        let output = Command::new(TESTBED)
            .args(["--listen", "127.0.0.1:0"])
            .args(flags)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let plain = says(&["--public-url", "http://localhost:1"]);
    assert!(plain.contains("write https"), "{plain}");
    std::fs::copy(own("other.key"), own("key.pem")).unwrap();
    let apart = says(&[]);
    assert!(apart.contains("the certificate and its key cannot be used together"), "{apart}");
    std::fs::set_permissions(own("key.pem"), Permissions::from_mode(0o644)).unwrap();
    let open = says(&[]);
    assert!(open.contains("key.pem") && open.contains("chmod"), "{open}");
    std::fs::write(own("cert.pem"), "nothing").unwrap();
    let empty = says(&[]);
    assert!(empty.contains("there is no certificate in it"), "{empty}");
}
