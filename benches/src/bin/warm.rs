//! What a warm call costs where a store in Redis, an introspection endpoint, or a sign-in at the server
//! itself stands behind it, and where it is measured and traced.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use benches::Result;
use benches::counts::Counts;
use benches::identity_provider::IdentityProvider;
use benches::issuer::{AUDIENCE, Algorithm, Issuer};
use benches::load::Load;
use benches::sample::{self, Sample};
use benches::scenario::Scenario;
use benches::server::{self, Server};
use benches::sign_in::User;

const CONNECTIONS: usize = 64;
/// How many rounds of a server are taken.
const ROUNDS: usize = 20;
/// How many times each server starts: some of its cost depends on where its memory happens to lie.
const LIVES: usize = 10;
const TIME: Duration = Duration::from_millis(100);
/// As the server that signs users in knows that of its client.
const KNOWN_SECRET: &str = "known-secret-of-the-bench-server";
/// Beside which of the ways a token of the server's own is measured: that which is alike but for it.
const KNOWS_A_SECRET: usize = 3;
/// How much of what a call with a JWT and memory takes another one may take.
const LIMIT: f64 = 1.03;
/// The same, for one that is measured and has its span.
const OBSERVED_LIMIT: f64 = 1.05;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the figures; whether they are within the limit.
async fn run() -> Result<bool> {
    let programs = server::build(&["bench-server"], &[])?;
    if server::can_pin() {
        server::pin_load()?;
    } else {
        eprintln!("WARNING: no taskset or one core: the load takes CPU time from the servers");
    }
    let (redis, endpoint) = (Redis::start()?, introspection_endpoint()?);
    let provider = IdentityProvider::start().await?;
    let collector = collector()?;
    let sent = ["--observed", "--traces", &collector];
    let ways = [
        Way::foreign("a JWT, records in memory", &[]),
        Way::foreign("a JWT, records in Redis", &["--redis", &redis.url()]),
        Way::foreign("an opaque token", &["--introspect", &endpoint]),
        Way::foreign("a JWT, and it knows a secret", &["--known-secret", KNOWN_SECRET]),
        Way::own("a token of its own", &provider),
        Way { limit: OBSERVED_LIMIT, ..Way::foreign("a JWT, metrics and spans", &["--observed"]) },
        Way {
            limit: OBSERVED_LIMIT,
            ..Way::foreign(
                "a JWT, metrics, one span in ten sent",
                &[&sent[..], &["--sample-one-in", "10"]].concat(),
            )
        },
        Way { limit: f64::INFINITY, ..Way::foreign("a JWT, metrics, each span sent", &sent) },
    ];
    let files = tempfile::tempdir()?;
    let issuer = Issuer::new(Algorithm::Rs256, files.path())?;
    let [scenario, ..] = Scenario::ALL;
    // As long as a JWT is, and it means nothing to the server.
    let token = scenario.token(&issuer)?;
    let program = programs.join("bench-server");
    let start = |wrap: &[String], way: &Way| way.start(wrap, &program, scenario, &issuer);
    let requests = async |address: SocketAddr, way: &Way| -> Result<_> {
        let own = match way.own {
            true => Some(User::open(0, address, provider.address()).await?.sign_in().await?),
            false => None,
        };
        let token = own.as_ref().map_or(token.as_str(), |own| &own.access_token);
        Ok(scenario.requests(address, token))
    };

    let mut taken = ways.each_ref().map(|_| Vec::new());
    for _ in 0..LIVES {
        let mut loads: Vec<(Server, Load)> = Vec::new();
        for way in &ways {
            let server = start(&[], way)?;
            let requests = requests(server.address(), way).await?;
            let load = Load::open(server.address(), requests, CONNECTIONS).await?;
            loads.push((server, load));
        }
        for round in 0..=ROUNDS {
            for ((server, load), taken) in loads.iter_mut().zip(&mut taken) {
                let sample = Sample::take(server, load, TIME).await?;
                // In the first one connections begin, that to the collector too.
                if round > 0 {
                    taken.push(sample);
                }
            }
        }
        loads.drain(..).try_for_each(|(server, _)| server.stop())?;
    }

    let counts = server::is_there("valgrind");
    let (mut within, mut counted_before) = (true, Vec::new());
    println!("| a call with | µs of CPU | times | instructions | times |");
    println!("|---|---|---|---|---|");
    for (way, own) in ways.iter().zip(&taken) {
        let name = way.name;
        let beside = taken.get(way.beside).ok_or("no such way")?;
        let (cpu, times) = (Sample::median(own).cpu, sample::ratio(own, beside));
        within &= times <= way.limit;
        if !counts {
            println!("| {name} | {cpu:.1} | {times:.3} | NOT COUNTED: no valgrind | |");
            continue;
        }
        let start = |wrap: &[String]| start(wrap, way);
        let requests = async |address| requests(address, way).await;
        let counted = Counts::take(files.path(), start, requests).await?.instructions;
        counted_before.push(counted);
        let more = counted / counted_before.get(way.beside).ok_or("it was not counted yet")?;
        within &= more <= way.limit;
        println!("| {name} | {cpu:.1} | {times:.3} | {counted:.0} | {more:.3} |");
    }
    println!(
        "limit: {LIMIT} times the first, {OBSERVED_LIMIT} with metrics and spans, none where each is sent"
    );
    println!("a token of its own: times a JWT where a secret is known");
    Ok(within)
}

