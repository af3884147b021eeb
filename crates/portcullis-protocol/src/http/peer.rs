use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use portcullis_auth::LastBearer;

use super::arriving::Rest;

/// The other end of a connection: where it is, what it has shown, and what goes on with it.
#[derive(Debug, Default)]
pub struct Peer {
    pub(super) remote: Option<SocketAddr>,
    pub(super) last_bearer: LastBearer,
    pub(super) rest: Rest,
    begun: AtomicUsize,
    ended: AtomicUsize,
    /// What had ended when this was last looked at.
    seen: AtomicUsize,
    /// Something waits to be taken.
    waits: AtomicBool,
    /// Bytes have come that belong to no request yet.
    heard: AtomicBool,
    /// It has had its time: what it sends now is not waited for.
    over: AtomicBool,
}

impl Peer {
    /// A peer at `remote` that has shown nothing yet.
    #[must_use]
    pub fn new(remote: SocketAddr) -> Self {
        Self { remote: Some(remote), ..Self::default() }
    }

    /// Notes that it sent something.
    pub(super) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Notes whether something waits to be taken by it.
    pub(super) fn waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }

    /// Whether it is still sending what nobody reads: the rest of a body, or of a head that was
    /// refused.
    pub(super) fn is_sending(&self) -> bool {
        let heard = self.heard.load(Ordering::Relaxed) && !self.over.load(Ordering::Relaxed);
        self.rest.is_left() || heard
    }

    /// Notes that the server ends the connection of its own accord.
    pub(super) fn give_up(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether nothing runs, and nothing has ended since this was last asked. Pings are nothing,
    /// and what waits to be taken has a time of its own.
    pub(super) fn is_quiet(&self) -> bool {
        let ended = self.ended.load(Ordering::Relaxed);
        let ended_before = self.seen.swap(ended, Ordering::Relaxed);
        self.begun.load(Ordering::Relaxed) == ended
            && !self.waits.load(Ordering::Relaxed)
            && ended == ended_before
    }
}

/// A request that runs until this is dropped.
pub(super) struct Running(Arc<Peer>);

impl Running {
    pub(super) fn begin(peer: &Arc<Peer>) -> Self {
        peer.heard.store(false, Ordering::Relaxed);
        peer.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(peer))
    }

    pub(super) fn peer(&self) -> &Arc<Peer> {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.heard.store(false, Ordering::Relaxed);
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}
