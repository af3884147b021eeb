//! Tasks: calls that outlive their requests (SEP-2663, the extension `io.modelcontextprotocol/tasks`).
//!
//! A call takes the way of every other one, and becomes a task where its function begins: what is
//! refused before that is answered as ever. From there on it runs by itself, to the same exit.

mod kept;
mod questions;
mod record;
mod run;
mod running;
mod start;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use portcullis_guard::{Clock, Timestamp};
use portcullis_protocol::model::{Task, TaskState};
use portcullis_protocol::{
    ClientCapabilities, Exchange, InputResponses, Operation, Outcome, RpcError,
};
use portcullis_store::{RecordValue, Store};
use serde_json::value::RawValue;

use self::kept::{Kept, Unavailable};
pub(super) use self::questions::TaskSource;
pub(super) use self::record::TaskKey;
use self::record::{State, TaskRecord, millis, time};
use self::running::Running;
pub(super) use self::start::Start;
use crate::access::decision::{Access, Asking, Purpose, decide};
use crate::catalogue::Entry;
use crate::operation::audit::OperationRecord;
use crate::operation::engine::Engine;
use crate::operation::offers::offers_tasks;
use crate::operation::refusal::denied;
use crate::operation::served;

/// How long a process may be silent about a task before others take it for ended.
const LEASE: Duration = Duration::from_secs(30);
/// How often clients should ask.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often those that run while the server stops are looked at.
const LOOKS: Duration = Duration::from_secs(1);
/// How often a change is tried that others are ahead of.
const TRIES: usize = 8;

const INTERRUPTED: &str = "The server was stopped or restarted while the task ran: it did not end, and is not begun again";
const NOT_FOUND: &str = "Task not found";

/// The tasks of a server.
pub(crate) struct Tasks {
    kept: Kept,
    running: Arc<Running>,
}

impl Tasks {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, patience: Duration) -> Self {
        Self { kept: Kept::new(store, clock, patience), running: Arc::new(Running::new()) }
    }

    /// Lets what runs finish within `time`; what does not is recorded as interrupted, and so is what waits
    /// for its client, from which no answer is taken any more.
    pub(crate) async fn drain(&self, time: Duration) {
        self.running.close();
        let ended = async {
            loop {
                self.running.interrupt_asking();
                if tokio::time::timeout(LOOKS, self.running.all_ended()).await.is_ok() {
                    return;
                }
            }
        };
        if tokio::time::timeout(time, ended).await.is_ok() {
            return;
        }
        tracing::warn!(limit = ?time, "tasks were still running at the drain limit");
        self.running.interrupt();
        // The store has a time of its own.
        self.running.all_ended().await;
    }
}

/// Whether the call may become a task, whatever tool it names.
pub(super) fn may_begin(engine: &Engine, operation: &Operation<'_>, exchange: &Exchange) -> bool {
    matches!(operation, Operation::CallTool { .. })
        && takes_tasks(exchange)
        && engine.catalogue.runs_tasks()
}

/// Whether a client takes tasks.
pub(super) fn takes_tasks(exchange: &Exchange) -> bool {
    exchange.version.is_stateless() && exchange.capabilities.tasks
}

/// Answers a call: with its result, or with the task that it has become.
pub(super) async fn serve(
    engine: &Arc<Engine>,
    operation: Operation<'static>,
    exchange: Arc<Exchange>,
) -> Result<Outcome, RpcError> {
    let (start, mut created) = Start::new(engine, &exchange);
    let start = Arc::new(start);
    let own = Arc::clone(engine);
    let call = async move { served(&own, &operation, exchange, Some(start)).await };
    let mut call = call.boxed();
    let (created, call) = tokio::select! {
        biased;
        answer = &mut call => match created.try_recv() {
            // The function had nothing to wait for.
            Ok(created) => (created, std::future::ready(answer).boxed()),
            Err(_) => return answer,
        },
        Ok(created) = &mut created => (created, call),
    };
    let task = shown(&created.key, &created.record, TaskState::Working);
    tokio::spawn(run::go_on(Arc::clone(engine), created, call));
    Ok(Outcome::TaskCreated(Box::new(task)))
}

/// `tasks/get`
pub(super) async fn find<'a>(
    engine: &'a Engine,
    id: &str,
    exchange: &Exchange,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'a>,
) -> Result<Outcome, RpcError> {
    let Found { key, task, .. } = found(engine, id, exchange, asking, record).await?;
    let Tasks { kept, running } = &*engine.tasks;
    let state = match &task.state {
        State::Working { .. } => match running.questions(&key).map(|questions| questions.open()) {
            Some(open) if !open.is_empty() => TaskState::InputRequired(open),
            Some(_) | None => TaskState::Working,
        },
        State::Completed { parts } => {
            let result = kept.result(&key, *parts).await.ok();
            let result = result.and_then(|result| RawValue::from_string(result).ok());
            TaskState::Completed(result.ok_or_else(|| record.failed("tasks"))?)
        }
        State::Failed { error, .. } => TaskState::Failed(error.clone()),
        State::Cancelled => TaskState::Cancelled,
    };
    Ok(Outcome::TaskFound(Box::new(shown(&key, &task, state))))
}

/// `tasks/update`
pub(super) async fn update<'a>(
    engine: &'a Engine,
    id: &str,
    input: &InputResponses<'_>,
    exchange: &Exchange,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'a>,
) -> Result<Outcome, RpcError> {
    let answers = input.read();
    let Found { key, task, .. } = found(engine, id, exchange, asking, record).await?;
    let answers =
        answers.map_err(|_| RpcError::invalid_params("`inputResponses` cannot be read"))?;
    match engine.tasks.running.questions(&key) {
        Some(questions) => questions.answer(answers),
        None if task.is_over() => {}
        None => {
            let text = "The task runs at another replica: route requests by `Mcp-Name`";
            return Err(RpcError::Internal(text.into()));
        }
    }
    Ok(Outcome::Done)
}

