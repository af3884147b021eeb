//! Load on keep-alive connections, with as little of its own as possible.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{AbortHandle, JoinSet, yield_now};

use crate::Result;
use crate::connection::Connection;
use crate::request::Request;

/// How long a fixed number of requests may take, under valgrind too.
const PATIENCE: Duration = Duration::from_secs(600);

/// When a connection has sent enough.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// At this time.
    Time(Instant),
    /// After so many requests.
    Count(usize),
}

/// Keeps this thread from sleeping until it is dropped.
///
/// To wake a thread on another core costs as much CPU time as it takes to answer, and it is the server
/// that would pay for it, the more often the faster its clients are. Those of a server on a network sleep
/// on machines of their own.
#[derive(Debug)]
pub struct Awake(AbortHandle);

impl Awake {
    /// From here on; it needs the runtime of this thread.
    pub fn keep() -> Self {
        let never_waits = async {
            loop {
                yield_now().await;
            }
        };
        Self(tokio::spawn(never_waits).abort_handle())
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Connections that send one request after the other, each waiting for its answer.
#[derive(Debug)]
pub struct Load {
    requests: Arc<[Request]>,
    connections: Vec<Connection>,
}

impl Load {
    /// Opens `connections` of them.
    ///
    /// # Errors
    ///
    /// When one cannot be opened.
    pub async fn open(
        address: SocketAddr,
        requests: Vec<Request>,
        connections: usize,
    ) -> Result<Self> {
        let mut opened = Vec::new();
        for _ in 0..connections {
            opened.push(Connection::open(address).await?);
        }
        Ok(Self { requests: requests.into(), connections: opened })
    }

    /// Runs all connections, and gives the time that each request took.
    ///
    /// # Errors
    ///
    /// With the first answer that is not right.
    pub async fn run(&mut self, until: Until) -> Result<Vec<Duration>> {
        let _awake = Awake::keep();
        let mut running = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let requests = Arc::clone(&self.requests);
            running.spawn(async move {
                let times = run(&mut connection, &requests, until).await;
                times.map(|times| (connection, times))
            });
        }
        let mut all = Vec::new();
        while let Some(ended) = running.join_next().await {
            let (connection, times) = ended??;
            self.connections.push(connection);
            all.extend(times);
        }
        Ok(all)
    }
}

/// Sends one request after the other.
async fn run(
    connection: &mut Connection,
    requests: &[Request],
    until: Until,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut begun = Instant::now();
    for request in requests.iter().cycle() {
        let answer = connection.exchange(&request.bytes).await?;
        request.check(answer.status, answer.body)?;
        let ended = Instant::now();
        times.push(ended - begun);
        begun = ended;
        let enough = match until {
            Until::Time(end) => ended >= end,
            Until::Count(count) => times.len() >= count,
        };
        if enough {
            break;
        }
    }
    Ok(times)
}

/// Opens connections, sends `count` requests over each, and closes them.
///
/// # Errors
///
/// With the first answer that is not right, or that takes too long.
pub async fn send(
    address: SocketAddr,
    requests: Vec<Request>,
    connections: usize,
    count: usize,
) -> Result<()> {
    let mut load = Load::open(address, requests, connections).await?;
    tokio::time::timeout(PATIENCE, load.run(Until::Count(count))).await??;
    Ok(())
}
