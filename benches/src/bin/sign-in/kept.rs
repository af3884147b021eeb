//! What the grants of many clients take: memory, and time when a server starts with them.

use std::ffi::OsStr;

use benches::Result;
use benches::crowd::Crowd;
use benches::identity_provider::IdentityProvider;
use benches::sample::middle;
use benches::server::Server;
use benches::sign_in::User;

use crate::AT_A_TIME;
use crate::servers::Servers;

/// How often a server starts for one figure.
const STARTS: usize = 5;

/// How long a server takes from its start until it listens, in milliseconds.
pub(crate) struct Starts {
    pub(crate) empty: f64,
    /// With the records of all clients.
    pub(crate) full: f64,
}

/// What `clients` take, in megabytes.
pub(crate) async fn memory(servers: &Servers, clients: usize) -> Result<f64> {
    let provider = servers.identity_provider().await?;
    let server = servers.own(&provider, &[])?;
    // What the first ones take, and connections, is the server's own.
    sign_in(&server, &provider, AT_A_TIME).await?;
    let before = server.memory()?;
    sign_in(&server, &provider, clients).await?;
    let after = server.memory()?;
    server.stop()?;
    Ok(after.saturating_sub(before) as f64 / 1e6)
}

/// Starts servers on a file without records, and on one with those of `clients`.
pub(crate) async fn starts(servers: &Servers, clients: usize) -> Result<Starts> {
    let provider = servers.identity_provider().await?;
    let temporary = tempfile::tempdir_in(servers.folder())?;
    let folder = temporary.path().join("state");
    let state = [OsStr::new("--state-dir"), folder.as_os_str()];
    let server = servers.own(&provider, &state)?;
    let address = server.address();
    server.stop()?;
    // What is kept is the issuer's, which has the port.
    let port = address.port().to_string();
    let state = [&state[..], &["--port", &port].map(OsStr::new)].concat();
    let empty = start(servers, &provider, &state)?;

    let server = servers.own(&provider, &state)?;
    let mut user = User::open(clients, address, provider.address()).await?;
    let tokens = user.sign_in().await?;
    sign_in(&server, &provider, clients).await?;
    server.stop()?;
    let full = start(servers, &provider, &state)?;

    let server = servers.own(&provider, &state)?;
    let mut user = User::open(clients, address, provider.address()).await?;
    user.refresh(&tokens).await.map_err(|error| format!("after a restart: {error}"))?;
    server.stop()?;
    Ok(Starts { empty, full })
}

fn start(servers: &Servers, provider: &IdentityProvider, state: &[&OsStr]) -> Result<f64> {
    let mut taken = Vec::new();
    for _ in 0..STARTS {
        let server = servers.own(provider, state)?;
        taken.push(server.listened_after().as_secs_f64() * 1e3);
        server.stop()?;
    }
    Ok(middle(taken.into_iter()))
}

/// Each is a user at an address of their own, with a new client.
async fn sign_in(server: &Server, provider: &IdentityProvider, clients: usize) -> Result<()> {
    let mut done = 0;
    while done < clients {
        let numbers = done..clients.min(done + AT_A_TIME);
        done = numbers.end;
        Crowd::open(numbers, server.address(), provider.address()).await?.sign_in(1).await?;
    }
    Ok(())
}
