//! How often each caller may name an unknown session.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use portcullis_auth::PrincipalId;
use tokio::time::Instant;

use crate::http::budget::network;

/// How many unknown ids each caller may have looked up in the store: 256 at once, and 64 a second
/// (a token bucket). An id costs an untrusted client nothing, and the store a request.
///
/// A caller is a principal, or an address without one. Two may share a bucket by chance, and nobody
/// can choose with whom: the hash has a random key. So the table never grows.
pub(super) struct Misses {
    /// The time at which each bucket is full again, after `since`.
    full: Vec<AtomicU64>,
    since: Instant,
    hash: RandomState,
}

/// Who names an id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) owner: Option<PrincipalId>,
    pub(super) remote: Option<IpAddr>,
}

/// A look that counts, unless it [finds](Self::found) a session.
pub(super) struct Miss<'a> {
    full: &'a AtomicU64,
}

impl Misses {
    pub(super) fn new() -> Self {
        let full = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { full, since: Instant::now(), hash: RandomState::new() }
    }

    /// `None` if the caller has had too many.
    pub(super) fn count(&self, caller: Caller) -> Option<Miss<'_>> {
        let address = caller.remote.map(network).filter(|_| caller.owner.is_none());
        let hash = self.hash.hash_one((caller.owner.map(|owner| owner.holder()), address));
        let full = self.full.get(usize::try_from(hash % BUCKETS).ok()?)?;
        let now = u64::try_from(self.since.elapsed().as_nanos()).ok()?;
        let counted = full.fetch_update(Relaxed, Relaxed, |full| {
            let next = full.max(now).checked_add(INTERVAL)?;
            (next - now <= INTERVAL * AT_ONCE).then_some(next)
        });
        counted.is_ok().then_some(Miss { full })
    }
}

impl Miss<'_> {
    /// Gives back what was counted.
    pub(super) fn found(self) {
        let _ = self.full.fetch_update(Relaxed, Relaxed, |full| full.checked_sub(INTERVAL));
    }
}

const BUCKETS: u64 = 4_096;
const AT_ONCE: u64 = 256;
const INTERVAL: u64 = 1_000_000_000 / 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_auth::Principal;
    use tokio::time::advance;

    use super::*;

    fn counted(misses: &Misses, caller: Caller, times: usize) -> usize {
        (0..times).filter(|_| misses.count(caller).is_some()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn n11_each_caller_may_name_so_many_unknown_ids() {
        let misses = Misses::new();
        let of = |name| Caller {
            owner: Some(Principal::new(name).id()),
            remote: Some([192, 0, 2, 1].into()),
        };
        assert_eq!(counted(&misses, of("alice"), 1_000), 256);
        advance(Duration::from_secs(1)).await;
        assert_eq!(counted(&misses, of("alice"), 1_000), 64);
        advance(Duration::from_secs(60)).await;
        assert_eq!(counted(&misses, of("alice"), 1_000), 256);
        let misses = Misses::new();
        for _ in 0..1_000 {
            // What finds a session is free.
            misses.count(of("alice")).unwrap().found();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn n11_without_a_principal_a_network_counts() {
        let misses = Misses::new();
        let of = |ip: &str| Caller { owner: None, remote: Some(ip.parse().unwrap()) };
        assert_eq!(counted(&misses, of("2001:db8::1"), 1_000), 256);
        assert_eq!(counted(&misses, of("2001:db8::2"), 1_000), 0);
        let others = (0..64).map(|n| counted(&misses, of(&format!("2001:db8:0:{n:x}::1")), 256));
        assert!(others.sum::<usize>() > 256 * 50, "another network has a bucket of its own");
    }
}
