//! The requests that run in a session.

use std::sync::Arc;

use futures_util::future::AbortRegistration;

use super::Sessions;
use crate::http::session::table::Own;
use crate::http::session::{SessionId, legacy};
use crate::in_flight;
use crate::message::envelope::RequestId;
use crate::message::params::Params;
use crate::outgoing::requests::ClientRequests;
use crate::{LogLevel, RpcError};

/// A request that runs in a session until this is dropped.
pub(in crate::http::session) struct Running {
    sessions: Arc<Sessions>,
    id: SessionId,
    request: RequestId,
    has_waited: bool,
}

/// A request that runs, and where answers to what it asks arrive.
type Began = (Running, Arc<ClientRequests>);

impl Sessions {
    /// Notes a request that begins to run; `None` when the session has ended meanwhile.
    ///
    /// -32600 for an id that is running already. Requests that came in batches count one by
    /// one: no more of them may wait to run than may come one by one.
    pub(in crate::http::session) fn run(
        self: &Arc<Self>,
        session: &Own,
        request: &RequestId,
    ) -> Result<Option<Began>, RpcError> {
        // With a poisoned table no session is there.
        let Ok(mut table) = self.locked() else { return Ok(None) };
        let Some(found) = table.sessions.get_mut(&session.id()) else { return Ok(None) };
        let most = found.link.as_ref().map_or(usize::MAX, |_| legacy::AT_ONCE);
        if found.in_flight.len() >= self.limits.concurrent_requests.min(most) {
            return Err(RpcError::Busy);
        }
        found.in_flight.begin(request)?;
        let requests = Arc::clone(found.requests.get_or_insert_default());
        drop(table);
        let (sessions, request) = (Arc::clone(self), request.clone());
        let running = Running { sessions, id: session.id(), request, has_waited: false };
        Ok(Some((running, requests)))
    }

    /// What the client of the session was asked, if it was asked anything.
    pub(in crate::http::session) fn requests(&self, session: &Own) -> Option<Arc<ClientRequests>> {
        // With a poisoned table nothing is answered.
        self.table(|table, _| table.sessions.get(&session.id())?.requests.clone()).ok()?
    }

    /// Notes which messages of the log the session wants; whether the session is still there.
    pub(in crate::http::session) fn set_log_level(&self, session: &Own, level: LogLevel) -> bool {
        let set = self.table(|table, _| {
            table.sessions.get_mut(&session.id()).map(|session| session.log = level)
        });
        set.is_ok_and(|set| set.is_some())
    }

    /// Drops the request that `notifications/cancelled` names.
    pub(in crate::http::session) fn cancel(&self, session: &Own, params: &Params<'_>) {
        let Some(request) = in_flight::cancelled(params) else { return };
        // With a poisoned table, no request runs that could be cancelled.
        let _ = self.table(|table, _| {
            if let Some(session) = table.sessions.get_mut(&session.id()) {
                session.in_flight.cancel(&request);
            }
        });
    }
}

impl Running {
    /// Whether the request was cancelled before it ran, or its session has ended.
    pub(in crate::http::session) fn is_cancelled(&self) -> bool {
        // With a poisoned table nothing more runs.
        let Ok(table) = self.sessions.locked() else { return true };
        let session = table.sessions.get(&self.id);
        session.is_none_or(|session| session.in_flight.is_cancelled(&self.request))
    }

    /// What the request is to be made abortable with, now that it has to wait; `None` when it was cancelled
    /// meanwhile, or the session has ended.
    pub(in crate::http::session) fn waits(&mut self) -> Option<AbortRegistration> {
        self.has_waited = true;
        let mut table = self.sessions.locked().ok()?;
        table.sessions.get_mut(&self.id)?.in_flight.waits(&self.request)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What ended at once used its session when it began.
        let now = self.has_waited.then(|| self.sessions.clock.now());
        if let Ok(mut table) = self.sessions.table.lock()
            && let Some(session) = table.sessions.get_mut(&self.id)
        {
            session.in_flight.end(&self.request);
            session.used = now.unwrap_or(session.used);
        }
    }
}
