//! A task goes on by itself, until its function ends, its caller cancels it or the server stops.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use portcullis_protocol::model::{CallToolResult, ContentBlock};
use portcullis_protocol::{Outcome, RpcError};
use portcullis_store::RecordValue;
use serde::Serialize;

use crate::operation::engine::Engine;
use crate::operation::task::kept::{Kept, Room, Unavailable};
use crate::operation::task::record::{State, TaskKey, TaskRecord, millis};
use crate::operation::task::running::Stop;
use crate::operation::task::start::Created;
use crate::operation::task::{INTERRUPTED, LEASE};

/// How often a process says that a task of it still runs, where others may ask.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often it is tried to keep what became of a task, and how long lies between.
const TRIES: usize = 5;
const APART: Duration = Duration::from_secs(1);

const UNKEPT: &str = "The result of the task could not be kept";
const OWN_IS_FULL: &str =
    "The result of the task is lost: your tasks take as much room as they may";
const STORE_IS_FULL: &str =
    "The result of the task is lost: the tasks of this server take as much room as they may";

/// What the call would have been answered with.
pub(super) type Answer = Result<Outcome, RpcError>;

/// Runs the task to its end, and keeps what became of it.
pub(super) async fn go_on(
    engine: Arc<Engine>,
    created: Created,
    mut call: BoxFuture<'static, Answer>,
) {
    let Created { key, record, mut value, mut place } = created;
    let ran = async {
        tokio::select! {
            biased;
            stopped = &mut place.stop => Ran::Stopped(stopped.ok().map(|stop| match stop {
                Stop::Interrupted => interrupted(),
                // The request that cancels it may not come to saying so.
                Stop::Cancelled => State::Cancelled,
            })),
            answer = &mut call => Ran::Answered(answer),
        }
    };
    let ran = renewing(&engine, (&key, &record), &mut value, ran).await;
    // Nothing of the function runs on once its state says that it has ended.
    drop(call);
    let state = match ran {
        Some(Ran::Answered(answer)) => {
            // To keep a long result takes its time, too.
            let state = state(&engine, &key, &record, answer);
            renewing(&engine, (&key, &record), &mut value, state).await
        }
        Some(Ran::Stopped(state)) => state,
        None => None,
    };
    if let Some(state) = state {
        end(&engine, &key, &record, value, state).await;
    }
    drop(place);
}

/// What became of the function of a task.
enum Ran {
    Answered(Answer),
    /// It does not go on, and why, if anybody said so.
    Stopped(Option<State>),
}

/// Says that a task still runs for as long as `work` does. None once the task has ended elsewhere.
async fn renewing<T>(
    engine: &Engine,
    (key, record): (&TaskKey, &TaskRecord),
    value: &mut RecordValue,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            renewed = renew(&engine.tasks.kept, key, record, value) => match renewed {
                Ok(Some(renewed)) => *value = renewed,
                Ok(None) => return None,
                // It is tried again; once the lease is over, the task has ended for others.
                Err(Unavailable) => {}
            },
        }
    }
}

/// Says after a while that the task still runs; none when it has ended elsewhere. Where nobody else could
/// ask, it is never needed.
async fn renew(
    kept: &Kept,
    key: &TaskKey,
    record: &TaskRecord,
    value: &RecordValue,
) -> Result<Option<RecordValue>, Unavailable> {
    if !kept.is_shared() {
        return pending().await;
    }
    tokio::time::sleep(HEARTBEAT).await;
    let State::Working { process, .. } = &record.state else { return Ok(None) };
    let until = millis(kept.clock.now() + LEASE);
    let state = State::Working { process: process.clone(), until };
    let working = TaskRecord { state, ..record.clone() };
    if let Some(renewed) = kept.swap(key, Some(value), &working).await? {
        return Ok(Some(renewed));
    }
    // A store that said nothing the last time may have renewed it all the same.
    let found = kept.find(key).await?;
    Ok(found.and_then(|(found, resting)| found.runs_in(Some(process)).then_some(resting)))
}

/// The state of a task whose process does not go on with it.
pub(super) fn interrupted() -> State {
    let error = RpcError::Internal(INTERRUPTED.into());
    State::Failed { error: error.json(), message: INTERRUPTED.to_owned() }
}

/// What became of a task, with its result kept.
async fn state(engine: &Engine, key: &TaskKey, record: &TaskRecord, answer: Answer) -> State {
    let result = match answer {
        Ok(Outcome::ToolCalled(result)) => result,
        Ok(_) => {
            tracing::error!(component = record.tool, "a task ended with a question to its client");
            return failed(&RpcError::Internal("Internal error".into()));
        }
        Err(error) => return failed(&error),
    };
    let most = engine.limits.task_result_bytes;
    let json = match json(&result) {
        Some(json) if json.len() > most => {
            tracing::warn!(
                component = record.tool,
                bytes = json.len(),
                most,
                "a result is too long"
            );
            let text = format!("The result is longer than a task may have, {most} bytes.");
            self::json(&CallToolResult::error(vec![ContentBlock::text(text)]))
        }
        json => json,
    };
    let Some(json) = json else { return failed(&RpcError::Internal("Internal error".into())) };
    let kept = &engine.tasks.kept;
    let text = match kept.take_room(key, record, json.len(), engine.limits.task_store_bytes).await {
        Ok(Room::Taken) => match kept.keep_result(key, record, &json).await {
            Ok(parts) => return State::Completed { parts },
            Err(Unavailable) => UNKEPT,
        },
        Ok(full @ (Room::OwnIsFull | Room::IsFull)) => {
            tracing::warn!(
                component = record.tool,
                bytes = json.len(),
                ?full,
                "a result of a task is lost: Limits::task_store_bytes leaves no room for it"
            );
            if full == Room::OwnIsFull { OWN_IS_FULL } else { STORE_IS_FULL }
        }
        Err(Unavailable) => UNKEPT,
    };
    failed(&RpcError::Internal(text.into()))
}

fn failed(error: &RpcError) -> State {
    State::Failed { error: error.json(), message: error.to_string() }
}

fn json(result: &CallToolResult) -> Option<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Complete<'a> {
        result_type: &'static str,
        #[serde(flatten)]
        result: &'a CallToolResult,
    }

    serde_json::to_string(&Complete { result_type: "complete", result }).ok()
}

/// Keeps the state in which the task has ended, unless it has ended elsewhere.
async fn end(
    engine: &Engine,
    key: &TaskKey,
    record: &TaskRecord,
    mut value: RecordValue,
    state: State,
) {
    let kept = &engine.tasks.kept;
    let ended = record.changed(state, kept.clock.now());
    for _ in 0..TRIES {
        match kept.swap(key, Some(&value), &ended).await {
            Ok(Some(_)) => return,
            // It may have been said meanwhile that it still runs.
            Ok(None) => match kept.find(key).await {
                Ok(Some((found, resting))) if found.runs_in(engine.tasks.running.process()) => {
                    value = resting;
                }
                Ok(_) => return,
                Err(Unavailable) => tokio::time::sleep(APART).await,
            },
            Err(Unavailable) => tokio::time::sleep(APART).await,
        }
    }
    tracing::error!(component = record.tool, "what became of a task could not be kept");
}
