//! A standard error that nobody reads, or that is not there: MCP lets clients ignore it.

use std::io::{BufRead, BufReader, PipeReader, Read, Write, pipe};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use portcullis_tests::driver::{free_address, message, terminate};
use serde_json::{Value, json};

use crate::demo::demo;
use crate::{ALICE, TESTBED};

/// More than the pipe takes the records of, many times over.
const CALLS: usize = 2_000;

const PATIENCE: Duration = Duration::from_secs(20);

/// A program, and the end of its standard error that nobody reads.
struct Unread {
    child: Child,
    _stderr: Option<PipeReader>,
}

impl Unread {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let (stderr, writer) = pipe().unwrap();
        let child = command(program, arguments).stderr(writer).spawn().unwrap();
        Self { child, _stderr: Some(stderr) }
    }

    fn ends(mut self) {
        assert!(ended(&mut self.child).success());
    }
}

/// One that does not end by itself outlives no test.
impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).args(["--log", "debug"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn ended(child: &mut Child) -> ExitStatus {
    let asked = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status,
            None if asked.elapsed() > PATIENCE => {
                child.kill().unwrap();
                panic!("it does not end");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn call(name: &str, arguments: Value) -> String {
    message("tools/call", json!({"name": name, "arguments": arguments})).to_string()
}

/// Connects once somebody listens.
fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let asked = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return BufReader::new(stream);
            }
            Err(_) if asked.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Calls a tool on a connection that stays open; gives the status.
fn call_over(connection: &mut BufReader<TcpStream>, name: &str, body: &str) -> String {
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\n\
         Mcp-Method: tools/call\r\nMcp-Name: {name}\r\nContent-Length: {}\r\n\r\n",
        connection.get_ref().peer_addr().unwrap(),
        ALICE.unwrap(),
        body.len(),
    );
    connection.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
    let (mut status, mut length) = (String::new(), 0);
    connection.read_line(&mut status).expect("it answers");
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).expect("it answers");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut answer = vec![0; length];
    connection.read_exact(&mut answer).unwrap();
    status
}

#[test]
fn trial_b3_over_http_a_log_that_nobody_reads_stops_nothing() {
    for (program, name) in [(TESTBED, "whoami"), (demo(), "public_action")] {
        let address = free_address();
        let server = Unread::start(program, &["--listen", &address.to_string()]);
        let mut connection = connect(address);
        let body = call(name, json!({}));
        for number in 0..CALLS {
            let status = call_over(&mut connection, name, &body);
            assert!(status.starts_with("HTTP/1.1 200 "), "{program} {number}: {status}");
        }
        let mut health = connect(address);
        let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\n\r\n");
        health.get_mut().write_all(request.as_bytes()).unwrap();
        let mut status = String::new();
        health.read_line(&mut status).unwrap();
        assert!(status.starts_with("HTTP/1.1 200 "), "{status}");
        drop((connection, health));
        terminate(server.child.id());
        server.ends();
    }
}

#[test]
fn trial_b3_over_stdio_a_log_that_nobody_reads_stops_nothing() {
    for (program, name, by_signal) in [
        (TESTBED, "whoami", true),
        (TESTBED, "whoami", false),
        (demo(), "public_action", true),
        (demo(), "public_action", false),
    ] {
        let mut server = Unread::start(program, &["--transport", "stdio"]);
        let mut input = server.child.stdin.take().unwrap();
        let mut output = BufReader::new(server.child.stdout.take().unwrap());
        let body = call(name, json!({}));
        let (answered, answers) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|read| read > 0) {
                if answered.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
        });
        for number in 0..CALLS {
            writeln!(input, "{body}").unwrap();
            let answer = answers.recv_timeout(PATIENCE);
            let answer = answer.unwrap_or_else(|_| panic!("{program} {number}: no answer"));
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer["result"]["isError"], false, "{answer}");
        }
        if by_signal {
            terminate(server.child.id());
            server.ends();
            drop(input);
        } else {
            drop(input);
            server.ends();
        }
    }
}

/// A full pipe, and one that is closed.
#[test]
fn trial_a12_a_standard_error_that_takes_nothing_keeps_no_program_from_starting() {
    for program in [TESTBED, demo()] {
        for is_full in [true, false] {
            let (stderr, mut writer) = pipe().unwrap();
            let stderr = if is_full {
                // As much as a pipe of Linux holds.
                writer.write_all(&[b'.'; 65_536]).unwrap();
                Some(stderr)
            } else {
                drop(stderr);
                None
            };
            let address = free_address();
            let arguments = ["--listen", &address.to_string()];
            let child = command(program, &arguments).stderr(writer).spawn().unwrap();
            let server = Unread { child, _stderr: stderr };
            let mut connection = connect(address);
            let status = call_over(&mut connection, "none", &call("none", json!({})));
            assert!(status.starts_with("HTTP/1.1 "), "{status}");
            drop(connection);
            terminate(server.child.id());
            server.ends();
        }
    }
}
