use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use futures_util::future::{AbortHandle, AbortRegistration};
use http::StatusCode;
use portcullis_guard::Clock;
use serde_json::value::RawValue;

use super::super::refusal::{Refusal, Rule};
use super::table::{Session, Table};
use super::{Owner, SessionId};
use crate::envelope::RequestId;
use crate::initialize::Initialize;
use crate::{ClientInfo, Limits, ProtocolVersion, RpcError, SessionKey};

/// All sessions over HTTP: whose they are, what runs in them, and when they end.
///
/// Every use of it first ends the sessions that have been idle for too long; there is no
/// task for that. It is locked for a look-up at a time, never while anything waits.
pub(crate) struct Sessions {
    table: Mutex<Table>,
    limits: Limits,
    clock: Arc<dyn Clock>,
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
    pub(crate) fn new(limits: &Limits, clock: Arc<dyn Clock>) -> Self {
        Self { table: Mutex::default(), limits: limits.clone(), clock }
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Makes the session `id`: 429 when its owner has too many, 503 when there are too many
    /// altogether.
    pub(super) fn begin(
        &self,
        id: SessionId,
        owner: Option<Owner>,
        agreed: Initialize,
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        let mut table = self.table(now)?;
        if owner.is_some() && table.held(owner).sessions >= self.limits.sessions_per_principal {
            return Err(Refusal::too_many_sessions(StatusCode::TOO_MANY_REQUESTS));
        }
        if table.sessions.len() >= self.limits.sessions {
            return Err(Refusal::too_many_sessions(StatusCode::SERVICE_UNAVAILABLE));
        }
        table.insert(id, Session::new(id.key(), owner, agreed, now));
        Ok(())
    }

    /// The session `id`, if it is there for this owner; 404 otherwise, whatever the reason.
    pub(super) fn find(&self, id: SessionId, owner: Option<Owner>) -> Result<Own, Refusal> {
        let now = self.clock.now();
        let mut table = self.table(now)?;
        let reason = match table.sessions.get_mut(&id) {
            Some(session) if session.owner == owner => {
                session.used = now;
                let Session { key, version, client, .. } = session;
                return Ok(Own { id, key: *key, version: *version, client: client.clone() });
            }
            Some(_) => "the session is another principal's",
            None => "the session never was, has ended, or was idle for too long",
        };
        Err(Refusal::no_session(reason))
    }

    /// Whether a session that was found is still there.
    pub(super) fn has(&self, session: &Own) -> Result<bool, Refusal> {
        Ok(self.table(self.clock.now())?.sessions.contains_key(&session.id))
    }

    /// Ends a session: what runs in it is dropped, and its stream ends.
    pub(super) fn end(&self, session: &Own) -> Result<(), Refusal> {
        self.table(self.clock.now())?.remove(session.id);
        Ok(())
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
        let Ok(mut table) = self.table(self.clock.now()) else { return Ok(None) };
        if table.running >= self.limits.concurrent_requests {
            return Err(RpcError::Busy);
        }
        let Some(found) = table.sessions.get_mut(&session.id) else { return Ok(None) };
        let registration = found.in_flight.begin(request)?;
        table.running += 1;
        drop(table);
        let running = Running { sessions: self, id: session.id, request: request.clone() };
        Ok(Some((registration, running)))
    }

    /// Drops the request that `notifications/cancelled` names.
    pub(super) fn cancel(&self, session: &Own, params: Option<&RawValue>) {
        if let Ok(table) = self.table(self.clock.now())
            && let Some(session) = table.sessions.get(&session.id)
        {
            session.in_flight.cancel(params);
        }
    }

    /// Takes the place of the session's one stream: 409 when it has one, which goes on; 429
    /// when its owner has too many, 503 when there are too many altogether.
    pub(super) fn stream(
        self: &Arc<Self>,
        session: &Own,
    ) -> Result<(AbortRegistration, Streaming), Refusal> {
        let mut table = self.table(self.clock.now())?;
        if table.stopping {
            return Err(Refusal::too_many_streams(StatusCode::SERVICE_UNAVAILABLE));
        }
        let found = table.sessions.get(&session.id);
        let found = found.ok_or_else(|| Refusal::no_session(Refusal::ENDED))?;
        if found.stream.is_some() {
            return Err(Refusal::second_stream());
        }
        let owner = found.owner;
        if owner.is_some() && table.held(owner).streams >= self.limits.streams_per_principal {
            return Err(Refusal::too_many_streams(StatusCode::TOO_MANY_REQUESTS));
        }
        if table.streams >= (self.limits.connections / 2).max(1) {
            return Err(Refusal::too_many_streams(StatusCode::SERVICE_UNAVAILABLE));
        }
        let (handle, registration) = AbortHandle::new_pair();
        table.open_stream(session.id, owner, handle);
        drop(table);
        Ok((registration, Streaming { sessions: Arc::clone(self), id: session.id, owner }))
    }

    /// Ends all streams, and opens no more.
    pub(crate) fn stop(&self) {
        if let Ok(mut table) = self.table.lock() {
            table.stopping = true;
            table
                .sessions
                .values()
                .filter_map(|session| session.stream.as_ref())
                .for_each(AbortHandle::abort);
        }
    }

    /// The table, without the sessions that have been idle for too long. A poisoned lock
    /// refuses everything: nobody knows what it holds.
    fn table(&self, now: SystemTime) -> Result<MutexGuard<'_, Table>, Refusal> {
        let mut table = self.table.lock().map_err(|_| {
            tracing::error!("the table of sessions is broken");
            Refusal::internal(Rule::Session)
        })?;
        table.sweep(now, self.limits.session_idle);
        Ok(table)
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

/// The place of a session's stream, until this is dropped.
pub(super) struct Streaming {
    sessions: Arc<Sessions>,
    id: SessionId,
    owner: Option<Owner>,
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let now = self.sessions.clock.now();
        if let Ok(mut table) = self.sessions.table.lock() {
            table.close_stream(self.id, self.owner, now);
        }
    }
}
