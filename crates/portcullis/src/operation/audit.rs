//! The notes about an operation that become its audit record.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use portcullis_auth::Principal;
use portcullis_auth::audit::{AuditRecord, LogText, PendingRecord, Recorded, Verdict, Written};
use portcullis_guard::{OperationId, Reference};
use portcullis_protocol::{Exchange, Outcome, RejectionRecord, RpcError, Transport};
use tokio::time::Instant;
use tracing::{Span, field};

use crate::catalogue::Entry;
use crate::component::tool_error::{PublicError, ToolError};
use crate::component::verdict::{Denied, Face, RuleId};
use crate::middleware::rate_limit;
use crate::operation::engine::Engine;
use crate::operation::redaction;
use crate::operation::task::{Start, TaskKey};

/// The notes about one operation, which become its one audit record at the end.
///
/// It knows components by their own keys alone: the name that a caller sends may be anything,
/// and a URI holds arguments.
pub(crate) struct OperationRecord<'a> {
    pending: PendingRecord<'a, About<'a>>,
    absent: bool,
    /// The span of the operation, if it has begun.
    span: Option<&'a Span>,
}

/// Who asks for what, and what a list showed of it.
struct About<'a> {
    engine: &'a Engine,
    exchange: &'a Arc<Exchange>,
    entry: Option<&'a Entry>,
    /// The call, if it may become a task.
    start: Option<Arc<Start>>,
    /// What stands for the task that is asked for.
    task: Option<String>,
    shown: Option<usize>,
    /// How many components each of the rules hid.
    hidden: Vec<usize>,
}

impl Recorded for About<'_> {
    fn complete(
        &self,
        record: AuditRecord<'_>,
        write: impl FnOnce(&AuditRecord<'_>) -> Written,
    ) -> Written {
        let rules = self.engine.catalogue.rules.texts();
        let hidden = rules.iter().map(String::as_str).zip(self.hidden.iter().copied());
        let hidden: Vec<(&str, usize)> = hidden.filter(|(_, count)| *count > 0).collect();
        let mut record = of(self.exchange, record);
        record.kind = self.entry.map(|entry| entry.kind.as_str());
        record.component = self.entry.map(|entry| entry.key.as_str());
        let started = self.start.as_ref().and_then(|start| start.pseudonym());
        record.task = self.task.as_deref().or(started.as_deref());
        record.shown = self.shown;
        record.hidden = &hidden;
        write(&record)
    }
}

impl<'a> OperationRecord<'a> {
    pub(crate) fn begin(
        engine: &'a Engine,
        exchange: &'a Arc<Exchange>,
        operation: &'static str,
    ) -> Self {
        let (time, transport) = (engine.clock.now(), exchange.transport.as_str());
        let about = About {
            engine,
            exchange,
            entry: None,
            start: None,
            task: None,
            shown: None,
            hidden: Vec::new(),
        };
        let pending = PendingRecord::begin(&engine.audit, time, transport, operation, about);
        Self { pending, absent: false, span: None }
    }

    /// Notes that it is a call which may become a task.
    pub(super) fn may_become(&mut self, start: &Arc<Start>) {
        self.pending.about.start = Some(Arc::clone(start));
    }

    /// Notes the task that is asked for.
    pub(super) fn concerns_task(&mut self, key: &TaskKey) {
        self.pending.about.task = Some(key.pseudonym());
    }

    /// Notes that the caller has no task of this id.
    pub(super) fn no_such_task(&mut self) {
        self.pending.verdict = Verdict::Denied;
        self.pending.rule = Some(Cow::Borrowed("task"));
        self.pending.reason = Some(Cow::Borrowed("the caller has no task with this id"));
        self.pending.outcome = Some("not_found");
        self.absent = true;
    }

