//! The answers of sessions that may be resumed.

use std::sync::{Arc, Weak};
use std::time::Duration;

use portcullis_auth::Principal;
use tokio::time::{Instant, sleep_until};

use super::Sessions;
use crate::http::rejection::Rejection;
use crate::http::session::SessionId;
use crate::http::session::resumable::{LastEvent, RESUMED_WITHIN, Reader, Resumable};
use crate::http::session::table::Own;
use crate::{Exchange, Outgoing, Service, Used};

/// So many answers of one session can be resumed: those that run, and the latest of those that have ended.
const RESUMABLE: usize = 16;
/// How often it is looked at most for those that can be resumed no longer.
const LOOKS: Duration = Duration::from_secs(1);

impl Sessions {
    /// Begins an answer of the session that may be resumed.
    pub(in crate::http::session) fn begin_resumable(
        &self,
        session: &Own,
        used: (Used<'static>, Outgoing),
    ) -> Result<Arc<Resumable>, Rejection> {
        let begun = self.table(|table, _| {
            let session = table.sessions.get_mut(&session.id())?;
            session.streamed += 1;
            let resumable = Resumable::new(session.streamed, session.agreed.version, used);
            if session.resumable.len() >= RESUMABLE {
                // Nothing else has the answer of one that runs.
                let ended = session.resumable.iter().position(|kept| kept.has_ended());
                session.resumable.remove(ended.unwrap_or(0));
            }
            session.resumable.push(Arc::clone(&resumable));
            Some(resumable)
        })?;
        begun.ok_or_else(|| Rejection::no_session(Rejection::ENDED))
    }

    /// Lets an answer that has ended be read for a while yet. What it takes of the budget is given back
    /// then, whether anybody uses a session or not.
    pub(in crate::http::session) fn forget_resumable(
        self: &Arc<Self>,
        session: SessionId,
        resumable: &Resumable,
    ) {
        let until = Instant::now() + RESUMED_WITHIN;
        let first =
            self.table(|table, _| table.resumable_until(until, session, resumable.number()));
        // With a poisoned table nothing can be resumed anyway.
        if first.unwrap_or(false) {
            tokio::spawn(forget(Arc::downgrade(self), until));
        }
    }

    /// Goes on after the `last` event of an answer, if `exchange` may use what answers: 400 where it may
    /// not, and where that event is not kept any more.
    pub(in crate::http::session) async fn resume<S: Service>(
        &self,
        service: &S,
        session: &Own,
        last: LastEvent,
        exchange: &Exchange,
    ) -> Result<Reader, Rejection> {
        let kept = self.table(|table, _| {
            let mut kept = table.sessions.get(&session.id())?.resumable.iter();
            kept.find(|kept| kept.number() == last.stream).cloned()
        })?;
        let kept = kept.ok_or_else(Rejection::not_resumable)?;
        if !service.may_use(&kept.used(), exchange).await {
            let reason = "the caller may not use what answers";
            return Err(Rejection::not_resumable().because(reason));
        }
        let reader = kept.read(Some(last)).ok_or_else(Rejection::not_resumable)?;
        let principal = exchange.principal.as_deref();
        Ok(reader.until(principal.and_then(Principal::expires_at), &self.clock))
    }
}

/// Forgets answers that can be resumed no longer, the first of them then, and ends with the last.
async fn forget(sessions: Weak<Sessions>, mut next: Instant) {
    loop {
        sleep_until(next).await;
        let Some(sessions) = sessions.upgrade() else { return };
        let now = Instant::now();
        match sessions.table(|table, _| table.forget_unread(now)) {
            Ok(Some(until)) => next = until.max(now + LOOKS),
            Ok(None) | Err(_) => return,
        }
    }
}
