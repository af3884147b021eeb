//! The addresses and principals that the budget is counted for.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::sync::Semaphore;

/// The number of remembered parties at which those that hold nothing any more are removed.
pub(super) const PARTIES: usize = 64;

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    Connections,
    /// Tokens that have to be waited for.
    Verifications,
    /// Requests whose bodies have to be waited for.
    Reading,
    /// Operations that wait for others of the same principal.
    Queued,
    /// Requests that wait for the store or to be admitted, beside the operations.
    Entering,
    /// Bytes of bodies that are held.
    Bodies,
    /// Bytes of answers that have not been taken.
    Unread,
    /// Bytes of answers that wait for room among those.
    Waiting,
}

/// The amount taken of each.
#[derive(Debug, Default)]
pub(super) struct Counts {
    connections: AtomicUsize,
    verifications: AtomicUsize,
    reading: AtomicUsize,
    queued: AtomicUsize,
    entering: AtomicUsize,
    bodies: AtomicUsize,
    unread: AtomicUsize,
    waiting: AtomicUsize,
}

impl Counts {
    pub(super) fn of(&self, what: Of) -> &AtomicUsize {
        match what {
            Of::Connections => &self.connections,
            Of::Verifications => &self.verifications,
            Of::Reading => &self.reading,
            Of::Queued => &self.queued,
            Of::Entering => &self.entering,
            Of::Bodies => &self.bodies,
            Of::Unread => &self.unread,
            Of::Waiting => &self.waiting,
        }
    }
}

/// An address or a principal, and what it has taken.
#[derive(Debug)]
pub(crate) struct Party {
    pub(super) taken: Counts,
    pub(super) kind: Kind,
    /// The places of its requests that run.
    pub(super) running: Semaphore,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Address,
    Principal,
    Strangers,
}

impl Party {
    pub(super) fn new(kind: Kind, running: usize) -> Arc<Self> {
        let running = Semaphore::new(running.min(Semaphore::MAX_PERMITS));
        Arc::new(Self { taken: Counts::default(), kind, running })
    }
}

/// The parties for which something is taken: an address, a principal, both or neither.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whose {
    pub(crate) address: Option<Arc<Party>>,
    pub(crate) principal: Option<Arc<Party>>,
}

impl Whose {
    /// The address alone, if it is counted.
    pub(crate) fn address(address: Option<&Arc<Party>>) -> Self {
        Self { address: address.cloned(), principal: None }
    }

    /// Whose places running requests take: those of the principal, or without one those of the
    /// address.
    pub(crate) fn runs(&self) -> Option<&Arc<Party>> {
        self.principal.as_ref().or(self.address.as_ref())
    }

    pub(super) fn parties(&self) -> impl Iterator<Item = &Arc<Party>> + Clone {
        self.address.iter().chain(&self.principal)
    }
}

/// The parties that have taken something, and perhaps some that had.
#[derive(Debug)]
pub(super) struct Parties<K> {
    pub(super) known: HashMap<K, Arc<Party>>,
    /// How many there may be before the table is searched.
    most: usize,
}

impl<K> Default for Parties<K> {
    fn default() -> Self {
        Self { known: HashMap::new(), most: PARTIES }
    }
}

impl<K: Hash + Eq> Parties<K> {
    pub(super) fn of(&mut self, key: K, kind: Kind, running: usize) -> Arc<Party> {
        if self.known.len() >= self.most {
            // Everything that is held keeps its party alive.
            self.known.retain(|_, party| Arc::strong_count(party) > 1);
            self.most = PARTIES.max(self.known.len() * 2);
        }
        Arc::clone(self.known.entry(key).or_insert_with(|| Party::new(kind, running)))
    }
}

/// The owner of an address: an IPv6 address belongs to the owner of its /64.
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        ip => ip,
    }
}
