//! The state of a request whose client is asked first: what the client keeps for the server, sealed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
#[cfg(feature = "keys")]
use portcullis_guard::keys::KeyRing;
#[cfg(feature = "keys")]
use portcullis_guard::seal::{self, Binding};
use serde::{Deserialize, Serialize};

use super::page::AskedPage;

/// The most that is kept of questions and answers, in bytes, before it is sealed.
pub(super) const MAX_BYTES: usize = 128 * 1024;

/// What the operation of a request is: its server, method, component, arguments and caller.
pub(super) type Parts = [Vec<u8>; 6];

/// The digest of a question.
pub(super) type QuestionId = String;

/// What is known from the rounds before.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RequestState {
    /// Until when the client may answer, in seconds since 1970.
    pub(super) until: u64,
    /// In how many rounds the client was asked.
    pub(super) rounds: usize,
    /// What the client is asked in this round, each under the key of its answer.
    pub(super) asked: Vec<(String, QuestionId)>,
    /// The answers of earlier rounds, as JSON.
    pub(super) answers: Vec<(QuestionId, String)>,
    /// The pages that the user was asked to open.
    #[serde(default)]
    pub(super) pages: Vec<AskedPage>,
}

/// The keys that seal states: those of the store, or one that was made at the start.
#[derive(Debug, Default)]
pub(crate) struct StateKeys {
    #[cfg(feature = "keys")]
    keys: Option<KeyRing>,
}

impl StateKeys {
    #[cfg(feature = "keys")]
    pub(crate) fn new(of_store: Option<KeyRing>) -> Self {
        let made = || {
            let keys = KeyRing::ephemeral();
            keys.inspect_err(|error| tracing::error!(%error, "functions cannot ask clients")).ok()
        };
        Self { keys: of_store.or_else(made) }
    }

    /// The keys, if there are any, for what else clients keep.
    #[cfg(feature = "keys")]
    pub(in crate::operation) fn ring(&self) -> Option<KeyRing> {
        self.keys.clone()
    }

    /// Whether anything can be sealed.
    #[cfg(feature = "keys")]
    pub(super) fn are_there(&self) -> bool {
        self.keys.is_some()
    }

    #[cfg(not(feature = "keys"))]
    pub(super) fn are_there(&self) -> bool {
        false
    }

    #[cfg(feature = "keys")]
    fn seal(&self, parts: &Parts, state: &[u8]) -> Option<Vec<u8>> {
        let sealed = seal::seal(self.keys.as_ref()?, &binding(parts), state);
        sealed.inspect_err(|error| tracing::error!(%error, "no request state was sealed")).ok()
    }

    #[cfg(not(feature = "keys"))]
    fn seal(&self, _: &Parts, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    #[cfg(feature = "keys")]
    fn open(&self, parts: &Parts, sealed: &[u8]) -> Option<Vec<u8>> {
        seal::open(self.keys.as_ref()?, &binding(parts), sealed).ok()
    }

    #[cfg(not(feature = "keys"))]
    fn open(&self, _: &Parts, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

#[cfg(feature = "keys")]
fn binding(parts: &Parts) -> Binding {
    Binding::new("request-state", parts)
}

impl RequestState {
    /// Sealed for the operation alone; nothing when it is too long, or cannot be sealed.
    pub(super) fn seal(
        mut self,
        keys: &StateKeys,
        parts: &Parts,
        now: SystemTime,
        lasting: Duration,
    ) -> Option<String> {
        self.until = seconds(now.checked_add(lasting)?)?;
        let state = serde_json::to_vec(&self).ok()?;
        if state.len() > MAX_BYTES {
            tracing::error!(bytes = state.len(), "what clients answered is too long to be kept");
            return None;
        }
        keys.seal(parts, &state).map(|sealed| URL_SAFE_NO_PAD.encode(sealed))
    }

    /// What was sealed for this operation, and has not expired. Why something is not is told to nobody.
    pub(super) fn open(
        sealed: &str,
        keys: &StateKeys,
        parts: &Parts,
        now: SystemTime,
    ) -> Option<Self> {
        let state = keys.open(parts, &URL_SAFE_NO_PAD.decode(sealed).ok()?)?;
        let state: Self = serde_json::from_slice(&state).ok()?;
        (seconds(now)? < state.until).then_some(state)
    }
}

/// In seconds since 1970.
pub(in crate::operation) fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|time| time.as_secs())
}
