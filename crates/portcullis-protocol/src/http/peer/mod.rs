//! The other end of a connection, as everything that answers it sees it.

mod rest;
mod shown;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::task::Poll;

use portcullis_auth::LastBearer;

use self::rest::Rest;
pub(crate) use self::shown::Shown;
use crate::http::budget::{Budget, Held, Of, Party, Whose};

/// The number of refused tokens in a row that ends a connection.
const REFUSED: usize = 64;

/// The other end of a connection: where it is, what it has shown, and what goes on with it.
#[derive(Debug, Default)]
pub struct Peer {
    pub(crate) remote: Option<SocketAddr>,
    /// `None` if its address is not counted.
    pub(crate) address: Option<Arc<Party>>,
    pub(crate) last_bearer: LastBearer,
    pub(crate) standing: Arc<Standing>,
    pub(crate) shown: Shown,
    pub(crate) rest: Rest,
    /// Whether it has a place that is kept for probes, because there are too many connections.
    pub(crate) probes_only: bool,
    begun: AtomicUsize,
    ended: AtomicUsize,
    /// Bytes of answers that it has not taken, and how many parts of answers it has.
    unread: AtomicUsize,
    parts: AtomicUsize,
    /// The requests ended, and the parts taken, when each was last looked at.
    seen: (AtomicUsize, AtomicUsize),
    /// How many looks ago something was taken.
    still: AtomicUsize,
    /// Whether the client has still to take a part of an answer.
    waits: AtomicBool,
    /// Whether bytes have come that belong to no request yet.
    heard: AtomicBool,
    /// Whether its time is over: the server does not wait for what it sends then.
    over: AtomicBool,
}

/// Who sent a request: the peer, and the address whose budget the request takes from, which is
/// that of a client where the peer is a trusted proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender<'a> {
    pub(crate) peer: &'a Peer,
    pub(crate) address: Option<&'a Arc<Party>>,
}

impl Peer {
    /// A peer at `remote` that has shown nothing yet: to one [`App`](crate::http::App), to which it belongs.
    #[must_use]
    pub fn new(remote: SocketAddr) -> Self {
        Self::of(Some(remote), None)
    }

    /// A peer with a place among the connections, counted for `address` if there is one.
    pub(crate) fn of(remote: Option<SocketAddr>, address: Option<Arc<Party>>) -> Self {
        Self { remote, address, ..Self::default() }
    }

    /// A peer with a place that is kept for probes.
    pub(crate) fn for_probes(remote: Option<SocketAddr>) -> Self {
        Self { probes_only: true, ..Self::of(remote, None) }
    }

