//! The server that outsiders test, with the demo's own flags.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use portcullis::ServerBuilder;
use portcullis::metrics::Prometheus;
use portcullis::prelude::*;
use portcullis::server::AuthUnset;
use portcullis_demo::options::Options;
use portcullis_demo::serve;
use portcullis_demo::state::StateDir;
use portcullis_tests::shifted_clock::ShiftedClock;
use portcullis_tests::testbed::{Ran, admin_reset, health, livez};
use portcullis_tests::{chatty, conformance, everything, interaction, leaky, noisy, testbed};

/// The server that the test suites of others use: the demo's flags, and the components to serve.
#[derive(Debug, Parser)]
#[command(version)]
struct TestbedOptions {
    #[command(flatten)]
    options: Options,

    /// The components to serve
    #[arg(long, value_enum, default_value_t = Fixtures::Testbed)]
    fixtures: Fixtures,

    /// Be ahead of the system's clock by as many seconds as are written in this file at the time
    #[arg(long, value_name = "FILE")]
    clock_ahead: Option<PathBuf>,

    /// Log so slowly that an idle server ends meanwhile
    #[arg(long)]
    slow_log: bool,

    /// Measure, and let whoever has the scope `read` see it at /metrics
    #[arg(long)]
    metrics: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fixtures {
    /// Components that show how the framework guards them
    Testbed,
    /// Components that the official conformance suite expects
    Conformance,
    /// One component for each form of parameter and result
    Everything,
    /// Components that say something to their client while they run, or ask it for something
    Interaction,
    /// A component that prints to standard output
    Noisy,
    /// A component that tells its client more than it reads
    Chatty,
    /// Components that give away the secret in MARKED_SECRET
    Leaky,
}

impl Fixtures {
    fn added_to(self, server: ServerBuilder<AuthUnset>) -> ServerBuilder<AuthUnset> {
        match self {
            Self::Testbed => server
                .components(testbed::components())
                .middleware(AuthMiddleware::new(restrict_tag("ops", ["admin"])))
                .disable(tags(["admin"])),
            Self::Interaction => server.components(interaction::components()),
            Self::Noisy => server.components(noisy::components()),
            Self::Chatty => server.components(chatty::components()),
            Self::Leaky => server.components(leaky::components()),
            Self::Conformance => server.components(conformance::components()),
            Self::Everything => {
                server.components(everything::components()).state(everything::Shelf { books: 3 })
            }
        }
    }
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let TestbedOptions { mut options, fixtures, clock_ahead, slow_log, metrics } =
        TestbedOptions::parse();
    if let Some(file) = clock_ahead {
        options.clock = Arc::new(ShiftedClock::by(file));
    }
    // The tests' identity providers are on this machine.
    options.jwt.allow_loopback_idp = true;
    options.clients.allow_loopback_documents = true;
    serve::exit_code(run(&options, fixtures, metrics, slow_log).await)
}

async fn run(
    options: &Options,
    fixtures: Fixtures,
    metrics: bool,
    slow_log: bool,
) -> Result<(), portcullis_demo::Error> {
    match slow_log {
        true => tracing_subscriber::fmt().with_ansi(false).with_writer(|| SlowLog).init(),
        false => serve::start_log(options)?,
    }
    if let Fixtures::Leaky = fixtures {
        leaky::load()?;
    }
    let state = StateDir::open(options.state_dir.as_deref())?;
    let server = Server::builder("portcullis-testbed")
        .state(state.workspace()?)
        .state(Ran::default())
        .route(health())
        .route(livez())
        .route(admin_reset());
    let server = match metrics {
        true => {
            let prometheus = Prometheus::install()?;
            server.route(prometheus.route("/metrics").require(require_scopes(["read"])))
        }
        false => server,
    };
    serve::serve(options, fixtures.added_to(server)).await
}

/// Standard error, as a terminal has it that takes its time.
struct SlowLog;

impl Write for SlowLog {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        std::thread::sleep(Duration::from_millis(100));
        portcullis::stderr().write(record)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
