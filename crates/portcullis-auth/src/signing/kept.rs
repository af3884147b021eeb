//! The keys in the store, read again as they grow old, and changed by compare-and-swap alone.

use std::fmt;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::{Duration, SystemTime};

use portcullis_guard::Clock;
use portcullis_store::{CasOutcome, RecordKey, RecordValue, Store, StoreError};
use tokio::sync::Mutex;

use super::record::Record;
use super::rotation::Rotation;
use super::{SigningKeyError, SigningKeyErrorKind, seconds};
use crate::Algorithm;
use crate::jwt::KeySet;

/// How old what was read may be, and how long a store that did not answer is left alone.
const REREAD: Duration = Duration::from_secs(5);
/// How old what was read may be while the store does not answer. A key that another replica
/// revokes is in use here for as long.
const STALE: Duration = Duration::from_secs(5 * 60);
/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the record is kept after its last change. A record that ends takes its keys along.
const KEPT: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// How often a change is tried again that another replica was ahead of.
const TRIES: usize = 8;

pub(super) struct KeptKeys {
    store: Arc<dyn Store>,
    key: RecordKey,
    rotation: Rotation,
    clock: Arc<dyn Clock>,
    last: RwLock<Option<Arc<Read>>>,
    /// Held by the one who reads: why it failed the last time, and when.
    reading: Mutex<Option<(SystemTime, SigningKeyError)>>,
}

/// The record as it was at a time.
#[derive(Debug)]
pub(super) struct Read {
    keys: Arc<Keys>,
    at: SystemTime,
}

/// The keys of one record. A record that is byte for byte the last one is not read again: that costs as
/// much as some signatures.
#[derive(Debug)]
struct Keys {
    record: Record,
    value: RecordValue,
    /// The public halves, once something was to be verified with them.
    verifying: OnceLock<Option<KeySet>>,
}

impl Read {
    fn new(record: Record, value: RecordValue, at: SystemTime) -> Self {
        Self { keys: Arc::new(Keys { record, value, verifying: OnceLock::new() }), at }
    }

    pub(super) fn record(&self) -> &Record {
        &self.keys.record
    }

    /// What verifies the tokens of the keys; nothing where no key does.
    pub(super) fn key_set(&self, algorithm: Algorithm) -> Option<&KeySet> {
        let read = || KeySet::read(&self.record().jwk_set(), &[algorithm]).ok();
        self.keys.verifying.get_or_init(read).as_ref()
    }
}

/// What was read last: if it is fresh, and if it is usable while the store is away.
type Known = (Option<Arc<Read>>, Option<Arc<Read>>);

