use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use portcullis_guard::{Clock, Fetch};
use tokio::runtime::Handle;
use tokio::sync::watch;
use url::Url;

use super::Algorithm;
use super::freshness;
use super::key_set::KeySet;

/// How many fetches for unknown key ids may follow each other at once. More than one, so
/// that a stranger's made-up id does not use up the fetch that a rotation needs.
const BURST: u32 = 3;
/// How long until one of them comes back: all of them are there again after 30 s.
const COOL_DOWN: Duration = Duration::from_secs(10);
/// How long nothing is fetched after a fetch failed.
const RETRY: Duration = Duration::from_secs(5);

/// The keys that an issuer publishes at a URL (RFC 7517 §5).
///
/// 1. The first token that needs them waits for the first fetch; a thousand wait for the
///    same one.
/// 2. Keys are fresh for as long as `Cache-Control` says, within bounds. After that they are
///    fetched again in the background, and go on verifying meanwhile.
/// 3. When fetching fails, the keys that were known go on verifying for `stale` longer, and
///    not beyond. What was fetched takes effect as a whole or not at all.
/// 4. A token with an unknown key id waits for one more fetch, if one is due: there are
///    [`BURST`] of them, and one comes back after each [`COOL_DOWN`]. So a new key is found
///    at the latest one cool-down after it is used, whatever strangers send.
/// 5. A signature that is wrong under a known key id fetches nothing: keys change with their
///    ids, or when they are no longer fresh.
#[derive(Debug)]
pub(super) struct RemoteKeys {
    source: Source,
    state: RwLock<State>,
    /// The number of the last fetch that has ended.
    ended: watch::Sender<u64>,
}

/// Where keys come from, and by which rules.
pub(super) struct Source {
    pub(super) url: Url,
    pub(super) fetch: Fetch,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) stale: Duration,
}

/// The keys of one fetch.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) keys: Arc<KeySet>,
    /// Counts up with each set that takes effect.
    pub(super) generation: u64,
    fetched_at: SystemTime,
    fresh: Duration,
}

/// Why a key is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// There are no keys, or stale ones.
    Keys,
    /// There are keys, and not this one.
    UnknownKey,
}

#[derive(Debug)]
struct State {
    snapshot: Option<Snapshot>,
    /// The number of the last fetch that was begun.
    begun: u64,
    fetching: bool,
    failed_at: Option<SystemTime>,
    /// Fetches left for unknown key ids, and since when the next one is on its way.
    left: u32,
    since: SystemTime,
}

/// The number of a fetch to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// It was begun just now.
    Started(u64),
    /// It was under way.
    Joined(u64),
}

impl Begun {
    fn number(self) -> u64 {
        match self {
            Self::Started(number) | Self::Joined(number) => number,
        }
    }
}

/// Whether a key exists cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unavailable;

impl RemoteKeys {
    pub(super) fn new(source: Source) -> Arc<Self> {
        let state = State {
            snapshot: None,
            begun: 0,
            fetching: false,
            failed_at: None,
            left: BURST,
            since: source.clock.now(),
        };
        Arc::new(Self { source, state: RwLock::new(state), ended: watch::Sender::new(0) })
    }

    /// The keys that are known, if they may still be used; asks for newer ones in the
    /// background when they are no longer fresh.
    pub(super) fn snapshot(self: &Arc<Self>) -> Option<Snapshot> {
        let now = self.source.clock.now();
        let snapshot = self.state.read().ok()?.snapshot.clone()?;
        // A clock that was set back must not make them last longer.
        let set_back = now < snapshot.fetched_at;
        let age = now.duration_since(snapshot.fetched_at).unwrap_or_else(|error| error.duration());
        if !set_back && age < snapshot.fresh {
            return Some(snapshot);
        }
        // Nobody waits for it: whether it was begun does not matter.
        let _ = self.begin(Want::Keys, now);
        (age < snapshot.fresh.saturating_add(self.source.stale)).then_some(snapshot)
    }

    /// Keys, after waiting for them if there are none.
    ///
    /// # Errors
    ///
    /// When they cannot be fetched.
    pub(super) async fn first(self: &Arc<Self>) -> Result<Snapshot, Unavailable> {
        if let Some(fetch) = self.begin(Want::Keys, self.source.clock.now())? {
            self.wait_for(fetch.number()).await?;
        }
        self.snapshot().ok_or(Unavailable)
    }

