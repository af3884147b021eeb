//! Records in one file.

mod database;
mod open_error;
mod shared;
mod snapshot;
mod transaction;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use portcullis_guard::{Clock, MaybeFuture};
use tokio::sync::oneshot;

pub use open_error::{StoreOpenError, StoreOpenErrorKind};

use crate::nanos::nanos;
use crate::{CasOutcome, RecordKey, RecordOwner, RecordValue, Store, StoreError};
use shared::Shared;
use snapshot::Snapshot;
use transaction::{Capacity, Change, Condition, Outcome};
use writer::{Pace, Request, Writer};

/// Records in one file, for one process: what is stored outlives it. The file is a
/// [redb](https://www.redb.org) database.
///
/// It holds 100,000 live records and 256 MiB of values, or as much as
/// [`with_capacity`](Self::with_capacity) and [`with_max_bytes`](Self::with_max_bytes) say; when all
/// are live, another is [`StoreError::full`]. The file keeps the largest size that it ever had.
///
/// What it decides:
///
/// 1. The file is [private](portcullis_guard::PrivateFile): mode 0600, in a folder with mode 0700,
///    and both are created so. What others may read is refused.
/// 2. One process has the file open. Another is refused, and so is a file that is damaged, cut
///    short, empty, or something else than a store. All of it is checked when it is opened.
/// 3. A write has succeeded when it is on the disk. What was acknowledged survives `kill -9` and a
///    power failure, and nothing is torn. A write whose answer was an error, or not waited for, may
///    be there. No write is ever tried twice.
/// 4. Writes of all callers that wait go to the disk together. With more than 1024 of them waiting,
///    further ones are refused.
/// 5. While the disk is full, writes are refused and [`ready`](Store::ready) says so; reads go on. The
///    file is opened again every second once the disk takes a megabyte.
/// 6. When the file is removed or replaced while it is open, everything is refused.
///
/// A read takes some microseconds, in the caller's task. It waits for no write, and at worst for a
/// few pages of the file from the disk.
///
/// **Deployment caveat.** The disk has to be a local one: locks and syncing are not to be relied on
/// over NFS. Stop the server before you replace or restore the file. Values are written as they are,
/// and a server does not build with a store that nothing seals: `Sealed` around it does (feature
/// `sealed`), or [`dangerously_unsealed`](Self::dangerously_unsealed) allows it.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use portcullis_guard::{Clock, SystemClock};
/// use portcullis_store::{FileStore, RecordKey, RecordValue, Store, StoreOpenErrorKind};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("state/store.redb");
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let key = RecordKey::new("greeting", ["alice"]);
/// let in_an_hour = SystemClock.now() + Duration::from_secs(3600);
///
/// let store = FileStore::open(&path, Arc::new(SystemClock)).unwrap();
/// store.put(&key, RecordValue::new(*b"hello")?, in_an_hour).await?;
/// let refused = FileStore::open(&path, Arc::new(SystemClock)).unwrap_err();
/// assert_eq!(refused.kind(), StoreOpenErrorKind::AlreadyOpen);
/// drop(store);
///
/// let store = FileStore::open(&path, Arc::new(SystemClock)).unwrap();
/// assert_eq!(store.get(&key).await?, Some(RecordValue::new(*b"hello")?));
/// # Ok::<(), portcullis_store::StoreError>(())
/// # }).unwrap();
/// ```
pub struct FileStore {
    path: PathBuf,
    /// Whether values that are not sealed may be written.
    may_be_unsealed: bool,
    /// Until the store is dropped.
    requests: Option<SyncSender<Request>>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    writer: Option<JoinHandle<()>>,
    /// Disconnected when the writer has let the file go.
    ended: Mutex<Receiver<()>>,
}

impl FileStore {
    /// Opens the store in the file at `path`, which judges expiry by `clock`. An absent file is made,
    /// and its folder too if only that is absent.
    ///
    /// It blocks while it checks the file: some tenths of a second for 100,000 records.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the file and what to do; nothing in it is changed then.
    pub fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, StoreOpenError> {
        Self::open_at(path.as_ref(), clock, Pace::default())
    }

    fn open_at(path: &Path, clock: Arc<dyn Clock>, pace: Pace) -> Result<Self, StoreOpenError> {
        let (database, place) = database::open(path)?;
        let snapshot =
            Snapshot::of(&database).map_err(|error| StoreOpenError::of_redb(path, &error))?;
        let shared = Arc::new(Shared::new(snapshot, CAPACITY));
        let (requests, received) = mpsc::sync_channel(MAX_WAITING);
        let writer = Writer {
            database: Some(database),
            place,
            requests: received,
            shared: Arc::clone(&shared),
            clock: Arc::clone(&clock),
            pace,
            last_batch: 1,
        };
        let (ends, ended) = mpsc::sync_channel(0);
        let thread = thread::Builder::new().name("portcullis-store".to_owned());
        let writer = thread.spawn(move || {
            writer.run();
            drop(ends);
        });
        let writer = writer.map_err(|error| StoreOpenError::of_redb(path, &error.into()))?;
        let path = path.to_owned();
        Ok(Self {
            may_be_unsealed: false,
            path,
            requests: Some(requests),
            shared,
            clock,
            writer: Some(writer),
            ended: Mutex::new(ended),
        })
    }

