//! A store whose values are sealed with the keys of the server.

mod canary;

use std::time::SystemTime;

use portcullis_guard::MaybeFuture;
use portcullis_guard::keys::KeyRing;
use portcullis_guard::seal::{self, Binding};

use crate::{CasOutcome, RecordKey, RecordOwner, RecordValue, Store, StoreError, value};

/// A store that seals what rests in another one: a file, or a network service.
///
/// What it decides:
///
/// 1. A value is sealed by AES-256-GCM with the first valid key of the ring, for the purpose, the
///    key and the owner of its record. The id of the key is kept with it.
/// 2. A value opens with every key that is not revoked, in its own record alone. What does not open
///    is an [error](StoreError::is_unopened) that names the key: no absent record, and no other
///    value.
/// 3. [`take`](Store::take) opens a value before it removes it: what cannot be opened stays.
/// 4. What is replaced or removed without being read need not open: [`put`](Store::put) does so.
/// 5. A server with other keys than those of the store does not [start](Store::opens): a canary has
///    to open, a record that each server seals at its start. The error names the key that is missing.
///    A canary of a revoked key is sealed again, and a store without one, as of an older release, gets
///    one.
///
/// A value takes 37 bytes more where it rests. `take`, and
/// [`compare_and_swap`](Store::compare_and_swap) where a value is expected, ask the other store twice.
///
/// **Deployment caveat.** When a record ends is not sealed, and neither is which records belong
/// together. Whoever can write to the other store can remove a record, let it last longer, and bring
/// back a value that it had before.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use portcullis_guard::keys::{KeyRing, new_key};
/// use portcullis_guard::{Clock, SystemClock};
/// use portcullis_store::{MemoryStore, RecordKey, RecordValue, Sealed, Store};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let resting = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
/// let keys = KeyRing::from_text(new_key().unwrap().expose()).unwrap();
/// let store = Sealed::new(resting.clone(), keys);
///
/// let key = RecordKey::new("token", ["alice"]);
/// let in_an_hour = SystemClock.now() + Duration::from_secs(3600);
/// store.put(&key, RecordValue::new(*b"hidden")?, in_an_hour).await?;
/// assert_eq!(store.get(&key).await?, Some(RecordValue::new(*b"hidden")?));
/// assert_eq!(resting.get(&key).await?.unwrap().as_bytes().len(), 6 + 37);
///
/// // Without the key there is an error, and the record stays.
/// let others = Sealed::new(resting.clone(), KeyRing::ephemeral().unwrap());
/// assert!(others.take(&key).await.unwrap_err().is_unopened());
/// assert!(store.take(&key).await?.is_some());
/// # Ok::<(), portcullis_store::StoreError>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Sealed<S> {
    store: S,
    keys: KeyRing,
}

/// How often a change is tried again that others were ahead of, with the same value.
const TRIES: usize = 32;

// Backends make room for as many bytes.
const _: () = assert!(seal::OVERHEAD == value::SEAL_BYTES);

impl<S: Store> Sealed<S> {
    /// Seals with `keys` what rests in `store`.
    #[must_use]
    pub fn new(store: S, keys: KeyRing) -> Self {
        Self { store, keys }
    }

    fn seal(&self, key: &RecordKey, value: &RecordValue) -> Result<RecordValue, StoreError> {
        let sealed = seal::seal(&self.keys, &binding(key), value.as_bytes());
        RecordValue::resting(sealed.map_err(|error| StoreError::unavailable(error.to_string()))?)
    }

    fn open(&self, key: &RecordKey, sealed: &RecordValue) -> Result<RecordValue, StoreError> {
        let opened = seal::open(&self.keys, &binding(key), sealed.as_bytes());
        let opened = opened.map_err(|error| {
            let purpose = key.purpose();
            StoreError::unopened(format!("a record of {purpose} cannot be opened: {error}"))
        })?;
        RecordValue::new(opened)
    }

    /// The value that is there: sealed, and opened.
    async fn found(
        &self,
        key: &RecordKey,
    ) -> Result<Option<(RecordValue, RecordValue)>, StoreError> {
        let Some(sealed) = self.store.get(key).await? else { return Ok(None) };
        let opened = self.open(key, &sealed)?;
        Ok(Some((sealed, opened)))
    }

