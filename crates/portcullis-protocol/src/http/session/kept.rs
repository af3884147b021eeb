//! Sessions in the store, for replicas and restarts.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use portcullis_auth::PrincipalId;
use portcullis_guard::random::RandomUnavailable;
use portcullis_guard::{Clock, LogThrottle, random};
use portcullis_store::{CasOutcome, RecordKey, RecordValue, Store, StoreError};

use super::record::{MALFORMED, Owner, Process, Record, state_of};
use super::state::State;
use crate::http::rejection::Rejection;
use crate::message::initialize::Initialize;
use crate::{ClientCapabilities, Limits, ProtocolVersion, SessionKey};

/// Sessions in a store, so that each goes on after a restart, and at any replica where several share
/// it.
///
/// Each use that confirms a session writes its record again, as it was read, for a later end. A
/// replica that finds another record goes on with what that says; one that finds none knows that the
/// session has ended elsewhere.
pub(super) struct KeptSessions {
    store: Arc<dyn Store>,
    /// The name of the server, which its replicas have in common. Others may share the store.
    server: String,
    clock: Arc<dyn Clock>,
    /// How long a use may rely on what was confirmed before.
    confirmed: Duration,
    /// How long a record outlives its last confirmation: a use that confirms nothing, and the
    /// request that it begins, keep a session alive as well.
    lasts: Duration,
    /// This process, in a store that no other shares: a session of its own that it does not know any
    /// more has ended.
    process: Option<Process>,
    /// Sessions of the processes before that this one began to take over, and that are not in its table
    /// yet. The store may have kept that, though nobody has heard of it: whoever asks may have gone away, or
    /// the answer have come too late.
    taking: Mutex<HashSet<SessionKey>>,
    patience: Duration,
    log: LogThrottle,
}

/// How long a replica goes on with a session before it looks whether another has ended it.
const CONFIRMED: Duration = Duration::from_secs(1);
/// How often a process that shares sessions with nobody writes down that they last.
const CONFIRMED_ALONE: Duration = Duration::from_secs(60);
/// How often a change is tried while other replicas keep changing the same record.
const ATTEMPTS: usize = 8;

/// Whether a session is still there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Confirmation {
    Ended,
    GoesOn,
    /// It goes on, and another replica has changed it.
    Changed(Change),
}

/// What a session was in the store when this replica saw it last, and what it is now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) before: State,
    pub(super) now: State,
}

