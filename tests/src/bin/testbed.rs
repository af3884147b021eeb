//! The server that outsiders test, with the demo's own flags.

use clap::Parser;
use portcullis::prelude::*;
use portcullis_demo::options::Options;
use portcullis_demo::serve;
use portcullis_demo::state::StateDir;
use portcullis_tests::testbed::{Ran, components, health};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let mut options = Options::parse();
    // The tests' identity providers are on this machine.
    options.jwt.allow_loopback_idp = true;
    serve::exit_code(run(&options).await)
}

async fn run(options: &Options) -> Result<(), portcullis::Error> {
    serve::start_log(options)?;
    let state = StateDir::open(options.state_dir.as_deref())?;
    let server = Server::builder("portcullis-testbed")
        .state(state.workspace()?)
        .state(Ran::default())
        .components(components())
        .route(get("/health", health).public("liveness, reveals nothing"));
    serve::serve(options, server).await
}
