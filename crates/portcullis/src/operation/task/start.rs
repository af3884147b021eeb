//! A call that becomes a task: its record is there before its function goes on, and before its client is
//! told (SEP-2663 §Task Creation).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::random;
use portcullis_protocol::{Exchange, Transport};
use portcullis_store::RecordValue;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::catalogue::Entry;
use crate::component::tool_error::ToolError;
use crate::operation::engine::Engine;
use crate::operation::task::LEASE;
use crate::operation::task::kept::{Room, Unavailable};
use crate::operation::task::questions::Questions;
use crate::operation::task::record::{State, TaskKey, TaskRecord, millis};
use crate::operation::task::running::Place;

/// The bytes of an id: 192 bits. As a multiple of three they have one spelling in base64.
const ID_BYTES: usize = 24;

const OWN_IS_FULL: &str =
    "Your tasks take as much room as they may: try again when one of them expires.";
const STORE_IS_FULL: &str =
    "The tasks of this server take as much room as they may: try again later.";
const FULL: &str = "This server runs as many tasks as it may: try again later.";

/// One call, which may become a task.
pub(in crate::operation) struct Start {
    engine: Arc<Engine>,
    exchange: Arc<Exchange>,
    questions: Arc<Questions>,
    /// The tool, and the arguments if a check reads them.
    call: Mutex<Option<Called>>,
    /// Where the request waits for the task.
    request: tokio::sync::Mutex<Option<oneshot::Sender<Created>>>,
    has_begun: AtomicBool,
    key: OnceLock<TaskKey>,
}

type Called = (String, Option<Map<String, Value>>);

/// A task that has begun.
pub(super) struct Created {
    pub(super) key: TaskKey,
    pub(super) record: TaskRecord,
    /// The record as it rests.
    pub(super) value: RecordValue,
    pub(super) place: Place,
}

impl Start {
    /// For a call that arrives in `exchange`; and what is told of the task, if it becomes one.
    pub(super) fn new(
        engine: &Arc<Engine>,
        exchange: &Arc<Exchange>,
    ) -> (Self, oneshot::Receiver<Created>) {
        let (tell, told) = oneshot::channel();
        let start = Self {
            engine: Arc::clone(engine),
            exchange: Arc::clone(exchange),
            questions: Arc::new(Questions::new(engine, exchange.capabilities)),
            call: Mutex::default(),
            request: tokio::sync::Mutex::new(Some(tell)),
            has_begun: AtomicBool::new(false),
            key: OnceLock::new(),
        };
        (start, told)
    }

    pub(super) fn questions(&self) -> &Arc<Questions> {
        &self.questions
    }

    /// Whether the call is a task.
    pub(in crate::operation) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Acquire)
    }

    /// How much longer than any function that of a task may run.
    pub(in crate::operation) fn besides(&self) -> Duration {
        let limits = &self.engine.limits;
        let besides = limits.task_timeout.saturating_sub(limits.handler_timeout);
        if self.has_begun() { besides } else { Duration::ZERO }
    }

    /// What stands for the id of the task in audit records.
    pub(in crate::operation) fn pseudonym(&self) -> Option<String> {
        self.key.get().filter(|_| self.has_begun()).map(TaskKey::pseudonym)
    }

    /// Notes what is called, once its arguments are accepted.
    pub(in crate::operation) fn of_call(&self, entry: &Entry, arguments: &Map<String, Value>) {
        let arguments = entry.checks.reads_arguments.then(|| arguments.clone());
        let mut call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        *call = Some((entry.key.clone(), arguments));
    }

    /// Makes the call a task, unless it is one already.
    ///
    /// # Errors
    ///
    /// When there is no room for it, or the store cannot be asked.
    pub(in crate::operation) async fn begin(&self) -> Result<(), ToolError> {
        let mut request = self.request.lock().await;
        if request.is_none() {
            return Ok(());
        }
        let created = self.create().await?;
        if request.take().is_none_or(|request| request.send(created).is_err()) {
            return Err(ToolError::internal("nobody waits for the task"));
        }
        self.has_begun.store(true, Ordering::Release);
        drop(request);
        // Its request is answered before its function goes on.
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn create(&self) -> Result<Created, ToolError> {
        let Engine { tasks, limits, identity, .. } = &*self.engine;
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (tool, arguments) =
            call.ok_or_else(|| ToolError::internal("no call becomes a task"))?;
        let id = random::bytes::<ID_BYTES>().map_err(ToolError::internal)?;
        let id = URL_SAFE_NO_PAD.encode(id);
        let key = TaskKey::new(identity.name(), &self.exchange, &id);
        let process =
            tasks.running.process().ok_or_else(|| ToolError::internal("no random bytes"))?;
        let place = tasks.running.enter(&key, &self.questions, limits.tasks);
        let place = place.ok_or_else(|| ToolError::new(FULL))?;
        let nobody =
            self.exchange.principal.is_none() && self.exchange.transport != Transport::Stdio;
        let most = if nobody { limits.tasks } else { limits.tasks_per_principal };
        let now = tasks.kept.clock.now();
        let until = millis(now + LEASE);
        let ttl = u64::try_from(limits.task_ttl.as_millis()).unwrap_or(u64::MAX);
        let record = TaskRecord {
            tool,
            state: State::Working { process: process.to_owned(), until },
            created: millis(now),
            updated: millis(now),
            ttl,
            arguments,
        };
        let keeping = Keeping::begin(&self.engine, &key, &record, (most, place));
        let (value, place) = keeping.ended().await?;
        self.key.get_or_init(|| key.clone());
        Ok(Created { key, record, value, place })
    }
}