/// What there is of a session in the store.
pub(super) enum Found {
    /// What was agreed on, what its client has set since, and the record that says so. Once it is in the
    /// table, it is [taken over](KeptSessions::has_taken).
    Session(Initialize, State, RecordValue),
    /// None for this owner, and why.
    No(&'static str),
}

impl KeptSessions {
    pub(super) fn new(
        store: Arc<dyn Store>,
        server: &str,
        limits: &Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RandomUnavailable> {
        let (process, confirmed) = match store.is_shared() {
            true => (None, CONFIRMED),
            false => (Some(random::bytes()?), CONFIRMED_ALONE),
        };
        let lasts = limits.session_idle_timeout.saturating_add(limits.handler_timeout);
        let lasts = lasts.saturating_add(confirmed).min(LONGEST);
        let (server, patience) = (server.to_owned(), limits.decision_timeout);
        let (taking, log) = (Mutex::default(), LogThrottle::new());
        Ok(Self { store, server, clock, confirmed, lasts, process, taking, patience, log })
    }

    /// Whether other replicas may go on with a session that this one forgets.
    pub(super) fn is_shared(&self) -> bool {
        self.process.is_none()
    }

    /// How long a use may rely on what was confirmed before.
    pub(super) fn confirmed(&self) -> Duration {
        self.confirmed
    }

    /// The record of a session that begins here.
    pub(super) fn written(
        &self,
        owner: Option<PrincipalId>,
        agreed: &Initialize,
    ) -> Result<RecordValue, Rejection> {
        Record {
            owner: Owner::of(owner),
            version: agreed.version.as_str().to_owned(),
            client: agreed.client.as_deref().cloned(),
            capabilities: serde_json::to_value(agreed.capabilities).unwrap_or_default(),
            log: None,
            subscriptions: BTreeMap::new(),
            process: self.process,
        }
        .written()
    }

    /// Keeps a session that begins.
    pub(super) async fn keep(&self, key: SessionKey, record: RecordValue) -> Result<(), Rejection> {
        self.asked(self.store.put(&self.key(key), record, self.ends())).await
    }

    /// What is kept of the session, if it belongs to `owner`. Whose it is is compared before
    /// anything else of the record is looked at.
    pub(super) async fn find(
        &self,
        key: SessionKey,
        owner: Option<PrincipalId>,
    ) -> Result<Found, Rejection> {
        for _ in 0..ATTEMPTS {
            if let Some(found) = self.found(key, owner).await? {
                return Ok(found);
            }
            // Another replica has changed it meanwhile, or ended it.
        }
        Err(Rejection::sessions_unavailable())
    }

    /// As [`find`](Self::find); none where it was changed meanwhile.
    async fn found(
        &self,
        session: SessionKey,
        owner: Option<PrincipalId>,
    ) -> Result<Option<Found>, Rejection> {
        let no = |reason| Ok(Some(Found::No(reason)));
        let key = self.key(session);
        let Some(value) = self.asked(self.store.get(&key)).await? else {
            return no(Rejection::NOT_THERE);
        };
        let Ok(mut record) = serde_json::from_slice::<Record>(value.as_bytes()) else {
            return no(MALFORMED);
        };
        if record.owner != Owner::of(owner) {
            return no(Rejection::OF_ANOTHER);
        }
        let version = ProtocolVersion::parse(&record.version);
        let version = version.filter(|version| {
            !version.is_stateless() && ProtocolVersion::OVER_HTTP.contains(version)
        });
        let Some(version) = version else {
            return no("the stored session is of a version not served here");
        };
        let Some(state) = record.state() else { return no(MALFORMED) };
        let is_own = self.process.is_some() && record.process == self.process;
        if is_own && !self.taking(|taking| taking.contains(&session))? {
            return no(Rejection::NOT_THERE);
        }
        let capabilities = ClientCapabilities::read(&record.capabilities.to_string());
        let agreed =
            Initialize { version, client: record.client.clone().map(Arc::new), capabilities };
        // As it was read, unless this process takes it over.
        let own = match self.process {
            None => value.clone(),
            Some(_) => {
                record.process = self.process;
                self.taking(|taking| taking.insert(session))?;
                record.written()?
            }
        };
        Ok(match self.swap(&key, &value, own.clone()).await? {
            CasOutcome::Done => Some(Found::Session(agreed, state, own)),
            CasOutcome::Conflict => None,
        })
    }

    /// Notes that a session is in the table of this process: from now on it is there, or has ended.
    pub(super) fn has_taken(&self, session: SessionKey) -> Result<(), Rejection> {
        self.taking(|taking| _ = taking.remove(&session))
    }

    /// A poisoned lock refuses: nobody knows whose sessions they are.
    fn taking<R>(&self, look: impl FnOnce(&mut HashSet<SessionKey>) -> R) -> Result<R, Rejection> {
        let mut taking = self.taking.lock().map_err(|_| {
            tracing::error!("the lock on the sessions that are taken over is poisoned");
            Rejection::sessions_unavailable()
        })?;
        Ok(look(&mut taking))
    }

    /// Whether the session that `record` says is still there; if so, it is for another while, and
    /// `record` is what it is now.
    pub(super) async fn confirm(
        &self,
        key: SessionKey,
        owner: Option<PrincipalId>,
        record: &mut RecordValue,
    ) -> Result<Confirmation, Rejection> {
        let key = self.key(key);
        let mut seen = record.clone();
        for _ in 0..ATTEMPTS {
            if self.swap(&key, &seen, seen.clone()).await? == CasOutcome::Done {
                let before = std::mem::replace(record, seen);
                return match before == *record {
                    true => Ok(Confirmation::GoesOn),
                    false => {
                        let (before, now) = (state_of(&before)?, state_of(record)?);
                        Ok(Confirmation::Changed(Change { before, now }))
                    }
                };
            }
            match self.changed(&key, owner).await? {
                Some((other, _)) => seen = other,
                None => return Ok(Confirmation::Ended),
            }
        }
        Err(Rejection::sessions_unavailable())
    }

    /// Keeps what the client of a session has set in it, beside what other replicas have kept
    /// meanwhile.
    pub(super) async fn keep_state(
        &self,
        key: SessionKey,
        owner: Option<PrincipalId>,
        record: &mut RecordValue,
        own: &State,
    ) -> Result<Confirmation, Rejection> {
        let key = self.key(key);
        let before = state_of(record)?;
        if before == *own {
            return Ok(Confirmation::GoesOn);
        }
        let (mut seen, mut theirs) = (record.clone(), Record::read(record)?);
        for _ in 0..ATTEMPTS {
            let now = State::merged(&before, own, &theirs.state().unwrap_or_default());
            let value = theirs.with(&now).written()?;
            if self.swap(&key, &seen, value.clone()).await? == CasOutcome::Done {
                *record = value;
                return Ok(Confirmation::Changed(Change { before: own.clone(), now }));
            }
            match self.changed(&key, owner).await? {
                Some(other) => (seen, theirs) = other,
                None => return Ok(Confirmation::Ended),
            }
        }
        Err(Rejection::sessions_unavailable())
    }

    /// One request asks for all that use a session at once: they would swap against one another.
    pub(super) async fn alone<'a, T>(
        &self,
        asking: &'a tokio::sync::Mutex<T>,
    ) -> Result<tokio::sync::MutexGuard<'a, T>, Rejection> {
        let alone = tokio::time::timeout(self.patience, asking.lock()).await;
        alone.map_err(|_| Rejection::sessions_unavailable())
    }

