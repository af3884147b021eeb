//! One operation after the protocol, in the fixed order of access.

pub(crate) mod audit;
mod call;
#[cfg(feature = "fetch")]
pub(crate) mod caller_credentials;
mod complete;
pub(crate) mod credentials;
mod engine;
mod fence;
#[cfg(feature = "keys")]
pub(crate) mod handles;
pub(crate) mod input;
mod list;
mod list_changed;
mod offers;
pub(crate) mod pages;
mod redaction;
mod refusal;
pub(crate) mod resource_updates;
mod resuming;
#[cfg(feature = "http")]
pub(crate) mod stopping;
pub(crate) mod task;
pub(crate) mod telling;
#[cfg(feature = "jwt")]
pub(crate) mod token_exchange;
pub(crate) mod upstream_token;
#[cfg(feature = "http")]
pub(crate) mod verifying;
pub(crate) mod visibility_control;

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::stream::Stream;
use portcullis_protocol::{
    Changed, Exchange, Identity, Offers, Operation, Outcome, RejectionRecord, RpcError, Service,
    SessionKey, Used,
};
use tracing::Instrument;

use self::audit::OperationRecord;
use self::complete::Written;
pub(crate) use self::engine::Engine;
pub(crate) use self::list_changed::changes;
pub(crate) use self::resource_updates::updates;
use crate::access::decision::Asking;
use crate::component::ComponentKind;
use crate::middleware::rate_limit::{self, Limited};
use crate::operation::task::Start;
use crate::visibility::Unknown;

/// The engine, as the protocol asks it.
#[derive(Clone)]
pub(crate) struct EngineService(pub(crate) Arc<Engine>);

impl Service for EngineService {
    fn identity(&self) -> &Identity {
        &self.0.identity
    }

    async fn serve(
        &self,
        operation: &mut Operation<'_>,
        exchange: Arc<Exchange>,
    ) -> Result<Outcome, RpcError> {
        if task::may_begin(&self.0, operation, &exchange) {
            // Boxed: it would be merged into this, with a stack of 30 KiB for each operation.
            return task::serve(&self.0, operation.take().into_owned(), exchange).boxed().await;
        }
        served(&self.0, operation, exchange, None).await
    }

    async fn admit(&self, what: &'static str, exchange: &Exchange) -> Result<(), RpcError> {
        let exchange = Arc::new(exchange.clone());
        let span;
        let mut record = OperationRecord::begin(&self.0, &exchange, what);
        span = record.new_span();
        record.in_span(&span);
        let admitted = match what {
            // It gives back what was counted when the session began.
            "session_end" => record.check_audit().map(|()| record.admitted()),
            _ => admitted(&self.0, &exchange, &mut record).instrument(span.clone()).await,
        };
        record.end(admitted)
    }

    async fn may_use(&self, used: &Used<'_>, exchange: &Exchange) -> bool {
        resuming::may_use(&self.0, used, exchange).await
    }

    async fn offers(&self, exchange: &Exchange) -> Offers {
        offers::offers(&self.0, exchange).await
    }

    fn changes(
        self: &Arc<Self>,
        exchange: &Exchange,
    ) -> impl Stream<Item = Changed> + Send + 'static {
        changes(&self.0, exchange)
    }

    fn updates(
        self: &Arc<Self>,
        exchange: &Exchange,
        listed: Vec<String>,
    ) -> impl Stream<Item = String> + Send + 'static {
        updates(&self.0, exchange, listed)
    }

    fn session_ended(&self, session: SessionKey) {
        self.0.visibility.session_ended(session);
    }

    fn rejected(&self, refused: &RejectionRecord<'_>) {
        audit::refused(&self.0, refused);
    }
}

/// Answers one operation, and records it. A call that may become a task has its `start`.
async fn served(
    engine: &Engine,
    operation: &Operation<'_>,
    exchange: Arc<Exchange>,
    start: Option<Arc<Start>>,
) -> Result<Outcome, RpcError> {
    let span;
    let mut record = OperationRecord::begin(engine, &exchange, method(operation));
    span = record.new_span();
    record.in_span(&span);
    if let Some(start) = &start {
        record.may_become(start);
    }
    let result = {
        let walk = pin!(walk(engine, operation, &exchange, &mut record, start));
        // Middleware may panic: everything else that is not ours is caught where it is asked.
        let mut walk = AssertUnwindSafe(walk).catch_unwind();
        // `Instrument` would enter the span once more to drop what only borrows the walk.
        poll_fn(|cx| span.in_scope(|| walk.poll_unpin(cx))).await
    };
    let result = result.unwrap_or_else(|_| Err(record.failed("panic")));
    let absent_until = record.absent_until();
    if let Some(until) = absent_until {
        record.warn_if_late(until);
    }
    let result = record.redacted(result);
    let result = record.end(result);
    // It does not last until those are told who wait to learn that nothing is there.
    drop(span);
    if let Some(until) = absent_until {
        engine.alarm.wait_until(until).await;
    }
    result
}