/// `tasks/cancel`
pub(super) async fn cancel<'a>(
    engine: &'a Engine,
    id: &str,
    exchange: &Exchange,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'a>,
) -> Result<Outcome, RpcError> {
    let Found { key, mut task, mut value } = found(engine, id, exchange, asking, record).await?;
    let Tasks { kept, running } = &*engine.tasks;
    // First, since this request may be dropped, or the store say too late what it has kept.
    running.cancel(&key);
    for _ in 0..TRIES {
        if task.is_over() {
            return Ok(Outcome::Done);
        }
        let cancelled = task.changed(State::Cancelled, kept.clock.now());
        match kept.swap(&key, Some(&value), &cancelled).await {
            Ok(Some(_)) => return Ok(Outcome::Done),
            Ok(None) => match kept.find(&key).await {
                Ok(Some(found)) => (task, value) = found,
                Ok(None) => return Ok(Outcome::Done),
                Err(Unavailable) => break,
            },
            Err(Unavailable) => break,
        }
    }
    Err(record.failed("tasks"))
}

/// A task of the caller, who may use its tool.
struct Found {
    key: TaskKey,
    task: TaskRecord,
    value: RecordValue,
}

/// Finds a task of the caller. It is decided about its tool again: whoever may not use that any more has
/// no task of it.
async fn found<'a>(
    engine: &'a Engine,
    id: &str,
    exchange: &Exchange,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'a>,
) -> Result<Found, RpcError> {
    if !takes_tasks(exchange) {
        let offered = offers_tasks(engine, asking).await;
        return Err(match offered {
            true => RpcError::MissingClientCapability(ClientCapabilities::TASKS),
            false => absent(engine, asking, record).await,
        });
    }
    let key = TaskKey::new(engine.identity.name(), exchange, id);
    let found = match engine.tasks.kept.find(&key).await {
        Ok(found) => found,
        // Whoever is offered no tasks does not learn that they are looked for either.
        Err(Unavailable) if offers_tasks(engine, asking).await => {
            return Err(record.failed("tasks"));
        }
        Err(Unavailable) => None,
    };
    let Some((task, value)) = found else { return Err(absent(engine, asking, record).await) };
    let Some(entry) = engine.catalogue.tools.find(&task.tool) else {
        return Err(absent(engine, asking, record).await);
    };
    if let Access::Denied(denial) = allowed(entry, &task, asking).await {
        let absent = no_such_task(engine, asking).await;
        return Err(denied(record.denied(entry, denial), || absent));
    }
    record.allowed(entry);
    record.concerns_task(&key);
    match settled(engine, Found { key, task, value }).await {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(no_such_task(engine, asking).await),
        Err(Unavailable) => Err(record.failed("tasks")),
    }
}

/// As [`no_such_task`], where nothing was found.
async fn absent(
    engine: &Engine,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'_>,
) -> RpcError {
    record.no_such_task();
    no_such_task(engine, asking).await
}

/// The answer for a caller without the task. Whoever sees no tool that runs as one is answered as at a
/// server that has none: neither tells of hidden tools.
async fn no_such_task(engine: &Engine, asking: &Asking<'_>) -> RpcError {
    match offers_tasks(engine, asking).await {
        true => RpcError::invalid_params(NOT_FOUND),
        false => RpcError::MethodNotFound,
    }
}

/// Whether the caller may use the tool of the task, with its arguments where those are looked at.
async fn allowed(entry: &Entry, task: &TaskRecord, asking: &Asking<'_>) -> Access {
    match decide(entry, asking, Purpose::Use).await {
        Access::Allowed if entry.checks.reads_arguments => {
            let arguments = task.arguments.clone().unwrap_or_default();
            decide(entry, asking, Purpose::Call(&arguments)).await
        }
        access => access,
    }
}

/// The task as it is, or as it is now that the process that ran it is gone: a task is never begun again.
async fn settled(engine: &Engine, found: Found) -> Result<Option<Found>, Unavailable> {
    let Found { key, mut task, mut value } = found;
    let Tasks { kept, running } = &*engine.tasks;
    for _ in 0..TRIES {
        let State::Working { process, until } = &task.state else { break };
        let goes_on = match running.process() == Some(process) {
            true => running.has(&key),
            false => kept.is_shared() && millis(kept.clock.now()) < *until,
        };
        if goes_on {
            break;
        }
        let ended = task.changed(run::interrupted(), kept.clock.now());
        if let Some(value) = kept.swap(&key, Some(&value), &ended).await? {
            return Ok(Some(Found { key, task: ended, value }));
        }
        match kept.find(&key).await? {
            Some(found) => (task, value) = found,
            None => return Ok(None),
        }
    }
    Ok(Some(Found { key, task, value }))
}

/// A task as clients are shown it.
fn shown(key: &TaskKey, task: &TaskRecord, state: TaskState) -> Task {
    let message = match &task.state {
        State::Failed { message, .. } => Some(message.clone()),
        State::Working { .. } | State::Completed { .. } | State::Cancelled => None,
    };
    Task {
        id: key.id.clone(),
        state,
        message,
        created_at: Timestamp::from(time(task.created)).to_string(),
        updated_at: Timestamp::from(time(task.updated)).to_string(),
        ttl_ms: task.ttl,
        poll_interval_ms: u64::try_from(POLL_INTERVAL.as_millis()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