    /// Keys that `suffice`, after waiting for newer ones if a fetch is due; the newest there
    /// are if none do.
    ///
    /// # Errors
    ///
    /// When fetching failed, so that there may be newer keys.
    pub(super) async fn newer(
        self: &Arc<Self>,
        suffice: impl Fn(&KeySet) -> bool,
    ) -> Result<Snapshot, Unavailable> {
        loop {
            let begun = self.begin(Want::UnknownKey, self.source.clock.now())?;
            if let Some(fetch) = begun {
                self.wait_for(fetch.number()).await?;
            }
            if self.failing() {
                return Err(Unavailable);
            }
            let snapshot = self.snapshot().ok_or(Unavailable)?;
            // A fetch that was under way may have been answered before the key was there.
            let joined = matches!(begun, Some(Begun::Joined(_)));
            if !joined || suffice(&snapshot.keys) {
                return Ok(snapshot);
            }
        }
    }

    /// Whether the last fetch failed.
    fn failing(&self) -> bool {
        self.state.read().map_or(true, |state| state.failed_at.is_some())
    }

    async fn wait_for(&self, fetch: u64) -> Result<(), Unavailable> {
        let mut ended = self.ended.subscribe();
        ended.wait_for(|ended| *ended >= fetch).await.map(drop).map_err(|_| Unavailable)
    }

    /// Begins a fetch, or joins the one that is under way; `None` if none is due.
    ///
    /// # Errors
    ///
    /// When the last one failed a moment ago.
    fn begin(self: &Arc<Self>, want: Want, now: SystemTime) -> Result<Option<Begun>, Unavailable> {
        let mut state = self.state.write().map_err(|_| Unavailable)?;
        if state.fetching {
            return Ok(Some(Begun::Joined(state.begun)));
        }
        if state.failed_at.is_some_and(|at| (at..at + RETRY).contains(&now)) {
            return Err(Unavailable);
        }
        if want == Want::UnknownKey && !state.take_one(now) {
            return Ok(None);
        }
        state.begun += 1;
        state.fetching = true;
        let begun = state.begun;
        // A flight that ends at once, because the runtime is going away, wants to land.
        drop(state);
        let flight = Flight { keys: Arc::clone(self), fetched: None };
        let runtime = Handle::try_current().map_err(|_| Unavailable)?;
        // Not the request's own work: a client that hangs up must not stop it for others.
        runtime.spawn(flight.fly());
        Ok(Some(Begun::Started(begun)))
    }

    fn land(&self, fetched: Option<(KeySet, Duration)>) {
        let now = self.source.clock.now();
        let Ok(mut state) = self.state.write() else {
            // Who waits finds the lock broken, and no keys.
            self.ended.send_replace(u64::MAX);
            return;
        };
        state.fetching = false;
        let number = state.begun;
        match fetched {
            Some((keys, fresh)) => {
                let keys = Arc::new(keys);
                let snapshot = Snapshot { keys, generation: number, fetched_at: now, fresh };
                state.snapshot = Some(snapshot);
                state.failed_at = None;
            }
            None => state.failed_at = Some(now),
        }
        self.ended.send_replace(number);
    }
}

impl State {
    /// Takes one fetch for an unknown key id, if one is left at `now`.
    fn take_one(&mut self, now: SystemTime) -> bool {
        while self.left < BURST && self.since + COOL_DOWN <= now {
            self.left += 1;
            self.since += COOL_DOWN;
        }
        // The wait begins with the first one taken, and again after a clock was set back.
        if self.left == BURST || self.since > now {
            self.since = now;
        }
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        true
    }
}

/// One fetch. However it ends, it lands: nobody waits for ever.
struct Flight {
    keys: Arc<RemoteKeys>,
    fetched: Option<(KeySet, Duration)>,
}

impl Flight {
    async fn fly(mut self) {
        let source = &self.keys.source;
        match source.read().await {
            Ok(fetched) => self.fetched = Some(fetched),
            Err(reason) => {
                tracing::error!(host = source.url.host_str(), %reason, "the issuer's keys were not fetched");
            }
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.keys.land(self.fetched.take());
    }
}

impl Source {
    /// Fetches the set, and how long it is fresh.
    async fn read(&self) -> Result<(KeySet, Duration), String> {
        let fetched = self.fetch.get(&self.url).await.map_err(|error| error.to_string())?;
        if fetched.status != 200 {
            return Err(format!("the answer is {}", fetched.status));
        }
        let text = str::from_utf8(&fetched.body).map_err(|_| "the document is not UTF-8")?;
        let keys = KeySet::read(text, &self.algorithms).map_err(|error| error.to_string())?;
        Ok((keys, freshness::of(fetched.cache_control.as_deref())))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?})", self.url.host_str())
    }
}
