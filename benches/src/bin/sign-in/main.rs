//! What signing in costs, beside FastMCP's OAuthProxy, and what the grants of many take.

mod cost;
mod kept;
mod servers;

use std::process::ExitCode;
use std::time::Instant;

use benches::crowd::Crowd;
use benches::{Result, server};
use clap::Parser;

use self::servers::Servers;

/// Measures what a whole sign-in and a refresh cost, beside FastMCP's OAuthProxy in one run.
///
/// A sign-in is a registration, the page that asks, its form, the way to the identity provider and
/// back, and the exchange of the code, over HTTP. Both servers stand before the same stand-in for an
/// identity provider, which runs with the load. Each server has one core, the load another; nothing
/// else should run on the machine.
#[derive(Debug, Parser)]
struct Options {
    /// How often the servers take turns; the medians are shown
    #[arg(long, default_value_t = 20)]
    rounds: usize,

    /// Users at once, in each turn
    #[arg(long, default_value_t = 16)]
    users: usize,

    /// Sign-ins without a pause, 64 at a time
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    sign_ins: usize,

    /// Clients with a grant each: what memory they take, and how long a start with them
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    clients: usize,

    /// Only the memory, and the start: nothing is compared
    #[arg(long)]
    only_kept: bool,

    /// Some seconds to see that all of it works: one round, and few clients
    #[arg(long)]
    quick: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.quick {
        options.rounds = 1;
        options.users = 4;
        options.sign_ins = AT_A_TIME;
        options.clients = AT_A_TIME;
    }
    match run(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How much less CPU time than FastMCP's server this one takes at least.
const TIMES: f64 = 50.0;
/// The most that all clients with their grants take, in megabytes.
const MEMORY_LIMIT: f64 = 30.0;
/// The longest that a server takes to start with them, in milliseconds.
const START_LIMIT: f64 = 200.0;
/// How many users come at once where nothing is compared.
const AT_A_TIME: usize = 64;

/// Prints the figures; whether they are within the limits.
async fn run(options: &Options) -> Result<bool> {
    let servers = Servers::prepare(!options.only_kept)?;
    if server::can_pin() {
        server::pin_load()?;
    } else {
        eprintln!("WARNING: no taskset or one core: the load takes CPU time from the servers");
    }
    if options.only_kept {
        return kept(&servers, options.clients).await;
    }
    let rows = cost::take(&servers, options.rounds, options.users).await?;
    println!("| CPU time, µs | Portcullis | FastMCP {} | times | at least |", servers.version());
    println!("|---|---:|---:|---:|---:|");
    for row in &rows {
        let (what, own, other, times) = (row.what, row.own, row.other, row.times);
        println!("| {what} | {own:.0} | {other:.0} | {times:.1} | {TIMES} |");
    }

    let small = kept(&servers, options.clients).await?;
    let (count, seconds) = at_once(&servers, options.sign_ins).await?;
    let rate = count as f64 / seconds;
    println!("\n{count} sign-ins, {AT_A_TIME} at a time: no error, {rate:.0} in a second");
    let cheap = rows.iter().all(|row| row.times >= TIMES);
    Ok(cheap && small)
}

/// What `clients` with a grant each take; whether that is within the limits.
async fn kept(servers: &Servers, clients: usize) -> Result<bool> {
    let memory = kept::memory(servers, clients).await?;
    let starts = kept::starts(servers, clients).await?;
    println!("\n| {clients} clients with a grant each | | at most |");
    println!("|---|---:|---:|");
    println!("| memory, MB | {memory:.1} | {MEMORY_LIMIT} |");
    println!("| start from a file with them, ms | {:.0} | {START_LIMIT} |", starts.full);
    println!("| start from a new file, ms | {:.0} | |", starts.empty);
    Ok(memory <= MEMORY_LIMIT && starts.full <= START_LIMIT)
}

/// Signs in `count` times or a few more; gives the number, and the seconds that they took.
async fn at_once(servers: &Servers, count: usize) -> Result<(usize, f64)> {
    let provider = servers.identity_provider().await?;
    let server = servers.own(&provider, &[])?;
    let mut crowd = Crowd::open(0..AT_A_TIME, server.address(), provider.address()).await?;
    let begun = Instant::now();
    let count = crowd.sign_in(count.div_ceil(AT_A_TIME)).await?;
    let seconds = begun.elapsed().as_secs_f64();
    server.stop()?;
    Ok((count, seconds))
}
