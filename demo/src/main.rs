//! `cargo run`: a protected MCP server on http://127.0.0.1:8000/mcp.

use clap::Parser;
use portcullis::prelude::*;
use portcullis_demo::database::Database;
use portcullis_demo::options::Options;
use portcullis_demo::state::StateDir;
use portcullis_demo::{components, routes, serve};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let options = Options::parse();
    serve::exit_code(run(&options).await)
}

async fn run(options: &Options) -> Result<(), portcullis_demo::Error> {
    serve::start_log(options)?;
    let state = StateDir::open(options.state_dir.as_deref())?;
    let database = Database::open(state.path())?;
    let server = Server::builder("portcullis-demo")
        .instructions("Users, items and files. Ask for a profile first.")
        .state(database.clone())
        .state(state.workspace()?)
        .components(components())
        // `admin` says who may; `dangerous` is hidden from them too, until they unlock it.
        .middleware(AuthMiddleware::new(restrict_tag("admin", ["admin"])))
        .disable(tags(["dangerous"]))
        .route(routes::health())
        .route(routes::healthz())
        .route(routes::readyz())
        .route(routes::admin_reset(database));
    serve::serve(options, server).await
}
