//! The answers of sessions that may be resumed.

use std::sync::Arc;

use super::Sessions;
use crate::http::rejection::Rejection;
use crate::http::session::SessionId;
use crate::http::session::resumable::{LastEvent, RESUMED_WITHIN, Reader, Resumable};
use crate::http::session::table::Own;

/// So many answers of one session can be resumed, the latest.
const RESUMABLE: usize = 16;

impl Sessions {
    /// Begins an answer of the session that may be resumed.
    pub(in crate::http::session) fn begin_resumable(
        &self,
        session: &Own,
    ) -> Result<Arc<Resumable>, Rejection> {
        let begun = self.table(|table, _| {
            let session = table.sessions.get_mut(&session.id())?;
            session.streamed += 1;
            let resumable = Resumable::new(session.streamed, session.version);
            if session.resumable.len() >= RESUMABLE {
                session.resumable.remove(0);
            }
            session.resumable.push(Arc::clone(&resumable));
            Some(resumable)
        })?;
        begun.ok_or_else(|| Rejection::no_session(Rejection::ENDED))
    }

    /// Lets an answer that has ended be read for a while yet.
    pub(in crate::http::session) fn forget_resumable(
        &self,
        session: SessionId,
        resumable: &Resumable,
    ) {
        // With a poisoned table nothing can be resumed anyway.
        let _ = self.table(|table, now| {
            table.unread.push_back((now + RESUMED_WITHIN, session, resumable.number()));
        });
    }

    /// Goes on after the `last` event of an answer; nothing if that is not kept any more.
    pub(in crate::http::session) fn resume(
        &self,
        session: &Own,
        last: LastEvent,
    ) -> Result<Option<Reader>, Rejection> {
        self.table(|table, _| {
            let session = table.sessions.get(&session.id())?;
            let mut kept = session.resumable.iter();
            kept.find(|kept| kept.number() == last.stream)?.read(Some(last))
        })
    }
}