    /// Sets how many live records there may be.
    #[must_use]
    pub fn with_capacity(self, records: usize) -> Self {
        self.shared.set_records(u64::try_from(records).unwrap_or(u64::MAX));
        self
    }

    /// Sets how many bytes all values may have together.
    #[must_use]
    pub fn with_max_bytes(self, bytes: u64) -> Self {
        self.shared.set_bytes(bytes);
        self
    }

    /// Lets a server use the store as it is, for tests: whoever has the file, or a copy of it, reads
    /// what is stored.
    #[must_use]
    pub fn dangerously_unsealed(mut self) -> Self {
        self.may_be_unsealed = true;
        self
    }

    /// Waits until the writer has made a change, as part of a commit.
    ///
    /// It is made whether or not the answer is waited for, once this was polled.
    async fn change(&self, change: Change) -> Result<Outcome, StoreError> {
        self.shared.ready()?;
        let (answer, answered) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or_else(ended)?;
        requests.try_send(Request { change, answer }).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::unavailable(format!(
                "the disk is too slow: {MAX_WAITING} writes wait for it"
            )),
            TrySendError::Disconnected(_) => ended(),
        })?;
        answered.await.map_err(|_| ended())?
    }
}

impl Store for FileStore {
    fn put<'a>(
        &'a self,
        key: &'a RecordKey,
        value: RecordValue,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<(), StoreError>> {
        let new = Some((value, nanos(expires_at)));
        let change = Change { key: *key, condition: Condition::Always, new };
        MaybeFuture::pending(async move { self.change(change).await.map(drop) })
    }

    fn is_empty(&self) -> bool {
        self.shared.is_empty()
    }

    fn ready(&self) -> MaybeFuture<'_, Result<(), StoreError>> {
        MaybeFuture::ready(self.shared.ready())
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn is_unsealed(&self) -> bool {
        !self.may_be_unsealed
    }

    fn get<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        let now = nanos(self.clock.now());
        MaybeFuture::ready(self.shared.snapshot().and_then(|snapshot| {
            snapshot.live(key.digest(), now).map_err(|error| self.unread(&error))
        }))
    }

    fn take<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        let change = Change { key: *key, condition: Condition::Always, new: None };
        MaybeFuture::pending(async move {
            match self.change(change).await? {
                Outcome::Done(before) => Ok(before),
                Outcome::Conflict => Ok(None),
            }
        })
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Option<&'a RecordValue>,
        new: Option<RecordValue>,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<CasOutcome, StoreError>> {
        let condition = Condition::Is(expected.cloned());
        let new = new.map(|value| (value, nanos(expires_at)));
        let change = Change { key: *key, condition, new };
        MaybeFuture::pending(async move {
            Ok(match self.change(change).await? {
                Outcome::Conflict => CasOutcome::Conflict,
                Outcome::Done(_) => CasOutcome::Done,
            })
        })
    }

    fn list<'a>(
        &'a self,
        owner: &'a RecordOwner,
        limit: usize,
    ) -> MaybeFuture<'a, Result<Vec<(RecordKey, RecordValue)>, StoreError>> {
        let now = nanos(self.clock.now());
        MaybeFuture::ready(self.shared.snapshot().and_then(|snapshot| {
            snapshot.of_owner(owner, limit, now).map_err(|error| self.unread(&error))
        }))
    }
}

impl FileStore {
    fn unread(&self, error: &redb::Error) -> StoreError {
        StoreError::unavailable(format!(
            "the store {} cannot be read: {error}",
            self.path.display()
        ))
    }
}

/// Writes what waits, and lets the file go, for five seconds at most.
impl Drop for FileStore {
    fn drop(&mut self) {
        self.shared.close();
        drop(self.requests.take());
        let Some(writer) = self.writer.take() else { return };
        writer.thread().unpark();
        let Ok(ended) = self.ended.get_mut() else { return };
        if ended.recv_timeout(LAST_WRITES) == Err(RecvTimeoutError::Disconnected) {
            // It only fails if the thread panicked, and then the store has said so.
            drop(writer.join());
        }
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("path", &self.path)
            .field("ready", &self.shared.ready().is_ok())
            .finish_non_exhaustive()
    }
}

fn ended() -> StoreError {
    StoreError::unavailable("the writer of the store has ended")
}

const CAPACITY: Capacity = Capacity { records: 100_000, bytes: 256 * 1024 * 1024 };
const LAST_WRITES: Duration = Duration::from_secs(5);

/// How many writes may wait for the disk.
const MAX_WAITING: usize = 1024;

#[cfg(test)]
mod tests;
