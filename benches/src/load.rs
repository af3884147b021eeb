//! Load on keep-alive connections, with as little of its own as possible.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Result;
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

/// Connections that send one request after the other, each waiting for its answer.
#[derive(Debug)]
pub struct Load {
    requests: Arc<[Request]>,
    connections: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
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
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            opened.push(Connection { stream, buffer: Vec::with_capacity(16 * 1024) });
        }
        Ok(Self { requests: requests.into(), connections: opened })
    }

    /// Runs all connections, and gives the time that each request took.
    ///
    /// # Errors
    ///
    /// With the first answer that is not right.
    pub async fn run(&mut self, until: Until) -> Result<Vec<Duration>> {
        let mut running = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let requests = Arc::clone(&self.requests);
            running.spawn(async move {
                let times = connection.run(&requests, until).await;
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

impl Connection {
    async fn run(&mut self, requests: &[Request], until: Until) -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        let mut begun = Instant::now();
        for request in requests.iter().cycle() {
            self.stream.write_all(&request.bytes).await?;
            self.answer(request).await?;
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

    async fn answer(&mut self, request: &Request) -> Result<()> {
        self.buffer.clear();
        let mut head = None;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("a connection was closed".into());
            }
            if head.is_none() {
                head = Head::read(&self.buffer)?;
            }
            let Some(Head { status, body, end }) = head else { continue };
            match self.buffer.get(body..end) {
                Some(body) if self.buffer.len() == end => return request.check(status, body),
                Some(_) => return Err("more was answered than asked".into()),
                None => {}
            }
        }
    }
}

/// What the head of an answer says.
#[derive(Clone, Copy, Debug)]
struct Head {
    status: u16,
    body: usize,
    end: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = str::from_utf8(bytes.get(..end).unwrap_or_default())?;
        let status = head.get(9..12).and_then(|code| code.parse().ok());
        let length = head.lines().filter_map(|line| line.split_once(": ")).find_map(|line| {
            line.0.eq_ignore_ascii_case("content-length").then(|| line.1.parse::<usize>().ok())?
        });
        let (Some(status), Some(length)) = (status, length) else {
            return Err(format!("an answer without a status or a length: {head}").into());
        };
        let body = end + 4;
        Ok(Some(Self { status, body, end: body + length }))
    }
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
