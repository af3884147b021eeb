//! The sessions over HTTP+SSE: each begins with its stream, and ends with it.

use std::sync::Arc;
use std::time::SystemTime;

use portcullis_auth::PrincipalId;
use tokio::sync::mpsc;

use super::Sessions;
use crate::http::rejection::Rejection;
use crate::http::session::SessionId;
use crate::http::session::legacy::{Delivery, Link};
use crate::http::session::table::Own;
use crate::message::initialize::Initialize;
use crate::{ClientCapabilities, ProtocolVersion};

/// A session over HTTP+SSE that was found to be the caller's own.
pub(in crate::http::session) struct Linked {
    pub(in crate::http::session) own: Own,
    /// Whether its client has sent `initialize`.
    pub(in crate::http::session) has_begun: bool,
    /// When its stream ends; `None` if with nothing that is known.
    pub(in crate::http::session) ends: Option<SystemTime>,
    pub(in crate::http::session) deliveries: mpsc::Sender<Delivery>,
}

/// Ends a session over HTTP+SSE when this is dropped, with its stream.
pub(in crate::http::session) struct EndOfSession {
    sessions: Arc<Sessions>,
    id: SessionId,
}

impl Sessions {
    /// Makes a session for a stream, before its client has agreed to a version. There is room for it as
    /// in [`begin`](Self::begin). No other replica knows it: the stream is here.
    pub(in crate::http::session) fn begin_linked(
        self: &Arc<Self>,
        id: SessionId,
        owner: Option<PrincipalId>,
        link: Link,
    ) -> Result<(Own, EndOfSession), Rejection> {
        let version = ProtocolVersion::V2024_11_05;
        let agreed = Initialize { version, client: None, capabilities: ClientCapabilities::NONE };
        let own = self.insert(id, owner, agreed, None, 0)?;
        let end = EndOfSession { sessions: Arc::clone(self), id };
        self.table(|table, _| {
            if let Some(session) = table.sessions.get_mut(&id) {
                session.link = Some(Box::new(link));
            }
        })?;
        Ok((own, end))
    }

    /// The session `id` over HTTP+SSE, if it is there for this caller; 404 otherwise, whatever the
    /// reason.
    pub(in crate::http::session) fn linked(
        &self,
        id: SessionId,
        owner: Option<PrincipalId>,
    ) -> Result<Linked, Rejection> {
        let no = |reason| Err(Rejection::no_event_stream(reason));
        self.table(|table, now| {
            let Some(session) = table.sessions.get_mut(&id) else {
                return no(Rejection::NOT_THERE);
            };
            let own = session.own(id);
            let Some(link) = &session.link else { return no(Rejection::NOT_THERE) };
            if session.owner != owner {
                return no(Rejection::OF_ANOTHER);
            }
            session.used = now;
            let (ends, deliveries) = (link.ends, link.deliveries.clone());
            Ok(Linked { own, has_begun: link.has_begun, ends, deliveries })
        })?
    }

    /// Notes what the client of a session has agreed to; nothing if it had agreed to something
    /// before, or the session has ended.
    pub(in crate::http::session) fn agree(
        &self,
        session: &Own,
        agreed: Initialize,
    ) -> Result<Option<Own>, Rejection> {
        self.table(|table, _| {
            let session_id = session.id();
            let session = table.sessions.get_mut(&session_id)?;
            let link = session.link.as_mut().filter(|link| !link.has_begun)?;
            link.has_begun = true;
            session.agree(agreed);
            Some(session.own(session_id))
        })
    }

    /// Notes that the stream of a session has been told to go on until then.
    pub(in crate::http::session) fn prolong(&self, session: &Own, ends: Option<SystemTime>) {
        // With a poisoned table the session is refused anyway.
        let _ = self.table(|table, _| {
            let session = table.sessions.get_mut(&session.id())?;
            session.link.as_mut()?.ends = ends;
            Some(())
        });
    }
}

impl Drop for EndOfSession {
    fn drop(&mut self) {
        // With a poisoned table it cannot be found.
        let _ = self.sessions.table(|table, _| table.remove(self.id));
    }
}
