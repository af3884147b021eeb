use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use futures_util::future::AbortHandle;
use portcullis_auth::PrincipalId;

use super::SessionId;
use crate::in_flight::InFlight;
use crate::initialize::Initialize;
use crate::{ClientInfo, ProtocolVersion, SessionKey};

/// The sessions themselves, with what is counted and queued of them.
#[derive(Default)]
pub(super) struct Table {
    pub(super) sessions: HashMap<SessionId, Session>,
    /// When each session is to be looked at again: not later than when it may be idle.
    queue: BTreeSet<(SystemTime, SessionId)>,
    held: HashMap<[u8; 32], Held>,
    pub(super) streams: usize,
    pub(super) running: usize,
    /// Sessions that have ended, and nobody was told of yet.
    pub(super) ended: Vec<SessionKey>,
}

pub(super) struct Session {
    pub(super) key: SessionKey,
    pub(super) owner: Option<PrincipalId>,
    pub(super) version: ProtocolVersion,
    pub(super) client: Option<ClientInfo>,
    pub(super) used: SystemTime,
    /// Where it is in the queue.
    queued: SystemTime,
    pub(super) in_flight: InFlight,
    pub(super) stream: Option<AbortHandle>,
}

/// What one subject has, through all clients. Streams are counted until they end, which may
/// be after their sessions.
#[derive(Clone, Copy, Default)]
pub(super) struct Held {
    pub(super) sessions: usize,
    pub(super) streams: usize,
}

impl Session {
    pub(super) fn new(
        key: SessionKey,
        owner: Option<PrincipalId>,
        agreed: Initialize,
        now: SystemTime,
    ) -> Self {
        let Initialize { version, client } = agreed;
        let in_flight = InFlight::default();
        Self { key, owner, version, client, used: now, queued: now, in_flight, stream: None }
    }

    fn is_busy(&self) -> bool {
        self.stream.is_some() || self.in_flight.len() > 0
    }
}

impl Table {
    /// Ends the sessions that have been idle for `idle`. Each is looked at no more often
    /// than it was used.
    pub(super) fn sweep(&mut self, now: SystemTime, idle: Duration) {
        let is_over = |since: SystemTime| now.duration_since(since).is_ok_and(|time| time >= idle);
        while let Some(&(queued, id)) = self.queue.first().filter(|(queued, _)| is_over(*queued)) {
            let Some(session) = self.sessions.get_mut(&id) else {
                self.queue.remove(&(queued, id));
                continue;
            };
            let used = if session.is_busy() { now } else { session.used };
            if is_over(used) {
                self.remove(id);
                continue;
            }
            session.queued = used;
            self.queue.remove(&(queued, id));
            self.queue.insert((used, id));
        }
    }

    pub(super) fn insert(&mut self, id: SessionId, session: Session) {
        if let Some(owner) = session.owner {
            self.held.entry(owner.holder()).or_default().sessions += 1;
        }
        self.queue.insert((session.queued, id));
        self.sessions.insert(id, session);
    }

    pub(super) fn remove(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.queue.remove(&(session.queued, id));
        session.in_flight.cancel_all();
        if let Some(stream) = session.stream {
            stream.abort();
        }
        self.release(session.owner, |held| held.sessions = held.sessions.saturating_sub(1));
        self.ended.push(session.key);
    }

    pub(super) fn open_stream(&mut self, owner: Option<PrincipalId>) {
        self.streams += 1;
        if let Some(owner) = owner {
            self.held.entry(owner.holder()).or_default().streams += 1;
        }
    }

    pub(super) fn close_stream(&mut self, owner: Option<PrincipalId>) {
        self.streams = self.streams.saturating_sub(1);
        self.release(owner, |held| held.streams = held.streams.saturating_sub(1));
    }

    /// What an owner has; without authentication nobody owns anything.
    pub(super) fn held(&self, owner: Option<PrincipalId>) -> Held {
        owner.and_then(|owner| self.held.get(&owner.holder()).copied()).unwrap_or_default()
    }

    fn release(&mut self, owner: Option<PrincipalId>, give_back: impl FnOnce(&mut Held)) {
        let Some(owner) = owner else { return };
        let Some(held) = self.held.get_mut(&owner.holder()) else { return };
        give_back(held);
        if held.sessions == 0 && held.streams == 0 {
            self.held.remove(&owner.holder());
        }
    }
}

#[cfg(test)]
impl Table {
    pub(super) fn sizes(&self) -> [usize; 5] {
        [self.sessions.len(), self.queue.len(), self.held.len(), self.streams, self.running]
    }
}