    fn engine(&self) -> &'a Engine {
        self.pending.about.engine
    }

    /// The span of the operation, in which everything is logged on its way, by its handler too: what joins
    /// that to the audit record is the id.
    pub(crate) fn new_span(&self) -> Span {
        let exchange = self.pending.about.exchange;
        tracing::info_span!(
            "operation",
            id = %self.pending.id(),
            operation = self.pending.operation(),
            component = field::Empty,
            principal = exchange.principal.as_deref().map(ByPseudonym).map(field::display),
            traceparent = exchange.trace.map(field::display),
            reference = field::Empty,
        )
    }

    /// Notes in `span`, too, what becomes known: it is lent, since a second handle of a span costs as much as
    /// the first.
    pub(crate) fn in_span(&mut self, span: &'a Span) {
        self.span = Some(span);
    }

    pub(crate) fn started(&self) -> Instant {
        self.pending.started()
    }

    pub(crate) fn exchange(&self) -> Arc<Exchange> {
        Arc::clone(self.pending.about.exchange)
    }

    /// When a caller who is told that something is not there may be told, whatever was asked on
    /// the way to it; none for all other answers, and for whom nobody keeps from knowing.
    pub(crate) fn absent_until(&self) -> Option<Instant> {
        let told = self.absent && !self.engine().facilities.trusts(self.pending.about.exchange);
        told.then(|| self.started() + self.engine().limits.not_found_delay)
    }

    /// Warns, once for each component, when the check that hides it took longer than the time at
    /// which callers are told that something is not there: a side channel.
    pub(crate) fn warn_if_late(&self, until: Instant) {
        let Some(entry) = self.pending.about.entry.filter(|_| self.absent) else { return };
        if Instant::now() > until && !entry.was_late.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                component = entry.key,
                took = ?self.started().elapsed(),
                absence = ?self.engine().limits.not_found_delay,
                "a check took longer than Limits::not_found_delay: callers can detect hidden components by \
                 timing (a side channel), so raise the limit"
            );
        }
    }

    /// Whether the operation may run at all, if it may not run unrecorded.
    pub(crate) fn check_audit(&mut self) -> Result<(), RpcError> {
        self.engine().audit.ready().map_err(|_| self.failed("audit"))
    }

    /// Notes that the operation is over one of its caller's rate limits.
    #[cold]
    pub(crate) fn limited(&mut self, rule: &'static str, retry_after: Duration) -> RpcError {
        self.note_limited(rule);
        RpcError::RateLimited { retry_after }
    }

    fn note_limited(&mut self, rule: &'static str) {
        self.pending.verdict = Verdict::Limited;
        self.pending.rule = Some(Cow::Borrowed(rule));
        self.pending.outcome = Some("limited");
    }

    /// Notes that nothing could decide whether the operation is allowed.
    #[cold]
    pub(crate) fn failed(&mut self, rule: &'static str) -> RpcError {
        let (reference, error) = broken(rule);
        self.pending.verdict = Verdict::Failed;
        self.pending.rule = Some(Cow::Borrowed(rule));
        self.pending.outcome = Some("internal_error");
        self.note_reference(Some(reference));
        error
    }

    fn note_reference(&mut self, reference: Option<Reference>) {
        self.pending.reference = reference;
        if let (Some(span), Some(reference)) = (self.span, reference) {
            span.record("reference", field::display(reference));
        }
    }

    /// Notes that no component has the name that the caller gave.
    #[cold]
    pub(crate) fn unknown(&mut self) -> Face {
        self.pending.verdict = Verdict::Denied;
        self.pending.rule = Some(Cow::Borrowed("unknown"));
        self.pending.reason = Some(Cow::Borrowed("no component has this name"));
        self.pending.outcome = Some("not_found");
        self.absent = true;
        Face::Absent
    }

    /// Notes that the component does not exist for the caller.
    pub(crate) fn denied(&mut self, entry: &'a Entry, mut denied: Denied) -> Face {
        self.note_denied(entry, &mut denied);
        denied.face
    }

    /// Notes a denial, and takes its reason, which is for the record alone.
    #[cold]
    fn note_denied(&mut self, entry: &'a Entry, denied: &mut Denied) {
        let Denied { rule, reason, face } = denied;
        self.concerns(entry);
        self.pending.rule = Some(Cow::Borrowed(self.engine().catalogue.rules.text(*rule)));
        self.pending.reason = Some(std::mem::take(reason));
        self.absent = matches!(face, Face::Absent);
        (self.pending.verdict, self.pending.outcome) = match face {
            Face::Absent => (Verdict::Denied, Some("not_found")),
            Face::Spoken(_) => (Verdict::Denied, Some("denied")),
            Face::Challenge(_) => (Verdict::Challenged, Some("insufficient_scope")),
        };
    }

    /// Nothing is in the way of what is not an operation; what is one is decided about further.
    pub(crate) fn admitted(&mut self) {
        self.pending.verdict = Verdict::Allowed;
    }

    /// The number of the operation.
    pub(crate) fn id(&self) -> OperationId {
        self.pending.id()
    }

    /// Notes that the caller may use the component.
    pub(crate) fn allowed(&mut self, entry: &'a Entry) {
        self.concerns(entry);
        self.pending.verdict = Verdict::Allowed;
    }

    fn concerns(&mut self, entry: &'a Entry) {
        self.pending.about.entry = Some(entry);
        if let Some(span) = self.span {
            span.record("component", entry.key.as_str());
        }
    }

    /// Notes that a rule hides a component of a list.
    pub(crate) fn hidden(&mut self, rule: RuleId) {
        if self.pending.about.hidden.is_empty() {
            self.pending.about.hidden = vec![0; self.engine().catalogue.rules.texts().len()];
        }
        if let Some(count) = self.pending.about.hidden.get_mut(rule.index()) {
            *count += 1;
        }
    }

    /// Notes that a list shows so many components.
    pub(crate) fn listed(&mut self, shown: usize) {
        self.pending.verdict = Verdict::Allowed;
        self.pending.about.shown = Some(shown);
    }

    /// Notes that the cursor names no entry that its caller was shown.
    pub(crate) fn no_such_cursor(&mut self) -> RpcError {
        self.pending.verdict = Verdict::Denied;
        self.pending.rule = Some(Cow::Borrowed("cursor"));
        self.pending.outcome = Some("invalid_arguments");
        self.absent = true;
        RpcError::InvalidArguments("Invalid cursor".to_owned())
    }

    /// Logs what the operator must know of an error, notes the outcome, and returns what the caller
    /// may know.
    pub(crate) fn reveal(&mut self, error: ToolError) -> PublicError {
        let component = self.pending.about.entry.map_or("", |entry| entry.key.as_str());
        let mut public = error.reveal(component, self.engine().show_internal_errors);
        self.pending.outcome = Some(match &mut public {
            PublicError::Message { outcome, reference, .. } => {
                self.note_reference(*reference);
                *outcome
            }
            PublicError::RefusedArgument(_) => "invalid_arguments",
            PublicError::NotFound => {
                self.absent = true;
                "not_found"
            }
            PublicError::InsufficientScope(_) => {
                self.pending.verdict = Verdict::Challenged;
                self.pending.rule = Some(Cow::Borrowed("the handler"));
                "insufficient_scope"
            }
            PublicError::Denied(denied) => {
                match self.pending.about.entry {
                    Some(entry) => self.note_denied(entry, denied),
                    None => denied.face = Face::Absent,
                }
                return public;
            }
            PublicError::InputRequired => "input_required",
            PublicError::MissingCapability(_) => "missing_capability",
            PublicError::RefusedInput(_) => "invalid_input",
            PublicError::Limited(retry_after) => {
                let retry_after = *retry_after;
                self.note_limited(rate_limit::PER_COMPONENT);
                return PublicError::Limited(retry_after);
            }
        });
        public
    }

    /// The answer without the secrets that are known, and a warning if it held one.
    pub(crate) fn redacted(
        &self,
        mut answer: Result<Outcome, RpcError>,
    ) -> Result<Outcome, RpcError> {
        if redaction::redact(&mut answer) {
            let component = self.pending.about.entry.map_or("", |entry| entry.key.as_str());
            tracing::warn!(
                component,
                "a known secret was removed from an answer: do not return it"
            );
        }
        answer
    }

    /// Writes the record. If it has to be written and cannot be, the caller gets no result.
    pub(crate) fn end<T>(self, result: Result<T, RpcError>) -> Result<T, RpcError> {
        let (outcome, status) = match &result {
            Ok(_) => ("ok", None),
            Err(RpcError::InsufficientScope(_)) => ("insufficient_scope", Some(403)),
            Err(RpcError::RateLimited { .. }) => ("limited", self.status_when_limited()),
            Err(RpcError::MissingClientCapability(_)) => ("missing_capability", Some(400)),
            Err(_) => ("error", None),
        };
        match self.pending.write(outcome, status) {
            Ok(()) => result,
            Err(_) => Err(broken("audit").1),
        }
    }

    /// In a session a rate limit is an answer like any other, but to what is no request.
    fn status_when_limited(&self) -> Option<u16> {
        let Exchange { transport, version, .. } = &**self.pending.about.exchange;
        let is_answer = !version.is_stateless() && self.pending.operation() != "stream";
        (*transport == Transport::Http && !is_answer).then_some(429)
    }
}

