//! What sessions cost: idle ones, their streams, calls in them, and all of it at once while clients come
//! and go; beside rmcp's server.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use benches::Result;
use benches::counts::Counts;
use benches::issuer::{Algorithm, Issuer};
use benches::sample::middle;
use benches::scenario::Scenario;
use benches::server::{self, Server};
use benches::session_load::{CONNECTIONS, Callers, Idle, Work};
use benches::traffic::Traffic;
use clap::Parser;

/// Measures sessions of Portcullis beside those of rmcp, and prints tables.
///
/// Each server has one worker on one core, the load comes from another. It needs 4,096 open files
/// (`ulimit -n`).
#[derive(Debug, Parser)]
struct Options {
    /// Idle sessions
    #[arg(long, default_value_t = 10_000)]
    sessions: usize,

    /// Streams of them that are open at once
    #[arg(long, default_value_t = 1_000)]
    streams: usize,

    /// How often the servers take turns with calls; the medians are shown
    #[arg(long, default_value_t = 21)]
    rounds: usize,

    /// Calls over each connection in a round
    #[arg(long, default_value_t = 250)]
    calls: usize,

    /// How long clients come and go, in seconds
    #[arg(long, default_value_t = 300)]
    seconds: u64,

    /// A folder with the servers, built already [default: they are built]
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,

    /// Leave out what valgrind counts
    #[arg(long)]
    no_counts: bool,

    /// About a minute: few rounds, 20 seconds of traffic
    #[arg(long)]
    quick: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.quick {
        (options.rounds, options.seconds) = (5, 20);
    }
    match measure(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The servers: ours first.
const SERVERS: [(&str, &[&str]); 2] = [("bench-server", &["--sessions"]), ("rmcp-sessions", &[])];

/// What each kind of call may take of rmcp's CPU time.
const WORKS: [(Work, &str, f64); 2] =
    [(Work::Call, "a call", 1.0 / 3.0), (Work::Streamed, "a streamed answer", 0.5)];

/// How many seconds traffic has to last for memory to be judged: a fifth of it is for answers that are kept
/// for clients that may come back, until as many are forgotten as come.
const JUDGED: u64 = 150;

struct Bench<'a> {
    options: &'a Options,
    programs: PathBuf,
    issuer: Issuer,
    token: String,
}

/// Prints the tables; whether all is within the limits.
async fn measure(options: &Options) -> Result<bool> {
    let programs = match &options.programs {
        Some(programs) => programs.clone(),
        None => server::build(&["bench-server"], &["rmcp-sessions"])?,
    };
    if server::can_pin() {
        server::pin_load()?;
    } else {
        eprintln!("WARNING: no taskset or one core: the load takes CPU time from the servers");
    }
    let files = tempfile::tempdir()?;
    let issuer = Issuer::new(Algorithm::Rs256, files.path())?;
    let token = issuer.token()?;
    let bench = Bench { options, programs, issuer, token };
    let idle = bench.idle().await?;
    let calls = bench.calls(files.path()).await?;
    let traffic = bench.traffic().await?;
    Ok(idle & calls & traffic)
}

impl Bench<'_> {
    fn start(&self, wrap: &[String], (name, arguments): (&str, &[&str])) -> Result<Server> {
        let [scenario, ..] = Scenario::ALL;
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        scenario.start_with(wrap, &self.programs.join(name), &self.issuer, &arguments)
    }

    async fn idle(&self) -> Result<bool> {
        let Options { sessions, streams, .. } = *self.options;
        println!("| {sessions} sessions, {streams} streams | Portcullis | rmcp | at most |");
        println!("|---|---:|---:|---:|");
        let mut taken = Vec::new();
        for server in SERVERS {
            let server = self.start(&[], server)?;
            taken.push(Idle::take(&server, &self.token, sessions, streams).await?);
            server.stop()?;
        }
        let [own, rmcp] = taken.as_slice() else { return Err("not two servers".into()) };
        let kib = |bytes: f64| bytes / 1024.0;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let mut within = true;
        for (what, own, rmcp, limit) in [
            ("memory of an idle session, KiB", kib(own.session), kib(rmcp.session), 4.0),
            ("memory of an idle stream beside it, KiB", kib(own.stream), kib(rmcp.stream), 8.0),
            ("the last stream is told of a change after, ms", ms(own.told), ms(rmcp.told), 100.0),
        ] {
            println!("| {what} | {own:.1} | {rmcp:.1} | {limit} |");
            within &= own <= limit;
        }
        println!();
        Ok(within)
    }

