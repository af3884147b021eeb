//! The fields of an audit record, and how they are written.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use portcullis_guard::{OperationId, Pseudonym, Reference, TraceId, TraceParent, redaction};
use serde::{Serialize, Serializer};
use tracing::field;

use super::{LogText, Timestamp};
use crate::Principal;

/// What the audit trail says about one operation.
///
/// It has no field for a token, a claim, an argument or a result; scopes are those of a sign-in, never
/// those of a caller. What a client or a token chose is a [`LogText`]; every other text is the server's own. It is written
/// ([`Serialize`]) as one flat object with the names of the fields.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct AuditRecord<'a> {
    /// When the operation began. Written as RFC 3339, in UTC with microseconds; an event in
    /// the log has a time of its own.
    #[serde(serialize_with = "serialize_time")]
    pub time: SystemTime,
    /// The number of the operation.
    pub id: OperationId,
    /// The transport: `http` or `stdio`; `command` for what `portcullis` did.
    pub transport: &'static str,
    /// The method of the protocol (`tools/call`, `tools/list`, …), or what else happened
    /// (`route`, `session`, …).
    pub operation: &'static str,
    /// The version of the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'static str>,
    /// The peer's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<IpAddr>,
    /// The issuer of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<LogText<'a>>,
    /// The subject of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<LogText<'a>>,
    /// The OAuth client that the token was issued to, in its
    /// [short form](crate::short_client_id).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<LogText<'a>>,
    /// The name that the client gives itself. Nothing proves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<LogText<'a>>,
    /// The version that the client claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_version: Option<LogText<'a>>,
    /// The scopes that a user allowed a client, with spaces between them: in records of signing in alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<LogText<'a>>,
    /// The kind of the component: `tool`, `resource`, `prompt`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// The component's own name or URI (template), never the caller's text for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<&'a str>,
    /// The task that the call became, or that was asked for: 16 digits of the SHA-256 digest of its id, by
    /// which nobody can ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<&'a str>,
    /// The decision.
    pub verdict: Verdict,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'a str>,
    /// Why, in the words of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<LogText<'a>>,
    /// How many components a list showed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown: Option<usize>,
    /// How many components a list hid, by rule.
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "serialize_hidden")]
    pub hidden: &'a [(&'a str, usize)],
    /// How it ended: `ok`, `tool_error`, `not_found`, `timeout`, …
    pub outcome: &'static str,
    /// The HTTP status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The reference under which the log has what went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// The trace that the request belongs to, as its sender says (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
    /// All that its sender says of the trace. It is for spans, and is not written.
    #[serde(skip)]
    pub trace_parent: Option<TraceParent>,
    /// Whose issuer and subject these are. It is for spans, and is not written.
    #[serde(skip)]
    pub(super) principal: Whose<'a>,
    /// The duration of the operation. Written as `duration_us`, in whole microseconds.
    #[serde(rename = "duration_us", serialize_with = "serialize_micros")]
    pub duration: Duration,
}

impl<'a> AuditRecord<'a> {
    /// The record of an operation that failed before anything was decided. Set the other fields as
    /// they become known.
    #[must_use]
    pub fn new(
        id: OperationId,
        time: SystemTime,
        transport: &'static str,
        operation: &'static str,
    ) -> Self {
        Self {
            time,
            id,
            transport,
            operation,
            protocol: None,
            remote: None,
            issuer: None,
            subject: None,
            client_id: None,
            client_name: None,
            client_version: None,
            scopes: None,
            kind: None,
            component: None,
            task: None,
            verdict: Verdict::Failed,
            rule: None,
            reason: None,
            shown: None,
            hidden: &[],
            outcome: "internal_error",
            status: None,
            reference: None,
            trace_id: None,
            trace_parent: None,
            principal: Whose(None),
            duration: Duration::ZERO,
        }
    }

    /// Sets who asked: the issuer, the subject and the OAuth client of `principal`, and
    /// nothing else of it.
    #[must_use]
    pub fn with_principal(mut self, principal: &'a Principal) -> Self {
        self.issuer = principal.issuer().map(LogText::from);
        self.subject = Some(LogText::from(principal.subject()));
        self.client_id = principal.short_client_id().map(LogText::from);
        self.principal = Whose(Some(principal));
        self
    }

    /// What stands for the subject in traces, if the record has one.
    #[must_use]
    pub fn pseudonym(&self) -> Option<Pseudonym> {
        let (issuer, subject) = (self.issuer.map(LogText::as_str), self.subject?.as_str());
        let is_of = |who: &&Principal| (who.issuer(), who.subject()) == (issuer, subject);
        Some(match self.principal.0.filter(is_of) {
            Some(principal) => principal.pseudonym(),
            None => Pseudonym::of([issuer.unwrap_or_default(), subject]),
        })
    }

