//! The table of sessions, and when each of them ends.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portcullis_auth::PrincipalId;
use portcullis_guard::metrics::{Present, SESSIONS};
use portcullis_store::RecordValue;
use tokio::time::Instant;

use super::id::{ById, SessionId};
use super::kept::Change;
use super::legacy::Link;
use super::resumable::Resumable;
use super::state::State;
use super::streams::{StreamId, Streams};
use crate::http::request::EndpointRequest;
use crate::in_flight::InFlight;
use crate::message::initialize::Initialize;
use crate::outgoing::requests::ClientRequests;
use crate::{
    ClientCapabilities, ClientInfo, Exchange, LogLevel, ProtocolVersion, ResourceSubscriptions,
    SessionKey,
};

/// The sessions themselves, with what is counted and queued of them.
#[derive(Default)]
pub(super) struct Table {
    pub(super) sessions: HashMap<SessionId, Session, ById>,
    /// When each session is to be looked at again: not later than when it may be idle.
    queue: BTreeSet<(SystemTime, SessionId)>,
    /// Those of one subject, through all clients.
    held: HashMap<[u8; 32], BTreeSet<SessionId>>,
    pub(super) streams: Streams,
    /// Answers that can be resumed until then, in the order of that, and whether a task waits for it.
    unread: VecDeque<(Instant, SessionId, u64)>,
    forgets: bool,
    /// The server stops.
    pub(super) stopping: bool,
    /// Sessions that have ended, but were not reported yet.
    pub(super) ended: Vec<SessionKey>,
}

pub(super) struct Session {
    pub(super) agreed: Arc<Agreed>,
    pub(super) owner: Option<PrincipalId>,
    pub(super) used: SystemTime,
    /// When it was last seen in the store.
    pub(super) confirmed: SystemTime,
    /// What it is there, if it is kept.
    pub(super) kept: Option<Arc<Kept>>,
    /// Where it is in the queue.
    queued: SystemTime,
    /// It has its place, and its client is not told of it yet.
    pub(super) begins: bool,
    pub(super) in_flight: InFlight,
    /// The least severe messages of the log that the client wants.
    pub(super) log: LogLevel,
    pub(super) stream: Option<StreamId>,
    /// Answers on streams so far, and those of them that may be resumed.
    pub(super) streamed: u64,
    pub(super) resumable: Vec<Arc<Resumable>>,
    /// What the client was asked, once a request has run.
    pub(super) requests: Option<Arc<ClientRequests>>,
    /// Its stream, if it is one of HTTP+SSE.
    pub(super) link: Option<Box<Link>>,
    _present: Present,
}

/// What a session and its client have agreed on, which each request of it sees.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) key: SessionKey,
    pub(super) version: ProtocolVersion,
    pub(super) client: Option<Arc<ClientInfo>>,
    pub(super) capabilities: ClientCapabilities,
    pub(super) subscriptions: Arc<ResourceSubscriptions>,
}

/// The record of a session in the store, which another release may have written. It is locked by the
/// request that asks the store.
pub(super) type Kept = tokio::sync::Mutex<RecordValue>;

/// A session that was found to be the caller's own. Only [`Sessions`](super::Sessions) makes one.
#[derive(Clone, Debug)]
pub(super) struct Own {
    id: SessionId,
    pub(super) agreed: Arc<Agreed>,
    pub(super) log: LogLevel,
}

impl Own {
    pub(super) fn id(&self) -> SessionId {
        self.id
    }

    /// The exchange that a request of the caller's is served in.
    pub(super) fn exchange(&self, caller: &EndpointRequest<'_>) -> Exchange {
        let Agreed { key, version, client, .. } = &*self.agreed;
        caller.exchange(*version, client.clone(), Some(*key))
    }
}

impl Session {
    pub(super) fn new(
        key: SessionKey,
        owner: Option<PrincipalId>,
        agreed: Initialize,
        record: Option<RecordValue>,
        subscriptions: ResourceSubscriptions,
        now: SystemTime,
    ) -> Self {
        let Initialize { version, client, capabilities } = agreed;
        let subscriptions = Arc::new(subscriptions);
        let in_flight = InFlight::default();
        let kept = record.map(|record| Arc::new(Kept::new(record)));
        Self {
            agreed: Arc::new(Agreed { key, version, client, capabilities, subscriptions }),
            owner,
            used: now,
            confirmed: now,
            kept,
            queued: now,
            begins: true,
            in_flight,
            log: LogLevel::UNASKED,
            stream: None,
            streamed: 0,
            resumable: Vec::new(),
            requests: None,
            link: None,
            _present: Present::new(&SESSIONS),
        }
    }

    /// The session `id`, which this is, for its owner.
    pub(super) fn own(&self, id: SessionId) -> Own {
        Own { id, agreed: Arc::clone(&self.agreed), log: self.log }
    }

