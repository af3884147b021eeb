//! Tokens that were refused a moment ago, so that sending them again costs little.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::VerifyError;
use crate::token_cache::TokenDigest;

/// How long a refusal is remembered.
const REMEMBERED: Duration = Duration::from_secs(10);
/// How many refusals are remembered, at most.
const CAPACITY: usize = 2_048;

/// Tokens that were refused a moment ago, by their SHA-256.
///
/// Over HTTP/2 with header compression, sending the same refused token again costs a client a few
/// bytes, and costs the server a signature check with each key. A refusal is remembered for one
/// generation of keys, and for ten seconds. A token that may become good later is not remembered.
pub(crate) struct RefusedTokens {
    remembers: bool,
    /// Whether a token was ever refused: until then, there is nothing to look up.
    any: AtomicBool,
    memory: Mutex<Memory>,
}

impl Default for RefusedTokens {
    fn default() -> Self {
        Self { remembers: true, any: AtomicBool::new(false), memory: Mutex::default() }
    }
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// The token is not good.
    Refused(VerifyError),
    /// None of these keys verifies it; newer ones might.
    UnknownKey,
}

/// Two maps: the tokens refused since the maps last swapped, and those refused before.
#[derive(Default)]
struct Memory {
    generation: u64,
    recent: HashMap<TokenDigest, Entry>,
    older: HashMap<TokenDigest, Entry>,
}

struct Entry {
    at: SystemTime,
    known: Known,
}

impl RefusedTokens {
    /// One that remembers nothing.
    pub(crate) fn none() -> Self {
        Self { remembers: false, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// What is known of `token` at `now`, under the keys of `generation`.
    pub(crate) fn find(
        &self,
        token: TokenDigest,
        generation: u64,
        now: SystemTime,
    ) -> Option<Known> {
        // A broken lock is a miss: the token is verified again.
        let memory = self.memory.lock().ok()?;
        if memory.generation != generation {
            return None;
        }
        let entry = memory.recent.get(&token).or_else(|| memory.older.get(&token))?;
        // A clock that was set back keeps no refusal longer.
        let lasts = now.duration_since(entry.at).is_ok_and(|age| age < REMEMBERED);
        lasts.then(|| entry.known.clone())
    }

    pub(crate) fn keep(&self, token: TokenDigest, generation: u64, now: SystemTime, known: Known) {
        if !self.remembers {
            return;
        }
        let Ok(mut memory) = self.memory.lock() else { return };
        if memory.generation > generation {
            return;
        }
        if memory.generation < generation {
            *memory = Memory { generation, ..Memory::default() };
        }
        if memory.recent.len() >= CAPACITY / 2 {
            // Both keep their room: untrusted clients make them grow once.
            let Memory { recent, older, .. } = &mut *memory;
            std::mem::swap(recent, older);
            recent.clear();
        }
        memory.recent.insert(token, Entry { at: now, known });
        self.any.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for RefusedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefusedTokens")
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn trial_a6_a_refusal_is_remembered_for_seconds_and_one_generation_of_keys() {
        let refused = RefusedTokens::default();
        let token = TokenDigest::of("a");
        assert!(refused.is_empty());
        refused.keep(token, 1, at(100), Known::UnknownKey);
        assert!(!refused.is_empty());
        let known = |generation, now| refused.find(token, generation, at(now)).is_some();
        assert!(known(1, 100) && known(1, 109));
        assert!(!known(1, 110), "it is over");
        assert!(!known(1, 99), "the clock was set back");
        assert!(!known(2, 100), "the keys are others");
        assert!(refused.find(TokenDigest::of("b"), 1, at(100)).is_none());
        refused.keep(TokenDigest::of("b"), 2, at(100), Known::UnknownKey);
        assert!(!known(1, 100), "what was for other keys is gone");
    }

    #[test]
    fn trial_a6_a_flood_of_refused_tokens_takes_bounded_memory() {
        let refused = RefusedTokens::default();
        for number in 0..10_000 {
            refused.keep(TokenDigest::of(&number.to_string()), 1, at(1), Known::UnknownKey);
        }
        let memory = refused.memory.lock().unwrap();
        assert!(memory.recent.len() + memory.older.len() <= CAPACITY);
        assert!(memory.recent.contains_key(&TokenDigest::of("9999")));
    }
}
