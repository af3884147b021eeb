//! Which key signs when, and what becomes of it after that.

use std::time::Duration;

use super::SigningKeyError;
use super::record::{KeyRecord, KeyState, Record};
use crate::Algorithm;

/// How long a key is published before it signs: as long as our own verifier keeps a key set at
/// most.
pub(super) const PUBLISHED_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);
const AHEAD: u64 = PUBLISHED_AHEAD.as_secs();
/// How much the clocks of replicas may differ, and for how long a replica signs without the store.
const CLOCKS: u64 = 5 * 60;
/// How long a key stays published after the last token that it may have signed. A verifier has a
/// leeway of its own.
const MARGIN: u64 = 2 * CLOCKS;

/// When keys are made, sign and leave. Times are in seconds.
#[derive(Clone, Debug)]
pub(super) struct Rotation {
    pub(super) algorithm: Algorithm,
    pub(super) rotate_every: u64,
    pub(super) longest_lifetime: u64,
}

impl Rotation {
    /// The record as it has to be at the time `now`, where that is not as it is.
    ///
    /// # Errors
    ///
    /// When no key can be made.
    pub(super) fn due(&self, record: &Record, now: u64) -> Result<Option<Record>, SigningKeyError> {
        let mut keys = record.keys.clone();
        keys.retain(|key| !matches!(key.state, KeyState::Retained { until } if until <= now));
        for key in &mut keys {
            // Tokens of the key may live longer from now on.
            if matches!(key.state, KeyState::Valid { .. }) {
                key.longest_lifetime = key.longest_lifetime.max(self.longest_lifetime);
            }
            correct(key, now);
        }
        let next = Record { keys };
        let Some(signing) = next.signing(now).map(|key| key.id.clone()) else {
            return Ok(Some(next.with(self.new_key(now)?)));
        };
        let next = next.since(&signing, now);
        let due = next.keys.last().is_some_and(|newest| match newest.state {
            KeyState::Valid { signs_from, .. } => {
                let old = now.saturating_add(AHEAD) >= signs_from.saturating_add(self.rotate_every);
                newest.id == signing && (old || newest.algorithm != self.algorithm)
            }
            KeyState::Retained { .. } => false,
        });
        let next = if due { next.with(self.new_key(now.saturating_add(AHEAD))?) } else { next };
        Ok((next != *record).then_some(next))
    }

    fn new_key(&self, signs_from: u64) -> Result<KeyRecord, SigningKeyError> {
        KeyRecord::new(self.algorithm, signs_from, self.longest_lifetime)
    }
}

/// Brings back times that a clock which was wrong put too far ahead: a key would wait for years.
fn correct(key: &mut KeyRecord, now: u64) {
    let last = last_token(key, now);
    match &mut key.state {
        KeyState::Valid { signs_from, .. } if *signs_from > now.saturating_add(AHEAD + CLOCKS) => {
            *signs_from = now.saturating_add(AHEAD);
        }
        KeyState::Retained { until } if *until > last.saturating_add(CLOCKS) => *until = last,
        KeyState::Valid { .. } | KeyState::Retained { .. } => {}
    }
}

/// Until when a key that signs no more from `now` on has to be published.
fn last_token(key: &KeyRecord, now: u64) -> u64 {
    now.saturating_add(key.longest_lifetime).saturating_add(MARGIN)
}

impl Record {
    /// The key that signs at `now`: the newest one whose time has come. Where the clock is before
    /// all of them, it is the one whose time comes first.
    pub(super) fn signing(&self, now: u64) -> Option<&KeyRecord> {
        let mut valid = self.keys.iter().filter_map(|key| match key.state {
            KeyState::Valid { signs_from, .. } => Some((key, signs_from)),
            KeyState::Retained { .. } => None,
        });
        let first = valid.clone().next();
        valid.rfind(|(_, from)| *from <= now).or(first).map(|(key, _)| key)
    }

    /// The record once the key `signing` signs: the private halves of those before it are dropped.
    fn since(mut self, signing: &str, now: u64) -> Self {
        let mut before = true;
        for key in &mut self.keys {
            let last = last_token(key, now);
            before &= key.id != signing;
            match &mut key.state {
                state @ KeyState::Valid { .. } if before => {
                    *state = KeyState::Retained { until: last };
                }
                // Its time counts from when it signs.
                KeyState::Valid { signs_from, .. }
                    if key.id == signing && *signs_from > now.saturating_add(CLOCKS) =>
                {
                    *signs_from = now;
                }
                KeyState::Valid { .. } | KeyState::Retained { .. } => {}
            }
        }
        self
    }

    fn with(mut self, key: KeyRecord) -> Self {
        self.keys.push(key);
        self
    }
}
