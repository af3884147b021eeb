use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use futures_util::future::{AbortHandle, AbortRegistration};
use http::StatusCode;
use portcullis_auth::PrincipalId;
use portcullis_guard::Clock;
use tokio::sync::watch;

use super::super::refusal::{Refusal, Rule};
use super::SessionId;
use super::table::{Session, Table};
use crate::envelope::RequestId;
use crate::in_flight;
use crate::initialize::Initialize;
use crate::params::Params;
use crate::{ClientInfo, Limits, ProtocolVersion, RpcError, SessionKey};

/// All sessions over HTTP: whose they are, what runs in them, and when they end; and the
/// places of all streams.
///
/// Every use of it first ends the sessions that have been idle for too long; there is no
/// task for that. It is locked for a look-up at a time, never while anything waits.
pub(crate) struct Sessions {
    table: Mutex<Table>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    stopping: watch::Sender<bool>,
    /// Told of each session that has ended, while nothing is locked.
    on_end: Box<dyn Fn(SessionKey) + Send + Sync>,
}

/// A session that was found to be the caller's own. Only [`Sessions::find`] makes one.
#[derive(Debug)]
pub(super) struct Own {
    id: SessionId,
    pub(super) key: SessionKey,
    pub(super) version: ProtocolVersion,
    pub(super) client: Option<ClientInfo>,
}

impl Sessions {
    pub(crate) fn new(
        limits: &Limits,
        clock: Arc<dyn Clock>,
        on_end: impl Fn(SessionKey) + Send + Sync + 'static,
    ) -> Self {
        let (limits, on_end) = (limits.clone(), Box::new(on_end));
        Self { table: Mutex::default(), limits, clock, stopping: watch::Sender::new(false), on_end }
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Makes the session `id`: 429 when its owner has too many, 503 when there are too many
    /// altogether.
    pub(super) fn begin(
        &self,
        id: SessionId,
        owner: Option<PrincipalId>,
        agreed: Initialize,
    ) -> Result<Own, Refusal> {
        let Initialize { version, client, .. } = &agreed;
        let own = Own { id, key: id.key(), version: *version, client: client.clone() };
        self.table(|table, now| {
            if owner.is_some() && table.held(owner).sessions >= self.limits.sessions_per_principal {
                return Err(Refusal::too_many_sessions(StatusCode::TOO_MANY_REQUESTS));
            }
            if table.sessions.len() >= self.limits.sessions {
                return Err(Refusal::too_many_sessions(StatusCode::SERVICE_UNAVAILABLE));
            }
            table.insert(id, Session::new(own.key, owner, agreed, now));
            Ok(own)
        })?
    }

    /// The session `id`, if it is there for this owner; 404 otherwise, whatever the reason.
    pub(super) fn find(&self, id: SessionId, owner: Option<PrincipalId>) -> Result<Own, Refusal> {
        self.table(|table, now| match table.sessions.get_mut(&id) {
            Some(session) if session.owner == owner => {
                session.used = now;
                let Session { key, version, client, .. } = session;
                Ok(Own { id, key: *key, version: *version, client: client.clone() })
            }
            Some(_) => Err("the session is another principal's"),
            None => Err("the session never was, has ended, or was idle for too long"),
        })?
        .map_err(Refusal::no_session)
    }

    /// Whether a session that was found is still there.
    pub(super) fn has(&self, session: &Own) -> Result<bool, Refusal> {
        self.table(|table, _| table.sessions.contains_key(&session.id))
    }

    /// Ends a session: what runs in it is dropped, and its stream ends.
    pub(super) fn end(&self, session: &Own) -> Result<(), Refusal> {
        self.table(|table, _| table.remove(session.id))
    }

    /// Notes a request that begins to run; `None` when the session has ended meanwhile.
    ///
    /// -32600 for an id that is running already. Requests that came in batches count one by
    /// one: no more of them run at once than may come one by one.
    pub(super) fn run(
        &self,
        session: &Own,
        request: &RequestId,
    ) -> Result<Option<(AbortRegistration, Running<'_>)>, RpcError> {
        let began = self.table(|table, _| {
            if table.running >= self.limits.concurrent_requests {
                return Err(RpcError::Busy);
            }
            let Some(found) = table.sessions.get_mut(&session.id) else { return Ok(None) };
            let registration = found.in_flight.begin(request)?;
            table.running += 1;
            Ok(Some(registration))
        });
        let Some(registration) = began.unwrap_or(Ok(None))? else { return Ok(None) };
        let running = Running { sessions: self, id: session.id, request: request.clone() };
        Ok(Some((registration, running)))
    }

    /// Drops the request that `notifications/cancelled` names.
    pub(super) fn cancel(&self, session: &Own, params: &Params<'_>) {
        let Some(request) = in_flight::cancelled(params) else { return };
        // Where the table is broken nothing runs that could be cancelled.
        let _ = self.table(|table, _| {
            if let Some(session) = table.sessions.get(&session.id) {
                session.in_flight.cancel(&request);
            }
        });
    }

    /// Takes the place of the session's one stream: 409 when it has one, which goes on.
    /// Otherwise as [`subscribe`](Self::subscribe).
    pub(super) fn stream(
        self: &Arc<Self>,
        session: &Own,
    ) -> Result<(AbortRegistration, Streaming), Refusal> {
        let (owner, registration) = self.table(|table, _| {
            let found = table.sessions.get(&session.id);
            let found = found.ok_or_else(|| Refusal::no_session(Refusal::ENDED))?;
            if found.stream.is_some() {
                return Err(Refusal::second_stream());
            }
            let owner = found.owner;
            self.open_stream(table, owner)?;
            let (handle, registration) = AbortHandle::new_pair();
            if let Some(session) = table.sessions.get_mut(&session.id) {
                session.stream = Some(handle);
            }
            Ok((owner, registration))
        })??;
        let sessions = Arc::clone(self);
        Ok((registration, Streaming { sessions, session: Some(session.id), owner }))
    }

    /// Takes a place for a stream that belongs to no session: 429 when its owner has too
    /// many, 503 when there are too many altogether, and when the server stops.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        owner: Option<PrincipalId>,
    ) -> Result<Streaming, Refusal> {
        self.table(|table, _| self.open_stream(table, owner))??;
        Ok(Streaming { sessions: Arc::clone(self), session: None, owner })
    }