    /// Notes that it sent something.
    pub(crate) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Notes whether something waits to be taken by it.
    pub(crate) fn waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }

    /// Whether it is still sending what nobody reads: the rest of a body, or of a head that was
    /// refused.
    pub(crate) fn is_sending(&self) -> bool {
        let heard = self.heard.load(Ordering::Relaxed) && !self.over.load(Ordering::Relaxed);
        self.rest.is_left() || heard
    }

    /// Notes that the server ends the connection of its own accord.
    pub(crate) fn give_up(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Notes that it asks nothing any more: its token, and what it said of itself, are not needed again.
    pub(crate) fn asks_no_more(&self) {
        self.last_bearer.forget();
        self.shown.forget_meta();
    }

    /// Whether the connection ends with the current answer.
    pub(crate) fn closes(&self) -> bool {
        self.rest.closes() || self.standing.refused.load(Ordering::Relaxed) >= REFUSED
    }

    /// Is ready once the connection ends with the current answer. It wakes nobody itself: the
    /// connection's requests wake the task that polls it.
    pub(crate) fn poll_closes(&self) -> Poll<()> {
        if self.closes() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether a request of it runs.
    pub(crate) fn is_served(&self) -> bool {
        self.begun.load(Ordering::Relaxed) != self.ended.load(Ordering::Relaxed)
    }

    /// Whether no request runs, and none has ended since this was last asked. Pings do not count,
    /// and an answer that waits to be taken has a timeout of its own.
    pub(crate) fn is_quiet(&self) -> bool {
        let ended = self.ended.load(Ordering::Relaxed);
        let ended_before = self.seen.0.swap(ended, Ordering::Relaxed);
        !self.is_served() && !self.waits.load(Ordering::Relaxed) && ended == ended_before
    }

    /// Whether something of an answer has yet to be taken.
    pub(crate) fn is_taking(&self) -> bool {
        self.unread.load(Ordering::Relaxed) > 0 || self.waits.load(Ordering::Relaxed)
    }

    /// Whether it leaves something unread that others want the room of, and has taken no part
    /// of it since this was asked before the last time.
    pub(crate) fn is_in_the_way(&self, budget: &Budget) -> bool {
        let parts = self.parts.load(Ordering::Relaxed);
        let parts_before = self.seen.1.swap(parts, Ordering::Relaxed);
        let unread = self.unread.load(Ordering::Relaxed);
        if unread == 0 || parts != parts_before {
            self.still.store(0, Ordering::Relaxed);
            return false;
        }
        self.still.fetch_add(1, Ordering::Relaxed) > 0 && budget.is_short(Of::Unread, unread)
    }

    /// Whether it leaves so much unread that no further request of it is served.
    pub(crate) fn has_enough(&self, budget: &Budget) -> bool {
        self.unread.load(Ordering::Relaxed) >= budget.unread_of_one_connection()
    }
}

/// An answer of so many bytes that has not been taken, until this is dropped.
#[derive(Debug)]
pub(crate) struct Untaken {
    peer: Arc<Peer>,
    bytes: usize,
    _held: Held,
}

impl Untaken {
    /// Waits until the budget has room for it; none if too much waits, unless what it takes
    /// meanwhile `is_gathered`. A connection that has taken everything else may have an answer of
    /// any size.
    pub(crate) async fn new(
        peer: &Arc<Peer>,
        budget: &Arc<Budget>,
        whose: &Whose,
        bytes: usize,
        is_gathered: bool,
    ) -> Option<Self> {
        let mut waits = None;
        loop {
            let mut room = pin!(budget.room());
            // From here on, this learns of all room that becomes free.
            room.as_mut().enable();
            if let Some(untaken) = Self::at_once(peer, budget, whose, bytes) {
                return Some(untaken);
            }
            if !is_gathered && waits.is_none() {
                waits = Some(budget.wait(whose, bytes)?);
            }
            room.await;
        }
    }

    fn at_once(
        peer: &Arc<Peer>,
        budget: &Arc<Budget>,
        whose: &Whose,
        bytes: usize,
    ) -> Option<Self> {
        let most = budget.unread_of_one_connection();
        let fits = |unread: usize| {
            let sum = unread.checked_add(bytes)?;
            (unread == 0 || sum <= most).then_some(sum)
        };
        peer.unread.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        let Some(held) = budget.take(Of::Unread, whose.clone(), bytes) else {
            peer.unread.fetch_sub(bytes, Ordering::Relaxed);
            return None;
        };
        Some(Self { peer: Arc::clone(peer), bytes, _held: held })
    }

    /// Notes that a part was taken.
    pub(crate) fn moved(&self) {
        self.peer.parts.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        self.peer.unread.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Whether the tokens of a connection were accepted or refused.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Whether one was accepted: since this was last looked at, since one was refused, and ever.
    accepted: AtomicU8,
    /// How many were refused since one was accepted.
    refused: AtomicUsize,
}

const SINCE_LOOK: u8 = 1;
const SINCE_REFUSAL: u8 = 2;
const EVER: u8 = 4;

impl Standing {
    pub(crate) fn accept(&self) {
        self.accepted.store(SINCE_LOOK | SINCE_REFUSAL | EVER, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self) {
        let accepted = self.accepted.fetch_and(!SINCE_REFUSAL, Ordering::Relaxed);
        if accepted & SINCE_REFUSAL != 0 {
            self.refused.store(0, Ordering::Relaxed);
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a token was accepted since this was last asked.
    pub(crate) fn was_accepted(&self) -> bool {
        self.accepted.fetch_and(!SINCE_LOOK, Ordering::Relaxed) & SINCE_LOOK != 0
    }

    /// Whether a token was ever accepted.
    pub(crate) fn is_known(&self) -> bool {
        self.accepted.load(Ordering::Relaxed) & EVER != 0
    }
}

/// A request that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<Peer>);

impl Running {
    pub(crate) fn begin(peer: &Arc<Peer>) -> Self {
        peer.heard.store(false, Ordering::Relaxed);
        peer.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(peer))
    }

    pub(crate) fn peer(&self) -> &Arc<Peer> {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.heard.store(false, Ordering::Relaxed);
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn trial_a5_who_has_taken_nothing_between_three_looks_is_in_the_way() {
        let budget = Budget::new(&Limits { unread_bytes: 80, ..Limits::default() });
        let (peer, others) = (Arc::default(), budget.take(Of::Unread, Whose::default(), 60));
        let untaken = Untaken::at_once(&peer, &budget, &Whose::default(), 10).unwrap();
        for _ in 0..2 {
            untaken.moved();
            for still in [false, false, true] {
                assert_eq!(peer.is_in_the_way(&budget), still);
            }
        }
        drop(others);
        assert!(!peer.is_in_the_way(&budget), "there is room for everybody");
    }

    #[tokio::test]
    async fn trial_a5_who_waits_for_room_sleeps_until_there_is_some() {
        let budget = Budget::new(&Limits { unread_bytes: 80, ..Limits::default() });
        let (peer, alice) = (Arc::default(), Whose::default());
        let all = budget.take(Of::Unread, Whose::default(), 80);
        let mut told = pin!(budget.room());
        told.as_mut().enable();
        assert!(Untaken::at_once(&peer, &budget, &alice, 10).is_none());
        assert!(
            futures_util::poll!(told.as_mut()).is_pending(),
            "there is no more room than before"
        );
        drop(all);
        assert!(futures_util::poll!(told).is_ready());
        assert!(Untaken::at_once(&peer, &budget, &alice, 10).is_some());
    }
}