/// The fixed order of access: audit around everything, limits, the decision, middleware,
/// arguments, the function.
async fn walk<'a>(
    engine: &'a Engine,
    operation: &Operation<'_>,
    exchange: &Arc<Exchange>,
    record: &mut OperationRecord<'a>,
    start: Option<Arc<Start>>,
) -> Result<Outcome, RpcError> {
    admitted(engine, exchange, record).await?;
    let rules = engine.visibility.effective(exchange).await;
    let rules = rules.map_err(|Unknown| record.failed("visibility"))?;
    let asking = engine.asking(exchange, &rules, record.started());
    match operation {
        Operation::CallTool { name, arguments, input } => {
            let sent = call::Sent { arguments, input, start };
            call::tool(engine, name, &sent, exchange, &asking, record).await
        }
        Operation::ReadResource { uri, input } => {
            call::resource(engine, uri, input, exchange, &asking, record).await
        }
        Operation::GetPrompt { name, arguments, input } => {
            let sent = call::Sent { arguments, input, start: None };
            call::prompt(engine, name, &sent, exchange, &asking, record).await
        }
        // Boxed: merged into this, it would make the code and the stack of each use larger.
        other => besides_use(engine, other, exchange, &asking, record).boxed().await,
    }
}

/// Whatever is no use of a component: everything but calls, reads and prompts.
async fn besides_use<'a>(
    engine: &'a Engine,
    operation: &Operation<'_>,
    exchange: &Arc<Exchange>,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'a>,
) -> Result<Outcome, RpcError> {
    match operation {
        Operation::ListTools { cursor } => {
            let page = list::page(engine, ComponentKind::Tool, cursor.as_deref(), asking, record);
            page.await.map(Outcome::Tools)
        }
        Operation::ListResources { cursor } => {
            let kind = ComponentKind::Resource;
            let page = list::page(engine, kind, cursor.as_deref(), asking, record);
            page.await.map(Outcome::Resources)
        }
        Operation::ListResourceTemplates { cursor } => {
            let kind = ComponentKind::ResourceTemplate;
            let page = list::page(engine, kind, cursor.as_deref(), asking, record);
            page.await.map(Outcome::ResourceTemplates)
        }
        Operation::ListPrompts { cursor } => {
            let page = list::page(engine, ComponentKind::Prompt, cursor.as_deref(), asking, record);
            page.await.map(Outcome::Prompts)
        }
        Operation::Subscribe { uri } => {
            call::subscribe(engine, uri, exchange, asking, record).await
        }
        Operation::Unsubscribe { uri } => {
            // It tells nothing, and needs no access: who has lost it may want to hear no more.
            let own = exchange.subscriptions.as_ref().ok_or(RpcError::MethodNotFound)?;
            engine.subscribers.unsubscribe(own, uri);
            Ok(Outcome::Done)
        }
        Operation::Complete { reference, argument, value, arguments: known } => {
            let written = Written { reference, argument, value, known };
            complete::complete(engine, written, exchange, asking, record).await
        }
        Operation::FindTask { id } => task::find(engine, id, exchange, asking, record).await,
        Operation::UpdateTask { id, input } => {
            task::update(engine, id, input, exchange, asking, record).await
        }
        Operation::CancelTask { id } => task::cancel(engine, id, exchange, asking, record).await,
        _ => Err(RpcError::MethodNotFound),
    }
}

/// Whether anything may be asked at all: it has to be recorded, and within the limit of its
/// caller.
async fn admitted(
    engine: &Engine,
    exchange: &Exchange,
    record: &mut OperationRecord<'_>,
) -> Result<(), RpcError> {
    record.check_audit()?;
    let limited = engine.layers.check_rate(exchange, None).await;
    limited.map_err(|limited| match limited {
        Limited::Wait(wait) => record.limited(rate_limit::PER_PRINCIPAL, wait),
        Limited::Unknown => record.failed(rate_limit::PER_PRINCIPAL),
    })?;
    record.admitted();
    Ok(())
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
        Operation::Subscribe { .. } => "resources/subscribe",
        Operation::Unsubscribe { .. } => "resources/unsubscribe",
        Operation::Complete { .. } => "completion/complete",
        Operation::FindTask { .. } => "tasks/get",
        Operation::UpdateTask { .. } => "tasks/update",
        Operation::CancelTask { .. } => "tasks/cancel",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
