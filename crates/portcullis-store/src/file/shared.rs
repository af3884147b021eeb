//! What the writer tells all others.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use super::snapshot::Snapshot;
use super::transaction::Capacity;
use crate::StoreError;

pub(super) struct Shared {
    state: RwLock<State>,
    closing: AtomicBool,
    records: AtomicU64,
    bytes: AtomicU64,
}

struct State {
    snapshot: Option<Arc<Snapshot>>,
    /// Why writes are refused.
    fault: Option<StoreError>,
}

impl Shared {
    pub(super) fn new(snapshot: Snapshot, capacity: Capacity) -> Self {
        Self {
            state: RwLock::new(State { snapshot: Some(Arc::new(snapshot)), fault: None }),
            closing: AtomicBool::new(false),
            records: AtomicU64::new(capacity.records),
            bytes: AtomicU64::new(capacity.bytes),
        }
    }

    /// What can be read, in spite of a fault where it only concerns writes.
    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        let state = self.state.read().map_err(|_| poisoned())?;
        match (&state.snapshot, &state.fault) {
            (Some(snapshot), _) => Ok(Arc::clone(snapshot)),
            (None, Some(fault)) => Err(fault.clone()),
            (None, None) => Err(StoreError::unavailable("the store is being opened again")),
        }
    }

    pub(super) fn ready(&self) -> Result<(), StoreError> {
        let state = self.state.read().map_err(|_| poisoned())?;
        state.fault.clone().map_or(Ok(()), Err)
    }

    /// Whether there is no record; false when nobody knows.
    pub(super) fn is_empty(&self) -> bool {
        self.state.read().is_ok_and(|state| {
            // After a failed commit there may be more than the snapshot shows.
            state.fault.is_none()
                && state.snapshot.as_ref().is_some_and(|snapshot| snapshot.count() == 0)
        })
    }

    /// Shows what a commit has made.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        if let Ok(mut state) = self.state.write() {
            *state = State { snapshot: Some(Arc::new(snapshot)), fault: None };
        }
    }

    /// Shows nothing any more.
    pub(super) fn withdraw(&self) {
        if let Ok(mut state) = self.state.write() {
            state.snapshot = None;
        }
    }

    pub(super) fn fail(&self, fault: StoreError) {
        if let Ok(mut state) = self.state.write() {
            state.fault = Some(fault);
        }
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub(super) fn capacity(&self) -> Capacity {
        Capacity {
            records: self.records.load(Ordering::SeqCst),
            bytes: self.bytes.load(Ordering::SeqCst),
        }
    }

    pub(super) fn set_records(&self, records: u64) {
        self.records.store(records, Ordering::SeqCst);
    }

    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::SeqCst);
    }
}

fn poisoned() -> StoreError {
    StoreError::unavailable("the file store's lock is poisoned")
}
