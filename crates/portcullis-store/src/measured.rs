//! A store whose operations are measured.

use std::sync::Arc;
use std::time::SystemTime;

use portcullis_guard::MaybeFuture;
#[cfg(feature = "sealed")]
use portcullis_guard::keys::KeyRing;
use portcullis_guard::metrics::{Label, STORE_DURATION, observe};
use tokio::time::Instant;

use crate::{CasOutcome, RecordKey, RecordOwner, RecordValue, Store, StoreError};

/// The same store, whose operations are measured.
pub fn measured(store: Arc<dyn Store>) -> Arc<dyn Store> {
    Arc::new(Measured(store))
}

#[derive(Debug)]
struct Measured(Arc<dyn Store>);

fn timed<'a, T: Send + Unpin + 'a>(
    operation: &'static str,
    ask: impl FnOnce() -> MaybeFuture<'a, Result<T, StoreError>>,
) -> MaybeFuture<'a, Result<T, StoreError>> {
    let started = Instant::now();
    let noted = move |answer: Result<T, StoreError>| {
        let result = if answer.is_ok() { "ok" } else { "failed" };
        let labels = [Label::Word("operation", operation), Label::Word("result", result)];
        observe(&STORE_DURATION, &labels, started.elapsed());
        answer
    };
    match ask().now() {
        Ok(answer) => MaybeFuture::ready(noted(answer)),
        Err(later) => MaybeFuture::pending(async move { noted(later.await) }),
    }
}

impl Store for Measured {
    fn put<'a>(
        &'a self,
        key: &'a RecordKey,
        value: RecordValue,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<(), StoreError>> {
        timed("put", move || self.0.put(key, value, expires_at))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn ready(&self) -> MaybeFuture<'_, Result<(), StoreError>> {
        self.0.ready()
    }

    fn opens(&self) -> MaybeFuture<'_, Result<(), StoreError>> {
        self.0.opens()
    }

    fn is_unsealed(&self) -> bool {
        self.0.is_unsealed()
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    fn is_durable(&self) -> bool {
        self.0.is_durable()
    }

    #[cfg(feature = "sealed")]
    fn keys(&self) -> Option<KeyRing> {
        self.0.keys()
    }

    fn get<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        timed("get", move || self.0.get(key))
    }

    fn take<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        timed("take", move || self.0.take(key))
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Option<&'a RecordValue>,
        new: Option<RecordValue>,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<CasOutcome, StoreError>> {
        timed("compare_and_swap", move || self.0.compare_and_swap(key, expected, new, expires_at))
    }

    fn list<'a>(
        &'a self,
        owner: &'a RecordOwner,
        limit: usize,
    ) -> MaybeFuture<'a, Result<Vec<(RecordKey, RecordValue)>, StoreError>> {
        timed("list", move || self.0.list(owner, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryStore, contract};

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn it_keeps_the_contract() {
        contract::holds(async |clock| Measured(Arc::new(MemoryStore::new(clock)))).await;
    }
}
