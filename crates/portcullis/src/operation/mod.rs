//! One operation after the protocol, in the fixed order of access.

pub(crate) mod audit;
pub(crate) mod call;
mod list;
mod list_changed;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::Stream;
use portcullis_auth::audit::{Audit, AuditError, LogText, Verdict};
use portcullis_auth::{ScopeHierarchy, States};
use portcullis_guard::{Alarm, Clock, OperationId};
use portcullis_protocol::{
    Changed, Exchange, Identity, Limits, Operation, Outcome, Refused, RpcError, Service,
    SessionKey, Transport,
};
use tokio::time::Instant;
use tracing::Instrument;

use crate::access::decision::Asking;
use crate::catalogue::Catalogue;
use crate::component::ComponentKind;
use crate::middleware::Layers;
use crate::middleware::rate_limit;
use crate::operation::audit::Trail;
use crate::route::Stopping;
use crate::visibility::{Scope, Seen, Shown, Unknown};

/// Everything that answers operations, over whichever transport.
pub(crate) struct Core {
    pub(crate) identity: Identity,
    pub(crate) catalogue: Catalogue,
    pub(crate) states: States,
    pub(crate) limits: Limits,
    pub(crate) page_size: usize,
    pub(crate) show_internal_errors: bool,
    /// Whether the local user may use what requires anything.
    pub(crate) trusts_stdio: bool,
    pub(crate) hierarchy: Arc<ScopeHierarchy>,
    pub(crate) shown: Shown,
    pub(crate) layers: Layers,
    pub(crate) audit: Arc<Audit>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alarm: Alarm,
    pub(crate) stopping: Stopping,
}

/// The core, as the protocol asks it.
#[derive(Clone)]
pub(crate) struct Served(pub(crate) Arc<Core>);

impl Service for Served {
    fn identity(&self) -> &Identity {
        &self.0.identity
    }

    async fn serve(
        &self,
        operation: Operation<'_>,
        exchange: Exchange,
    ) -> Result<Outcome, RpcError> {
        let exchange = Arc::new(exchange);
        let mut trail = Trail::begin(&self.0, &exchange, method(&operation));
        let span = trail.begin_span();
        let walk = AssertUnwindSafe(self.0.walk(operation, &exchange, &mut trail)).catch_unwind();
        // Middleware may panic: everything else that is not ours is caught where it is asked.
        let result = walk.instrument(span).await.unwrap_or_else(|_| Err(trail.failed("panic")));
        let absent_until = trail.absent_until();
        if let Some(until) = absent_until {
            trail.warn_if_late(until);
        }
        let result = trail.end(result);
        if let Some(until) = absent_until {
            self.0.alarm.wait_until(until).await;
        }
        result
    }

    fn admit(&self, what: &'static str, exchange: &Exchange) -> Result<(), RpcError> {
        let exchange = Arc::new(exchange.clone());
        let mut trail = Trail::begin(&self.0, &exchange, what);
        let admitted = match what {
            // It gives back what was counted when the session began.
            "session_end" => trail.check_audit().map(|()| trail.admitted()),
            _ => self.0.admitted(&exchange, &mut trail),
        };
        trail.end(admitted)
    }

    fn changes(
        self: &Arc<Self>,
        exchange: &Exchange,
    ) -> impl Stream<Item = Changed> + Send + 'static {
        self.0.changes(exchange)
    }

    fn session_ended(&self, session: SessionKey) {
        self.0.shown.session_ended(session);
    }

    fn refused(&self, refused: &Refused<'_>) {
        self.0.refused(refused);
    }
}

