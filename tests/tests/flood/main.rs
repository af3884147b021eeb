//! A flood of registrations and sign-ins from one address, while a user at another one signs in.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portcullis::guard::keys::new_key;
use portcullis_tests::driver::Testbed;
use portcullis_tests::restarted::{allowed, text};
use portcullis_tests::sign_in::Client;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

const TESTBED: &str = env!("CARGO_BIN_EXE_testbed");

/// Where the flood comes from. The user is at 127.0.0.1.
const ATTACKER: &str = "127.0.0.2:0";
/// How many requests of each kind it has.
const EACH: u64 = 100_000;
/// How many connections it keeps busy.
const CONNECTIONS: u64 = 16;
/// How much more memory the server may hold for it, and how much more its file.
const MOST_MEMORY: u64 = 48 << 20;
const MOST_STORED: u64 = 4 << 20;
/// How many programs the user registers.
const REGISTERED: u64 = 100;
/// How long a user waits at most for a whole sign-in meanwhile.
const PATIENCE: Duration = Duration::from_secs(15);

/// Counts what the flood was told, by whether it was refused.
#[derive(Default)]
struct Told {
    accepted: AtomicU64,
    refused: AtomicU64,
}

impl Told {
    fn count(&self, status: u16) {
        let counter = match status {
            200 | 201 => &self.accepted,
            400..500 => &self.refused,
            _ => panic!("the flood was answered with {status}"),
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn both(&self) -> [u64; 2] {
        [&self.accepted, &self.refused].map(|counter| counter.load(Ordering::Relaxed))
    }
}

/// A connection that is opened again whenever the server has ended it.
struct Attacker {
    server: SocketAddr,
    connection: Option<TcpStream>,
    read: Vec<u8>,
}

impl Attacker {
    async fn send(&mut self, request: &[u8]) -> u16 {
        loop {
            match self.ask(request).await {
                Ok(status) => return status,
                Err(_) => self.connection = None,
            }
        }
    }

    async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        if self.connection.is_none() {
            let socket = TcpSocket::new_v4()?;
            socket.bind(ATTACKER.parse().unwrap())?;
            self.connection = Some(socket.connect(self.server).await?);
        }
        let connection = self.connection.as_mut().unwrap();
        connection.write_all(request).await?;
        self.read.clear();
        loop {
            if connection.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some(end) = self.read.windows(4).position(|part| part == b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&self.read[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if self.read.len() >= end + 4 + length {
                return Ok(head.split(' ').nth(1).unwrap().parse().unwrap());
            }
        }
    }
}

/// Sends all requests of a kind. Each differs, so that nothing can be remembered of another.
async fn flood(
    server: SocketAddr,
    request: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
) -> [u64; 2] {
    let (request, told) = (Arc::new(request), Arc::new(Told::default()));
    let mut attackers = JoinSet::new();
    for first in 0..CONNECTIONS {
        let (request, told) = (Arc::clone(&request), Arc::clone(&told));
        attackers.spawn(async move {
            let mut attacker = Attacker { server, connection: None, read: Vec::new() };
            for number in (first..EACH).step_by(usize::try_from(CONNECTIONS).unwrap()) {
                told.count(attacker.send(&request(number)).await);
            }
        });
    }
    attackers.join_all().await;
    told.both()
}

/// The memory that a process holds, in bytes.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// The space that a file takes.
fn stored(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().len()
}

/// A whole sign-in, as a client and its user do it, and a call.
fn sign_in(server: &Testbed, client: &Client<'_>) {
    let issued = client.redeem(&allowed(client));
    let token = text(&issued, "access_token");
    assert_eq!(server.rpc(Some(token), "tools/list", json!({})).status, 200);
    assert_eq!(client.refresh(text(&issued, "refresh_token")).status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d01_a_flood_from_one_address_fills_nothing_and_keeps_nobody_else_from_signing_in() {
    let folder = tempfile::tempdir().unwrap();
    let (state, key) = (folder.path().join("state"), new_key().unwrap());
    let audit = folder.path().join("audit.jsonl");
    let [state_dir, audit_file] = [&state, &audit].map(|path| path.to_str().unwrap());
    // As an operator starts it, who keeps an audit file.
    let flags = ["--auth", "login", "--store", "file", "--state-dir", state_dir];
    let flags = [&flags[..], &["--log", "info", "--audit-file", audit_file]].concat();
    let keys = [("PORTCULLIS_KEYS", key.expose().as_str())];
    let testbed = Arc::new(Testbed::start_with(TESTBED, &flags, &keys));
    let server: SocketAddr = testbed.authority().parse().unwrap();
    let file = state.join("store/records.redb");
    sign_in(&testbed, &Client::register(&testbed));
    let (memory, space) = (resident(testbed.id()), stored(&file));

    let over = Arc::new(AtomicBool::new(false));
    let users = {
        let (testbed, over) = (Arc::clone(&testbed), Arc::clone(&over));
        thread::spawn(move || {
            let (mut signed_in, mut longest) = (0, Duration::ZERO);
            let mut client = Client::register(&testbed);
            while !over.load(Ordering::SeqCst) {
                let began = Instant::now();
                // Each is a new program, for as long as one address may register one.
                if signed_in < REGISTERED {
                    client = Client::register(&testbed);
                }
                sign_in(&testbed, &client);
                (signed_in, longest) = (signed_in + 1, longest.max(began.elapsed()));
            }
            (signed_in, longest)
        })
    };
    let client = Client::register(&testbed);
    let url = client.authorization_url("read");
    let query = url.split_once('?').unwrap().1.to_owned();
    let host = testbed.authority().to_owned();
    let authorize = {
        let host = host.clone();
        move |number: u64| {
            let query = query.replace("state%20of", &format!("{number}"));
            format!("GET /authorize?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
        }
    };
    let register = move |number: u64| {
        let uri = format!("http://127.0.0.1/{number}");
        let body = json!({"redirect_uris": [uri], "client_name": "x".repeat(100)}).to_string();
        let head = "Content-Type: application/json";
        let head = format!("POST /register HTTP/1.1\r\nHost: {host}\r\n{head}");
        format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let began = Instant::now();
    let (registered, authorized) = tokio::join!(flood(server, register), flood(server, authorize));
    let took = began.elapsed();
    over.store(true, Ordering::SeqCst);
    let (signed_in, longest) = users.join().unwrap();
    let (more_memory, more_space) =
        (resident(testbed.id()).saturating_sub(memory), stored(&file).saturating_sub(space));
    println!(
        "{took:?}: registrations {registered:?}, pages {authorized:?}; {signed_in} users signed in, \
         the slowest in {longest:?}; {} KiB more of memory, {} KiB of file",
        more_memory >> 10,
        more_space >> 10
    );
    assert_eq!([registered.iter().sum::<u64>(), authorized.iter().sum()], [EACH; 2]);
    assert!(registered[0] <= 120 * (took.as_secs() / 60 + 2), "{registered:?}");
    assert!(more_memory < MOST_MEMORY, "{more_memory} bytes");
    assert!(more_space < MOST_STORED, "{more_space} bytes");
    assert!(signed_in >= 1 && longest < PATIENCE, "{signed_in} users, {longest:?}");
}
