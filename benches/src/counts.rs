//! What a request takes whatever else the machine does: instructions and allocations, as
//! valgrind counts them.
//!
//! A server is run twice, for few requests and for many. The difference is what the further
//! ones took, without the start and the end of the server.

use std::net::SocketAddr;
use std::path::Path;

use crate::Result;
use crate::load;
use crate::request::Request;
use crate::server::Server;

const FEW: usize = 100;
const MANY: usize = 600;

/// What one request takes in user space.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Instructions.
    pub instructions: f64,
    /// Calls of malloc, calloc and realloc.
    pub allocations: f64,
    /// The bytes that they asked for.
    pub bytes: f64,
}

/// What valgrind wrote at the end of one run.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    instructions: f64,
    allocations: f64,
    bytes: f64,
}

impl Counts {
    /// Counts for a server that `start` starts below the given programs, and for `requests`.
    ///
    /// # Errors
    ///
    /// When valgrind does not run the server to its end, or says no numbers.
    pub async fn take(
        folder: &Path,
        start: impl Fn(&[String]) -> Result<Server>,
        requests: impl AsyncFn(SocketAddr) -> Result<Vec<Request>>,
    ) -> Result<Self> {
        let send = async |address: SocketAddr, count: usize| {
            load::send(address, requests(address).await?, 1, count).await
        };
        Self::of(folder, start, send).await
    }

    /// As [`take`](Self::take), where `send` sends so many requests.
    ///
    /// # Errors
    ///
    /// As those of [`take`](Self::take), and of `send`.
    pub async fn of(
        folder: &Path,
        start: impl Fn(&[String]) -> Result<Server>,
        send: impl AsyncFn(SocketAddr, usize) -> Result<()>,
    ) -> Result<Self> {
        let few = totals(folder, &start, &send, FEW).await?;
        let many = totals(folder, &start, &send, MANY).await?;
        let each =
            |figure: fn(&Totals) -> f64| (figure(&many) - figure(&few)) / (MANY - FEW) as f64;
        Ok(Self {
            instructions: each(|totals| totals.instructions),
            allocations: each(|totals| totals.allocations),
            bytes: each(|totals| totals.bytes),
        })
    }
}

async fn totals(
    folder: &Path,
    start: &impl Fn(&[String]) -> Result<Server>,
    send: &impl AsyncFn(SocketAddr, usize) -> Result<()>,
    count: usize,
) -> Result<Totals> {
    let mut totals = Totals::default();
    let tools: [&[&str]; 2] = [
        &["--tool=callgrind", "--callgrind-out-file=/dev/null"],
        &["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"],
    ];
    for tool in tools {
        let log = folder.join("valgrind.log");
        let mut wrap = vec!["valgrind".to_owned(), format!("--log-file={}", log.display())];
        wrap.extend(tool.iter().map(|flag| (*flag).to_owned()));
        let server = start(&wrap)?;
        send(server.address(), count).await?;
        server.stop()?;
        totals.read(&std::fs::read_to_string(&log)?)?;
    }
    Ok(totals)
}

impl Totals {
    /// Reads `Collected : 1` of callgrind, or `total heap usage: 1 allocs, 1 frees, 1 bytes
    /// allocated` of memcheck.
    fn read(&mut self, log: &str) -> Result<()> {
        if let Some((_, collected)) = log.split_once("Collected : ") {
            self.instructions = number(collected)?;
        } else if let Some((_, usage)) = log.split_once("total heap usage: ") {
            let mut parts = usage.split(", ");
            self.allocations = number(parts.next().unwrap_or_default())?;
            self.bytes = number(parts.nth(1).unwrap_or_default())?;
        } else {
            return Err(format!("valgrind said no numbers:\n{log}").into());
        }
        Ok(())
    }
}

fn number(text: &str) -> Result<f64> {
    let word = text.split_whitespace().next().unwrap_or_default();
    Ok(word.replace(',', "").parse()?)
}
