//! The records of tasks, in the server's store.

mod room;

use std::sync::Arc;
use std::time::Duration;

use portcullis_guard::{Clock, LogThrottle};
use portcullis_store::{CasOutcome, RecordValue, Store, StoreError};

pub(super) use self::room::Room;
use crate::operation::task::record::{TaskKey, TaskRecord};

/// The longest part of a result, in bytes: a record has room for it.
const PART_BYTES: usize = 60 * 1024;

/// The store did not answer, or not with what was kept. It is logged.
#[derive(Debug)]
pub(super) struct Unavailable;

/// Where tasks rest: they outlive the process that runs them, as far as the store does.
pub(super) struct Kept {
    store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    /// How long the store may take.
    patience: Duration,
    /// Whose turn it is to take room.
    turn: tokio::sync::Mutex<()>,
    log: LogThrottle,
}

impl Kept {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, patience: Duration) -> Self {
        Self { store, clock, patience, turn: tokio::sync::Mutex::new(()), log: LogThrottle::new() }
    }

    /// Whether other processes may run what is kept here.
    pub(super) fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    /// How many tasks of the owner are kept, counted up to `most`.
    pub(super) async fn owned(&self, key: &TaskKey, most: usize) -> Result<usize, Unavailable> {
        Ok(self.asked(self.store.list(&key.owner, most)).await?.len())
    }

    /// Keeps nothing of a task that has not begun.
    pub(super) async fn forget(&self, key: &TaskKey) {
        // Where the store cannot be asked, which is logged, it counts until it expires.
        let _ = self.asked(self.store.take(&key.record)).await;
    }

    /// The record of the task, as it rests too.
    pub(super) async fn find(
        &self,
        key: &TaskKey,
    ) -> Result<Option<(TaskRecord, RecordValue)>, Unavailable> {
        let Some(value) = self.asked(self.store.get(&key.record)).await? else { return Ok(None) };
        match TaskRecord::read(&value) {
            Some(record) => Ok(Some((record, value))),
            None => Err(self.failed("the record of a task is malformed")),
        }
    }

    /// Puts `record` in the place of `expected`. None when something else is there.
    pub(super) async fn swap(
        &self,
        key: &TaskKey,
        expected: Option<&RecordValue>,
        record: &TaskRecord,
    ) -> Result<Option<RecordValue>, Unavailable> {
        let value = record.value().ok_or_else(|| self.failed("a task is too long to be kept"))?;
        let new = Some(value.clone());
        let swap = self.store.compare_and_swap(&key.record, expected, new, record.ends());
        Ok((self.asked(swap).await? == CasOutcome::Done).then_some(value))
    }

    /// Keeps a result; gives the number of its parts.
    pub(super) async fn keep_result(
        &self,
        key: &TaskKey,
        record: &TaskRecord,
        result: &str,
    ) -> Result<usize, Unavailable> {
        let parts = result.as_bytes().chunks(PART_BYTES);
        let number = parts.len();
        for (at, part) in parts.enumerate() {
            let value = RecordValue::new(part).map_err(|error| self.failed(error.reason()))?;
            self.asked(self.store.put(&key.part(at), value, record.ends())).await?;
        }
        Ok(number)
    }

    /// The result that was kept in so many parts.
    pub(super) async fn result(&self, key: &TaskKey, parts: usize) -> Result<String, Unavailable> {
        let mut result = Vec::new();
        for at in 0..parts {
            let part = self.asked(self.store.get(&key.part(at))).await?;
            let part = part.ok_or_else(|| self.failed("a part of a result is missing"))?;
            result.extend_from_slice(part.as_bytes());
        }
        String::from_utf8(result).map_err(|_| self.failed("a result is malformed"))
    }

    async fn asked<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Unavailable> {
        match tokio::time::timeout(self.patience, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(error.reason())),
            Err(_) => Err(self.failed("the store takes too long")),
        }
    }

    fn failed(&self, reason: &str) -> Unavailable {
        if let Some(unlogged) = self.log.pass() {
            tracing::error!(reason, unlogged, "cannot ask the store for a task");
        }
        Unavailable
    }
}
