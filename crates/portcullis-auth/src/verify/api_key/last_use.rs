//! When each API key was used last.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime};

/// How exactly it is known: between two notes of one key, none is written.
const EXACTNESS: Duration = Duration::from_secs(60);

/// When each key was last used. Only keys of the list are noted, so there are no more entries than
/// keys that ever were in it.
#[derive(Debug, Default)]
pub(super) struct LastUse(RwLock<HashMap<String, SystemTime>>);

impl LastUse {
    pub(super) fn at(&self, id: &str) -> Option<SystemTime> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    pub(super) fn note(&self, id: &str, now: SystemTime) {
        let fresh = |at: SystemTime| now.duration_since(at).is_ok_and(|age| age < EXACTNESS);
        if self.at(id).is_some_and(fresh) {
            return;
        }
        tracing::info!(key_id = id, "an API key is in use");
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), now);
    }
}
