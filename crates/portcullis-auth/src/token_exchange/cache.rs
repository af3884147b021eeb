//! Exchanged tokens that are given again while they last.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::ExchangedToken;
use crate::principal::Counts;

/// How many tokens each half takes before the halves swap, which drops the one that is older.
pub(super) const HALF: usize = 1_000;

/// What a token was given for: a digest of the principal, their own token, the audience and the scopes.
pub(super) type Key = [u8; 32];

/// The tokens that may be given again, of the last 1,000 to 2,000 that were exchanged.
#[derive(Default)]
pub(super) struct TokensInUse(Mutex<Halves>);

#[derive(Default)]
struct Halves {
    recent: HashMap<Key, (ExchangedToken, Counts)>,
    older: HashMap<Key, (ExchangedToken, Counts)>,
}

impl TokensInUse {
    pub(super) fn find(&self, key: &Key, now: SystemTime) -> Option<ExchangedToken> {
        let halves = self.halves();
        let (token, counts) = halves.recent.get(key).or_else(|| halves.older.get(key))?;
        counts.at(now).then(|| token.clone())
    }

    pub(super) fn keep(&self, key: Key, token: ExchangedToken, counts: Counts) {
        let mut halves = self.halves();
        if halves.recent.len() >= HALF {
            halves.older = std::mem::take(&mut halves.recent);
        }
        halves.recent.insert(key, (token, counts));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let halves = self.halves();
        halves.recent.len() + halves.older.len()
    }

    /// Nothing panics while it holds the lock.
    fn halves(&self) -> MutexGuard<'_, Halves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