    async fn calls(&self, files: &std::path::Path) -> Result<bool> {
        println!("| in a session | server | CPU µs | × | instructions | allocations | bytes |");
        println!("|---|---|---:|---:|---:|---:|---:|");
        let counted = !self.options.no_counts && server::is_there("valgrind");
        let mut within = true;
        for (work, name, limit) in WORKS {
            let (costs, ratio) = self.costs(work).await?;
            within &= ratio <= limit;
            for (server, (cpu, ratio)) in
                SERVERS.into_iter().zip(costs.into_iter().zip([ratio, 1.0]))
            {
                let counts = match counted {
                    true => {
                        let start = |wrap: &[String]| self.start(wrap, server);
                        let send = async |address, count| self.send(address, work, count).await;
                        let counts = Counts::of(files, start, send).await?;
                        let Counts { instructions, allocations, bytes } = counts;
                        format!("{instructions:.0} | {allocations:.1} | {bytes:.0}")
                    }
                    false => ["NOT COUNTED"; 3].join(" | "),
                };
                println!("| {name} | {} | {cpu:.1} | {ratio:.2} | {counts} |", server.0);
            }
            println!("limit for {name}: {limit:.2} times rmcp's CPU time\n");
        }
        Ok(within)
    }

    /// The CPU time of each server, and how the first stands to the second.
    async fn costs(&self, work: Work) -> Result<([f64; 2], f64)> {
        let servers = [self.start(&[], SERVERS[0])?, self.start(&[], SERVERS[1])?];
        let open = async |server: &Server| {
            Callers::open(server.address(), &self.token, work, CONNECTIONS).await
        };
        let mut callers = [open(&servers[0]).await?, open(&servers[1]).await?];
        let mut taken = [Vec::new(), Vec::new()];
        for _ in 0..self.options.rounds {
            for ((server, callers), taken) in servers.iter().zip(&mut callers).zip(&mut taken) {
                taken.push(callers.cost(server, self.options.calls).await?);
            }
        }
        servers.into_iter().try_for_each(Server::stop)?;
        let [own, rmcp] = &taken;
        let ratio = middle(own.iter().zip(rmcp).map(|(own, rmcp)| own / rmcp));
        Ok((taken.each_ref().map(|taken| middle(taken.iter().copied())), ratio))
    }

    async fn send(&self, address: SocketAddr, work: Work, count: usize) -> Result<()> {
        Callers::open(address, &self.token, work, 1).await?.call(count).await.map(drop)
    }

    async fn traffic(&self) -> Result<bool> {
        let seconds = self.options.seconds;
        let server = self.start(&[], SERVERS[0])?;
        let traffic = Traffic::take(&server, &self.token, Duration::from_secs(seconds)).await?;
        server.stop()?;
        let Traffic { answered, left, resumed, streams, ended, errors, memory, .. } = &traffic;
        let mib = memory.map(|bytes| bytes as f64 / (1024.0 * 1024.0));
        println!(
            "{seconds} s of traffic: {answered} calls answered, {left} left by their clients,"
        );
        println!("{resumed} answers cut and resumed, {streams} streams, {ended} sessions ended:");
        println!(
            "{errors} errors; {:.1} MiB of memory once warm, {:.1} at the end",
            mib[0], mib[1]
        );
        traffic.shown.iter().for_each(|error| println!("  {error}"));
        if seconds < JUDGED {
            println!("memory is not judged before {JUDGED} s");
        }
        Ok(*errors == 0 && (seconds < JUDGED || traffic.growth() <= FLAT))
    }
}

/// How much memory may grow while clients come and go.
const FLAT: f64 = 0.05;
