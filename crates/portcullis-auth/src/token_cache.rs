//! Tokens that were verified already, kept by their digests.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use portcullis_guard::digest;
use portcullis_guard::metrics::{Label, TOKEN_CACHE, count};
use serde_json::Value;

use crate::{Claims, Principal};

const SHARDS: usize = 16;
/// The most memory of all remembered principals together, in bytes, however many they are.
const WEIGHT: usize = 32 * 1024 * 1024;

/// Tokens that were verified, by their SHA-256.
///
/// An entry has a mark, by which its finder tells whether it still counts: the generation of keys
/// that verified it, say. Its principal carries its own expiry, which is enforced on each request.
/// At most `capacity` tokens are kept, and fewer if their claims are large: the ones that were used
/// last.
pub(crate) struct TokenCache<M> {
    shards: [Mutex<Shard<M>>; SHARDS],
    /// How many entries each map of a shard takes before the maps swap, which drops the entries
    /// unused for longest.
    half: usize,
}

/// Two maps: the entries used since the maps last swapped, and the entries not used since.
struct Shard<M> {
    recent: HashMap<TokenDigest, Entry<M>>,
    older: HashMap<TokenDigest, Entry<M>>,
    /// The weight of the recent entries.
    weight: usize,
}

#[derive(Clone)]
struct Entry<M> {
    mark: M,
    principal: Arc<Principal>,
    weight: usize,
}

/// The key under which a token is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(crate) fn of(token: &str) -> Self {
        Self(digest::sha256(token.as_bytes()))
    }

    fn shard(self) -> usize {
        let [first, ..] = self.0;
        usize::from(first) % SHARDS
    }
}

impl<M: Copy> TokenCache<M> {
    /// A cache of about `capacity` tokens; `None` for a capacity of 0.
    pub(crate) fn new(capacity: usize) -> Option<Self> {
        let half = capacity.div_ceil(2 * SHARDS);
        (capacity > 0).then(|| Self { shards: std::array::from_fn(|_| Mutex::default()), half })
    }

    /// The principal of `token`, if its mark `counts`; otherwise it is forgotten.
    pub(crate) fn find(
        &self,
        token: TokenDigest,
        counts: impl Fn(M) -> bool,
    ) -> Option<Arc<Principal>> {
        let found = self.look_up(token, counts);
        let result = if found.is_some() { "hit" } else { "miss" };
        count(&TOKEN_CACHE, &[Label::Word("result", result)]);
        found
    }

    fn look_up(&self, token: TokenDigest, counts: impl Fn(M) -> bool) -> Option<Arc<Principal>> {
        // A broken lock is a miss: the token is verified again.
        let mut shard = self.shards.get(token.shard())?.lock().ok()?;
        let entry = match shard.recent.get(&token) {
            Some(entry) => entry.clone(),
            None => {
                let entry = shard.older.remove(&token)?;
                shard.insert(token, entry.clone(), self.half);
                entry
            }
        };
        if counts(entry.mark) {
            return Some(entry.principal);
        }
        shard.recent.remove(&token);
        None
    }

    pub(crate) fn forget(&self, token: TokenDigest) {
        if let Some(Ok(mut shard)) = self.shards.get(token.shard()).map(Mutex::lock) {
            shard.recent.remove(&token);
            shard.older.remove(&token);
        }
    }

    pub(crate) fn keep(&self, token: TokenDigest, mark: M, principal: Arc<Principal>) {
        let weight = weight_of_members(principal.claims());
        let entry = Entry { mark, principal, weight };
        if let Some(Ok(mut shard)) = self.shards.get(token.shard()).map(Mutex::lock) {
            shard.insert(token, entry, self.half);
        }
    }
}

impl<M> Default for Shard<M> {
    fn default() -> Self {
        Self { recent: HashMap::new(), older: HashMap::new(), weight: 0 }
    }
}

impl<M> Shard<M> {
    fn insert(&mut self, token: TokenDigest, entry: Entry<M>, half: usize) {
        let full = self.recent.len() >= half || self.weight + entry.weight > WEIGHT / (2 * SHARDS);
        if full {
            self.older = std::mem::take(&mut self.recent);
            self.weight = 0;
        }
        self.weight += entry.weight;
        self.recent.insert(token, entry);
    }
}

/// The approximate memory of claims: a tree node for each object, a value for each member.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
        Value::String(text) => 32 + text.len(),
        Value::Array(list) => 64 + list.iter().map(weight).sum::<usize>(),
        Value::Object(members) => weight_of_members(members),
    }
}

fn weight_of_members(members: &Claims) -> usize {
    const NODE: usize = 640;
    NODE + members.iter().map(|(name, value)| 32 + name.len() + weight(value)).sum::<usize>()
}

impl<M> fmt::Debug for TokenCache<M> {
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
    fn a_token_is_found_by_a_mark_that_counts_only() {
        let cache = TokenCache::new(100).unwrap();
        let token = TokenDigest::of("a");
        cache.keep(token, 1, principal());
        assert!(cache.find(token, |mark| mark == 1).is_some());
        assert!(cache.find(token, |mark| mark == 2).is_none());
        assert!(cache.find(TokenDigest::of("b"), |_| true).is_none());
    }

    #[test]
    fn it_holds_no_more_than_its_capacity_and_keeps_what_is_used() {
        let cache = TokenCache::new(320).unwrap();
        let used = TokenDigest::of("used");
        cache.keep(used, 1, principal());
        for other in 0..10_000 {
            assert!(cache.find(used, |_| true).is_some(), "lost after {other}");
            cache.keep(TokenDigest::of(&other.to_string()), 1, principal());
        }
        let kept =
            (0..10_000).filter(|n| cache.find(TokenDigest::of(&n.to_string()), |_| true).is_some());
        assert!(kept.count() <= 320);
    }

    #[test]
    fn large_claims_leave_room_for_fewer_tokens() {
        let cache = TokenCache::new(10_000).unwrap();
        let groups: Vec<Value> = vec![serde_json::json!({"": 0}); 1_000];
        let claims = Claims::from_iter([("groups".to_owned(), Value::Array(groups))]);
        let large = Arc::new(Principal::new("alice").with_claims(claims));
        for number in 0..1_000 {
            cache.keep(TokenDigest::of(&number.to_string()), 1, Arc::clone(&large));
        }
        let kept =
            (0..1_000).filter(|n| cache.find(TokenDigest::of(&n.to_string()), |_| true).is_some());
        assert!((16..=64).contains(&kept.count()));
    }

    #[test]
    fn no_capacity_is_no_cache() {
        assert!(TokenCache::<u64>::new(0).is_none());
    }
}