    /// Ends the session for all replicas.
    pub(super) async fn end(&self, key: SessionKey) -> Result<(), Rejection> {
        self.asked(self.store.take(&self.key(key))).await.map(drop)
    }

    async fn swap(
        &self,
        key: &RecordKey,
        expected: &RecordValue,
        new: RecordValue,
    ) -> Result<CasOutcome, Rejection> {
        self.asked(self.store.compare_and_swap(key, Some(expected), Some(new), self.ends())).await
    }

    /// What another replica has made of a session: none if it has ended it.
    async fn changed(
        &self,
        key: &RecordKey,
        owner: Option<PrincipalId>,
    ) -> Result<Option<(RecordValue, Record)>, Rejection> {
        let found = self.asked(self.store.get(key)).await?;
        Ok(found.and_then(|value| {
            let record = Record::read(&value).ok()?;
            let is_own = record.owner == Owner::of(owner) && record.process == self.process;
            (is_own && record.state().is_some()).then_some((value, record))
        }))
    }

    /// Without the store, nobody knows whose session it is, or whether it goes on: 503.
    async fn asked<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Rejection> {
        let reason = match tokio::time::timeout(self.patience, answer).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error.reason().to_owned(),
            Err(_) => "the store takes too long".to_owned(),
        };
        if let Some(unlogged) = self.log.pass() {
            tracing::error!(reason, unlogged, "cannot ask the store for a session");
        }
        Err(Rejection::sessions_unavailable())
    }

    fn key(&self, key: SessionKey) -> RecordKey {
        RecordKey::new("session", [self.server.as_bytes(), key.bytes()])
    }

    fn ends(&self) -> SystemTime {
        self.clock.now() + self.lasts
    }
}

impl fmt::Debug for KeptSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSessions").finish_non_exhaustive()
    }
}

/// A time that can be added to any clock's.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
