//! What is read: the records as they were after a commit.

use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTableMetadata};

use super::database::{BY_OWNER, Digest, RECORDS, Stored};
use crate::nanos::Nanos;
use crate::{RecordKey, RecordOwner, RecordValue, StoreError};

/// The records after the last commit.
///
/// redb keeps what a snapshot shows until it is dropped, so that one which is held for long makes
/// the file grow: the writer replaces it after each commit.
pub(super) struct Snapshot {
    records: ReadOnlyTable<&'static Digest, Stored>,
    by_owner: ReadOnlyTable<(&'static Digest, &'static Digest), ()>,
    count: u64,
}

impl Snapshot {
    pub(super) fn of(database: &Database) -> Result<Self, redb::Error> {
        let read = database.begin_read()?;
        let (records, by_owner) = (read.open_table(RECORDS)?, read.open_table(BY_OWNER)?);
        let count = records.len()?;
        Ok(Self { records, by_owner, count })
    }

    /// How many records there are, expired ones included.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn live(
        &self,
        key: &Digest,
        now: Nanos,
    ) -> Result<Option<RecordValue>, redb::Error> {
        let Some(stored) = self.records.get(key)? else { return Ok(None) };
        let (expires_at, _, value) = stored.value();
        if expires_at <= now {
            return Ok(None);
        }
        record_value(value).map(Some)
    }

    pub(super) fn of_owner(
        &self,
        owner: &RecordOwner,
        limit: usize,
        now: Nanos,
    ) -> Result<Vec<(RecordKey, RecordValue)>, redb::Error> {
        let digest = owner.digest();
        let mut listed = Vec::new();
        for entry in self.by_owner.range((digest, &[0; 32])..=(digest, &[u8::MAX; 32]))? {
            if listed.len() >= limit {
                break;
            }
            let (pair, _) = entry?;
            let key = owner.key_of_digest(*pair.value().1);
            if let Some(value) = self.live(key.digest(), now)? {
                listed.push((key, value));
            }
        }
        Ok(listed)
    }
}

/// A stored value, which was short enough when it was stored.
pub(super) fn record_value(bytes: &[u8]) -> Result<RecordValue, redb::Error> {
    RecordValue::resting(bytes)
        .map_err(|error: StoreError| redb::Error::Corrupted(error.reason().to_owned()))
}
