//! Compares the bench server with a bare axum handler and with rmcp's server, in one run.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use benches::counts::Counts;
use benches::figures::Figures;
use benches::issuer::{Algorithm, Issuer};
use benches::load::Load;
use benches::sample::{self, Sample};
use benches::scenario::Scenario;
use benches::server::{self, SERVERS, Server};
use benches::table::{self, Found, Row};
use benches::{Result, chart};
use clap::Parser;

/// Compares the bench server with a bare axum handler and with rmcp, and prints a table.
///
/// Each server has one worker on one core, the load comes from another. Nothing else should
/// run on the machine: of what is measured, only instructions and allocations do not mind.
#[derive(Debug, Parser)]
struct Options {
    /// How long each server is loaded at a time, in seconds
    #[arg(long, default_value_t = 0.1)]
    seconds: f64,

    /// How often the servers take turns; the medians are shown
    #[arg(long, default_value_t = 50)]
    rounds: usize,

    /// Only requests whose name contains this, such as `cache on` or `tools/list`
    #[arg(long, default_value = "", value_name = "TEXT")]
    only: String,

    /// A folder with the servers, built already [default: they are built]
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,

    /// Leave out what valgrind counts
    #[arg(long)]
    no_counts: bool,

    /// A few seconds to see that all of it works: one request, one short round, no counts
    #[arg(long)]
    quick: bool,

    /// Write the figures of the run, from which a chart can be drawn
    #[arg(long, value_name = "PATH")]
    figures: Option<PathBuf>,

    /// Write a chart of the run
    #[arg(long, value_name = "PATH")]
    svg: Option<PathBuf>,

    /// Measure nothing, and draw the chart of figures that were written before
    #[arg(long, value_name = "PATH", requires = "svg")]
    #[arg(conflicts_with_all = ["seconds", "rounds", "only", "programs", "no_counts", "quick"])]
    #[arg(conflicts_with = "figures")]
    chart_of: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.quick {
        options.seconds = 0.2;
        options.rounds = 1;
        options.no_counts = true;
        options.only = Scenario::ALL[0].name.to_owned();
    }
    let done = match &options.chart_of {
        Some(path) => Figures::read(path).and_then(|figures| draw(&options, &figures)),
        None => compare(&options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How many rounds a server lives.
const ROUNDS_OF_A_SERVER: usize = 5;

/// Connections at once.
const CONNECTIONS: [usize; 3] = [1, 16, 64];

async fn compare(options: &Options) -> Result<()> {
    // Before this process is kept on one core.
    let conditions = conditions();
    let folder = match &options.programs {
        Some(programs) => programs.clone(),
        None => server::build(&["bench-server"], &["bare-axum", "rmcp-server"])?,
    };
    if server::can_pin() {
        server::pin_load()?;
    } else {
        eprintln!("WARNING: no taskset or one core: the load takes CPU time from the servers");
    }
    let counted = !options.no_counts && server::is_there("valgrind");
    if !counted {
        eprintln!("WARNING: instructions and allocations are NOT COUNTED: valgrind is not used");
    }
    let files = tempfile::tempdir()?;
    let mut rows = Vec::new();
    for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
        let bench = Bench { options, programs: &folder, files: files.path(), counted };
        let issuer = Issuer::new(algorithm, files.path())?;
        let scenarios = Scenario::ALL.into_iter().filter(|scenario| {
            scenario.algorithm == algorithm && scenario.name.contains(&options.only)
        });
        for scenario in scenarios {
            eprintln!("{}", scenario.name);
            rows.push(bench.row(scenario, &issuer).await?);
        }
    }
    println!("{}\n{}", table::table(&rows, &CONNECTIONS), table::verdicts(&rows));
    if options.figures.is_none() && options.svg.is_none() {
        return Ok(());
    }
    let figures = Figures::of(&rows, commit()?, conditions)?;
    if let Some(path) = &options.figures {
        figures.write(path)?;
    }
    draw(options, &figures)
}

/// Writes the chart, if one was asked for.
fn draw(options: &Options, figures: &Figures) -> Result<()> {
    let Some(path) = &options.svg else { return Ok(()) };
    std::fs::write(path, chart::svg(figures))
        .map_err(|error| format!("{}: {error}", path.display()).into())
}

/// The commit that is measured, with a `+` if it was changed.
fn commit() -> Result<String> {
    let git = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("git").args(arguments).output()?;
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout)?.trim().to_owned()),
            false => Err("`git` does not say which commit is measured".into()),
        }
    };
    let changed = if git(&["status", "--porcelain", "-uno"])?.is_empty() { "" } else { "+" };
    Ok(git(&["rev-parse", "--short", "HEAD"])? + changed)
}

fn conditions() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let connections = CONNECTIONS.last().copied().unwrap_or_default();
    format!("one core of a {cores}-core machine, {connections} connections")
}

struct Bench<'a> {
    options: &'a Options,
    programs: &'a Path,
    files: &'a Path,
    counted: bool,
}

impl Bench<'_> {
    async fn row(&self, scenario: Scenario, issuer: &Issuer) -> Result<Row> {
        let token = scenario.token(issuer)?;
        let mut found = self.samples(scenario, issuer, &token).await?;
        if self.counted {
            for (server, found) in SERVERS.iter().zip(&mut found) {
                let program = self.programs.join(server);
                let start = |wrap: &[String]| scenario.start(wrap, &program, issuer);
                let requests = async |address| Ok(scenario.requests(address, &token));
                found.counts = Some(Counts::take(self.files, start, requests).await?);
            }
        }
        Ok(Row { scenario, found })
    }

    /// The servers take turns, so that what else the machine does hits all of them, and are
    /// restarted now and then, because some of it depends on where memory happens to lie.
    async fn samples(
        &self,
        scenario: Scenario,
        issuer: &Issuer,
        token: &str,
    ) -> Result<Vec<Found>> {
        let time = Duration::from_secs_f64(self.options.seconds);
        let nothing = Found { samples: Vec::new(), ratios: Vec::new(), counts: None };
        let mut found = vec![nothing; SERVERS.len()];
        for connections in CONNECTIONS {
            let mut taken = vec![Vec::new(); SERVERS.len()];
            let mut servers: Vec<Server> = Vec::new();
            for round in 0..self.options.rounds {
                if round % ROUNDS_OF_A_SERVER == 0 {
                    servers.drain(..).try_for_each(Server::stop)?;
                    for name in SERVERS {
                        servers.push(scenario.start(&[], &self.programs.join(name), issuer)?);
                    }
                }
                for (server, taken) in servers.iter().zip(&mut taken) {
                    let requests = scenario.requests(server.address(), token);
                    let mut load = Load::open(server.address(), requests, connections).await?;
                    taken.push(Sample::take(server, &mut load, time).await?);
                }
            }
            servers.drain(..).try_for_each(Server::stop)?;
            let Some(bare) = taken.first() else { continue };
            for (found, taken) in found.iter_mut().zip(&taken) {
                found.samples.push(Sample::median(taken));
                found.ratios.push(sample::ratio(taken, bare));
            }
        }
        Ok(found)
    }
}