/// Keeps a task that begins, and takes its room; all of it, or nothing.
async fn keep(
    Engine { tasks, limits, .. }: &Engine,
    key: &TaskKey,
    record: &TaskRecord,
    most: usize,
) -> Result<RecordValue, ToolError> {
    let unavailable = |Unavailable| ToolError::internal("the store cannot be asked for tasks");
    let value = match tasks.kept.swap(key, None, record).await {
        Ok(value) => value,
        Err(lost) => {
            // It may be kept all the same, and would count.
            tasks.kept.forget(key).await;
            return Err(unavailable(lost));
        }
    };
    let value = value.ok_or_else(|| ToolError::internal("the id of a task is taken"))?;
    let fits = async {
        // Counted once it is kept: of those that begin at once, at whatever replica, each counts the others.
        let kept = tasks.kept.owned(key, most.saturating_add(1)).await.map_err(unavailable)?;
        if kept > most {
            let text =
                format!("As many tasks as may be are kept, {most}: try again when one expires.");
            return Err(ToolError::new(text));
        }
        let (bytes, all) = (value.as_bytes().len(), limits.task_store_bytes);
        match tasks.kept.take_room(key, record, bytes, all).await.map_err(unavailable)? {
            Room::Taken => Ok(()),
            Room::OwnIsFull => Err(ToolError::new(OWN_IS_FULL)),
            Room::IsFull => Err(ToolError::new(STORE_IS_FULL)),
        }
    };
    if let Err(refused) = fits.await {
        tasks.kept.forget(key).await;
        return Err(refused);
    }
    Ok(value)
}

/// A task that is being kept. It goes on to the end of that though its call ends, in its place among those
/// that run, and is forgotten then: it would count, and nobody would know its id.
struct Keeping {
    engine: Arc<Engine>,
    key: TaskKey,
    record: TaskRecord,
    /// None once it has ended.
    kept: Option<JoinHandle<Result<RecordValue, ToolError>>>,
    place: Option<Place>,
}

impl Keeping {
    fn begin(
        engine: &Arc<Engine>,
        key: &TaskKey,
        record: &TaskRecord,
        (most, place): (usize, Place),
    ) -> Self {
        let own = || (Arc::clone(engine), key.clone(), record.clone());
        let (engine, key, record) = own();
        let kept = tokio::spawn(async move { keep(&engine, &key, &record, most).await });
        let (engine, key, record) = own();
        Self { engine, key, record, kept: Some(kept), place: Some(place) }
    }

    async fn ended(mut self) -> Result<(RecordValue, Place), ToolError> {
        let broken = || ToolError::internal("nothing has kept the task");
        let kept = match &mut self.kept {
            Some(kept) => kept.await.unwrap_or_else(|_| Err(broken())),
            None => Err(broken()),
        };
        self.kept = None;
        Ok((kept?, self.place.take().ok_or_else(broken)?))
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let (engine, key) = (Arc::clone(&self.engine), self.key.clone());
            let (record, place) = (self.record.clone(), self.place.take());
            runtime.spawn(async move {
                if let Ok(Ok(value)) = kept.await {
                    let tasks = &engine.tasks.kept;
                    tasks.forget(&key).await;
                    tasks.leave_room(&key, &record, value.as_bytes().len()).await;
                }
                drop(place);
            });
        }
    }
}
