//! Sessions as they are kept in the store, after a restart and at other replicas.

use std::sync::Arc;
use std::time::SystemTime;

use portcullis_auth::PrincipalId;
use portcullis_guard::random;
use tokio::runtime::Handle;

use super::{Look, RESTORED_AT_ONCE, Sessions};
use crate::http::rejection::{Rejection, Rule};
use crate::http::session::SessionId;
use crate::http::session::kept::{Change, Confirmation, Found};
use crate::http::session::misses::Caller;
use crate::http::session::state::State;
use crate::http::session::table::{Kept, Own, Session, Table};

impl Sessions {
    /// Looks whether another replica has ended or changed a session, as it then has here too.
    pub(super) async fn confirm(
        &self,
        own: Own,
        owner: Option<PrincipalId>,
        record: &Kept,
    ) -> Result<Own, Rejection> {
        let Some(kept) = &self.kept else { return Ok(own) };
        let mut record = kept.alone(record).await?;
        match self.look(own.id(), owner)? {
            Look::Unconfirmed(..) => {}
            // Another request has asked.
            Look::Confirmed(own) => return Ok(own),
            Look::OfAnother => return Err(Rejection::no_session(Rejection::OF_ANOTHER)),
            Look::NotThere => return Err(Rejection::no_session(Rejection::ENDED)),
        }
        let asked = self.clock.now();
        let confirmation = kept.confirm(own.agreed.key, owner, &mut record).await?;
        self.confirmed(own, asked, &confirmation)
    }

    fn confirmed(
        &self,
        own: Own,
        asked: SystemTime,
        confirmation: &Confirmation,
    ) -> Result<Own, Rejection> {
        let change = match confirmation {
            Confirmation::GoesOn => None,
            Confirmation::Changed(change) => Some(change),
            Confirmation::Ended => {
                self.table(|table, _| table.remove(own.id()))?;
                return Err(Rejection::no_session("another replica has ended the session"));
            }
        };
        self.table(|table, _| {
            let Some(session) = table.sessions.get_mut(&own.id()) else { return own };
            session.confirmed = asked;
            match change {
                None => own,
                Some(change) => {
                    session.adopt(change);
                    session.own(own.id())
                }
            }
        })
    }

    /// Keeps what the client of a session has set in it, where the session is kept.
    pub(in crate::http::session) async fn keep_state(
        &self,
        session: &Own,
        owner: Option<PrincipalId>,
    ) -> Result<(), Rejection> {
        let Some((kept, record)) = self.kept.as_ref().zip(self.record(session)?) else {
            return Ok(());
        };
        let mut record = kept.alone(&record).await?;
        let asked = self.clock.now();
        let state = self.table(|table, _| table.sessions.get(&session.id()).map(Session::state))?;
        let state = state.ok_or_else(|| Rejection::no_session(Rejection::ENDED))?;
        let confirmation = kept.keep_state(session.agreed.key, owner, &mut record, &state).await?;
        if confirmation != Confirmation::GoesOn {
            self.confirmed(session.clone(), asked, &confirmation)?;
        }
        Ok(())
    }

    /// Goes on with a session that began at another replica or before a restart, for the same owner and
    /// no other.
    pub(super) async fn restore(&self, id: SessionId, caller: Caller) -> Result<Own, Rejection> {
        let owner = caller.owner;
        let Some(kept) = &self.kept else {
            return Err(Rejection::no_session(Rejection::NOT_THERE));
        };
        // Counted before it waits for those whose ids are alike, which whoever makes up ids can choose.
        let miss = self.misses.count(caller).ok_or_else(Rejection::too_many_unknown_sessions)?;
        let alike = id.key().bytes().first().map_or(0, |byte| usize::from(*byte));
        let restoring = self.restoring.get(alike % RESTORED_AT_ONCE);
        let restoring = restoring.ok_or_else(Rejection::sessions_unavailable)?;
        let _alone = kept.alone(restoring).await?;
        // Another request may have restored it meanwhile.
        match self.look(id, owner)? {
            Look::Confirmed(own) | Look::Unconfirmed(own, _) => {
                miss.found();
                return Ok(own);
            }
            Look::OfAnother => return Err(Rejection::no_session(Rejection::OF_ANOTHER)),
            Look::NotThere => {}
        }
        let streamed = somewhere()?;
        match kept.find(id.key(), owner).await? {
            Found::Session(agreed, state, record) => {
                miss.found();
                // One that finds no room here is left to those who come later.
                let own = self.insert(id, owner, agreed, Some(record), streamed)?;
                kept.has_taken(id.key())?;
                match kept.is_shared() {
                    // What makes room goes on at the replicas that have it.
                    true => drop(self.make_room(&own, owner, Table::remove_here)),
                    false => self.end_soon(self.make_room(&own, owner, Table::remove)),
                }
                let change = Change { before: State::default(), now: state };
                let confirmation = Confirmation::Changed(change);
                self.confirmed(own, self.clock.now(), &confirmation)
            }
            Found::No(reason) => Err(Rejection::no_session(reason)),
        }
    }

    /// Ends in the store what has made room, or was never told of. A slow store holds up no new session.
    /// Where this fails the old one goes on at other replicas, which have room for it: the log says so.
    pub(super) fn end_soon(&self, ended: Option<SessionId>) {
        if let Some((kept, ended)) = self.kept.clone().zip(ended)
            // What drops a request may be the end of all of them.
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move { kept.end(ended.key()).await.is_ok() });
        }
    }

    pub(super) fn record(&self, session: &Own) -> Result<Option<Arc<Kept>>, Rejection> {
        self.table(|table, _| table.sessions.get(&session.id())?.kept.clone())
    }
}

/// Where the answers of a session that was restored are counted from: at other replicas, or before a
/// restart, there were some of the first numbers.
fn somewhere() -> Result<u64, Rejection> {
    let bytes = random::bytes().map_err(|error| {
        tracing::error!(%error, "cannot go on with a session");
        Rejection::internal(Rule::Session)
    })?;
    // There is room for those that come.
    Ok(u64::from_be_bytes(bytes) >> 1)
}
