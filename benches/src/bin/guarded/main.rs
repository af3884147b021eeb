//! What guards cost: `Fetch` beside the reqwest below it, and `Workspace` beside std.

mod answers;
mod counted;
mod work;

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use benches::Result;
use benches::sample::middle;
use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use self::work::{Bench, Side, WORKS, Work};

/// How long each side works in a round: so short that both meet the same load from other programs.
const TIME: Duration = Duration::from_millis(20);
/// So much that only warms caches and the connection.
const WARM_UP: usize = 50;
/// How often the time is looked at.
const AT_A_TIME: usize = 10;
/// Longer than it runs: the CPU time of a thread that has ended is counted nowhere.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// Measures what `Fetch` costs beside reqwest, and `Workspace` beside std in a thread for what blocks.
///
/// Both work in this process, in turns. What answers requests is a process of its own, which is not
/// measured.
#[derive(Debug, Parser)]
struct Options {
    /// How often the two sides take turns; the medians are shown
    #[arg(long, default_value_t = 201)]
    rounds: usize,

    /// Only what has this in its name
    #[arg(long, default_value = "", value_name = "TEXT")]
    only: String,

    #[command(subcommand)]
    role: Option<Role>,
}

/// What the program starts itself for.
#[derive(Clone, Debug, Subcommand)]
enum Role {
    /// Answer requests until the input ends
    #[command(hide = true)]
    Serve,
    /// Work without measuring, below valgrind
    #[command(hide = true)]
    Repeat { origin: String, work: usize, side: Side, times: usize },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.role {
        None => compare(&options),
        Some(Role::Serve) => answers::serve().map(|()| true),
        Some(Role::Repeat { origin, work, side, times }) => {
            repeat(origin, *work, *side, *times).map(|()| true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the figures; whether they are within the limits.
fn compare(options: &Options) -> Result<bool> {
    let mut server = Command::new(std::env::current_exe()?)
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut origin = String::new();
    BufReader::new(server.stdout.take().ok_or("no output")?).read_line(&mut origin)?;
    let compared = table(options, origin.trim());
    // It ends with its input.
    drop(server.stdin.take());
    server.wait()?;
    compared
}

fn table(options: &Options, origin: &str) -> Result<bool> {
    let (runtime, bench) = (runtime()?, Bench::new(origin)?);
    let counts = benches::server::is_there("valgrind");
    let mut within = true;
    println!(
        "| | CPU µs, guarded | bare | times | at most | instructions, guarded | bare | times |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for (number, work) in WORKS.iter().enumerate() {
        if !work.name.contains(&options.only) {
            continue;
        }
        let rounds = runtime.block_on(rounds(&bench, work, options.rounds))?;
        let guarded = middle(rounds.iter().map(|(guarded, _)| *guarded));
        let bare = middle(rounds.iter().map(|(_, bare)| *bare));
        let times = middle(rounds.iter().map(|(guarded, bare)| guarded / bare));
        within &= times <= work.limit;
        let counted = if counts && work.is_counted() {
            let guarded = counted::instructions(origin, number, Side::Guarded)?;
            let bare = counted::instructions(origin, number, Side::Bare)?;
            format!("{guarded:.0} | {bare:.0} | {:.3}", guarded / bare)
        } else {
            ["NOT COUNTED"; 3].join(" | ")
        };
        let (name, limit) = (work.name, work.limit);
        println!("| {name} | {guarded:.1} | {bare:.1} | {times:.3} | {limit} | {counted} |");
    }
    Ok(within)
}

/// What the two sides took in each round.
async fn rounds(bench: &Bench, work: &Work, rounds: usize) -> Result<Vec<(f64, f64)>> {
    bench.repeat(work, Side::Guarded, WARM_UP).await?;
    bench.repeat(work, Side::Bare, WARM_UP).await?;
    let mut taken = Vec::new();
    for round in 0..rounds {
        // Whoever is first finds other caches.
        taken.push(if round % 2 == 0 {
            let guarded = cost(bench, work, Side::Guarded).await?;
            (guarded, cost(bench, work, Side::Bare).await?)
        } else {
            let bare = cost(bench, work, Side::Bare).await?;
            (cost(bench, work, Side::Guarded).await?, bare)
        });
    }
    Ok(taken)
}

/// The CPU time of this process for one piece of work, in microseconds.
async fn cost(bench: &Bench, work: &Work, side: Side) -> Result<f64> {
    let (begun, before) = (Instant::now(), cpu_time()?);
    let mut times = 0;
    while begun.elapsed() < TIME {
        bench.repeat(work, side, AT_A_TIME).await?;
        times += AT_A_TIME;
    }
    Ok((cpu_time()? - before) / times as f64 / 1e3)
}

/// The CPU time of all threads of this process, in nanoseconds.
fn cpu_time() -> Result<f64> {
    let mut all = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let times = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        all += times.split(' ').next().ok_or("an empty schedstat")?.parse::<f64>()?;
    }
    Ok(all)
}

fn repeat(origin: &str, work: usize, side: Side, times: usize) -> Result<()> {
    let work = WORKS.get(work).ok_or("no such work")?;
    runtime()?.block_on(Bench::new(origin)?.repeat(work, side, times))
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().thread_keep_alive(KEPT).build()?)
}
