//! Keys that are fetched from their issuer, and fetched again when they change.

use std::fmt;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, SystemTime};

use portcullis_guard::metrics::Label;
use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, ErrorChain, Fetch, digest, metrics};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use url::Url;

use super::Algorithm;
use super::discovery::{Discovery, WANTED_BY_CLIENTS};
use super::freshness;
use super::key_set::{KeySet, Unverified};

/// How many fetches for unknown key ids may follow each other at once. More than one, so
/// that an untrusted, made-up id does not use up the fetch that a rotation needs.
const BURST: u32 = 3;
/// How long until one of them comes back: all of them are there again after 30 s.
const COOL_DOWN: Duration = Duration::from_secs(10);
/// How long nothing is fetched after a fetch failed.
const RETRY: Duration = Duration::from_secs(5);
/// How long the metadata of an issuer says where its keys are.
const REDISCOVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How many tokens wait at once for the first keys.
const WAITING_FOR_ANY: usize = 1_024;
/// How many tokens wait at once for newer keys than the known ones. Key ids are untrusted, and
/// each waiting token holds a place that others need.
const WAITING_FOR_NEWER: usize = 64;

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
///    at the latest one cool-down after it is used, whatever untrusted clients send.
/// 5. A signature that is wrong under a known key id fetches nothing: keys change with their
///    ids, or when they are no longer fresh.
/// 6. A document that is byte for byte the last one changes nothing but its age: what was
///    verified with its keys stays verified.
/// 7. The number of tokens that wait at once is limited; for any other, the verifier is
///    unavailable.
#[derive(Debug)]
pub(super) struct RemoteKeys {
    source: Source,
    state: RwLock<State>,
    waiting_for_any: Semaphore,
    waiting_for_newer: Semaphore,
    /// The number of the last fetch that has ended.
    ended: watch::Sender<u64>,
}

/// Where keys come from, and by which rules.
pub(super) struct Source {
    pub(super) place: Place,
    pub(super) fetch: Fetch,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) stale: Duration,
    /// How many keys a set may hold.
    pub(super) most_keys: usize,
}

/// Where the document with the keys is.
pub(super) enum Place {
    Known(Url),
    /// Where the issuer's metadata says, which is read again after [`REDISCOVERY`], and after keys
    /// could not be fetched from there.
    Discovered(Discovery, Mutex<Option<(SystemTime, Url)>>),
}

/// The keys of one fetch.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) keys: Arc<KeySet>,
    /// Counts up with each other set that takes effect.
    pub(super) generation: u64,
    document: [u8; 32],
    fetched_at: SystemTime,
    fresh: Duration,
}

/// Why a key is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// There are no keys, or stale ones.
    Keys,
    /// There are keys, but not this one among those of this generation.
    UnknownKey { tried: u64 },
}

#[derive(Debug)]
struct State {
    snapshot: Option<Snapshot>,
    /// The number of the last fetch that was begun, and when.
    begun: u64,
    begun_at: SystemTime,
    fetching: bool,
    /// When the last fetch failed, and why, unless it succeeded.
    failed: Option<(SystemTime, Arc<str>)>,
    /// Fetches left for unknown key ids, and since when the next one is on its way.
    left: u32,
    since: SystemTime,
}

/// A fetch to wait for, by its number, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// It was begun just now.
    Started(u64),
    /// It was under way.
    Joined(u64),
    /// None is needed: newer keys came since.
    Overtaken,
}

impl Begun {
    fn number(self) -> Option<u64> {
        match self {
            Self::Started(number) | Self::Joined(number) => Some(number),
            Self::Overtaken => None,
        }
    }
}

/// Whether a key exists cannot be told, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unavailable(pub(super) Arc<str>);

impl From<&str> for Unavailable {
    fn from(why: &str) -> Self {
        Self(why.into())
    }
}

const BROKEN: &str = "a lock is poisoned";
const TOO_OLD: &str = "the known keys are too old";
const TOO_MANY: &str = "too many tokens wait for them already";
const NO_RUNTIME: &str = "no async runtime to fetch them";

impl RemoteKeys {
    pub(super) fn new(source: Source) -> Arc<Self> {
        let now = source.clock.now();
        let state = State {
            snapshot: None,
            begun: 0,
            begun_at: now,
            fetching: false,
            failed: None,
            left: BURST,
            since: now,
        };
        Arc::new(Self {
            source,
            state: RwLock::new(state),
            waiting_for_any: Semaphore::new(WAITING_FOR_ANY),
            waiting_for_newer: Semaphore::new(WAITING_FOR_NEWER),
            ended: watch::Sender::new(0),
        })
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
        // No token waits for this fetch, so it does not matter whether it was begun.
        let _ = self.begin(Want::Keys, now);
        (age < snapshot.fresh.saturating_add(self.source.stale)).then_some(snapshot)
    }

