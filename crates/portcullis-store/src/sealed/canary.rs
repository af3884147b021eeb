//! The canary: a record by which a server finds out at its start that its keys are not those of the
//! store.

use std::time::{Duration, SystemTime};

use portcullis_guard::seal::{self, SealErrorKind};

use super::{Sealed, TRIES, binding, contended};
use crate::{CasOutcome, RecordKey, RecordValue, Store, StoreError};

/// Until the year 2500: as long as there are records.
const LIFETIME: Duration = Duration::from_secs(16_725_225_600);

pub(super) fn canary() -> RecordKey {
    RecordKey::new("sealed", ["canary"])
}

impl<S: Store> Sealed<S> {
    /// Whether the keys are those of the store, without a change to it: for a program that looks into
    /// the store of a server. A server asks [`opens`](Store::opens).
    ///
    /// # Errors
    ///
    /// When they are not, when no server has opened the store yet, and when it cannot be asked.
    pub async fn confirm_keys(&self) -> Result<(), StoreError> {
        let found = self.store.get(&canary()).await?;
        let found = found.ok_or_else(|| {
            StoreError::unopened("no server has opened it with keys: is it another server's?")
        })?;
        self.sealed_with(&found).map(|_| ())
    }

    /// Opens the canary, and seals it again with the key that seals now. A store without one gets one,
    /// by compare-and-swap: of two servers that start at once, the second opens that of the first.
    pub(super) async fn open_canary(&self) -> Result<(), StoreError> {
        let key = canary();
        for _ in 0..TRIES {
            let found = self.store.get(&key).await?;
            let sealing = self.keys.sealing_key().to_string();
            let sealed_with = match &found {
                Some(found) => self.sealed_with(found)?,
                None => None,
            };
            if sealed_with.is_some_and(|id| id == sealing.as_bytes()) {
                return Ok(());
            }
            let new = self.seal(&key, &RecordValue::new(sealing.into_bytes())?)?;
            let end = SystemTime::UNIX_EPOCH + LIFETIME;
            match self.store.compare_and_swap(&key, found.as_ref(), Some(new), end).await {
                Ok(CasOutcome::Done) => return Ok(()),
                Ok(CasOutcome::Conflict) => {}
                // Nothing that was there speaks against the keys.
                Err(error) => {
                    let error = error.reason();
                    tracing::warn!(
                        error,
                        "no canary was written to the store: the next start may not notice wrong keys"
                    );
                    return Ok(());
                }
            }
        }
        Err(contended(&key))
    }

    /// The id of the key that sealed a canary; nothing for a revoked key, since a ring that has it is
    /// no other ring.
    fn sealed_with(&self, found: &RecordValue) -> Result<Option<Vec<u8>>, StoreError> {
        let opened = seal::open(&self.keys, &binding(&canary()), found.as_bytes());
        opened.map(Some).or_else(|error| match (error.kind(), error.key_id()) {
            (SealErrorKind::RevokedKey, _) => Ok(None),
            (SealErrorKind::UnknownKey, Some(id)) => Err(StoreError::unopened(format!(
                "its records were sealed with the key {id}, which is not among the keys: name the keys \
                 that this store was used with (PORTCULLIS_KEY_FILE or PORTCULLIS_KEYS). If that key \
                 is lost, add the line `{id} revoked` to the keys, and what it sealed is given up"
            ))),
            _ => Err(StoreError::unopened(format!("the canary cannot be opened: {error}"))),
        })
    }
}
