//! The thread that writes: many changes in one commit.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use portcullis_guard::{Clock, FilePlace, PrivateFileError};
use redb::{Database, ReadableDatabase, ReadableTable};
use tokio::sync::oneshot;

use super::database::{self, BY_EXPIRY};
use super::shared::Shared;
use super::snapshot::Snapshot;
use super::transaction::{Change, Outcome, Transaction};
use crate::StoreError;
use crate::nanos::nanos;

/// A change, and who waits until it is on the disk.
pub(super) struct Request {
    pub(super) change: Change,
    pub(super) answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// How long the writer waits for various things.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// For something to do, before it looks after the file and what has expired.
    pub(super) idle: Duration,
    /// After a fault, before it opens the file again.
    pub(super) retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { idle: Duration::from_secs(5), retry: Duration::from_secs(1) }
    }
}

/// How many changes one commit takes at most.
const MAX_BATCH: usize = 1024;

/// How long a commit waits for each change that the one before it leads to expect.
const GATHER: Duration = Duration::from_micros(200);

/// How many expired records an idle writer removes in one commit.
const SWEPT_WHEN_IDLE: usize = 256;

/// How many bytes a disk has to take before a file is opened again.
const ROOM: usize = 1024 * 1024;

pub(super) struct Writer {
    pub(super) database: Option<Database>,
    pub(super) place: FilePlace,
    pub(super) requests: Receiver<Request>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pace: Pace,
    /// How many changes the last commit took.
    pub(super) last_batch: usize,
}

enum Fault {
    Redb(redb::Error),
    Replaced(PrivateFileError),
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Redb(error.into())
    }
}

impl Writer {
    /// Writes until nobody can ask for anything any more.
    pub(super) fn run(mut self) {
        let _ended = Ended(Arc::clone(&self.shared));
        let mut wait = self.pace.idle;
        loop {
            let done = match self.requests.recv_timeout(wait) {
                Ok(first) => {
                    let batch = self.gather(first);
                    self.write(batch)
                }
                Err(RecvTimeoutError::Timeout) => self.look_after().map(|more| {
                    wait = if more { Duration::ZERO } else { self.pace.idle };
                }),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Err(fault) = done {
                self.recover(&fault);
            }
        }
    }

    /// With 64 callers who wait for the same commit, the first to ask again would get a commit of
    /// its own, and the 63 others the next.
    fn gather(&mut self, first: Request) -> Vec<Request> {
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH {
            let next = match batch.len() < self.last_batch {
                true => self.requests.recv_timeout(GATHER).ok(),
                false => self.requests.try_recv().ok(),
            };
            match next {
                Some(next) => batch.push(next),
                None => break,
            }
        }
        self.last_batch = batch.len();
        batch
    }

    fn write(&mut self, batch: Vec<Request>) -> Result<(), Fault> {
        let (changes, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|request| (request.change, request.answer)).unzip();
        let committed = self.commit(|transaction| {
            changes.iter().map(|change| transaction.apply(change)).collect::<Result<Vec<_>, _>>()
        });
        match committed {
            Ok(outcomes) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    // Somebody who has gone meanwhile need not be told.
                    drop(answer.send(outcome));
                }
                Ok(())
            }
            Err(fault) => {
                let error = self.failed(&fault);
                for answer in answers {
                    drop(answer.send(Err(error.clone())));
                }
                Err(fault)
            }
        }
    }

    /// Sees that the file is in its place, and removes some of what has expired. Says whether there
    /// is more.
    fn look_after(&mut self) -> Result<bool, Fault> {
        self.place.check().map_err(Fault::Replaced)?;
        let Some(database) = &self.database else { return Ok(false) };
        let now = nanos(self.clock.now());
        let by_expiry = database.begin_read()?.open_table(BY_EXPIRY)?;
        if by_expiry.first()?.is_none_or(|(first, _)| first.value().0 > now) {
            return Ok(false);
        }
        self.commit(|transaction| transaction.sweep(SWEPT_WHEN_IDLE))
    }

    /// Commits what `change` does, and shows it to readers.
    fn commit<T>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<T, redb::Error>,
    ) -> Result<T, Fault> {
        self.place.check().map_err(Fault::Replaced)?;
        let database = self.database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        let write = database.begin_write()?;
        let now = nanos(self.clock.now());
        let mut transaction = Transaction::of(&write, self.shared.capacity(), now)?;
        let outcome = change(&mut transaction)?;
        if transaction.finish()? {
            write.commit()?;
            self.shared.publish(Snapshot::of(database)?);
        } else {
            write.abort()?;
        }
        Ok(outcome)
    }

    /// What callers are told, from now on.
    fn failed(&self, fault: &Fault) -> StoreError {
        let path = self.place.path().display();
        let error = match fault {
            Fault::Redb(cause) => {
                StoreError::unavailable(format!("the store {path} cannot be written: {cause}"))
            }
            Fault::Replaced(cause) => StoreError::unavailable(format!(
                "{cause}: what is stored now would be lost, so stop the server before you replace \
                 the file of its store"
            )),
        };
        if matches!(fault, Fault::Replaced(_)) {
            // First, or whoever hears of the fault could still read the file that is gone.
            self.shared.withdraw();
        }
        self.shared.fail(error.clone());
        error
    }

    /// Opens the file again, until that succeeds or nobody needs it: after a failed write redb
    /// refuses all others.
    fn recover(&mut self, fault: &Fault) {
        let mut error = self.failed(fault);
        tracing::error!(%error, "the store refuses writes");
        if matches!(fault, Fault::Replaced(_)) {
            self.close();
        }
        while !self.shared.is_closing() {
            for request in self.requests.try_iter() {
                drop(request.answer.send(Err(error.clone())));
            }
            thread::park_timeout(self.pace.retry);
            match self.reopen() {
                Ok(()) => {
                    tracing::warn!(path = %self.place.path().display(), "the store is back");
                    return;
                }
                Err(next) => {
                    error = StoreError::unavailable(next);
                    self.shared.fail(error.clone());
                }
            }
        }
    }

    fn reopen(&mut self) -> Result<(), String> {
        // As long as the disk is full, the old snapshot still serves readers.
        if self.database.is_some() {
            self.place.try_room(ROOM).map_err(|error| error.to_string())?;
        }
        self.close();
        let database = database::reopen(&self.place).map_err(|error| error.to_string())?;
        let snapshot = Snapshot::of(&database).map_err(|error| error.to_string())?;
        self.database = Some(database);
        self.shared.publish(snapshot);
        Ok(())
    }

    /// Lets the lock on the file go, and what was read of it.
    fn close(&mut self) {
        self.shared.withdraw();
        self.database = None;
    }
}

/// Without a writer, whether by a panic or by its end, nothing is known.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.fail(StoreError::unavailable("the writer of the store has ended"));
    }
}
