//! A store behind a network, for tests: slow, silent or cut off.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

use portcullis_guard::MaybeFuture;

use crate::{CasOutcome, RecordKey, RecordOwner, RecordValue, Store, StoreError};

/// A store as if on another machine, for tests of what uses one.
///
/// Clones share it, as replicas do. Every answer has to be waited for and is counted. The
/// connection can be [cut](Self::cut), and the store [silent](Self::silence).
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use portcullis_guard::SystemClock;
/// use portcullis_store::{Distant, MemoryStore, RecordKey, Store};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = Distant::new(MemoryStore::new(Arc::new(SystemClock)));
/// let replica = store.clone();
/// assert_eq!(replica.get(&RecordKey::new("code", ["4kX2c0v9"])).await, Ok(None));
/// assert_eq!(store.trips(), 1);
/// store.cut(true);
/// assert!(replica.get(&RecordKey::new("code", ["4kX2c0v9"])).await.unwrap_err().is_unavailable());
/// # });
/// ```
pub struct Distant<S>(Arc<Far<S>>);

struct Far<S> {
    store: S,
    is_shared: bool,
    trips: AtomicUsize,
    cut: AtomicBool,
    silent: AtomicBool,
}

impl<S: Store> Distant<S> {
    /// `store`, at a distance.
    pub fn new(store: S) -> Self {
        Self::shared_or_not(store, true)
    }

    /// As [`new`](Self::new), for one process at a time: as a file is.
    pub fn unshared(store: S) -> Self {
        Self::shared_or_not(store, false)
    }

    fn shared_or_not(store: S, is_shared: bool) -> Self {
        let (trips, cut, silent) = Default::default();
        Self(Arc::new(Far { store, is_shared, trips, cut, silent }))
    }

    /// The store itself, at no distance.
    #[must_use]
    pub fn near(&self) -> &S {
        &self.0.store
    }

    /// How many round trips were made.
    #[must_use]
    pub fn trips(&self) -> usize {
        self.0.trips.load(Ordering::SeqCst)
    }

    /// Cuts the connection, or mends it.
    pub fn cut(&self, cut: bool) {
        self.0.cut.store(cut, Ordering::SeqCst);
    }

    /// Leaves what is asked from now on without an answer, or answers again.
    pub fn silence(&self, silent: bool) {
        self.0.silent.store(silent, Ordering::SeqCst);
    }

    fn trip<'a, T: Send + Unpin + 'a>(
        &'a self,
        asked: impl FnOnce(&'a S) -> MaybeFuture<'a, Result<T, StoreError>> + Send + 'a,
    ) -> MaybeFuture<'a, Result<T, StoreError>> {
        MaybeFuture::pending(async move {
            self.0.trips.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            if self.0.silent.load(Ordering::SeqCst) {
                return std::future::pending().await;
            }
            if self.0.cut.load(Ordering::SeqCst) {
                return Err(StoreError::unavailable("the connection is cut"));
            }
            let answer = asked(&self.0.store).await;
            // The way back.
            tokio::task::yield_now().await;
            answer
        })
    }
}

impl<S: Store> Store for Distant<S> {
    fn is_shared(&self) -> bool {
        self.0.is_shared
    }

    fn ready(&self) -> MaybeFuture<'_, Result<(), StoreError>> {
        self.trip(Store::ready)
    }

    fn put<'a>(
        &'a self,
        key: &'a RecordKey,
        value: RecordValue,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<(), StoreError>> {
        self.trip(move |store| store.put(key, value, expires_at))
    }

    fn get<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        self.trip(move |store| store.get(key))
    }

    fn take<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        self.trip(move |store| store.take(key))
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Option<&'a RecordValue>,
        new: Option<RecordValue>,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<CasOutcome, StoreError>> {
        self.trip(move |store| store.compare_and_swap(key, expected, new, expires_at))
    }

    fn list<'a>(
        &'a self,
        owner: &'a RecordOwner,
        limit: usize,
    ) -> MaybeFuture<'a, Result<Vec<(RecordKey, RecordValue)>, StoreError>> {
        self.trip(move |store| store.list(owner, limit))
    }
}

impl<S> Clone for Distant<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for Distant<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Distant(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryStore, contract};

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn it_keeps_the_contract() {
        contract::holds(async |clock| Distant::new(MemoryStore::new(clock))).await;
    }
}
