//! The sessions of a server: how they begin, are found and end.

mod keeping;
mod linked;
mod resuming;
mod running;
mod streaming;
mod unsettled;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use http::StatusCode;
use portcullis_auth::PrincipalId;
use portcullis_guard::Clock;
use portcullis_store::{RecordValue, Store};

pub(super) use self::linked::{EndOfSession, Linked};
pub(super) use self::running::Running;
pub(super) use self::streaming::Streaming;
use self::unsettled::Unsettled;
use super::kept::KeptSessions;
use super::misses::Misses;
use super::table::{Kept, Own, Session, Table};
use super::{Caller, SessionId};
use crate::http::rejection::{Rejection, Rule};
use crate::message::initialize::Initialize;
use crate::{Limits, ResourceSubscriptions, SessionKey};

/// All sessions over HTTP: whose they are, what runs in them, and when they end; and the
/// places of all streams.
///
/// Whoever looks for a session first ends those that have been idle for too long; there is no
/// task for that. It is locked for a look-up at a time, never while anything waits.
pub(crate) struct Sessions {
    table: Mutex<Table>,
    /// Where they are found after a restart, and by other replicas.
    kept: Option<Arc<KeptSessions>>,
    /// Held while sessions are looked for in the store, each by those whose ids are alike.
    restoring: Vec<tokio::sync::Mutex<()>>,
    misses: Misses,
    limits: Limits,
    clock: Arc<dyn Clock>,
    /// Notified of each session that has ended, while nothing is locked.
    on_end: Box<dyn Fn(SessionKey) + Send + Sync>,
}

/// A session as it is in the table.
enum Look {
    /// Whether it goes on, the store has to say.
    Unconfirmed(Own, Arc<Kept>),
    Confirmed(Own),
    OfAnother,
    NotThere,
}

/// How many sessions of other replicas are looked for at once: ids cost an untrusted client nothing.
const RESTORED_AT_ONCE: usize = 64;

impl Sessions {
    pub(crate) fn new(
        limits: &Limits,
        clock: Arc<dyn Clock>,
        on_end: impl Fn(SessionKey) + Send + Sync + 'static,
    ) -> Self {
        let (limits, on_end) = (limits.clone(), Box::new(on_end));
        let restoring = (0..RESTORED_AT_ONCE).map(|_| tokio::sync::Mutex::default()).collect();
        let (table, misses) = (Mutex::default(), Misses::new());
        Self { table, kept: None, restoring, misses, limits, clock, on_end }
    }

    /// Keeps them in `store` as well, for the server of this name, if records outlive the process there
    /// or its replicas share it.
    pub(crate) fn kept_in(mut self, store: &Arc<dyn Store>, server: &str) -> Self {
        if !store.is_shared() && !store.is_durable() {
            return self;
        }
        match KeptSessions::new(Arc::clone(store), server, &self.limits, self.clock.clone()) {
            Ok(kept) => self.kept = Some(Arc::new(kept)),
            Err(error) => tracing::error!(%error, "sessions will not outlive this process"),
        }
        self
    }