impl KeptKeys {
    pub(super) fn new(
        purpose: &'static str,
        store: Arc<dyn Store>,
        issuer: &str,
        rotation: Rotation,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let key = RecordKey::new(purpose, [issuer]);
        Self { store, key, rotation, clock, last: RwLock::default(), reading: Mutex::default() }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The keys of now.
    pub(super) async fn current(&self) -> Result<Arc<Read>, SigningKeyError> {
        let (fresh, usable) = self.known()?;
        if let Some(fresh) = fresh {
            return Ok(fresh);
        }
        let mut failed = match (self.reading.try_lock(), usable) {
            (Ok(failed), _) => failed,
            (Err(_), Some(usable)) => return Ok(usable),
            (Err(_), None) => self.reading.lock().await,
        };
        // While this one waited, another one may have read.
        let (fresh, usable) = self.known()?;
        if let Some(fresh) = fresh {
            return Ok(fresh);
        }
        let now = self.now();
        let recent = failed.as_ref().filter(|(at, _)| is_younger(*at, now, REREAD));
        let error = match recent {
            Some((_, error)) => error.clone(),
            None => match self.changed(None).await {
                Ok(read) => {
                    *failed = None;
                    return Ok(read);
                }
                Err(error) => {
                    tracing::warn!(usable = usable.is_some(), "{error}");
                    *failed = Some((now, error.clone()));
                    error
                }
            },
        };
        // What does not open, or is malformed, was changed by somebody: that is no outage.
        usable.filter(|_| error.kind() == SigningKeyErrorKind::Store).ok_or(error)
    }

    pub(super) async fn revoke(&self, key_id: &str) -> Result<(), SigningKeyError> {
        let _reading = self.reading.lock().await;
        self.changed(Some(key_id)).await.map(drop)
    }

    /// What was read last.
    fn known(&self) -> Result<Known, SigningKeyError> {
        let now = self.now();
        let last = self.last.read().map_err(|_| SigningKeyError::poisoned())?.clone();
        let younger = |than| last.clone().filter(|read| is_younger(read.at, now, than));
        Ok((younger(REREAD), younger(STALE)))
    }

    /// Reads the record, and changes what is due, without the key `revoked`.
    async fn changed(&self, revoked: Option<&str>) -> Result<Arc<Read>, SigningKeyError> {
        let late = || Err(SigningKeyError::of_store(&StoreError::unavailable("it takes too long")));
        let read = tokio::time::timeout(PATIENCE, self.swapped(revoked)).await;
        let read = Arc::new(read.unwrap_or_else(|_| late())?);
        let mut last = self.last.write().map_err(|_| SigningKeyError::poisoned())?;
        *last = Some(Arc::clone(&read));
        drop(last);
        Ok(read)
    }

    async fn swapped(&self, revoked: Option<&str>) -> Result<Read, SigningKeyError> {
        for _ in 0..TRIES {
            let at = self.now();
            let found = self.store.get(&self.key).await;
            let found = found.map_err(|error| SigningKeyError::of_store(&error))?;
            let last = self.last.read().map_err(|_| SigningKeyError::poisoned())?.clone();
            let same = last.filter(|last| found.as_ref() == Some(&last.keys.value));
            let mut record = match (&same, &found) {
                (Some(last), _) => last.record().clone(),
                (None, Some(found)) => Record::read(found)?,
                (None, None) => Record::default(),
            };
            if let Some(id) = revoked {
                let keys = record.keys.len();
                record.keys.retain(|key| key.id != id);
                if keys == record.keys.len() {
                    let text = "no signing key has this id";
                    return Err(SigningKeyError::new(SigningKeyErrorKind::UnknownKey, text));
                }
            }
            let record = match (self.rotation.due(&record, seconds(at))?, &found) {
                (Some(due), _) => due,
                (None, Some(found)) if revoked.is_none() => {
                    return Ok(match same {
                        Some(last) => Read { keys: Arc::clone(&last.keys), at },
                        None => Read::new(record, found.clone(), at),
                    });
                }
                (None, _) => record,
            };
            let new = record.write()?;
            let swap = self.store.compare_and_swap(
                &self.key,
                found.as_ref(),
                Some(new.clone()),
                at + KEPT,
            );
            match swap.await.map_err(|error| SigningKeyError::of_store(&error))? {
                CasOutcome::Done => {
                    let ids: Vec<_> = record.keys.iter().map(|key| key.id.as_str()).collect();
                    tracing::info!(?ids, revoked, "the signing keys changed, the oldest first");
                    return Ok(Read::new(record, new, at));
                }
                CasOutcome::Conflict => {}
            }
        }
        let error = StoreError::unavailable(format!("others changed the record {TRIES} times"));
        Err(SigningKeyError::of_store(&error))
    }
}

#[cfg(test)]
impl KeptKeys {
    /// Breaks what was read last, as a panic within it would.
    pub(super) fn poison(&self) {
        let broken = std::panic::AssertUnwindSafe(|| {
            let _last = self.last.write();
            panic!("broken");
        });
        std::panic::catch_unwind(broken).unwrap_err();
    }
}

/// Whether less than `age` has passed since `at`. After a clock was set back, nobody knows.
fn is_younger(at: SystemTime, now: SystemTime, age: Duration) -> bool {
    now.duration_since(at).is_ok_and(|passed| passed < age)
}

impl fmt::Debug for KeptKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptKeys")
    }
}
