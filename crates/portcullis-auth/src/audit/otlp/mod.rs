//! The sinks that send records and spans to an OpenTelemetry collector.

mod collector;
mod losses;
mod request;
mod span;
mod span_json;
mod traces;

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use portcullis_guard::delivery::Deliveries;
use portcullis_guard::{FetchBuilder, FetchRequest, Secret};
use url::Url;

use self::collector::Collector;
use self::losses::Losses;
use self::request::{LOGS, Signal};
pub use self::traces::{OtlpTraces, OtlpTracesBuilder};
use super::{AuditError, AuditRecord, AuditSink, line};

/// Sends records to an OpenTelemetry collector, as logs in OTLP/HTTP with JSON.
///
/// Each record is a log record: its body is the operation and the verdict, and the members that
/// [`JsonLines`](super::JsonLines) writes are its attributes, as `audit.subject`. Up to 512 go with one
/// request, in their order.
///
/// While the collector is away or slow, records wait in memory, 8 MiB of them, and the log says so; beyond
/// that they are refused. With [`AuditFailure::Stop`](super::AuditFailure::Stop), operations are refused
/// from the first request that failed. After an answer of 429, 502, 503 or 504, or a redirect, the same
/// records are sent again: after `Retry-After`, if that is a number of seconds (five minutes count at most),
/// or after 1 s, then 2 s, 4 s and at last 10 s. A collector that has a record twice has its `audit.id`
/// twice.
///
/// Any other answer but a success says that to send them again is of no use, and they are lost; so is what
/// a collector does not take of a request that it answers with success (`partialSuccess`). Where one record
/// may be the cause (400, 413 and 422), half of them are sent at once, and at last each by itself, so that a
/// bad one takes no other along. One that cannot be read where it waits is lost by itself, too. The log says how many are lost, once a second at most;
/// `portcullis_audit_failures_total` and [`lost`](Self::lost) count them. With
/// [`AuditFailure::Stop`](super::AuditFailure::Stop), operations are refused for ten seconds after a loss, or
/// until a request is taken.
///
/// **Deployment caveat.** The records are personal data, and whoever may ask the collector can read them.
/// What waits is lost with the process; at the end of a server it is sent for five seconds at most.
///
/// Sources: OpenTelemetry Protocol 1.9, "OTLP/HTTP", its "Failures" and "JSON Protobuf Encoding"; Logs Data Model.
///
/// # Example
///
/// ```
/// # mod portcullis { pub use portcullis_auth::audit; pub extern crate portcullis_guard as guard; }
/// use portcullis::audit::{Audit, AuditFailure, OtlpSink};
/// use portcullis::guard::Fetch;
///
/// let fetch = Fetch::builder().allow_private_host("otel.example.internal");
/// let url = "https://otel.example.internal:4318/v1/logs".parse().unwrap();
/// let sink = OtlpSink::builder(fetch, &url, "users").open()?;
/// let audit = Audit::new(AuditFailure::Stop).sink(sink);
/// assert!(audit.ready().is_ok());
/// # Ok::<(), portcullis::audit::AuditError>(())
/// ```
pub struct OtlpSink {
    deliveries: Deliveries,
    losses: Arc<Losses>,
    host: String,
}

/// Describes an [`OtlpSink`].
#[must_use = "a sink is made by .open()"]
#[derive(Debug)]
pub struct OtlpSinkBuilder {
    target: Target,
}

/// A collector, and what it is told with each request.
struct Target {
    fetch: FetchBuilder,
    url: Url,
    service: String,
    headers: Vec<(String, Secret<String>)>,
}

impl OtlpSink {
    /// Describes the sink for the collector at `url`, which is the whole address: `…/v1/logs`. `fetch` says
    /// where it may be, and for how long a request may take; `service` is the `service.name` of the
    /// resource.
    pub fn builder(fetch: FetchBuilder, url: &Url, service: impl Into<String>) -> OtlpSinkBuilder {
        OtlpSinkBuilder { target: Target::new(fetch, url, service.into()) }
    }

    /// How many records the collector refused for good.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.losses.all()
    }
}

impl OtlpSinkBuilder {
    /// Sends a header with each request, in place of one of the same name, such as `authorization`.
    pub fn header(mut self, name: impl Into<String>, value: Secret<String>) -> Self {
        self.target.headers.push((name.into(), value));
        self
    }

    /// Starts the thread that sends. The collector need not be there yet.
    ///
    /// # Errors
    ///
    /// When the URL has no path or is one that `fetch` refuses, a header is malformed, `fetch` cannot be
    /// built, or no thread can be started.
    pub fn open(self) -> Result<OtlpSink, AuditError> {
        let host = self.target.host().to_owned();
        let (deliveries, losses) = self.target.start(&LOGS)?;
        Ok(OtlpSink { deliveries, losses, host })
    }
}

impl Target {
    fn new(fetch: FetchBuilder, url: &Url, service: String) -> Self {
        Self { fetch, url: url.clone(), service, headers: Vec::new() }
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    fn start(self, signal: &'static Signal) -> Result<(Deliveries, Arc<Losses>), AuditError> {
        let host = self.host().to_owned();
        let Self { fetch, url, service, headers } = self;
        if url.path() == "/" {
            let path = signal.path;
            let text =
                format!("the URL of a collector is the whole address, which ends in `{path}`");
            return Err(AuditError::new(text));
        }
        let fetch = fetch.build().map_err(AuditError::new)?;
        fetch.judge(&url).map_err(AuditError::new)?;
        let request = headers.iter().fold(FetchRequest::post(&url), |request, (name, value)| {
            request.header(name, value.expose())
        });
        request.check().map_err(AuditError::new)?;
        let losses = Arc::new(Losses::new(signal));
        let told = Arc::clone(&losses);
        let collector = Collector::new(fetch, request, host, service, signal, told);
        let collector = collector.map_err(AuditError::new)?;
        let deliveries = Deliveries::start(collector).map_err(AuditError::new)?;
        Ok((deliveries, losses))
    }
}

impl AuditSink for OtlpSink {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        let since = record.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(self.deliveries.push(|waiting| {
            write!(waiting, "{} ", since.as_nanos())?;
            Ok(line::append(waiting, record)?)
        })?)
    }

    fn ready(&self) -> Result<(), AuditError> {
        self.deliveries.ready()?;
        self.losses.ready()
    }

    fn flush(&self) -> Result<(), AuditError> {
        self.deliveries.flush()?;
        self.losses.flush()
    }
}

impl fmt::Debug for OtlpSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OtlpSink({})", self.host)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Target")
            .field("host", &self.url.host_str())
            .field("service", &self.service)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
