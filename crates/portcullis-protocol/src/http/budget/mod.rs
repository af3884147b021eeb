//! The budget of what clients may keep waiting: for all of them together, for each address and for
//! each principal.

pub(crate) mod account;
mod party;
pub(crate) mod places;

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_auth::Principal;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use self::party::{Counts, Kind, Parties};
pub(crate) use self::party::{Of, Party, Whose, network};
use crate::Limits;

/// An answer of so many bytes counts for nothing, and waits for nobody.
pub(crate) const SMALL: usize = 1024;
/// Tokens that are verified at once and have to be waited for: so many of the requests at once.
const VERIFICATIONS: usize = 4;
/// Divides all unread bytes: the share that one connection may leave unread.
const ONE_CONNECTION: usize = 8;
/// Divides the unread answers, and everything else that waits: the share that one principal may
/// have.
const UNREAD_OF_ONE_PRINCIPAL: usize = 4;
const WAITING_OF_ONE_PRINCIPAL: usize = 2;

/// What can be taken, altogether and by one address or principal.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    taken: Counts,
    /// Held while something is taken, so that a refused request takes nothing from others
    /// meanwhile.
    taking: Mutex<()>,
    /// Notified when an answer was taken, or given up.
    room: Notify,
    addresses: Mutex<Parties<IpAddr>>,
    /// The key is the digest of issuer and subject: clients cost nothing.
    principals: Mutex<Parties<[u8; 32]>>,
    /// All clients without a principal.
    strangers: Arc<Party>,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            limits: limits.clone(),
            taken: Counts::default(),
            taking: Mutex::default(),
            room: Notify::new(),
            addresses: Mutex::default(),
            principals: Mutex::default(),
            strangers: Party::new(Kind::Strangers, 0),
        })
    }

    /// The principal, as one of those who take something.
    pub(crate) fn principal(&self, principal: &Principal) -> Arc<Party> {
        let mut known = self.principals.lock().unwrap_or_else(PoisonError::into_inner);
        let running = self.limits.requests_per_principal;
        known.of(principal.id().holder(), Kind::Principal, running)
    }

    fn most(&self, what: Of) -> usize {
        let limits = &self.limits;
        match what {
            Of::Connections => limits.connections,
            Of::Verifications => (limits.concurrent_requests / VERIFICATIONS).max(1),
            Of::Reading | Of::Queued | Of::Entering => limits.concurrent_requests,
            Of::Bodies => limits.waiting_body_bytes,
            Of::Unread | Of::Waiting => limits.unread_bytes,
        }
    }

    /// What one address may have: as large a part of everything as of the connections. And what
    /// one principal may.
    fn most_of_one(&self, what: Of, kind: Kind) -> usize {
        let most = self.most(what);
        match (kind, what) {
            (Kind::Address, _) => self.part_of_an_address(most),
            (_, Of::Connections | Of::Verifications) => most,
            (_, Of::Unread) => (most / UNREAD_OF_ONE_PRINCIPAL).max(1),
            (_, Of::Reading | Of::Queued | Of::Entering | Of::Bodies | Of::Waiting) => {
                (most / WAITING_OF_ONE_PRINCIPAL).max(1)
            }
        }
    }

    fn part_of_an_address(&self, most: usize) -> usize {
        let Limits { connections, connections_per_address, .. } = self.limits;
        let part = most as u128 * connections_per_address as u128 / connections.max(1) as u128;
        usize::try_from(part).unwrap_or(usize::MAX).clamp(1, most.max(1))
    }

    /// What one connection may leave unread.
    pub(crate) fn unread_of_one_connection(&self) -> usize {
        self.limits.unread_bytes / ONE_CONNECTION
    }

    /// Takes so much for `whose`; `None` if not so much is left.
    pub(crate) fn take(self: &Arc<Self>, what: Of, whose: Whose, amount: usize) -> Option<Held> {
        let mut held = Held { budget: Arc::clone(self), what, whose, amount: 0 };
        held.more(amount).then_some(held)
    }

    /// Takes so many bytes of an answer for `whose` until there is room for all of it.
    pub(crate) fn gather(self: &Arc<Self>, whose: &Whose, bytes: usize) -> Option<Held> {
        let mut whose = whose.clone();
        whose.principal.get_or_insert_with(|| Arc::clone(&self.strangers));
        self.take(Of::Waiting, whose, bytes)
    }

    /// Takes the bytes of a whole answer for `whose` until there is room for it. The answer of a
    /// principal keeps its place, and a principal has few, so it counts as one place's share of all
    /// bytes. Any other answer counts in full, and at least as that share.
    pub(crate) fn wait(self: &Arc<Self>, whose: &Whose, bytes: usize) -> Option<Held> {
        let place = self.limits.unread_bytes / self.limits.concurrent_requests.max(1);
        let bytes = if whose.principal.is_some() { place } else { bytes.max(place) };
        self.gather(whose, bytes)
    }

    /// Waits until there may be more room for answers than before this was asked.
    pub(crate) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    /// Whether parties other than the holder of `own` have taken more than half: answers without
    /// progress are then dropped.
    pub(crate) fn is_short(&self, what: Of, own: usize) -> bool {
        let taken = self.taken.of(what).load(Ordering::Relaxed);
        taken.saturating_sub(own) > self.most(what) / 2
    }

    /// Counts a connection, of `remote` if that is known, until what this gives is dropped; none if
    /// there are too many.
    pub(crate) fn enter(
        self: &Arc<Self>,
        remote: Option<IpAddr>,
    ) -> Option<(Option<Arc<Party>>, Held)> {
        let address = remote.and_then(|ip| self.remote_address(ip));
        let held = self.take(Of::Connections, Whose::address(address.as_ref()), 1)?;
        Some((address, held))
    }

    /// An address, as one of those who take something.
    pub(crate) fn address(&self, ip: IpAddr) -> Arc<Party> {
        let mut known = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let running = self.part_of_an_address(self.limits.concurrent_requests);
        known.of(network(ip), Kind::Address, running)
    }

    /// As [`address`](Self::address), but for this machine's own, which is not counted: everybody may
    /// come from it, through a proxy.
    pub(crate) fn remote_address(&self, ip: IpAddr) -> Option<Arc<Party>> {
        (!network(ip).is_loopback()).then(|| self.address(ip))
    }
}

