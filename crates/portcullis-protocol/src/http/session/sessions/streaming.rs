//! The streams of sessions, and those that belong to none.

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use futures_util::future::{Abortable, Pending, pending};
use http::StatusCode;
use portcullis_auth::PrincipalId;

use super::Sessions;
use crate::http::rejection::Rejection;
use crate::http::session::SessionId;
use crate::http::session::streams::StreamId;
use crate::http::session::table::Own;
use crate::http::session::table::Table;
use crate::http::sse::Lease;

/// The place of a stream, until this is dropped.
pub(crate) struct Streaming {
    sessions: Arc<Sessions>,
    session: Option<SessionId>,
    id: StreamId,
    end: Abortable<Pending<()>>,
}

impl Sessions {
    /// Takes a place for a stream of the session, as [`subscribe`](Self::subscribe) does. Once
    /// it [`begins`](Streaming::begin) it is the session's one stream.
    pub(in crate::http::session) fn stream(
        self: &Arc<Self>,
        session: &Own,
    ) -> Result<Streaming, Rejection> {
        self.table(|table, _| {
            let found = table.sessions.get(&session.id());
            let owner = found.ok_or_else(|| Rejection::no_session(Rejection::ENDED))?.owner;
            self.open_stream(table, owner, Some(session.id()))
        })?
    }

    /// Takes a place for a stream that belongs to no session: 503 when there are too many
    /// altogether and the owner has none to give up, and when the server stops.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        owner: Option<PrincipalId>,
    ) -> Result<Streaming, Rejection> {
        self.table(|table, _| self.open_stream(table, owner, None))?
    }

    fn open_stream(
        self: &Arc<Self>,
        table: &mut Table,
        owner: Option<PrincipalId>,
        session: Option<SessionId>,
    ) -> Result<Streaming, Rejection> {
        if table.stopping {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(Rejection::too_many_streams(status).because("the server is stopping"));
        }
        let (id, registration) = table.streams.open(owner, session, &self.limits)?;
        let end = Abortable::new(pending(), registration);
        Ok(Streaming { sessions: Arc::clone(self), session, id, end })
    }

    /// Ends all streams, and opens no more.
    pub(crate) fn stop(&self) {
        // A poisoned table opens no streams anyway, and its open streams end all the same.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.stopping = true;
        table.streams.end_all();
    }
}

impl Streaming {
    /// Lets the stream begin: it takes over from what it replaces, which ends.
    ///
    /// So a stream that dies unannounced, as behind a proxy with an idle limit or in a laptop
    /// that sleeps, keeps no place that its own client needs (MCP 2025-11-25 transports,
    /// §Multiple Connections).
    pub(crate) fn begin(&self) -> Result<(), Rejection> {
        self.sessions.table(|table, _| {
            table.streams.begin(self.id, &self.sessions.limits)?;
            match self.session.map(|id| table.sessions.get_mut(&id)) {
                Some(Some(session)) => session.stream = Some(self.id),
                Some(None) => return Err(Rejection::no_session(Rejection::ENDED)),
                None => {}
            }
            Ok(())
        })?
    }
}

impl Streaming {
    /// Whether it is to end because the server stops, if it is.
    pub(in crate::http::session) fn server_stops(&self) -> bool {
        self.sessions.table(|table, _| table.stopping).unwrap_or(false)
    }
}

/// It ends when another takes over, when its session has ended, and when the server stops.
impl Lease for Streaming {
    fn is_over(&self) -> bool {
        self.end.is_aborted()
    }

    async fn over(&mut self) {
        let _ = (&mut self.end).await;
    }

    async fn renew(&mut self) {
        let Some(id) = self.session else { return };
        let found = self.sessions.table(|table, _| {
            let session = table.sessions.get(&id)?;
            Some((session.own(id), session.owner, Arc::clone(session.kept.as_ref()?)))
        });
        if let Ok(Some((own, owner, record))) = found {
            // Without the store the stream goes on: it tells of nothing that cannot be looked up.
            let _ = self.sessions.confirm(own, owner, &record).await;
        }
    }

    fn now(&self) -> SystemTime {
        self.sessions.clock.now()
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let now = self.sessions.clock.now();
        if let Ok(mut table) = self.sessions.table.lock() {
            table.streams.drop_place(self.id);
            if let Some(session) = self.session.and_then(|id| table.sessions.get_mut(&id))
                && session.stream == Some(self.id)
            {
                session.stream = None;
                session.used = now;
            }
        }
    }
}
