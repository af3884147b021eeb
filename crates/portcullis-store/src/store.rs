//! The trait of every store.

use std::fmt;
use std::time::SystemTime;

use portcullis_guard::MaybeFuture;
#[cfg(feature = "sealed")]
use portcullis_guard::keys::KeyRing;

use crate::{RecordKey, RecordOwner, RecordValue, StoreError};

/// Where records rest until they expire.
///
/// Each operation but [`list`](Self::list) is atomic: it takes place at one moment, for every task, process and
/// machine that shares the store. A record whose time has come (`expires_at` is not after
/// the clock's time) is absent, in every operation, whether or not it was removed yet.
///
/// An implementation shows with the cases of `contract` (feature `contract`) that it is one.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, SystemTime};
/// use portcullis_guard::{Clock, SystemClock};
/// use portcullis_store::{RecordKey, MemoryStore, Store, RecordValue};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryStore::new(Arc::new(SystemClock));
/// let code = RecordKey::new("code", ["4kX2c0v9"]);
/// let in_a_minute = SystemClock.now() + Duration::from_secs(60);
/// store.put(&code, RecordValue::new(*b"alice")?, in_a_minute).await?;
///
/// assert_eq!(store.take(&code).await?, Some(RecordValue::new(*b"alice")?));
/// assert_eq!(store.take(&code).await?, None);
/// # Ok::<(), portcullis_store::StoreError>(())
/// # }).unwrap();
/// ```
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Keeps `value` until `expires_at`, in place of what was there.
    ///
    /// With a time that has passed already, no value is left.
    ///
    /// # Errors
    ///
    /// [`StoreError::full`] when there is no room, [`StoreError::unavailable`] when the
    /// store cannot be asked. A live record never makes room for another.
    fn put<'a>(
        &'a self,
        key: &'a RecordKey,
        value: RecordValue,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<(), StoreError>>;

    /// Whether it is known, without asking anybody, that no record is there. Default: it is
    /// not known.
    fn is_empty(&self) -> bool {
        false
    }

    /// Whether the store is there and writes are tried, for readiness probes. A store elsewhere is
    /// asked, once a second at most. A full one is ready. Default: it is.
    ///
    /// # Errors
    ///
    /// What a write would return.
    fn ready(&self) -> MaybeFuture<'_, Result<(), StoreError>> {
        MaybeFuture::ready(Ok(()))
    }

    /// Whether what is there can be opened: a server asks once, before it serves, and does not start
    /// without. Default: it can.
    ///
    /// # Errors
    ///
    /// [`StoreError::unopened`] with what to do, or why the store cannot be asked.
    fn opens(&self) -> MaybeFuture<'_, Result<(), StoreError>> {
        MaybeFuture::ready(Ok(()))
    }

    /// Whether values leave this process as they are, for whoever can read a file or a network to
    /// see. A server does not build with such a store. Default: no.
    fn is_unsealed(&self) -> bool {
        false
    }

    /// Whether other processes may read and write the records as well: then a server asks for what
    /// others may have changed, and keeps here what its replicas need. Default: they may.
    fn is_shared(&self) -> bool {
        true
    }

    /// Whether the records outlive this process: then a server keeps here what its clients go on with
    /// after a restart. Default: they do.
    fn is_durable(&self) -> bool {
        true
    }

    /// The keys that seal what is there, if any do: a server seals with them what clients keep for
    /// it, too, so that its replicas agree. Default: no keys.
    #[cfg(feature = "sealed")]
    fn keys(&self) -> Option<KeyRing> {
        None
    }

    /// The value that is there.
    ///
    /// # Errors
    ///
    /// [`StoreError::unavailable`] when the store cannot be asked.
    fn get<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>>;

    /// Removes the value that is there and gives it to one caller: of any number who ask at
    /// once, to exactly one.
    ///
    /// # Errors
    ///
    /// [`StoreError::unavailable`] when the store cannot be asked. The value may be gone.
    fn take<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>>;

    /// Replaces the value that is there, if it is `expected`, with `new`, until
    /// `expires_at`. `None` stands for absence on either side: expected, there must be no
    /// value; new, the value is removed, and `expires_at` says nothing.
    ///
    /// # Errors
    ///
    /// As those of [`put`](Self::put). Another value than expected is no error, but
    /// [`CasOutcome::Conflict`].
    fn compare_and_swap<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Option<&'a RecordValue>,
        new: Option<RecordValue>,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<CasOutcome, StoreError>>;

    /// The live records whose keys `owner` made, at most `limit` of them, in no order.
    ///
    /// Not a moment's picture: a record that is put or taken meanwhile may be there or not.
    /// All others are there.
    ///
    /// # Errors
    ///
    /// [`StoreError::unavailable`] when the store cannot be asked.
    fn list<'a>(
        &'a self,
        owner: &'a RecordOwner,
        limit: usize,
    ) -> MaybeFuture<'a, Result<Vec<(RecordKey, RecordValue)>, StoreError>>;
}

/// The outcome of a [`compare_and_swap`](Store::compare_and_swap).
///
/// Exhaustive: the swap was made or it was not.
#[must_use = "the swap may not have been made"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CasOutcome {
    /// The value was not the expected one, and stays as it is.
    Conflict,
    /// The value was the expected one, and was replaced.
    Done,
}