    async fn taken(&self, key: &RecordKey) -> Result<Option<RecordValue>, StoreError> {
        for _ in 0..TRIES {
            let Some((sealed, opened)) = self.found(key).await? else { return Ok(None) };
            let taken = self.store.compare_and_swap(key, Some(&sealed), None, LONG_AGO).await?;
            if taken == CasOutcome::Done {
                return Ok(Some(opened));
            }
        }
        Err(contended(key))
    }

    async fn swapped(
        &self,
        key: &RecordKey,
        expected: &RecordValue,
        new: Option<RecordValue>,
        expires_at: SystemTime,
    ) -> Result<CasOutcome, StoreError> {
        for _ in 0..TRIES {
            let sealed = match self.found(key).await? {
                Some((sealed, opened)) if opened == *expected => sealed,
                Some(_) | None => return Ok(CasOutcome::Conflict),
            };
            let swap = self.store.compare_and_swap(key, Some(&sealed), new.clone(), expires_at);
            if swap.await? == CasOutcome::Done {
                return Ok(CasOutcome::Done);
            }
            // Another value is there now, or the same one, sealed by somebody else.
        }
        Err(contended(key))
    }
}

/// The owner too: nobody may move a record to where another one's are listed.
fn binding(key: &RecordKey) -> Binding {
    let owner = key.owner().map_or(&[][..], |owner| owner.as_slice());
    Binding::new("store", [key.purpose().as_bytes(), key.digest().as_slice(), owner])
}

fn contended(key: &RecordKey) -> StoreError {
    let purpose = key.purpose();
    StoreError::unavailable(format!("a record of {purpose} was changed {TRIES} times meanwhile"))
}

/// Says nothing where a value is removed.
const LONG_AGO: SystemTime = SystemTime::UNIX_EPOCH;

impl<S: Store> Store for Sealed<S> {
    fn put<'a>(
        &'a self,
        key: &'a RecordKey,
        value: RecordValue,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<(), StoreError>> {
        match self.seal(key, &value) {
            Ok(sealed) => self.store.put(key, sealed, expires_at),
            Err(error) => MaybeFuture::ready(Err(error)),
        }
    }

    fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    fn ready(&self) -> MaybeFuture<'_, Result<(), StoreError>> {
        self.store.ready()
    }

    fn opens(&self) -> MaybeFuture<'_, Result<(), StoreError>> {
        MaybeFuture::pending(self.open_canary())
    }

    fn is_unsealed(&self) -> bool {
        false
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn is_durable(&self) -> bool {
        self.store.is_durable()
    }

    fn keys(&self) -> Option<KeyRing> {
        Some(self.keys.clone())
    }

    fn get<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        let open = |found: Result<Option<RecordValue>, StoreError>| {
            found?.map(|sealed| self.open(key, &sealed)).transpose()
        };
        match self.store.get(key).now() {
            Ok(found) => MaybeFuture::ready(open(found)),
            Err(later) => MaybeFuture::pending(async move { open(later.await) }),
        }
    }

    fn take<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        MaybeFuture::pending(self.taken(key))
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Option<&'a RecordValue>,
        new: Option<RecordValue>,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<CasOutcome, StoreError>> {
        let new = match new.map(|value| self.seal(key, &value)).transpose() {
            Ok(new) => new,
            Err(error) => return MaybeFuture::ready(Err(error)),
        };
        match expected {
            Some(expected) => MaybeFuture::pending(self.swapped(key, expected, new, expires_at)),
            None => self.store.compare_and_swap(key, None, new, expires_at),
        }
    }

    fn list<'a>(
        &'a self,
        owner: &'a RecordOwner,
        limit: usize,
    ) -> MaybeFuture<'a, Result<Vec<(RecordKey, RecordValue)>, StoreError>> {
        MaybeFuture::pending(async move {
            let listed = self.store.list(owner, limit).await?;
            let open = |(key, sealed): (RecordKey, RecordValue)| {
                self.open(&key, &sealed).map(|opened| (key, opened))
            };
            listed.into_iter().map(open).collect()
        })
    }
}

#[cfg(test)]
mod tests;