    fn open_stream(&self, table: &mut Table, owner: Option<PrincipalId>) -> Result<(), Refusal> {
        if *self.stopping.borrow() {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(Refusal::too_many_streams(status).because("the server stops"));
        }
        if owner.is_some() && table.held(owner).streams >= self.limits.streams_per_principal {
            return Err(Refusal::too_many_streams(StatusCode::TOO_MANY_REQUESTS));
        }
        if table.streams >= (self.limits.connections / 2).max(1) {
            return Err(Refusal::too_many_streams(StatusCode::SERVICE_UNAVAILABLE));
        }
        table.open_stream(owner);
        Ok(())
    }

    /// Ends all streams, and opens no more.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
        if let Ok(table) = self.table.lock() {
            let sessions = table.sessions.values();
            sessions.filter_map(|session| session.stream.as_ref()).for_each(AbortHandle::abort);
        }
    }

    /// Turns true when the server stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Looks at the table, without the sessions that have been idle for too long. A poisoned
    /// lock refuses everything: nobody knows what it holds.
    fn table<R>(&self, look: impl FnOnce(&mut Table, SystemTime) -> R) -> Result<R, Refusal> {
        let now = self.clock.now();
        let mut table = self.table.lock().map_err(|_| {
            tracing::error!("the table of sessions is broken");
            Refusal::internal(Rule::Session)
        })?;
        table.sweep(now, self.limits.session_idle);
        let seen = look(&mut table, now);
        let ended = std::mem::take(&mut table.ended);
        drop(table);
        ended.into_iter().for_each(&self.on_end);
        Ok(seen)
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

/// A request that runs in a session until this is dropped.
pub(super) struct Running<'a> {
    sessions: &'a Sessions,
    id: SessionId,
    request: RequestId,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let now = self.sessions.clock.now();
        if let Ok(mut table) = self.sessions.table.lock() {
            table.running = table.running.saturating_sub(1);
            if let Some(session) = table.sessions.get_mut(&self.id) {
                session.in_flight.end(&self.request);
                session.used = now;
            }
        }
    }
}

/// The place of a stream, until this is dropped.
pub(crate) struct Streaming {
    sessions: Arc<Sessions>,
    session: Option<SessionId>,
    owner: Option<PrincipalId>,
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let now = self.sessions.clock.now();
        if let Ok(mut table) = self.sessions.table.lock() {
            table.close_stream(self.owner);
            if let Some(session) = self.session.and_then(|id| table.sessions.get_mut(&id)) {
                session.stream = None;
                session.used = now;
            }
        }
    }
}
