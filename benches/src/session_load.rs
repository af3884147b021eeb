//! Many sessions that are idle, their streams, and calls in a few.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::Result;
use crate::load::Awake;
use crate::server::Server;
use crate::session::{Client, Session};

/// Connections that begin sessions, or call, at once.
pub const CONNECTIONS: usize = 16;
/// How long a server has to give back what it needs no more.
const SETTLES: Duration = Duration::from_secs(2);
/// How long a notification, or an answer, may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// By when a stream that is told twice has been, and how long each is looked at then.
const AGAIN: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_millis(1);

/// What is called in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// `add`, which is answered with JSON, or with a stream where the server has no other.
    Call,
    /// `count`, which tells its progress three times.
    Streamed,
}

/// What idle sessions and streams take.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// Bytes of memory for each session.
    pub session: f64,
    /// Bytes of memory for each stream, beside its session.
    pub stream: f64,
    /// How long it took until the last stream was told of a change.
    pub told: Duration,
}

impl Idle {
    /// Begins so many sessions at `server`, and opens the streams of some of them.
    ///
    /// # Errors
    ///
    /// When one of them cannot be had, or a stream is told of nothing.
    pub async fn take(
        server: &Server,
        token: &str,
        sessions: usize,
        streams: usize,
    ) -> Result<Self> {
        let address = server.address();
        // What the first ones take once and for all.
        begin(address, token, 200).await?;
        let before = settled(server).await?;
        let begun = begin(address, token, sessions).await?;
        let with_sessions = settled(server).await?;
        let mut opened = Vec::new();
        for session in begun.iter().take(streams) {
            let mut client = Client::open(address).await?;
            let head = client.ask(&session.stream()).await?;
            if head.status != 200 {
                return Err(format!("a stream was refused with {}", head.status).into());
            }
            client.opened().await?;
            opened.push(client);
        }
        let with_streams = settled(server).await?;
        let told = told(address, token, opened).await?;
        let each =
            |more: u64, less: u64, count: usize| more.saturating_sub(less) as f64 / count as f64;
        Ok(Self {
            session: each(with_sessions, before, sessions),
            stream: each(with_streams, with_sessions, streams),
            told,
        })
    }
}

async fn settled(server: &Server) -> Result<u64> {
    tokio::time::sleep(SETTLES).await;
    server.memory()
}

/// Begins sessions over a few connections, which are closed then.
async fn begin(address: SocketAddr, token: &str, count: usize) -> Result<Vec<Session>> {
    let mut tasks = JoinSet::new();
    for number in 0..CONNECTIONS {
        let token = token.to_owned();
        tasks.spawn(async move {
            let mut client = Client::open(address).await?;
            let mut begun = Vec::new();
            for _ in (number..count).step_by(CONNECTIONS) {
                begun.push(Session::begin(&mut client, address, &token).await?);
            }
            Ok::<_, crate::Error>(begun)
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(begun) = tasks.join_next().await {
        all.extend(begun??);
    }
    Ok(all)
}

/// Changes a list, and waits until all streams were told of it, once each.
async fn told(address: SocketAddr, token: &str, streams: Vec<Client>) -> Result<Duration> {
    let mut client = Client::open(address).await?;
    let session = Session::begin(&mut client, address, token).await?;
    let announce = session.call(1, "announce", json!({}), false);
    let mut waiting = JoinSet::new();
    for mut stream in streams {
        waiting.spawn(async move {
            loop {
                let event = stream.event().await?.ok_or("a stream has ended")?;
                if event.message["method"] == "notifications/tools/list_changed" {
                    return Ok::<_, crate::Error>((Instant::now(), stream));
                }
            }
        });
    }
    let began = Instant::now();
    client.answer(&announce).await?;
    let mut last = began;
    // The streams stay open until all were told.
    let mut open = Vec::new();
    while let Some(told) = tokio::time::timeout(PATIENCE, waiting.join_next()).await? {
        let (at, stream) = told??;
        last = last.max(at);
        open.push(stream);
    }
    tokio::time::sleep(AGAIN).await;
    for stream in &mut open {
        if let Ok(more) = tokio::time::timeout(LOOK, stream.event()).await {
            return Err(format!("a stream was told twice, or has ended: {more:?}").into());
        }
    }
    Ok(last - began)
}

/// Connections with a session each, which call in it.
#[derive(Debug)]
pub struct Callers {
    callers: Vec<Caller>,
    work: Work,
}

#[derive(Debug)]
struct Caller {
    client: Client,
    session: Session,
    calls: u64,
}

impl Callers {
    /// Opens so many.
    ///
    /// # Errors
    ///
    /// When a session cannot be had.
    pub async fn open(address: SocketAddr, token: &str, work: Work, count: usize) -> Result<Self> {
        let mut callers = Vec::new();
        for _ in 0..count {
            let mut client = Client::open(address).await?;
            let session = Session::begin(&mut client, address, token).await?;
            callers.push(Caller { client, session, calls: 0 });
        }
        Ok(Self { callers, work })
    }

    /// Calls so many times over each connection; gives the number of all.
    ///
    /// # Errors
    ///
    /// With the first answer that is not right.
    pub async fn call(&mut self, times: usize) -> Result<usize> {
        let _awake = Awake::keep();
        let (mut running, work) = (JoinSet::new(), self.work);
        for mut caller in self.callers.drain(..) {
            running.spawn(async move {
                for _ in 0..times {
                    tokio::time::timeout(PATIENCE, caller.call(work)).await??;
                }
                Ok::<_, crate::Error>(caller)
            });
        }
        while let Some(ended) = running.join_next().await {
            self.callers.push(ended??);
        }
        Ok(self.callers.len() * times)
    }

    /// The CPU time of `server` for each of so many calls over each connection, in microseconds.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn cost(&mut self, server: &Server, times: usize) -> Result<f64> {
        self.call(times.div_ceil(4)).await?;
        let before = server.cpu_time()?;
        let calls = self.call(times).await?;
        Ok((server.cpu_time()? - before).as_secs_f64() * 1e6 / calls as f64)
    }
}

impl Caller {
    async fn call(&mut self, work: Work) -> Result<()> {
        self.calls += 1;
        let (tool, arguments, told, text): (_, _, &[u64], _) = match work {
            Work::Call => {
                let sum = (self.calls + 1_000).to_string();
                ("add", json!({"a": self.calls, "b": 1_000}), &[], sum)
            }
            Work::Streamed => ("count", json!({}), &[1, 2, 3], "counted".to_owned()),
        };
        let request = self.session.call(self.calls, tool, arguments, work == Work::Streamed);
        let answer = self.client.answer(&request).await?;
        match answer.text() == text && answer.progress == told {
            true => Ok(()),
            false => Err(format!("a wrong answer to {tool}: {answer:?}").into()),
        }
    }
}
