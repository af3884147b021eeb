//! The tasks that run in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::random;
use tokio::sync::{Notify, oneshot};

use crate::operation::task::questions::Questions;
use crate::operation::task::record::TaskKey;

/// Why a task does not go on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// Its caller has cancelled it.
    Cancelled,
    /// The server stops.
    Interrupted,
}

/// What runs here, and by what the records of it name this process.
pub(super) struct Running {
    /// Random; none where there are no random bytes, and then nothing runs.
    process: Option<String>,
    tasks: Mutex<Tasks>,
    /// Something has ended.
    ended: Notify,
}

#[derive(Default)]
struct Tasks {
    /// By the digests of the keys of their records.
    by_key: HashMap<[u8; 32], Task>,
    /// The server stops: nothing more begins.
    is_closed: bool,
}

struct Task {
    stop: Option<oneshot::Sender<Stop>>,
    questions: Arc<Questions>,
}

/// The place of one task among those that run; given back when it is dropped.
pub(super) struct Place {
    running: Arc<Running>,
    key: [u8; 32],
    /// Tells that the task is not to go on.
    pub(super) stop: oneshot::Receiver<Stop>,
}

impl Running {
    pub(super) fn new() -> Self {
        let process = random::bytes::<16>()
            .map_err(|error| tracing::error!(%error, "no tool runs as a task"))
            .map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        Self { process: process.ok(), tasks: Mutex::default(), ended: Notify::new() }
    }

    pub(super) fn process(&self) -> Option<&str> {
        self.process.as_deref()
    }

    /// Takes a place for a task, if fewer than `most` run.
    pub(super) fn enter(
        self: &Arc<Self>,
        key: &TaskKey,
        questions: &Arc<Questions>,
        most: usize,
    ) -> Option<Place> {
        let mut tasks = self.tasks();
        if tasks.is_closed || tasks.by_key.len() >= most {
            return None;
        }
        let (tell, stop) = oneshot::channel();
        let digest = *key.record.digest();
        let questions = Arc::clone(questions);
        tasks.by_key.insert(digest, Task { stop: Some(tell), questions });
        Some(Place { running: Arc::clone(self), key: digest, stop })
    }

    /// Whether the task runs here.
    pub(super) fn has(&self, key: &TaskKey) -> bool {
        self.tasks().by_key.contains_key(key.record.digest())
    }

    /// What the task asks its client, if it runs here.
    pub(super) fn questions(&self, key: &TaskKey) -> Option<Arc<Questions>> {
        self.tasks().by_key.get(key.record.digest()).map(|task| Arc::clone(&task.questions))
    }

    /// Lets the function of a task be dropped, and the task be kept as cancelled.
    pub(super) fn cancel(&self, key: &TaskKey) {
        let stop =
            self.tasks().by_key.get_mut(key.record.digest()).and_then(|task| task.stop.take());
        // Whoever does not listen has ended.
        let _ = stop.map(|stop| stop.send(Stop::Cancelled));
    }

    /// From here on nothing more begins.
    pub(super) fn close(&self) {
        self.tasks().is_closed = true;
    }

    /// Tells all that they do not go on.
    pub(super) fn interrupt(&self) {
        for task in self.tasks().by_key.values_mut() {
            let _ = task.stop.take().map(|stop| stop.send(Stop::Interrupted));
        }
    }

    /// Tells those that wait for their client that they do not go on.
    pub(super) fn interrupt_asking(&self) {
        let mut tasks = self.tasks();
        for task in tasks.by_key.values_mut().filter(|task| task.questions.is_asking()) {
            let _ = task.stop.take().map(|stop| stop.send(Stop::Interrupted));
        }
    }

    /// Waits until nothing runs.
    pub(super) async fn all_ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.tasks().by_key.is_empty() {
                return;
            }
            ended.await;
        }
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.tasks().by_key.remove(&self.key);
        self.running.ended.notify_waiters();
    }
}