    /// Makes the session `id`: 429 when its owner has too many, 503 when there are too many
    /// altogether, in both cases only if the owner has none that could end for it. None ends
    /// before the new one is [`settled`](Self::settle).
    pub(super) fn begin(
        &self,
        id: SessionId,
        owner: Option<PrincipalId>,
        agreed: Initialize,
    ) -> Result<Unsettled<'_>, Rejection> {
        let record = self.kept.as_ref().map(|kept| kept.written(owner, &agreed)).transpose()?;
        let own = self.insert(id, owner, agreed, record, 0)?;
        Ok(Unsettled::new(self, own))
    }

    /// Puts a session into the table, in which so many answers were `streamed`.
    fn insert(
        &self,
        id: SessionId,
        owner: Option<PrincipalId>,
        agreed: Initialize,
        record: Option<RecordValue>,
        streamed: u64,
    ) -> Result<Own, Rejection> {
        self.table(|table, now| {
            // Those of the owner that begin already will want one that is unused, too.
            if let Some((status, many)) = self.over(table, owner, 1)
                && table.unused(owner) < many.min(table.beginning(owner).saturating_add(1))
            {
                return Err(Rejection::too_many_sessions(status));
            }
            let subscriptions = ResourceSubscriptions::new(self.limits.resource_subscriptions);
            let mut session = Session::new(id.key(), owner, agreed, record, subscriptions, now);
            session.streamed = streamed;
            let own = session.own(id);
            table.insert(id, session);
            Ok(own)
        })?
    }

    /// Lets a new session stay, as [`stays`](Self::stays) says. Until then it is dropped with its request.
    pub(super) async fn settle(
        &self,
        mut new: Unsettled<'_>,
        owner: Option<PrincipalId>,
    ) -> Result<(), Rejection> {
        if let Some((kept, record)) = self.kept.as_ref().zip(self.record(&new.own)?) {
            let record = record.lock().await.clone();
            new.is_kept = true;
            kept.keep(new.own.agreed.key, record).await?;
        }
        new.is_settled = true;
        self.stays(&new.own, owner);
        Ok(())
    }

    /// If a new session is one too many, the session of its owner that was unused for longest ends: clients
    /// forget sessions, and would lock their own user out.
    pub(super) fn stays(&self, new: &Own, owner: Option<PrincipalId>) {
        let ended = self.make_room(new, owner, Table::remove);
        self.end_soon(ended);
    }

    /// It refuses nothing, since the session was admitted and recorded: a broken table refuses
    /// each use of the session instead.
    fn make_room(
        &self,
        new: &Own,
        owner: Option<PrincipalId>,
        remove: impl FnOnce(&mut Table, SessionId),
    ) -> Option<SessionId> {
        let ended = self.table(|table, _| {
            if let Some(new) = table.sessions.get_mut(&new.id()) {
                new.begins = false;
            }
            self.over(table, owner, 0)?;
            let unused = table.longest_unused(owner, new.id())?;
            remove(table, unused);
            Some(unused)
        });
        let ended = ended.ok().flatten()?;
        tracing::info!(
            "a session made room: its principal exceeded sessions_per_principal, and used the others since"
        );
        Some(ended)
    }

    /// If `more` sessions would be too many: the status of the refusal, and how many would be.
    fn over(
        &self,
        table: &Table,
        owner: Option<PrincipalId>,
        more: usize,
    ) -> Option<(StatusCode, usize)> {
        let own = match owner {
            Some(_) => table.held(owner).saturating_add(more),
            None => 0,
        };
        let own = own.saturating_sub(self.limits.sessions_per_principal);
        let all = table.sessions.len().saturating_add(more).saturating_sub(self.limits.sessions);
        match (own, all) {
            (0, 0) => None,
            (0, all) => Some((StatusCode::SERVICE_UNAVAILABLE, all)),
            (own, all) => Some((StatusCode::TOO_MANY_REQUESTS, own.max(all))),
        }
    }

    /// The session `id`, if it is here for its owner, and the store need not be asked.
    pub(super) fn at_hand(
        &self,
        id: SessionId,
        owner: Option<PrincipalId>,
    ) -> Result<Option<Own>, Rejection> {
        Ok(match self.look(id, owner)? {
            Look::Confirmed(own) => Some(own),
            Look::Unconfirmed(..) | Look::OfAnother | Look::NotThere => None,
        })
    }

    /// The session `id`, if it is there for this caller; 404 otherwise, whatever the reason.
    pub(super) async fn find(&self, id: SessionId, caller: Caller) -> Result<Own, Rejection> {
        let owner = caller.owner;
        match self.look(id, owner)? {
            Look::Confirmed(own) => Ok(own),
            Look::Unconfirmed(own, record) => self.confirm(own, owner, &record).await,
            Look::OfAnother => Err(Rejection::no_session(Rejection::OF_ANOTHER)),
            Look::NotThere => self.restore(id, caller).await,
        }
    }

    fn look(&self, id: SessionId, owner: Option<PrincipalId>) -> Result<Look, Rejection> {
        self.table(|table, now| {
            match table.sessions.get_mut(&id).filter(|found| found.link.is_none()) {
                Some(session) if session.owner == owner => {
                    session.used = now;
                    let since = now.duration_since(session.confirmed);
                    let own = session.own(id);
                    match self.kept.as_ref().zip(session.kept.as_ref()) {
                        Some((kept, record))
                            if !since.is_ok_and(|time| time < kept.confirmed()) =>
                        {
                            Look::Unconfirmed(own, Arc::clone(record))
                        }
                        _ => Look::Confirmed(own),
                    }
                }
                Some(_) => Look::OfAnother,
                None => Look::NotThere,
            }
        })
    }

    pub(in crate::http) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether a session that was found is still there.
    pub(super) fn has(&self, session: &Own) -> Result<bool, Rejection> {
        self.table(|table, _| table.sessions.contains_key(&session.id()))
    }

    /// Ends a session: drops the requests that run in it, and ends its stream. Where replicas share
    /// it, it ends only if it does for all of them.
    pub(super) async fn end(&self, session: &Own) -> Result<(), Rejection> {
        if let Some(kept) = &self.kept {
            // Should nobody hear of the end, the next use looks for it.
            self.table(|table, _| {
                let session = table.sessions.get_mut(&session.id())?;
                session.confirmed = SystemTime::UNIX_EPOCH;
                Some(())
            })?;
            kept.end(session.agreed.key).await?;
        }
        self.table(|table, _| table.remove(session.id()))
    }

    /// Looks at the table, without the sessions that have been idle for too long. A poisoned
    /// lock refuses everything: nobody knows what it holds.
    fn table<R>(&self, look: impl FnOnce(&mut Table, SystemTime) -> R) -> Result<R, Rejection> {
        let now = self.clock.now();
        let mut table = self.locked()?;
        let shared = self.kept.as_ref().is_some_and(|kept| kept.is_shared());
        table.sweep(now, self.limits.session_idle_timeout, shared);
        let seen = look(&mut table, now);
        let ended = std::mem::take(&mut table.ended);
        drop(table);
        ended.into_iter().for_each(&self.on_end);
        Ok(seen)
    }

    /// The table as it is, for what ends no session: of one that the same request has found.
    fn locked(&self) -> Result<MutexGuard<'_, Table>, Rejection> {
        self.table.lock().map_err(|_| {
            tracing::error!("the lock on the session table is poisoned");
            Rejection::internal(Rule::Session)
        })
    }
}

#[cfg(test)]
impl Sessions {
    /// Breaks the table, as a panic within it would.
    pub(super) fn poison(&self) {
        let broken = std::panic::AssertUnwindSafe(|| {
            let _table = self.table.lock();
            panic!("broken");
        });
        std::panic::catch_unwind(broken).unwrap_err();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.table.lock().unwrap().stopping
    }

    pub(crate) fn open_streams(&self) -> usize {
        self.table.lock().unwrap().streams.len()
    }

    /// How many sessions there are, and entries of them elsewhere.
    pub(super) fn sizes(&self) -> [usize; 5] {
        let table = self.table.lock().unwrap();
        table.sizes()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}
