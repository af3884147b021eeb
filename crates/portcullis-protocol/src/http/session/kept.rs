use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portcullis_auth::PrincipalId;
use portcullis_guard::{Clock, LogThrottle};
use portcullis_store::{CasOutcome, RecordKey, RecordValue, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::rejection::Rejection;
use crate::message::initialize::Initialize;
use crate::{ClientCapabilities, ClientInfo, Limits, ProtocolVersion, SessionKey};

/// Sessions in a store that the replicas of a server share, so that each goes on at any of them.
///
/// A record never changes: each use that confirms it writes it again, as it was read, for a later
/// end. So the one that finds another record, or none, knows that the session has ended elsewhere.
pub(super) struct KeptSessions {
    store: Arc<dyn Store>,
    /// The name of the server, which its replicas have in common. Others may share the store.
    server: String,
    clock: Arc<dyn Clock>,
    /// How long a record outlives its last confirmation: a use that confirms nothing, and the
    /// request that it begins, keep a session alive as well.
    lasts: Duration,
    patience: Duration,
    log: LogThrottle,
}

/// How long a replica goes on with a session before it looks whether another has ended it.
pub(super) const CONFIRMED: Duration = Duration::from_secs(1);

/// Whether a session is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirmation {
    Ended,
    GoesOn,
}

/// What there is of a session in the store.
pub(super) enum Found {
    /// What was agreed on, and the record that says so.
    Session(Initialize, RecordValue),
    /// None for this owner, and why.
    No(&'static str),
}

/// What is kept of a session. Its id is in no record, and in the key as a digest of its digest.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    owner: Owner,
    version: String,
    client: Option<ClientInfo>,
    /// As the client declared them.
    #[serde(default)]
    capabilities: Value,
}

/// All that identifies the owner of a session, compared as a whole.
///
/// Nobody is an owner of its own: without authentication the id is all that there is, and a record
/// that names nobody is never one that does not say.
#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Owner {
    Anonymous,
    Principal { principal: [u8; 32], holder: [u8; 32] },
}

impl KeptSessions {
    pub(super) fn new(
        store: Arc<dyn Store>,
        server: &str,
        limits: &Limits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let lasts = limits.session_idle_timeout.saturating_add(limits.handler_timeout);
        let lasts = lasts.saturating_add(CONFIRMED).min(LONGEST);
        let (server, patience) = (server.to_owned(), limits.decision_timeout);
        Self { store, server, clock, lasts, patience, log: LogThrottle::new() }
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
        let key = self.key(key);
        let Some(value) = self.asked(self.store.get(&key)).await? else {
            return Ok(Found::No(Rejection::NOT_THERE));
        };
        let Ok(record) = serde_json::from_slice::<Record>(value.as_bytes()) else {
            return Ok(Found::No("the stored session is malformed"));
        };
        if record.owner != Owner::of(owner) {
            return Ok(Found::No(Rejection::OF_ANOTHER));
        }
        let version = ProtocolVersion::parse(&record.version);
        let version = version.filter(|version| {
            !version.is_stateless() && ProtocolVersion::OVER_HTTP.contains(version)
        });
        let Some(version) = version else {
            return Ok(Found::No("the stored session is of a version not served here"));
        };
        let capabilities = ClientCapabilities::read(&record.capabilities.to_string());
        let agreed = Initialize { version, client: record.client, capabilities };
        match self.renew(&key, value.clone()).await? {
            Confirmation::GoesOn => Ok(Found::Session(agreed, value)),
            Confirmation::Ended => Ok(Found::No(Rejection::ENDED)),
        }
    }

    /// Whether the session that `record` says is still there; if so, it is for another while.
    pub(super) async fn confirm(
        &self,
        key: SessionKey,
        record: &RecordValue,
    ) -> Result<Confirmation, Rejection> {
        self.renew(&self.key(key), record.clone()).await
    }

    /// One request asks for all that use a session at once: they would swap against one another.
    pub(super) async fn alone<'a>(
        &self,
        asking: &'a tokio::sync::Mutex<()>,
    ) -> Result<tokio::sync::MutexGuard<'a, ()>, Rejection> {
        let alone = tokio::time::timeout(self.patience, asking.lock()).await;
        alone.map_err(|_| Rejection::sessions_unavailable())
    }

    /// Ends the session for all replicas.
    pub(super) async fn end(&self, key: SessionKey) -> Result<(), Rejection> {
        self.asked(self.store.take(&self.key(key))).await.map(drop)
    }

    async fn renew(&self, key: &RecordKey, value: RecordValue) -> Result<Confirmation, Rejection> {
        let swap = self.store.compare_and_swap(key, Some(&value), Some(value.clone()), self.ends());
        Ok(match self.asked(swap).await? {
            CasOutcome::Done => Confirmation::GoesOn,
            CasOutcome::Conflict => Confirmation::Ended,
        })
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

impl Owner {
    fn of(owner: Option<PrincipalId>) -> Self {
        match owner {
            None => Self::Anonymous,
            Some(id) => Self::Principal { principal: id.bytes(), holder: id.holder() },
        }
    }
}

/// The record of a session that begins here.
pub(super) fn written(
    owner: Option<PrincipalId>,
    agreed: &Initialize,
) -> Result<RecordValue, Rejection> {
    let (owner, version) = (Owner::of(owner), agreed.version.as_str().to_owned());
    let capabilities = serde_json::to_value(agreed.capabilities).unwrap_or_default();
    let record = Record { owner, version, client: agreed.client.clone(), capabilities };
    let json = serde_json::to_vec(&record).map_err(|error| error.to_string());
    let value = json.and_then(|json| RecordValue::new(json).map_err(|error| error.to_string()));
    value.map_err(|reason| {
        tracing::error!(reason, "cannot write a session");
        Rejection::sessions_unavailable()
    })
}

impl fmt::Debug for KeptSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSessions").finish_non_exhaustive()
    }
}

/// A time that can be added to any clock's.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
