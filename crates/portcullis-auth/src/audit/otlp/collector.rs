//! The collector: who sends what waits, and reads what is answered.

use std::fmt::Display;
use std::io;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use portcullis_guard::delivery::Delivery;
use portcullis_guard::fetch::HeaderMap;
use portcullis_guard::text::escaped;
use portcullis_guard::{Fetch, FetchRequest, redaction};
use serde::Deserialize;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::losses::Losses;
use super::request::Signal;

/// How many records one request takes.
const AT_ONCE: usize = 512;
/// How many more the next request takes than the last one, after fewer were sent at once.
const MORE_AT_ONCE: usize = 8;
/// The first pause after a failure, and the longest that grows out of it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause that a collector may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);
/// The most characters of a collector's text in the log.
const MAX_CHARS: usize = 256;

pub(super) struct Collector {
    fetch: Fetch,
    request: FetchRequest,
    host: String,
    service: String,
    signal: &'static Signal,
    pause: Duration,
    retry_after: Option<Duration>,
    at_once: usize,
    losses: Arc<Losses>,
    /// Its worker keeps connections alive, and notices when they end, while nothing is sent.
    runtime: Runtime,
}

impl Collector {
    pub(super) fn new(
        fetch: Fetch,
        request: FetchRequest,
        host: String,
        service: String,
        signal: &'static Signal,
        losses: Arc<Losses>,
    ) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("portcullis-otlp")
            .enable_all()
            .build()?;
        Ok(Self {
            fetch,
            request,
            host,
            service,
            signal,
            pause: Duration::ZERO,
            retry_after: None,
            at_once: AT_ONCE,
            losses,
            runtime,
        })
    }

    fn post(&mut self, lines: &[&[u8]]) -> io::Result<Answer> {
        let Ok(body) = (self.signal.body)(&self.service, lines) else { return Ok(Answer::Unsent) };
        let request = self.request.clone().body("application/json", body);
        let (status, retry_after, body) = self.runtime.block_on(async {
            let answer = self.fetch.stream(request).await.map_err(io::Error::other)?;
            let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
            let body = match status {
                // The records were taken, whatever comes of the rest.
                200..300 => answer.whole().await.map(|answer| answer.body).unwrap_or_default(),
                _ => Default::default(),
            };
            io::Result::Ok((status, retry_after, body))
        })?;
        match status {
            200..300 => Ok(Answer::Taken(rejected(&body, lines.len()))),
            // These may be sent again; a collector that sends elsewhere is one that is away.
            429 | 502 | 503 | 504 | 300..400 => {
                self.retry_after = retry_after;
                Err(io::Error::other(format!("it answered with status {status}")))
            }
            // Perhaps because of one of them.
            400 | 413 | 422 => Ok(Answer::RefusedTogether(status)),
            _ => Ok(Answer::Refused(status)),
        }
    }

    fn lose(&self, records: u64, why: &impl Display) {
        self.losses.add(&self.name(), records, why);
    }
}

/// What a collector says to a request. What it may be asked again is an error.
enum Answer {
    /// It took the records, but for some, and says why.
    Taken(Option<(u64, String)>),
    /// It refuses them, with this status. Each by itself it may take.
    RefusedTogether(u16),
    /// It refuses any.
    Refused(u16),
    /// It was not asked: one of them is no line that was taken here.
    Unsent,
}

impl Delivery for Collector {
    fn deliver(&mut self, lines: &[u8]) -> io::Result<usize> {
        let batch = first(lines, self.at_once);
        self.retry_after = None;
        let posted = self.post(&batch);
        self.pause = match posted {
            Ok(_) => Duration::ZERO,
            Err(_) => longer(self.pause),
        };
        match posted? {
            Answer::Taken(None) => {
                self.at_once = (self.at_once + MORE_AT_ONCE).min(AT_ONCE);
                self.losses.end();
            }
            Answer::Taken(Some((records, why))) => self.lose(records, &escaped(&why, MAX_CHARS)),
            Answer::RefusedTogether(_) | Answer::Unsent if batch.len() > 1 => {
                self.at_once = batch.len() / 2;
                // Half of them come next.
                return Err(io::ErrorKind::Interrupted.into());
            }
            Answer::RefusedTogether(status) | Answer::Refused(status) => {
                self.lose(batch.len() as u64, &format_args!("it answered with status {status}"));
            }
            Answer::Unsent => self.lose(batch.len() as u64, &"they cannot be read"),
        }
        Ok(batch.iter().map(|line| line.len()).sum())
    }

    fn pause(&self) -> Duration {
        self.retry_after.unwrap_or(self.pause)
    }

    fn gathers(&self) -> Duration {
        self.signal.gather
    }

    fn name(&self) -> String {
        format!("the OpenTelemetry collector at {}", self.host)
    }
}

/// So many lines of these, with their ends.
pub(super) fn first(lines: &[u8], most: usize) -> Vec<&[u8]> {
    let mut rest = lines;
    let next = || {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        rest.split_off(..end).filter(|line| !line.is_empty())
    };
    iter::from_fn(next).take(most).collect()
}

/// The pause after another failure.
pub(super) fn longer(pause: Duration) -> Duration {
    (pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE)
}

/// How long the collector wants to be left alone (RFC 9110 §10.2.3), if it says so in seconds.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("retry-after")?.to_str().ok()?;
    let seconds = value.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).clamp(FIRST_PAUSE, MAX_RETRY_AFTER))
}

/// How many records of a request a collector did not take, of so many at most, and why.
pub(super) fn rejected(body: &[u8], most: usize) -> Option<(u64, String)> {
    let partial = serde_json::from_slice::<Response>(body).ok()?.partial_success?;
    let rejected = &partial.rejected_log_records;
    let number: u64 = rejected.as_str().and_then(|text| text.parse().ok()).or(rejected.as_u64())?;
    // Before it is cut: the beginning of a secret is not found any more. With no record, it is a warning.
    let why = || redaction::redact(&partial.error_message).into_owned();
    (number > 0).then(|| (number.min(most as u64), why()))
}

/// `ExportLogsServiceResponse`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Response {
    partial_success: Option<PartialSuccess>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PartialSuccess {
    /// A 64-bit number, which is a string in JSON; some write a number.
    #[serde(alias = "rejectedSpans")]
    rejected_log_records: Value,
    error_message: String,
}
