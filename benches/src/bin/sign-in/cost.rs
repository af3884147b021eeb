//! CPU time, side by side.

use std::time::Duration;

use benches::Result;
use benches::crowd::Crowd;
use benches::identity_provider::{IdentityProvider, LIFETIME};
use benches::sample::middle;
use benches::server::Server;

use crate::servers::Servers;

/// How many rounds a server lives: some of its cost depends on where its memory happens to lie.
const ROUNDS_OF_A_SERVER: usize = 5;
/// How often each user signs in in one turn. A server lets an address sign in 60 times in a minute.
const SIGN_INS: usize = 5;
/// How often each refreshes after that.
const REFRESHES: usize = 2;

/// What one thing costs each server, in microseconds.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) own: f64,
    pub(crate) other: f64,
    /// How many times its own is the other's: the median over the rounds.
    pub(crate) times: f64,
}

/// What one turn cost a server, in microseconds.
struct Turn {
    sign_in: f64,
    refresh: f64,
}

/// The servers take turns, so that what else the machine does hits both.
pub(crate) async fn take(servers: &Servers, rounds: usize, users: usize) -> Result<[Row; 2]> {
    let provider = servers.identity_provider().await?;
    let (mut own, mut other) = (Vec::new(), Vec::new());
    let mut measured: Option<[Measured; 2]> = None;
    for round in 0..rounds {
        if round % ROUNDS_OF_A_SERVER == 0 {
            stop(measured.take())?;
        }
        let [first, second] = match &mut measured {
            Some(both) => both,
            none => none.insert([
                Measured::open(servers.own(&provider, &[])?, &provider, users).await?,
                Measured::open(servers.other(&provider)?, &provider, users).await?,
            ]),
        };
        own.push(first.turn().await?);
        other.push(second.turn().await?);
    }
    stop(measured)?;
    Ok([
        row("a whole sign-in", &own, &other, |turn| turn.sign_in),
        row("a refresh", &own, &other, |turn| turn.refresh),
    ])
}

fn row(what: &'static str, own: &[Turn], other: &[Turn], figure: fn(&Turn) -> f64) -> Row {
    Row {
        what,
        own: middle(own.iter().map(figure)),
        other: middle(other.iter().map(figure)),
        times: middle(own.iter().zip(other).map(|(own, other)| figure(other) / figure(own))),
    }
}

fn stop(measured: Option<[Measured; 2]>) -> Result<()> {
    measured.into_iter().flatten().try_for_each(|measured| measured.server.stop())
}

/// A server with its users.
struct Measured {
    server: Server,
    crowd: Crowd,
}

impl Measured {
    /// What only the first ones cost is not measured.
    async fn open(server: Server, provider: &IdentityProvider, users: usize) -> Result<Self> {
        let mut crowd = Crowd::open(0..users, server.address(), provider.address()).await?;
        crowd.sign_in(1).await?;
        crowd.refresh(1).await?;
        Ok(Self { server, crowd })
    }

    async fn turn(&mut self) -> Result<Turn> {
        self.crowd.come_again().await?;
        let begun = self.server.cpu_time()?;
        let count = self.crowd.sign_in(SIGN_INS).await?;
        let sign_in = each(self.server.cpu_time()? - begun, count);
        let (mut taken, mut count) = (Duration::ZERO, 0);
        for _ in 0..REFRESHES {
            // Each refresh is one at the identity provider, too, once its tokens have ended.
            tokio::time::sleep(LIFETIME + Duration::from_millis(100)).await;
            let begun = self.server.cpu_time()?;
            count += self.crowd.refresh(1).await?;
            taken += self.server.cpu_time()? - begun;
        }
        Ok(Turn { sign_in, refresh: each(taken, count) })
    }
}

fn each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}