    /// Keys, after waiting for the first ones.
    ///
    /// # Errors
    ///
    /// When they cannot be fetched, or too many wait already.
    pub(super) async fn first(self: &Arc<Self>) -> Result<Snapshot, Unavailable> {
        let begun = self.begin(Want::Keys, self.source.clock.now())?;
        if let Some(fetch) = begun.and_then(Begun::number) {
            let _place = self.waiting_for_any.try_acquire().map_err(|_| TOO_MANY)?;
            self.wait_for(fetch).await?;
        }
        self.snapshot().ok_or_else(|| self.failure().unwrap_or_else(|| TOO_OLD.into()))
    }

    /// The result of `verify` with newer keys than those `tried`, after waiting for them if a fetch
    /// is due; without newer keys, its result with those tried. No set is tried twice.
    ///
    /// # Errors
    ///
    /// When fetching failed, so that there may be newer keys, or too many wait already.
    pub(super) async fn newer(
        self: &Arc<Self>,
        tried: Snapshot,
        verify: impl Fn(&KeySet) -> Result<(), Unverified>,
    ) -> Result<(Snapshot, Result<(), Unverified>), Unavailable> {
        let (mut newest, mut verified) = (tried, Err(Unverified::UnknownKey));
        loop {
            let want = Want::UnknownKey { tried: newest.generation };
            let begun = self.begin(want, self.source.clock.now())?;
            if let Some(fetch) = begun.and_then(Begun::number) {
                let _place = self.waiting_for_newer.try_acquire().map_err(|_| TOO_MANY)?;
                self.wait_for(fetch).await?;
            }
            if let Some(failure) = self.failure() {
                return Err(failure);
            }
            let snapshot = self.snapshot().ok_or(TOO_OLD)?;
            if snapshot.generation != newest.generation {
                verified = verify(&snapshot.keys);
            }
            newest = snapshot;
            // A fetch that was under way, or is over, may have been answered before the key was there.
            let other = matches!(begun, Some(Begun::Joined(_) | Begun::Overtaken));
            if !other || verified != Err(Unverified::UnknownKey) {
                return Ok((newest, verified));
            }
        }
    }

    /// Why the last fetch failed, if it did.
    fn failure(&self) -> Option<Unavailable> {
        match self.state.read() {
            Ok(state) => state.failed.as_ref().map(|(_, why)| Unavailable(Arc::clone(why))),
            Err(_) => Some(BROKEN.into()),
        }
    }

    async fn wait_for(&self, fetch: u64) -> Result<(), Unavailable> {
        let mut ended = self.ended.subscribe();
        ended.wait_for(|ended| *ended >= fetch).await.map(drop).map_err(|_| BROKEN.into())
    }

    /// Begins a fetch, or joins the one that is under way; `None` if none is due.
    ///
    /// # Errors
    ///
    /// When the last one failed a moment ago.
    fn begin(self: &Arc<Self>, want: Want, now: SystemTime) -> Result<Option<Begun>, Unavailable> {
        let mut state = self.state.write().map_err(|_| BROKEN)?;
        if state.fetching {
            return Ok(Some(Begun::Joined(state.begun)));
        }
        if let Some((at, why)) = &state.failed
            && (*at..*at + RETRY).contains(&now)
        {
            return Err(Unavailable(Arc::clone(why)));
        }
        if let Want::UnknownKey { tried } = want {
            // Rotations are rare, and fetches for unknown keys are few: none is spent on what is there.
            if state.snapshot.as_ref().is_some_and(|snapshot| snapshot.generation != tried) {
                return Ok(Some(Begun::Overtaken));
            }
            if !state.take_one(now) {
                return Ok(None);
            }
        }
        state.begun += 1;
        state.begun_at = now;
        state.fetching = true;
        let begun = state.begun;
        // A fetch that ends at once, because the runtime is shutting down, still reports its end.
        drop(state);
        let flight = Flight { keys: Arc::clone(self), fetched: Err(NO_RUNTIME.into()) };
        let runtime = Handle::try_current().map_err(|_| NO_RUNTIME)?;
        // Not the request's own work: a client that hangs up must not stop it for others.
        runtime.spawn(flight.fly());
        Ok(Some(Begun::Started(begun)))
    }

