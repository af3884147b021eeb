use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use portcullis_guard::digest;

use crate::Principal;

const SHARDS: usize = 16;

/// Tokens that were verified, by their SHA-256.
///
/// An entry counts for the generation of keys that verified it. Its principal carries its
/// own expiry, which is enforced on each request. At most `capacity` tokens are kept, the
/// ones that were used last.
pub(super) struct TokenCache {
    shards: [Mutex<Shard>; SHARDS],
    /// How many entries a shard takes before those unused for longest go.
    half: usize,
}

/// Two maps: what was used since they last changed places, and what was not.
#[derive(Default)]
struct Shard {
    recent: HashMap<TokenDigest, Entry>,
    older: HashMap<TokenDigest, Entry>,
}

type Entry = (u64, Arc<Principal>);

/// What a token is kept under.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(super) fn of(token: &str) -> Self {
        Self(digest::sha256(token.as_bytes()))
    }

    fn shard(self) -> usize {
        let [first, ..] = self.0;
        usize::from(first) % SHARDS
    }
}

impl TokenCache {
    /// A cache of about `capacity` tokens; `None` if that is none.
    pub(super) fn new(capacity: usize) -> Option<Self> {
        let half = capacity.div_ceil(2 * SHARDS);
        (capacity > 0).then(|| Self { shards: Default::default(), half })
    }

    pub(super) fn find(&self, token: TokenDigest, generation: u64) -> Option<Arc<Principal>> {
        // A broken lock is a miss: the token is verified anew.
        let mut shard = self.shards.get(token.shard())?.lock().ok()?;
        let (of, principal) = match shard.recent.get(&token) {
            Some(entry) => entry.clone(),
            None => {
                let entry = shard.older.remove(&token)?;
                shard.insert(token, entry.clone(), self.half);
                entry
            }
        };
        (of == generation).then_some(principal)
    }

    pub(super) fn keep(&self, token: TokenDigest, generation: u64, principal: Arc<Principal>) {
        if let Some(Ok(mut shard)) = self.shards.get(token.shard()).map(Mutex::lock) {
            shard.insert(token, (generation, principal), self.half);
        }
    }
}

impl Shard {
    fn insert(&mut self, token: TokenDigest, entry: Entry, half: usize) {
        if self.recent.len() >= half {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(token, entry);
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal() -> Arc<Principal> {
        Arc::new(Principal::new("alice"))
    }

    #[test]
    fn a_token_is_found_for_its_generation_of_keys_only() {
        let cache = TokenCache::new(100).unwrap();
        let token = TokenDigest::of("a");
        cache.keep(token, 1, principal());
        assert!(cache.find(token, 1).is_some());
        assert!(cache.find(token, 2).is_none());
        assert!(cache.find(TokenDigest::of("b"), 1).is_none());
    }

    #[test]
    fn it_holds_no_more_than_its_capacity_and_keeps_what_is_used() {
        let cache = TokenCache::new(320).unwrap();
        let used = TokenDigest::of("used");
        cache.keep(used, 1, principal());
        for other in 0..10_000 {
            assert!(cache.find(used, 1).is_some(), "lost after {other}");
            cache.keep(TokenDigest::of(&other.to_string()), 1, principal());
        }
        let kept = (0..10_000).filter(|n| cache.find(TokenDigest::of(&n.to_string()), 1).is_some());
        assert!(kept.count() <= 320);
    }

    #[test]
    fn no_capacity_is_no_cache() {
        assert!(TokenCache::new(0).is_none());
    }
}
