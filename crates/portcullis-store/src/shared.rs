//! A store that several have.

use std::sync::Arc;
use std::time::SystemTime;

use portcullis_guard::MaybeFuture;
#[cfg(feature = "sealed")]
use portcullis_guard::keys::KeyRing;

use crate::{CasOutcome, RecordKey, RecordOwner, RecordValue, Store, StoreError};

impl<S: Store + ?Sized> Store for Arc<S> {
    fn put<'a>(
        &'a self,
        key: &'a RecordKey,
        value: RecordValue,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<(), StoreError>> {
        (**self).put(key, value, expires_at)
    }

    fn is_empty(&self) -> bool {
        (**self).is_empty()
    }

    fn ready(&self) -> MaybeFuture<'_, Result<(), StoreError>> {
        (**self).ready()
    }

    fn opens(&self) -> MaybeFuture<'_, Result<(), StoreError>> {
        (**self).opens()
    }

    fn is_unsealed(&self) -> bool {
        (**self).is_unsealed()
    }

    fn is_shared(&self) -> bool {
        (**self).is_shared()
    }

    fn is_durable(&self) -> bool {
        (**self).is_durable()
    }

    #[cfg(feature = "sealed")]
    fn keys(&self) -> Option<KeyRing> {
        (**self).keys()
    }

    fn get<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        (**self).get(key)
    }

    fn take<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        (**self).take(key)
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Option<&'a RecordValue>,
        new: Option<RecordValue>,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<CasOutcome, StoreError>> {
        (**self).compare_and_swap(key, expected, new, expires_at)
    }

    fn list<'a>(
        &'a self,
        owner: &'a RecordOwner,
        limit: usize,
    ) -> MaybeFuture<'a, Result<Vec<(RecordKey, RecordValue)>, StoreError>> {
        (**self).list(owner, limit)
    }
}
