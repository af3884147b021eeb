//! What is changed, in one transaction of redb.

use redb::{ReadableTable, ReadableTableMetadata, Table, WriteTransaction};

use super::database::{BY_EXPIRY, BY_OWNER, BYTES, Digest, NUMBERS, RECORDS, Stored};
use super::snapshot::record_value;
use crate::nanos::Nanos;
use crate::{RecordKey, RecordValue, StoreError};

/// What is to be done with one record.
pub(super) struct Change {
    pub(super) key: RecordKey,
    pub(super) condition: Condition,
    /// What is there afterwards, and until when.
    pub(super) new: Option<(RecordValue, Nanos)>,
}

/// When a change is made.
pub(super) enum Condition {
    Always,
    /// If this is there, or nothing is.
    Is(Option<RecordValue>),
}

pub(super) enum Outcome {
    Conflict,
    /// With what was there before, unless it was put over.
    Done(Option<RecordValue>),
}

/// What the records may take.
#[derive(Clone, Copy)]
pub(super) struct Capacity {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

pub(super) struct Transaction<'w> {
    records: Table<'w, &'static Digest, Stored>,
    by_expiry: Table<'w, (Nanos, &'static Digest), ()>,
    by_owner: Table<'w, (&'static Digest, &'static Digest), ()>,
    numbers: Table<'w, &'static str, u64>,
    /// Of all values together.
    bytes: u64,
    capacity: Capacity,
    now: Nanos,
    changed: bool,
}

impl<'w> Transaction<'w> {
    pub(super) fn of(
        write: &'w WriteTransaction,
        capacity: Capacity,
        now: Nanos,
    ) -> Result<Self, redb::Error> {
        let numbers = write.open_table(NUMBERS)?;
        let bytes = numbers.get(BYTES)?.map_or(0, |bytes| bytes.value());
        Ok(Self {
            records: write.open_table(RECORDS)?,
            by_expiry: write.open_table(BY_EXPIRY)?,
            by_owner: write.open_table(BY_OWNER)?,
            numbers,
            bytes,
            capacity,
            now,
            changed: false,
        })
    }

    /// Makes a change, or says why this one is not made. The outer error ends the transaction.
    pub(super) fn apply(
        &mut self,
        change: &Change,
    ) -> Result<Result<Outcome, StoreError>, redb::Error> {
        let key = change.key.digest();
        let before = match (&change.condition, &change.new) {
            (Condition::Always, Some(_)) => None,
            (Condition::Always, None) | (Condition::Is(_), _) => self.live(key)?,
        };
        if let Condition::Is(expected) = &change.condition
            && before != *expected
        {
            return Ok(Ok(Outcome::Conflict));
        }
        match &change.new {
            Some((value, expires_at)) if *expires_at > self.now => {
                if let Err(full) = self.put(&change.key, value.as_bytes(), *expires_at)? {
                    return Ok(Err(full));
                }
            }
            Some(_) | None => self.remove(key)?,
        }
        Ok(Ok(Outcome::Done(before)))
    }

    /// Removes some of what has expired, and says whether there is more.
    pub(super) fn sweep(&mut self, at_most: usize) -> Result<bool, redb::Error> {
        for _ in 0..at_most {
            if !self.remove_expired()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Says whether there is anything to commit.
    pub(super) fn finish(mut self) -> Result<bool, redb::Error> {
        if self.changed {
            self.numbers.insert(BYTES, self.bytes)?;
        }
        Ok(self.changed)
    }

    fn live(&self, key: &Digest) -> Result<Option<RecordValue>, redb::Error> {
        let Some(stored) = self.records.get(key)? else { return Ok(None) };
        let (expires_at, _, value) = stored.value();
        if expires_at <= self.now { Ok(None) } else { record_value(value).map(Some) }
    }

    fn put(
        &mut self,
        key: &RecordKey,
        value: &[u8],
        expires_at: Nanos,
    ) -> Result<Result<(), StoreError>, redb::Error> {
        let digest = key.digest();
        self.sweep(SWEPT_BY_A_PUT)?;
        while !self.fits(digest, length(value))? {
            if !self.remove_expired()? {
                return Ok(Err(StoreError::full()));
            }
        }
        self.remove(digest)?;
        self.records.insert(digest, (expires_at, key.owner(), value))?;
        self.by_expiry.insert((expires_at, digest), ())?;
        if let Some(owner) = key.owner() {
            self.by_owner.insert((owner, digest), ())?;
        }
        self.bytes = self.bytes.saturating_add(length(value));
        self.changed = true;
        Ok(Ok(()))
    }

    /// Whether there is room for a value of `size` bytes in place of what `key` has.
    fn fits(&self, key: &Digest, size: u64) -> Result<bool, redb::Error> {
        let old = self.records.get(key)?.map(|stored| length(stored.value().2));
        let others = self.records.len()?.saturating_sub(u64::from(old.is_some()));
        let bytes = self.bytes.saturating_sub(old.unwrap_or(0)).saturating_add(size);
        Ok(others < self.capacity.records && bytes <= self.capacity.bytes)
    }

    fn remove(&mut self, key: &Digest) -> Result<(), redb::Error> {
        let Some(stored) = self.records.remove(key)? else { return Ok(()) };
        let (expires_at, owner, value) = stored.value();
        let (owner, size) = (owner.copied(), length(value));
        drop(stored);
        self.by_expiry.remove((expires_at, key))?;
        if let Some(owner) = owner {
            self.by_owner.remove((&owner, key))?;
        }
        self.bytes = self.bytes.saturating_sub(size);
        self.changed = true;
        Ok(())
    }

    /// Removes the record that expired first, if any has.
    fn remove_expired(&mut self) -> Result<bool, redb::Error> {
        let first = self.by_expiry.first()?.map(|(first, _)| {
            let (expires_at, key) = first.value();
            (expires_at, *key)
        });
        match first {
            Some((expires_at, key)) if expires_at <= self.now => {
                // Gone even if no record has it, so that no step of a sweep is for nothing.
                self.by_expiry.remove((expires_at, &key))?;
                self.changed = true;
                self.remove(&key).map(|()| true)
            }
            Some(_) | None => Ok(false),
        }
    }
}

fn length(value: &[u8]) -> u64 {
    u64::try_from(value.len()).unwrap_or(u64::MAX)
}

/// More than one put brings, and never so much that the others have to wait.
const SWEPT_BY_A_PUT: usize = 8;