/// Logs that `rule` could not decide: the reference in the log, and the error that names it.
fn broken(rule: &'static str) -> (Reference, RpcError) {
    let reference = Reference::new();
    tracing::error!(rule, %reference, "operation refused: internal failure");
    let text = format!("Internal error (reference {reference})");
    (reference, RpcError::Internal(text.into()))
}

/// Records a request that was refused before it became an operation. There is nothing left
/// to stop where that cannot be done.
pub(super) fn refused(engine: &Engine, refused: &RejectionRecord<'_>) {
    let operation = match refused.transport {
        Transport::Http if refused.http_method.is_none() => "connection",
        _ => "request",
    };
    let (time, transport) = (engine.clock.now(), refused.transport.as_str());
    let about = Rejected(refused);
    let mut record = PendingRecord::begin(&engine.audit, time, transport, operation, about);
    record.verdict = match (refused.rule, refused.status) {
        ("bearer", Some(401 | 403)) => Verdict::Challenged,
        // Nobody could tell who calls, or something broke.
        ("bearer", Some(503)) | (_, Some(500)) => Verdict::Failed,
        (_, Some(429 | 503)) | ("limits" | "session", Some(200)) => Verdict::Limited,
        ("limits", None) => Verdict::Limited,
        _ => Verdict::Refused,
    };
    record.rule = Some(Cow::Borrowed(refused.rule));
    record.reason = Some(Cow::Borrowed(refused.reason));
    // The sink's failure is counted and logged.
    let _ = record.write("refused", refused.status);
}

