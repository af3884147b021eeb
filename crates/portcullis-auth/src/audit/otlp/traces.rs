//! The spans of operations: which are sampled, and where they are sent.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_guard::delivery::Deliveries;
use portcullis_guard::{FetchBuilder, Secret, metrics};
use url::Url;

use super::losses::Losses;
use super::request::SPANS;
use super::span::Span;
use super::{AuditError, AuditRecord, Target};

/// Sends the spans of operations to an OpenTelemetry collector, in OTLP/HTTP with JSON.
///
/// Each operation and each request to a route is one span, whose number is that of its audit record and of
/// the `tracing` span in which it logs. It belongs to the trace that its caller names
/// (`_meta.traceparent` of the message, or else the header `traceparent`), below the span that called, unless
/// the caller says that the trace is not sampled. A request that names none begins a trace.
///
/// A span has the method, the component's own name, the decision and how it ended, and a
/// [pseudonym](portcullis_guard::Pseudonym) for the principal: no argument, result, token, name or address.
/// What was refused before it became an operation has none, and neither has what a route refused to somebody
/// unknown. Attributes have the names of the semantic conventions.
///
/// Nothing waits for the collector. Spans wait in memory, 8 MiB of them, gather for a second, and are sent as
/// those of [`OtlpSink`](super::OtlpSink) are; what does not fit, and what a collector refuses for good, is lost and
/// counted, by [`lost`](Self::lost) and by `portcullis_spans_lost_total`. Operations go on, whatever
/// [`AuditFailure`](crate::audit::AuditFailure) says.
///
/// **Deployment caveat.** The trace is the caller's word: a caller may add spans to a trace of somebody else,
/// and have each of its own requests sampled.
///
/// Sources: W3C Trace Context; OpenTelemetry Protocol 1.9, "OTLP/HTTP" and "JSON Protobuf Encoding";
/// OpenTelemetry semantic conventions, "Semantic conventions for Model Context Protocol".
///
/// # Example
///
/// ```
/// # mod portcullis { pub use portcullis_auth::audit; pub extern crate portcullis_guard as guard; }
/// use portcullis::audit::OtlpTraces;
/// use portcullis::guard::Fetch;
///
/// let fetch = Fetch::builder().allow_private_host("otel.example.internal");
/// let url = "https://otel.example.internal:4318/v1/traces".parse().unwrap();
/// // Of the requests that name no trace, one in a hundred.
/// let traces = OtlpTraces::builder(fetch, &url, "users").sample_one_in(100).open()?;
/// assert_eq!(traces.lost(), 0);
/// # Ok::<(), portcullis::audit::AuditError>(())
/// ```
pub struct OtlpTraces {
    deliveries: Deliveries,
    losses: Arc<Losses>,
    /// Those for which there was no room.
    dropped: AtomicU64,
    one_in: u32,
    host: String,
}

/// Describes an [`OtlpTraces`].
#[derive(Debug)]
#[must_use = "traces are sent after .open()"]
pub struct OtlpTracesBuilder {
    target: Target,
    one_in: u32,
}

impl OtlpTraces {
    /// Describes the collector at `url`, which is the whole address: `…/v1/traces`. `fetch` says where it may
    /// be, and for how long a request may take; `service` is the `service.name` of the resource.
    pub fn builder(
        fetch: FetchBuilder,
        url: &Url,
        service: impl Into<String>,
    ) -> OtlpTracesBuilder {
        OtlpTracesBuilder { target: Target::new(fetch, url, service.into()), one_in: 1 }
    }

    /// How many spans were lost: there was no room for them, or the collector refused them for good.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.losses.all() + self.dropped.load(Ordering::Relaxed)
    }

    /// Takes the span of what `record` is about, if its trace is sampled.
    pub(in crate::audit) fn take(&self, record: &AuditRecord<'_>) {
        let Some(span) = Span::of(record, self.one_in) else { return };
        let pushed = self.deliveries.push(|waiting| span.append(waiting));
        if pushed.is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            metrics::count(&metrics::SPANS_LOST, &[]);
        }
    }

    /// Waits until what was taken is sent, for five seconds at most.
    pub(in crate::audit) fn flush(&self) {
        if let Err(error) = self.deliveries.flush() {
            tracing::warn!(to = self.host, %error, "spans may be lost");
        }
    }
}

impl OtlpTracesBuilder {
    /// Sends a header with each request, in place of one of the same name, such as `authorization`.
    pub fn header(mut self, name: impl Into<String>, value: Secret<String>) -> Self {
        self.target.headers.push((name.into(), value));
        self
    }

    /// Of the requests that name no trace, begins a trace for one in `requests`; zero begins none. Default:
    /// each.
    pub fn sample_one_in(mut self, requests: u32) -> Self {
        self.one_in = requests;
        self
    }

    /// Starts the thread that sends. The collector need not be there yet.
    ///
    /// # Errors
    ///
    /// As those of [`OtlpSinkBuilder::open`](super::OtlpSinkBuilder::open).
    pub fn open(self) -> Result<OtlpTraces, AuditError> {
        let Self { target, one_in } = self;
        let host = target.host().to_owned();
        let (deliveries, losses) = target.start(&SPANS)?;
        Ok(OtlpTraces { deliveries, losses, dropped: AtomicU64::new(0), one_in, host })
    }
}

impl fmt::Debug for OtlpTraces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OtlpTraces({})", self.host)
    }
}