    fn land(&self, fetched: Result<Fetched, Arc<str>>) {
        let result = if fetched.is_ok() { "ok" } else { "failed" };
        metrics::count(&metrics::KEY_REFRESHES, &[Label::Word("result", result)]);
        let now = self.source.clock.now();
        let Ok(mut state) = self.state.write() else {
            // A waiting token finds the lock poisoned, and no keys.
            self.ended.send_replace(u64::MAX);
            return;
        };
        state.fetching = false;
        let number = state.begun;
        match fetched {
            Ok(Fetched { keys, document, fresh }) => {
                let same = state.snapshot.take().filter(|last| last.document == document);
                let (keys, generation) = match same {
                    Some(last) => (last.keys, last.generation),
                    None => (Arc::new(keys), number),
                };
                // A document that was slow to arrive does not last longer.
                let fetched_at = state.begun_at;
                state.snapshot = Some(Snapshot { keys, generation, document, fetched_at, fresh });
                state.failed = None;
            }
            Err(why) => state.failed = Some((now, why)),
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

/// The result of one fetch.
struct Fetched {
    keys: KeySet,
    /// The digest of the document.
    document: [u8; 32],
    fresh: Duration,
}

/// One fetch. However it ends, it reports its end, so that no token waits for ever.
struct Flight {
    keys: Arc<RemoteKeys>,
    fetched: Result<Fetched, Arc<str>>,
}

impl Flight {
    async fn fly(mut self) {
        let source = &self.keys.source;
        self.fetched = source.read().await.map_err(Into::into);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let fetched = std::mem::replace(&mut self.fetched, Err(NO_RUNTIME.into()));
        self.keys.land(fetched);
    }
}

impl Source {
    /// Fetches the set, from where it is now.
    async fn read(&self) -> Result<Fetched, String> {
        let url = self.place.url(&self.fetch, self.clock.now()).await.inspect_err(|why| {
            tracing::error!(reason = why, "cannot find the issuer's keys");
        })?;
        self.read_at(&url).await.map_err(|why| {
            self.place.forget();
            let url = shown(&url);
            tracing::error!(url, reason = why, "cannot fetch the issuer's keys");
            format!("{url}: {why}")
        })
    }

    /// Fetches the set at `url`, and reads how long it is fresh.
    async fn read_at(&self, url: &Url) -> Result<Fetched, String> {
        let fetched = self.fetch.get(url).await;
        let fetched = fetched.map_err(|error| ErrorChain::new(&error).to_string())?;
        let media_type =
            fetched.content_type.as_deref().map_or("no content type".to_owned(), quoted);
        let answer = format!("the answer is {}, {media_type}", fetched.status);
        if fetched.status != 200 {
            return Err(answer);
        }
        let keys = str::from_utf8(&fetched.body)
            .map_err(|_| "the document is not UTF-8".to_owned())
            .and_then(|text| {
                KeySet::read_at_most(text, &self.algorithms, self.most_keys)
                    .map_err(|error| error.to_string())
            })
            .map_err(|why| format!("{answer}; {why}"))?;
        let fresh = freshness::of(&fetched);
        Ok(Fetched { keys, document: digest::sha256(&fetched.body), fresh })
    }
}

impl Place {
    async fn url(&self, fetch: &Fetch, now: SystemTime) -> Result<Url, String> {
        let (discovery, found) = match self {
            Self::Known(url) => return Ok(url.clone()),
            Self::Discovered(discovery, found) => (discovery, found),
        };
        // A broken lock is a miss: the metadata is read again.
        let known = found.lock().ok().and_then(|found| found.clone());
        if let Some((at, url)) = known
            && (at..at + REDISCOVERY).contains(&now)
        {
            return Ok(url);
        }
        let metadata = discovery.find(fetch, &WANTED_BY_CLIENTS).await;
        let metadata = metadata.map_err(|error| error.to_string())?;
        let url = metadata.jwks_uri().map_err(|why| format!("{}: {why}", metadata.url()))?;
        if let Ok(mut found) = found.lock() {
            *found = Some((now, url.clone()));
        }
        Ok(url)
    }

    fn forget(&self) {
        if let Self::Discovered(_, found) = self
            && let Ok(mut found) = found.lock()
        {
            *found = None;
        }
    }
}

/// A URL for the log, without what may be a secret in it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // A URL that has no place for credentials has none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Known(url) => write!(f, "Source({:?})", url.host_str()),
            Place::Discovered(discovery, _) => write!(f, "Source({discovery:?})"),
        }
    }
}
