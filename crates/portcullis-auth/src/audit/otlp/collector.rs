//! The collector: who sends what waits, and reads what is answered.

use std::io;
use std::time::Duration;

use portcullis_guard::delivery::Delivery;
use portcullis_guard::text::escaped;
use portcullis_guard::{Fetch, FetchRequest, Fetched};
use serde::Deserialize;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::request;

/// How many records one request takes.
const AT_ONCE: usize = 512;
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
    pause: Duration,
    retry_after: Option<Duration>,
    /// Its worker keeps connections alive, and notices when they end, while nothing is sent.
    runtime: Runtime,
}

impl Collector {
    pub(super) fn new(
        fetch: Fetch,
        request: FetchRequest,
        host: String,
        service: String,
    ) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("portcullis-otlp")
            .enable_all()
            .build()?;
        let (pause, retry_after) = (Duration::ZERO, None);
        Ok(Self { fetch, request, host, service, pause, retry_after, runtime })
    }

    fn post(&mut self, lines: &[&[u8]]) -> io::Result<()> {
        let body = request::body(&self.service, lines)?;
        let request = self.request.clone().body("application/json", body);
        let answer = self.runtime.block_on(self.fetch.send(request)).map_err(io::Error::other)?;
        if answer.status != 200 {
            self.retry_after = retry_after(&answer);
            return Err(io::Error::other(format!("it answered with status {}", answer.status)));
        }
        tell_of_loss(&self.name(), &answer.body);
        Ok(())
    }
}

impl Delivery for Collector {
    fn deliver(&mut self, lines: &[u8]) -> io::Result<usize> {
        let batch: Vec<_> = lines.split_inclusive(|byte| *byte == b'\n').take(AT_ONCE).collect();
        self.retry_after = None;
        let posted = self.post(&batch);
        self.pause = match posted {
            Ok(()) => Duration::ZERO,
            Err(_) => (self.pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE),
        };
        posted.map(|()| batch.iter().map(|line| line.len()).sum())
    }

    fn pause(&self) -> Duration {
        self.retry_after.unwrap_or(self.pause)
    }

    fn name(&self) -> String {
        format!("the OpenTelemetry collector at {}", self.host)
    }
}

/// How long the collector wants to be left alone (RFC 9110 §10.2.3), if it says so in seconds.
pub(super) fn retry_after(answer: &Fetched) -> Option<Duration> {
    let value = answer.headers.get("retry-after")?.to_str().ok()?;
    let seconds = value.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).clamp(FIRST_PAUSE, MAX_RETRY_AFTER))
}

/// Logs what a collector did not take of a request that it answered with 200.
pub(super) fn tell_of_loss(name: &str, body: &[u8]) {
    let Ok(Answer { partial_success: Some(partial) }) = serde_json::from_slice(body) else {
        return;
    };
    let rejected = &partial.rejected_log_records;
    let number = rejected.as_str().and_then(|text| text.parse().ok()).or(rejected.as_u64());
    // With no record, the text is a warning.
    if let Some(records) = number.filter(|records| *records > 0_u64) {
        tracing::error!(
            to = name,
            records,
            message = %escaped(&partial.error_message, MAX_CHARS),
            "audit records are lost: the collector did not take them"
        );
    }
}

/// `ExportLogsServiceResponse`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    partial_success: Option<PartialSuccess>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PartialSuccess {
    /// A 64-bit number, which is a string in JSON; some write a number.
    rejected_log_records: Value,
    error_message: String,
}