/// A request that was refused, and by whom it was sent, if that is known.
struct Rejected<'r>(&'r RejectionRecord<'r>);

impl Recorded for Rejected<'_> {
    fn complete(
        &self,
        record: AuditRecord<'_>,
        write: impl FnOnce(&AuditRecord<'_>) -> Written,
    ) -> Written {
        let mut record = record;
        if let Some(principal) = self.0.principal {
            record = record.with_principal(principal);
        }
        record.remote = self.0.remote.map(|address| address.ip());
        write(&record.with_trace(self.0.trace))
    }
}

/// A principal in a span, which costs something only where the span is written. The audit record of the
/// same id has the name.
pub(crate) struct ByPseudonym<'p>(pub(crate) &'p Principal);

impl fmt::Display for ByPseudonym<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(principal) = self;
        principal.pseudonym().fmt(f)
    }
}

/// A record of who did something, and how they came in.
pub(crate) fn record<'r>(
    exchange: &'r Exchange,
    id: OperationId,
    time: SystemTime,
    operation: &'static str,
) -> AuditRecord<'r> {
    of(exchange, AuditRecord::new(id, time, exchange.transport.as_str(), operation))
}

/// Sets who asks, and how they came in.
fn of<'r>(exchange: &'r Exchange, mut record: AuditRecord<'r>) -> AuditRecord<'r> {
    if let Some(principal) = &exchange.principal {
        record = record.with_principal(principal);
    }
    if let Some(client) = &exchange.client {
        record.client_name = Some(LogText::from(client.name.as_str()));
        record.client_version = Some(LogText::from(client.version.as_str()));
    }
    record.protocol = Some(exchange.version.as_str());
    record.remote = exchange.remote.map(|address| address.ip());
    record.with_trace(exchange.trace)
}