    /// The principal, if the issuer, the subject and the client are its own texts, and not what redaction
    /// or anybody else has put in their place.
    pub(super) fn recorded_principal(&self) -> Option<&'a Principal> {
        let is_same = |own: Option<LogText<'_>>, its: Option<&str>| match (own, its) {
            (Some(own), Some(its)) => std::ptr::eq(own.as_str(), its),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.principal.0.filter(|principal| {
            is_same(self.issuer, principal.issuer())
                && is_same(self.subject, Some(principal.subject()))
                && is_same(self.client_id, principal.short_client_id())
        })
    }

    /// Sets the trace that the request belongs to.
    #[must_use]
    pub fn with_trace(mut self, trace: Option<TraceParent>) -> Self {
        self.trace_id = trace.map(TraceParent::trace_id);
        self.trace_parent = trace;
        self
    }

    /// Whether a secret is in one of the texts that somebody else chose. Few records have one, and
    /// this looks at all of them at once.
    pub(super) fn holds_secret(&self) -> bool {
        let Self {
            issuer, subject, client_id, client_name, client_version, scopes, reason, ..
        } = self;
        let texts = [issuer, subject, client_id, client_name, client_version, scopes, reason];
        let texts = texts.into_iter().flatten().map(|text| text.as_str().as_bytes());
        redaction::any_holds_secret(texts)
    }

    /// The record for `write`, without secrets in the texts that somebody else chose. They go before
    /// texts are cut.
    pub(super) fn redacted<R>(&self, write: impl FnOnce(&AuditRecord<'_>) -> R) -> R {
        let redact = |text: Option<LogText<'a>>| text.map(|text| redaction::redact(text.as_str()));
        let issuer = redact(self.issuer);
        let subject = redact(self.subject);
        let client_id = redact(self.client_id);
        let client_name = redact(self.client_name);
        let client_version = redact(self.client_version);
        let scopes = redact(self.scopes);
        let reason = redact(self.reason);
        let mut record: AuditRecord<'_> = *self;
        record.issuer = issuer.as_deref().map(LogText::from);
        record.subject = subject.as_deref().map(LogText::from);
        record.client_id = client_id.as_deref().map(LogText::from);
        record.client_name = client_name.as_deref().map(LogText::from);
        record.client_version = client_version.as_deref().map(LogText::from);
        record.scopes = scopes.as_deref().map(LogText::from);
        record.reason = reason.as_deref().map(LogText::from);
        write(&record)
    }

    /// One event, whose fields are only looked at when somebody listens.
    pub(super) fn trace(&self) {
        tracing::info!(
            target: "portcullis::audit",
            id = %self.id,
            transport = self.transport,
            operation = self.operation,
            protocol = self.protocol,
            remote = self.remote.map(field::display),
            issuer = self.issuer.map(Cow::from).as_deref(),
            subject = self.subject.map(Cow::from).as_deref(),
            client_id = self.client_id.map(Cow::from).as_deref(),
            client_name = self.client_name.map(Cow::from).as_deref(),
            client_version = self.client_version.map(Cow::from).as_deref(),
            scopes = self.scopes.map(Cow::from).as_deref(),
            kind = self.kind,
            component = self.component,
            task = self.task,
            verdict = self.verdict.as_str(),
            rule = self.rule,
            reason = self.reason.map(Cow::from).as_deref(),
            shown = self.shown,
            hidden = (!self.hidden.is_empty()).then(|| field::display(Hidden(self.hidden))),
            outcome = self.outcome,
            status = self.status,
            reference = self.reference.map(field::display),
            trace_id = self.trace_id.map(field::display),
            duration_us = micros(self.duration),
        );
    }
}

/// A principal as a part of a record, all else of whom stays out of its texts.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a>(Option<&'a Principal>);

impl fmt::Debug for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

/// The decision about an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// It was let through; `outcome` says how it ended.
    Allowed,
    /// No token, not a good one, or one with too few scopes: the caller was told what to
    /// bring.
    Challenged,
    /// A check or a rule denied it.
    Denied,
    /// It was refused without a decision, because something broke or took too long.
    Failed,
    /// Over a rate limit.
    Limited,
    /// The request would be refused from anybody: it is malformed, for a foreign host, or too
    /// large.
    Refused,
}

impl Verdict {
    /// The word for it, as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Challenged => "challenged",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Limited => "limited",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many components were hidden, for a line of text.
struct Hidden<'a>(&'a [(&'a str, usize)]);

impl fmt::Display for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (rule, count)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{count} by {rule}")?;
        }
        Ok(())
    }
}

fn serialize_hidden<S: Serializer>(
    hidden: &[(&str, usize)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(hidden.iter().copied())
}

fn serialize_time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    Timestamp::from(*time).serialize(serializer)
}

fn serialize_micros<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(micros(*duration))
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
