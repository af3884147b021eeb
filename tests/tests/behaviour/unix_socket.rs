//! A server that listens on a Unix socket, asked over that.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portcullis_tests::driver::{kill, message, terminate};
use serde_json::json;

use crate::TESTBED;

const PATIENCE: Duration = Duration::from_secs(20);

/// A testbed at a socket, which ends with the test.
struct Server {
    process: Child,
    socket: PathBuf,
}

impl Server {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let socket = folder.join("mcp.sock");
        let process = command(&socket).args(arguments).stderr(Stdio::null()).spawn().unwrap();
        let since = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            assert!(since.elapsed() < PATIENCE, "nobody listens at {}", socket.display());
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { process, socket }
    }

    /// The answer to a request with these lines in its head.
    fn ask(&self, line: &str, head: &[&str], body: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head: String = head.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        write!(
            stream,
            "{line} HTTP/1.1\r\n{head}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn status(&self, line: &str, head: &[&str]) -> u16 {
        let answer = self.ask(line, head, "");
        answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer}")).parse().unwrap()
    }

    fn ends(&mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(socket: &Path) -> Command {
    let mut command = Command::new(TESTBED);
    command.arg("--listen").arg(format!("unix:{}", socket.display())).stdin(Stdio::null());
    command
}

#[test]
fn a_server_at_a_unix_socket_checks_what_one_at_an_address_does() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.jsonl");
    let flags = ["--trusted-proxy", "unix", "--audit-file", audit.to_str().unwrap()];
    let mut server = Server::start(folder.path(), &flags);
    assert_eq!(server.socket.metadata().unwrap().mode() & 0o777, 0o600);
    let host = "Host: localhost";
    assert_eq!(server.status("GET /health", &[host]), 200);
    assert_eq!(server.status("GET /health", &["Host: evil.example"]), 421);
    assert_eq!(server.status("GET /health", &[host, "Origin: https://evil.example"]), 403);
    assert_eq!(server.status("POST /mcp", &[host]), 401, "the same tokens");
    let list = message("tools/list", json!({})).to_string();
    let head = [
        host,
        "Authorization: Bearer dev-token-alice",
        "Content-Type: application/json",
        "MCP-Protocol-Version: 2026-07-28",
        "Mcp-Method: tools/list",
        "X-Forwarded-For: 203.0.113.7",
    ];
    let listed = server.ask("POST /mcp", &head, &list);
    assert!(listed.contains("whoami"), "{listed}");
    terminate(server.process.id());
    assert_eq!(server.ends(), Some(0));
    assert!(!server.socket.exists(), "it is removed at the end");
    let records = BufReader::new(std::fs::File::open(&audit).unwrap()).lines();
    let records: Vec<_> = records.map(Result::unwrap).collect();
    let (behind, direct): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| record.contains("tools/list"));
    assert!(behind.iter().all(|record| record.contains(r#""remote":"203.0.113.7""#)), "{behind:?}");
    assert!(!direct.iter().any(|record| record.contains("\"remote\"")), "{direct:?}");
    assert!(!behind.is_empty() && direct.len() > 3, "{records:?}");
}

#[test]
fn a_socket_has_one_server_and_one_that_a_dead_server_left_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Server::start(folder.path(), &[]);
    let second = command(&first.socket).output().unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("cannot listen on unix:"), "{said}");
    assert_eq!(first.status("GET /health", &["Host: localhost"]), 200, "it keeps its socket");
    kill(first.process.id());
    first.ends();
    assert!(first.socket.exists());
    let third = Server::start(folder.path(), &[]);
    assert_eq!(third.status("GET /health", &["Host: localhost"]), 200);
}