/// What stands behind a call.
struct Way {
    name: &'static str,
    arguments: Vec<String>,
    /// Whether the server itself issues the token, to whom signs in there.
    own: bool,
    limit: f64,
    /// The number of the way that it is compared with.
    beside: usize,
}

impl Way {
    fn foreign(name: &'static str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { name, arguments, own: false, limit: LIMIT, beside: 0 }
    }

    fn own(name: &'static str, provider: &IdentityProvider) -> Self {
        let arguments = provider.arguments();
        Self { name, arguments, own: true, limit: LIMIT, beside: KNOWS_A_SECRET }
    }

    fn start(
        &self,
        wrap: &[String],
        program: &Path,
        scenario: Scenario,
        issuer: &Issuer,
    ) -> Result<Server> {
        let arguments: Vec<_> = self.arguments.iter().map(OsStr::new).collect();
        match self.own {
            true => Server::start(wrap, program, &arguments),
            false => scenario.start_with(wrap, program, issuer, &arguments),
        }
    }
}

/// Says of every token that it is good; gives its URL.
fn introspection_endpoint() -> Result<String> {
    let socket = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/introspect", socket.local_addr()?);
    let answer = serde_json::json!({
        "active": true, "sub": "alice", "client_id": "bench", "scope": "read",
        "aud": AUDIENCE, "exp": 4_102_444_800_u64,
    });
    let body = answer.to_string();
    std::thread::spawn(move || {
        for mut stream in socket.incoming().map_while(std::result::Result::ok) {
            let length = body.len();
            let _ = stream.read(&mut [0; 8192]);
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n"
            );
            let _ = stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice());
        }
    });
    Ok(url)
}

/// A collector that takes all that comes.
fn collector() -> Result<String> {
    let socket = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/v1/traces", socket.local_addr()?);
    std::thread::spawn(move || {
        for stream in socket.incoming().map_while(std::result::Result::ok) {
            std::thread::spawn(move || take_all(BufReader::new(stream)));
        }
    });
    Ok(url)
}

fn take_all(mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while stream.read_line(&mut line)? > 2 {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        std::io::copy(&mut (&mut stream).take(length), &mut std::io::sink())?;
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}

/// A Redis that ends with this.
struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    fn start() -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("redis-server does not start: {error}"))?;
        let redis = Self { process, port };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if since.elapsed() > Duration::from_secs(10) {
                return Err("redis-server does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(redis)
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
