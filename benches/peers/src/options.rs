//! The flags of the bench server, and what they start.

use std::error::Error;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;

use axum::Router;
use axum::serve::ListenerExt;
use clap::{Parser, ValueEnum};
use jsonwebtoken::Algorithm;
use tokio::signal::unix::{SignalKind, signal};

/// A peer of the bench server, with its flags.
#[derive(Debug, Parser)]
pub struct Options {
    /// The port on 127.0.0.1; 0 lets the system choose
    #[arg(long, default_value_t = 8000)]
    pub port: u16,

    /// A file with the public key that tokens are verified with, in PEM
    #[arg(long, value_name = "FILE")]
    pub public_key: PathBuf,

    /// Which algorithm is accepted: RS256 or ES256
    #[arg(long, value_name = "NAME", default_value = "RS256")]
    pub algorithms: Algorithm,

    /// Who issues the tokens: `iss`
    #[arg(long)]
    pub issuer: String,

    /// What the tokens must be meant for: `aud`
    #[arg(long)]
    pub audience: String,

    /// Threads that serve
    #[arg(long, default_value_t = 1)]
    pub workers: usize,

    /// Whether a token that was verified is verified again
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub token_cache: Switch,

    /// Further tools; the first and every second one needs the scope `admin`
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub tools: usize,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On
    On,
    /// Off
    Off,
}

/// Serves what `router` makes of the command line, on the runtime of the bench server.
pub fn serve(router: fn(&Options) -> Result<Router, Box<dyn Error>>) -> ExitCode {
    let options = Options::parse();
    let served = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.workers)
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(listen(options.port, router(&options)?)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn listen(port: u16, router: Router) -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    eprintln!("URL             http://{}/mcp", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // A connection that is already gone will be found to be.
        let _ = stream.set_nodelay(true);
    });
    let mut stopped = signal(SignalKind::terminate())?;
    tokio::select! {
        served = axum::serve(listener, router) => Ok(served?),
        // As the bench server: what is killed writes no profile.
        _ = stopped.recv() => Ok(()),
    }
}
