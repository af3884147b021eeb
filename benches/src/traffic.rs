//! Clients that call, read streams, lose their connections, come back and leave, all at once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::Result;
use crate::server::Server;
use crate::session::{Answer, Client, Session};

/// Clients at once.
const CLIENTS: usize = 32;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The part of the time after which memory is looked at for the first time: by then as much is kept for
/// clients that may come back as ever is.
const WARM: u32 = 5;
/// The tools of `bench-server --sessions`.
const TOOLS: usize = 4;
/// Errors that are shown.
const SHOWN: usize = 10;

/// What became of so much traffic.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Calls, reads and lists that were answered with JSON or a whole stream.
    pub answered: usize,
    /// Calls whose client left before the answer.
    pub left: usize,
    /// Streamed answers that broke, and that their client went on with.
    pub resumed: usize,
    /// Streams of sessions that were opened and left.
    pub streams: usize,
    /// Sessions that were ended.
    pub ended: usize,
    /// How often a client did not get what it asked for.
    pub errors: usize,
    /// Some of them.
    pub shown: Vec<String>,
    /// Memory of the server in bytes, once warm and at the end.
    pub memory: [u64; 2],
}

impl Traffic {
    /// Has `server` serve all clients for `time`.
    ///
    /// # Errors
    ///
    /// When its memory cannot be looked at. What goes wrong for a client is counted.
    pub async fn take(server: &Server, token: &str, time: Duration) -> Result<Self> {
        let (address, ends) = (server.address(), Instant::now() + time);
        let mut clients = JoinSet::new();
        for seed in 1..=CLIENTS {
            clients.spawn(visits(address, token.to_owned(), seed as u64, ends));
        }
        sleep(time / WARM).await;
        let warm = server.memory()?;
        let mut all = Self::default();
        while let Some(own) = clients.join_next().await {
            all.add(own?);
        }
        all.memory = [warm, server.memory()?];
        Ok(all)
    }

    /// How much more memory the server has at the end, as a part of what it had once warm.
    pub fn growth(&self) -> f64 {
        let [warm, end] = self.memory;
        end as f64 / warm as f64 - 1.0
    }

    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.left += other.left;
        self.resumed += other.resumed;
        self.streams += other.streams;
        self.ended += other.ended;
        self.errors += other.errors;
        self.shown.extend(other.shown);
        self.shown.truncate(SHOWN);
    }
}

/// What one client does until the end.
async fn visits(address: SocketAddr, token: String, seed: u64, ends: Instant) -> Traffic {
    let (mut own, mut random) = (Traffic::default(), Random(seed));
    while Instant::now() < ends {
        let visit = async {
            let mut visitor = Visitor::begin(address, &token).await?;
            while Instant::now() < ends {
                sleep(Duration::from_millis(random.below(20))).await;
                if timeout(PATIENCE, visitor.visit(&mut random, &mut own)).await?? == Goes::Away {
                    break;
                }
            }
            Ok::<_, crate::Error>(())
        };
        if let Err(error) = visit.await {
            own.errors += 1;
            own.shown.push(error.to_string());
            sleep(Duration::from_millis(100)).await;
        }
    }
    own
}

/// Whether a client goes on with its session.
#[derive(Debug, PartialEq, Eq)]
enum Goes {
    On,
    Away,
}

struct Visitor {
    address: SocketAddr,
    client: Client,
    session: Session,
    calls: u64,
}

impl Visitor {
    async fn begin(address: SocketAddr, token: &str) -> Result<Self> {
        let mut client = Client::open(address).await?;
        let session = Session::begin(&mut client, address, token).await?;
        Ok(Self { address, client, session, calls: 0 })
    }

    /// Leaves the connection as it is, and opens another.
    async fn comes_back(&mut self) -> Result<()> {
        self.client = Client::open(self.address).await?;
        Ok(())
    }

    async fn visit(&mut self, random: &mut Random, own: &mut Traffic) -> Result<Goes> {
        self.calls += 1;
        match random.below(10) {
            0..=2 => {
                let arguments = json!({"a": self.calls, "b": 1_000});
                let call = self.session.call(self.calls, "add", arguments, false);
                let answer = self.client.answer(&call).await?;
                right(answer.text() == (self.calls + 1_000).to_string(), &answer)?;
                own.answered += 1;
            }
            3 => {
                let call = self.session.call(self.calls, "count", json!({}), true);
                counted(&self.client.answer(&call).await?)?;
                own.answered += 1;
            }
            4 => {
                let call = self.session.call(self.calls, "wait", json!({"ms": 30}), false);
                self.client.send(&call).await?;
                sleep(Duration::from_millis(random.below(20))).await;
                self.comes_back().await?;
                own.left += 1;
            }
            5 => {
                self.breaks_off(1 + random.below(3) as usize).await?;
                own.resumed += 1;
            }
            6 => {
                let read = self.ask("resources/read", json!({"uri": "bench://note"})).await?;
                right(read.result()["contents"][0]["text"] == "a note", &read)?;
                own.answered += 1;
            }
            7 => {
                let listed = self.ask("tools/list", json!({})).await?;
                let tools = listed.result()["tools"].as_array().map_or(0, Vec::len);
                right(tools == TOOLS, &listed)?;
                own.answered += 1;
            }
            8 => {
                let opened = self.client.ask(&self.session.stream()).await?;
                if opened.status != 200 {
                    return Err(format!("a stream was refused with {}", opened.status).into());
                }
                self.client.opened().await?;
                self.comes_back().await?;
                own.streams += 1;
            }
            _ => {
                let ended = self.client.ask(&self.session.end()).await?;
                if ended.status != 204 {
                    return Err(format!("a session was ended with {}", ended.status).into());
                }
                own.ended += 1;
                return Ok(Goes::Away);
            }
        }
        Ok(Goes::On)
    }

    /// Reads so many events of a streamed answer, loses the connection and goes on over another one:
    /// nothing is missing, and nothing comes again.
    async fn breaks_off(&mut self, after: usize) -> Result<()> {
        let call = self.session.call(self.calls, "count", json!({"ms": 10}), true);
        let (mut answer, mut last) = (Answer::default(), None);
        let begun = self.client.ask(&call).await?;
        for _ in 0..after {
            let event = self.client.event().await?;
            let event = event.ok_or_else(|| format!("no stream: {}", begun.status))?;
            last.clone_from(&event.id);
            answer.take(event)?;
        }
        self.comes_back().await?;
        let resume = self.session.resume(&last.ok_or("an event without an id")?);
        let resumed = self.client.ask(&resume).await?;
        if resumed.status != 200 {
            return Err(format!("resuming was refused with {}", resumed.status).into());
        }
        while let Some(event) = self.client.event().await? {
            answer.take(event)?;
        }
        answer.whole()?;
        counted(&answer)
    }

    async fn ask(&mut self, method: &str, params: Value) -> Result<Answer> {
        self.client.answer(&self.session.request(self.calls, method, params)).await
    }
}

fn counted(answer: &Answer) -> Result<()> {
    right(answer.progress == [1, 2, 3] && answer.text() == "counted", answer)
}

fn right(is_right: bool, answer: &Answer) -> Result<()> {
    match is_right {
        true => Ok(()),
        false => Err(format!("a wrong answer: {answer:?}").into()),
    }
}

/// The same numbers in each run (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