    /// Notes what its client has agreed to, where the session is older than that.
    pub(super) fn agree(&mut self, agreed: Initialize) {
        let Initialize { version, client, capabilities } = agreed;
        let (key, subscriptions) = (self.agreed.key, Arc::clone(&self.agreed.subscriptions));
        self.agreed = Arc::new(Agreed { key, version, client, capabilities, subscriptions });
    }

    /// What its client has set in it.
    pub(super) fn state(&self) -> State {
        State { log: self.log, subscriptions: self.agreed.subscriptions.listed() }
    }

    /// Goes on as the store says, but for what its client has set here meanwhile.
    pub(super) fn adopt(&mut self, change: &Change) {
        let State { log, subscriptions } =
            State::merged(&change.before, &self.state(), &change.now);
        self.log = log;
        self.agreed.subscriptions.replace(&subscriptions);
    }

    fn is_unused(&self) -> bool {
        !self.begins && !self.is_busy()
    }

    fn is_busy(&self) -> bool {
        self.stream.is_some() || self.in_flight.len() > 0
    }
}

impl Table {
    /// Removes the sessions that have been idle for `idle`. Each is looked at no more often
    /// than it was used.
    ///
    /// They have ended, unless they are shared: another replica may go on with them.
    pub(super) fn sweep(&mut self, now: SystemTime, idle: Duration, shared: bool) {
        let ended = self.ended.len();
        self.remove_idle(now, idle);
        if shared {
            self.ended.truncate(ended);
        }
    }

    /// Lets an answer be resumed until then. Whether nobody waits for that time yet.
    pub(super) fn resumable_until(&mut self, until: Instant, id: SessionId, number: u64) -> bool {
        self.unread.push_back((until, id, number));
        !std::mem::replace(&mut self.forgets, true)
    }

    /// Forgets the answers that can be resumed no longer, and says until when others can.
    pub(super) fn forget_unread(&mut self, now: Instant) -> Option<Instant> {
        while let Some(&(_, id, number)) = self.unread.front().filter(|(until, ..)| *until <= now) {
            self.unread.pop_front();
            if let Some(session) = self.sessions.get_mut(&id) {
                session.resumable.retain(|resumable| resumable.number() != number);
            }
        }
        let next = self.unread.front().map(|(until, ..)| *until);
        self.forgets = next.is_some();
        next
    }

    fn remove_idle(&mut self, now: SystemTime, idle: Duration) {
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

    /// Removes a session that other replicas may go on with.
    pub(super) fn remove_here(&mut self, id: SessionId) {
        let ended = self.ended.len();
        self.remove(id);
        self.ended.truncate(ended);
    }

    pub(super) fn insert(&mut self, id: SessionId, session: Session) {
        if let Some(owner) = session.owner {
            self.held.entry(owner.holder()).or_default().insert(id);
        }
        self.queue.insert((session.queued, id));
        self.sessions.insert(id, session);
    }

    pub(super) fn remove(&mut self, id: SessionId) {
        let Some(mut session) = self.sessions.remove(&id) else { return };
        self.queue.remove(&(session.queued, id));
        session.in_flight.cancel_all();
        if let Some(stream) = session.stream {
            self.streams.end(stream);
        }
        if let Some(holder) = session.owner.map(|owner| owner.holder())
            && let Some(held) = self.held.get_mut(&holder)
        {
            held.remove(&id);
            if held.is_empty() {
                self.held.remove(&holder);
            }
        }
        self.ended.push(session.agreed.key);
    }

    /// How many sessions an owner has; without authentication no session has an owner.
    pub(super) fn held(&self, owner: Option<PrincipalId>) -> usize {
        owner.and_then(|owner| self.held.get(&owner.holder())).map_or(0, BTreeSet::len)
    }

    /// The owner's session, other than `but`, that was unused for longest, without a running
    /// request or a stream.
    pub(super) fn longest_unused(
        &self,
        owner: Option<PrincipalId>,
        but: SessionId,
    ) -> Option<SessionId> {
        let unused = self.of(owner).filter(|(session, id)| session.is_unused() && *id != but);
        unused.min_by_key(|(session, id)| (session.used, *id)).map(|(_, id)| id)
    }

    /// How many sessions of the owner could end for others of theirs.
    pub(super) fn unused(&self, owner: Option<PrincipalId>) -> usize {
        self.of(owner).filter(|(session, _)| session.is_unused()).count()
    }

    /// How many sessions of the owner begin.
    pub(super) fn beginning(&self, owner: Option<PrincipalId>) -> usize {
        self.of(owner).filter(|(session, _)| session.begins).count()
    }

    fn of(&self, owner: Option<PrincipalId>) -> impl Iterator<Item = (&Session, SessionId)> {
        let held = owner.and_then(|owner| self.held.get(&owner.holder()));
        held.into_iter().flatten().filter_map(|id| Some((self.sessions.get(id)?, *id)))
    }
}

#[cfg(test)]
impl Table {
    pub(super) fn sizes(&self) -> [usize; 5] {
        let running = self.sessions.values().map(|session| session.in_flight.len()).sum();
        [self.sessions.len(), self.queue.len(), self.held.len(), self.streams.len(), running]
    }
}
