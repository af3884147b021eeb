//! How many requests of one kind an address may make in a minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use crate::users::network;

/// How often an address may register in a [`WINDOW`]: every address of one IPv6 /64 is one.
///
/// All that a registration costs is the time to seal it, and a refusal ends a sign-in for good with
/// most clients, and some register seven times for one: so the bound is generous.
pub(crate) const MOST: u32 = 120;
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
/// How many addresses are remembered. Beyond that, all are forgotten.
const ADDRESSES: usize = 10_000;

/// Who came a moment ago.
#[derive(Debug)]
pub(crate) struct Arrivals {
    most: u32,
    seen: Mutex<HashMap<Option<IpAddr>, (SystemTime, u32)>>,
}

/// The address has used up what it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Arrivals {
    /// Nobody yet; each address may come so often in a [`WINDOW`].
    pub(crate) fn of(most: u32) -> Self {
        Self { most, seen: Mutex::default() }
    }

    /// Counts one more.
    pub(crate) fn count(&self, remote: Option<IpAddr>, now: SystemTime) -> Result<(), TooMany> {
        let address = remote.map(network);
        let mut arrivals = self.seen.lock().map_err(|_| TooMany)?;
        // Whoever has 10,000 addresses is not held up by a bound for each.
        if arrivals.len() >= ADDRESSES && !arrivals.contains_key(&address) {
            arrivals.clear();
        }
        let (since, count) = arrivals.entry(address).or_insert((now, 0));
        // A clock that was set back ends the window, or it would last for longer.
        if now.duration_since(*since).map_or(true, |age| age >= WINDOW) {
            (*since, *count) = (now, 0);
        }
        if *count >= self.most {
            return Err(TooMany);
        }
        *count = count.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn rule_15_an_address_may_register_often_and_not_without_end() {
        let (arrivals, now) = (Arrivals::of(MOST), UNIX_EPOCH + Duration::from_secs(1_000));
        let here = Some("2001:db8::1".parse().unwrap());
        for _ in 0..MOST {
            assert_eq!(arrivals.count(here, now), Ok(()));
        }
        let neighbour = Some("2001:db8::2".parse().unwrap());
        assert_eq!(arrivals.count(neighbour, now + WINDOW / 2), Err(TooMany));
        assert_eq!(arrivals.count(Some("192.0.2.1".parse().unwrap()), now), Ok(()));
        assert_eq!(arrivals.count(here, now + WINDOW), Ok(()));
        assert_eq!(arrivals.count(here, now), Ok(()), "the clock was set back");
    }

    #[test]
    fn d01_what_is_remembered_is_bounded() {
        let arrivals = Arrivals::of(MOST);
        for n in 0..(ADDRESSES as u32 * 2 + 5) {
            arrivals.count(Some(IpAddr::V4(n.into())), UNIX_EPOCH).unwrap();
            assert!(arrivals.seen.lock().unwrap().len() <= ADDRESSES);
        }
    }
}