impl Core {
    /// The fixed order of access: audit around everything, limits, the decision, middleware,
    /// arguments, the function.
    async fn walk<'a>(
        self: &'a Arc<Self>,
        operation: Operation<'_>,
        exchange: &Arc<Exchange>,
        trail: &mut Trail<'a>,
    ) -> Result<Outcome, RpcError> {
        self.admitted(exchange, trail)?;
        let seen = self.shown.seen(exchange).await.map_err(|Unknown| trail.failed("visibility"))?;
        let asking = self.asking(exchange, &seen, trail.started());
        match operation {
            Operation::ListTools { cursor } => {
                let page = self.list(ComponentKind::Tool, cursor.as_deref(), &asking, trail);
                page.await.map(Outcome::Tools)
            }
            Operation::ListResources { cursor } => {
                let page = self.list(ComponentKind::Resource, cursor.as_deref(), &asking, trail);
                page.await.map(Outcome::Resources)
            }
            Operation::ListResourceTemplates { cursor } => {
                let page =
                    self.list(ComponentKind::ResourceTemplate, cursor.as_deref(), &asking, trail);
                page.await.map(Outcome::ResourceTemplates)
            }
            Operation::ListPrompts { cursor } => {
                let page = self.list(ComponentKind::Prompt, cursor.as_deref(), &asking, trail);
                page.await.map(Outcome::Prompts)
            }
            Operation::CallTool { name, arguments } => {
                self.call_tool(&name, &arguments, exchange, &asking, trail).await
            }
            Operation::ReadResource { uri } => {
                self.read_resource(&uri, exchange, &asking, trail).await
            }
            Operation::GetPrompt { name, arguments } => {
                self.prompt(&name, &arguments, exchange, &asking, trail).await
            }
            _ => Err(RpcError::MethodNotFound),
        }
    }

    /// Whether anything may be asked at all: it has to be recorded, and within the limit of its
    /// caller.
    fn admitted(&self, exchange: &Exchange, trail: &mut Trail<'_>) -> Result<(), RpcError> {
        trail.check_audit()?;
        let limited = self.layers.check_rate(exchange, None);
        limited.map_err(|wait| trail.limited(rate_limit::PER_PRINCIPAL, wait))?;
        trail.admitted();
        Ok(())
    }

    /// Records that within the operation `id` visibility was changed, for whom, and of what,
    /// if not of everything.
    pub(crate) fn note_visibility(
        &self,
        exchange: &Exchange,
        id: OperationId,
        scope: Scope,
        selected: Option<&str>,
        outcome: &'static str,
    ) -> Result<(), AuditError> {
        let mut record = audit::record(exchange, id, self.clock.now(), "visibility");
        record.verdict = Verdict::Allowed;
        record.rule = selected;
        record.reason = Some(LogText::from(match scope {
            Scope::Session(_) => "for this session",
            Scope::Principal(_) => "for this principal",
        }));
        record.outcome = outcome;
        self.audit.record(&record)
    }

    /// Who asks, and by when everything that one operation asks has to be decided.
    pub(crate) fn asking<'a>(
        &'a self,
        exchange: &'a Exchange,
        seen: &'a Seen,
        started: Instant,
    ) -> Asking<'a> {
        let time: Duration = self.limits.decision;
        Asking {
            exchange,
            hierarchy: &self.hierarchy,
            states: &self.states,
            seen,
            deadline: started + time,
            trusted: self.trusts(exchange),
        }
    }

    /// Whether nothing is kept from who asks: the local user, whom no token proves, of a server
    /// that trusts them.
    pub(crate) fn trusts(&self, exchange: &Exchange) -> bool {
        self.trusts_stdio && exchange.transport == Transport::Stdio
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("name", &self.identity.name()).finish_non_exhaustive()
    }
}

fn method(operation: &Operation<'_>) -> &'static str {
    match operation {
        Operation::ListTools { .. } => "tools/list",
        Operation::CallTool { .. } => "tools/call",
        Operation::ListResources { .. } => "resources/list",
        Operation::ListResourceTemplates { .. } => "resources/templates/list",
        Operation::ReadResource { .. } => "resources/read",
        Operation::ListPrompts { .. } => "prompts/list",
        Operation::GetPrompt { .. } => "prompts/get",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