#[cfg(test)]
impl Budget {
    pub(crate) fn taken_of(&self, what: Of) -> usize {
        self.taken.of(what).load(Ordering::Relaxed)
    }
}

fn fits(taken: usize, what: Of, amount: usize, most: usize) -> bool {
    // An answer that is there cannot be made smaller: one may be larger than what is left.
    let answers = matches!(what, Of::Unread | Of::Waiting);
    taken.checked_add(amount).is_some_and(|sum| sum <= most || (answers && taken < most))
}

/// A share of the budget that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Arc<Budget>,
    what: Of,
    whose: Whose,
    amount: usize,
}

impl Held {
    /// Takes `amount` more, if so much is left in all, and for its address and its principal.
    pub(crate) fn more(&mut self, amount: usize) -> bool {
        let (budget, what) = (&self.budget, self.what);
        let _alone = budget.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let own = self.whose.parties();
        let own = own.map(|party| (party.taken.of(what), budget.most_of_one(what, party.kind)));
        let all = std::iter::once((budget.taken.of(what), budget.most(what)));
        let counts = all.chain(own);
        let fits = counts
            .clone()
            .all(|(count, most)| fits(count.load(Ordering::Relaxed), what, amount, most));
        if fits {
            counts.for_each(|(count, _)| {
                count.fetch_add(amount, Ordering::Relaxed);
            });
            self.amount += amount;
        }
        fits
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A waiter that was given nothing makes no room: to notify it would make it try without
        // end.
        if self.amount == 0 {
            return;
        }
        let own = self.whose.parties().map(|party| &party.taken);
        for taken in own.chain([&self.budget.taken]) {
            taken.of(self.what).fetch_sub(self.amount, Ordering::Relaxed);
        }
        if matches!(self.what, Of::Unread) {
            self.budget.room.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::party::PARTIES;
    use super::*;

    fn budget() -> Arc<Budget> {
        Budget::new(&Limits {
            connections: 8,
            connections_per_address: 6,
            waiting_body_bytes: 80,
            unread_bytes: 80,
            concurrent_requests: 16,
            ..Limits::default()
        })
    }

    fn at(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn trial_a10_one_address_may_take_a_part_of_the_connections() {
        for (first, same, other) in [
            ("192.0.2.1", ["192.0.2.1", "::ffff:192.0.2.1"], "192.0.2.2"),
            ("2001:db8::1", ["2001:db8::1", "2001:db8::2"], "2001:db8:0:1::1"),
        ] {
            let budget = budget();
            let mut held: Vec<_> = (0..6).map(|_| budget.enter(at(first)).unwrap()).collect();
            for full in same {
                assert!(budget.enter(at(full)).is_none(), "{full}");
            }
            let other = budget.enter(at(other)).expect("room for others is left");
            held.pop();
            assert!(budget.enter(at(first)).is_some());
            drop((held, other));
            for _ in 0..8 {
                let (address, held) = budget.enter(at("127.0.0.1")).expect("a proxy, perhaps");
                assert!(address.is_none());
                std::mem::forget(held);
            }
        }
    }

    #[test]
    fn trial_a12_address_and_principal_may_take_a_part_of_everything_and_give_it_back() {
        let budget = budget();
        let (address, _first) = budget.enter(at("192.0.2.1")).unwrap();
        let (other, _second) = budget.enter(at("192.0.2.2")).unwrap();
        let of = |party: &Option<Arc<Party>>| Whose::address(party.as_ref());
        let mut held = budget.take(Of::Bodies, of(&address), 50).unwrap();
        assert!(held.more(10));
        assert!(!held.more(1), "three quarters");
        assert!(budget.take(Of::Bodies, of(&other), 21).is_none(), "80 altogether");
        let more = budget.take(Of::Bodies, of(&other), 20);
        assert!(more.is_some() && budget.is_short(Of::Bodies, 0));
        assert!(budget.take(Of::Bodies, Whose::default(), 1).is_none());
        drop((held, more));
        assert!(!budget.is_short(Of::Bodies, 0));
        let alice = Principal::new("alice");
        let alices = || Whose { address: other.clone(), principal: Some(budget.principal(&alice)) };
        let half = budget.take(Of::Bodies, alices(), 40).unwrap();
        assert!(budget.take(Of::Bodies, alices(), 1).is_none(), "through any client");
        assert!(budget.take(Of::Bodies, of(&other), 20).is_some());
        drop(half);
        assert!(budget.take(Of::Bodies, Whose::default(), 80).is_some());
        assert!(budget.take(Of::Bodies, Whose::default(), usize::MAX).is_none());
    }

    #[test]
    fn who_has_nothing_is_forgotten_once_there_are_many() {
        let budget = budget();
        let kept = budget.principal(&Principal::new("kept"));
        for name in 0..1_000 {
            budget.principal(&Principal::new(name.to_string()));
        }
        assert!(budget.principals.lock().unwrap().known.len() <= PARTIES);
        assert!(Arc::ptr_eq(&kept, &budget.principal(&Principal::new("kept"))));
    }

    #[test]
    fn trial_a5_one_answer_may_be_larger_than_what_is_left_and_no_second_one() {
        let budget = budget();
        let large = budget.take(Of::Unread, Whose::default(), 1_000).unwrap();
        assert!(budget.take(Of::Unread, Whose::default(), 1).is_none());
        assert!(!budget.is_short(Of::Unread, 1_000), "nobody else wants the room");
        drop(large);
        assert!(budget.take(Of::Unread, Whose::default(), 80).is_some());
    }

    #[test]
    fn trial_a5_what_one_may_not_have_is_never_missing_for_others() {
        let budget = budget();
        let of = |name| Whose {
            address: None,
            principal: Some(budget.principal(&Principal::new(name))),
        };
        let (alice, bob) = (of("alice"), of("bob"));
        let _hers = budget.take(Of::Unread, alice.clone(), 20).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..200_000 {
                    assert!(budget.take(Of::Unread, alice.clone(), 70).is_none());
                }
            });
            for _ in 0..200_000 {
                assert!(budget.take(Of::Unread, bob.clone(), 1).is_some(), "60 are left");
            }
        });
    }

    #[test]
    fn as_many_requests_of_one_principal_as_there_are_numbers_may_run() {
        let limits = Limits { requests_per_principal: usize::MAX, ..Limits::default() };
        let alice = Budget::new(&limits).principal(&Principal::new("alice"));
        assert!(alice.running.available_permits() > limits.concurrent_requests);
    }
}
