//! A Redis of its own for a test, and what may go wrong on the way to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A `redis-server` in a folder of its own, at a port of its own. It ends with the test.
pub(crate) struct Redis {
    process: Child,
    port: u16,
    folder: TempDir,
    arguments: Vec<String>,
    password: Option<String>,
}

impl Redis {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let password = arguments.iter().position(|word| word == "--requirepass");
        let password = password.map(|at| arguments[at + 1].clone());
        let port = free_port();
        let process = start(port, &folder, &arguments);
        let mut redis = Self { process, port, folder, arguments, password };
        // Somebody else may have taken a port since it was found to be free.
        for _ in 0..5 {
            if redis.is_ready() {
                return redis;
            }
            redis.port = free_port();
            redis.process = start(redis.port, &redis.folder, &redis.arguments);
        }
        panic!("redis-server ended at its start, at each of six ports");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` prints for a command.
    pub(crate) fn cli(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string()]).args(words);
        if let Some(password) = &self.password {
            command.env("REDISCLI_AUTH", password);
        }
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// All keys that Redis has, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<_> =
            self.cli(&["KEYS", "*"]).lines().map(str::to_owned).filter(|k| !k.is_empty()).collect();
        keys.sort_unstable();
        keys
    }

    /// The files that Redis has written, each with its path.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let (mut folders, mut files) = (vec![self.folder.path().to_owned()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push((path.to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()));
                }
            }
        }
        files
    }

    /// How often Redis has run a command.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        let info = self.cli(&["INFO", "commandstats"]);
        let line = info.lines().find_map(|l| l.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    }

    /// Ends it as if the machine had lost its power.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again, with the files that it left.
    pub(crate) fn start_again(&mut self) {
        self.process = start(self.port, &self.folder, &self.arguments);
        assert!(self.is_ready(), "redis-server ended at its start");
    }

    /// Stops or continues the process, which keeps its connections.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits until it answers; false once it has ended instead.
    fn is_ready(&mut self) -> bool {
        let since = Instant::now();
        while self.process.try_wait().unwrap().is_none() {
            if self.answers().is_some() {
                return true;
            }
            assert!(since.elapsed() < Duration::from_secs(30), "redis-server is not ready");
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn answers(&self) -> Option<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        if self.arguments.iter().any(|word| word == "--tls-port") {
            return Some(());
        }
        stream.write_all(b"PING\r\n").ok()?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).ok()?;
        // Without the password it says so, and with files to read it asks for patience.
        (&answer == b"+PONG" || &answer == b"-NOAU").then_some(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(port: u16, folder: &TempDir, arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    if !arguments.iter().any(|word| word == "--tls-port") {
        command.args(["--port", &port.to_string()]);
    } else {
        command.args(["--port", "0"]);
    }
    command
        .args(["--bind", "127.0.0.1", "--save", "", "--repl-diskless-sync-delay", "0", "--dir"])
        .arg(folder.path())
        .args(arguments.iter().map(|word| word.replace("{port}", &port.to_string())))
        .stdout(Stdio::null());
    command.spawn().expect("redis-server is not there: ./test --install installs it")
}

/// Below the ports that the system gives to whoever asks, and each once: a Redis that is started
/// again finds its own. The nodes of a cluster listen at a second one, 10,000 higher.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + 100 * u16::try_from(std::process::id() % 100).unwrap();
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
}

/// Waits until something holds, for ten seconds at most.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(10), "not within ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A network between a store and Redis, which may lose answers or lead elsewhere.
#[derive(Clone)]
pub(crate) struct Network {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    target: AtomicU16,
    loses_answers: AtomicBool,
    connections: AtomicU16,
    /// Connections before this one are silent.
    silent_before: AtomicU16,
}

impl Network {
    pub(crate) async fn to(redis: &Redis) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            target: AtomicU16::new(redis.port()),
            loses_answers: AtomicBool::new(false),
            connections: AtomicU16::new(0),
            silent_before: AtomicU16::new(0),
        };
        let network = Self { address, state: Arc::new(state) };
        let state = Arc::clone(&network.state);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(client, Arc::clone(&state)));
            }
        });
        network
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Instead of the next answer the connection ends; those that come after it work.
    pub(crate) fn lose_the_next_answer(&self) {
        self.state.loses_answers.store(true, Ordering::SeqCst);
    }

    /// The connections that are there stay, and carry nothing any more; new ones work.
    pub(crate) fn fall_silent(&self) {
        let connections = self.state.connections.load(Ordering::SeqCst);
        self.state.silent_before.store(connections, Ordering::SeqCst);
    }

    /// New connections lead to another Redis; those that are there stay.
    pub(crate) fn lead_to(&self, redis: &Redis) {
        self.state.target.store(redis.port(), Ordering::SeqCst);
    }
}

async fn carry(mut client: tokio::net::TcpStream, state: Arc<State>) {
    let number = state.connections.fetch_add(1, Ordering::SeqCst);
    let target = ("127.0.0.1", state.target.load(Ordering::SeqCst));
    let Ok(mut server) = tokio::net::TcpStream::connect(target).await else { return };
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    loop {
        let carried = tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(1..) if number < state.silent_before.load(Ordering::SeqCst) => continue,
                Ok(length @ 1..) => server.write_all(&asked[..length]).await,
                _ => return,
            },
            read = server.read(&mut answered) => match read {
                Ok(_) if state.loses_answers.swap(false, Ordering::SeqCst) => return,
                Ok(length @ 1..) => client.write_all(&answered[..length]).await,
                _ => return,
            },
        };
        if carried.is_err() {
            return;
        }
    }
}
