//! Local users, and how often their passwords may be guessed.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use portcullis_guard::{Clock, Secret, digest};

/// The users of a server, who sign in with a password.
///
/// What it decides, in this order:
///
/// 1. After [`WRONG_PER_ADDRESS`] wrong guesses from one address, or [`WRONG_PER_USER`] for one
///    user, within [`WINDOW`], none is heard until it is over: not even the right one, or a guess
///    would be told by the answer.
/// 2. The password is compared by its digest, in constant time. That of an unknown user is compared
///    with nothing that anybody knows, and is refused in the same words.
///
/// **Deployment caveat.** Someone who guesses keeps a user out for as long as they go on.
pub(crate) struct Users {
    passwords: HashMap<String, [u8; 32]>,
    /// Stands for the password of an unknown user.
    nobody: [u8; 32],
    wrong: Mutex<Wrong>,
    clock: Arc<dyn Clock>,
}

/// How many wrong guesses one address has.
pub(crate) const WRONG_PER_ADDRESS: u32 = 10;
/// How many wrong guesses there are for one user, from anywhere.
pub(crate) const WRONG_PER_USER: u32 = 20;
/// Guesses are counted from the first wrong one for as long as this.
pub(crate) const WINDOW: Duration = Duration::from_secs(10 * 60);
/// How many addresses are remembered. Beyond that, the one whose window began first is forgotten.
const ADDRESSES: usize = 10_000;

/// Why somebody is not signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignInError {
    /// There is no such user, or the password is another.
    Wrong,
    /// There were too many wrong guesses.
    TooMany,
}

#[derive(Default)]
struct Wrong {
    by_address: HashMap<Option<IpAddr>, Tally>,
    by_user: HashMap<String, Tally>,
}

#[derive(Clone, Copy)]
struct Tally {
    since: SystemTime,
    wrong: u32,
}

impl Users {
    /// Users with their passwords. The `nobody` digest has to be one that nobody knows.
    pub(crate) fn new(
        users: impl IntoIterator<Item = (String, Secret<String>)>,
        nobody: [u8; 32],
        clock: Arc<dyn Clock>,
    ) -> Self {
        let digest = |password: &Secret<String>| digest::sha256(password.expose().as_bytes());
        let passwords =
            users.into_iter().map(|(name, password)| (name, digest(&password))).collect();
        Self { passwords, nobody, wrong: Mutex::default(), clock }
    }

    /// Signs `name` in, who comes from `remote`.
    ///
    /// # Errors
    ///
    /// When the guess is wrong, or not heard.
    pub(crate) fn sign_in(
        &self,
        name: &str,
        password: &str,
        remote: Option<IpAddr>,
    ) -> Result<(), SignInError> {
        let now = self.clock.now();
        let address = remote.map(network);
        // Held until the guess is counted: guesses at once are one after another. A poisoned lock
        // hears none.
        let mut wrong = self.wrong.lock().map_err(|_| SignInError::TooMany)?;
        let known = self.passwords.get(name);
        if used_up(wrong.by_address.get(&address), WRONG_PER_ADDRESS, now)
            || used_up(wrong.by_user.get(name), WRONG_PER_USER, now)
        {
            return Err(SignInError::TooMany);
        }
        let given = digest::sha256(password.as_bytes());
        let right = digest::equal(&given, known.unwrap_or(&self.nobody));
        if right && known.is_some() {
            return Ok(());
        }
        wrong.count_address(address, now);
        if known.is_some() {
            count(wrong.by_user.entry(name.to_owned()), now);
        }
        Err(SignInError::Wrong)
    }
}

impl Wrong {
    fn count_address(&mut self, address: Option<IpAddr>, now: SystemTime) {
        if self.by_address.len() >= ADDRESSES && !self.by_address.contains_key(&address) {
            let first = self.by_address.iter().min_by_key(|(_, tally)| tally.since);
            if let Some(first) = first.map(|(address, _)| *address) {
                self.by_address.remove(&first);
            }
        }
        count(self.by_address.entry(address), now);
    }
}

fn count<K>(entry: std::collections::hash_map::Entry<'_, K, Tally>, now: SystemTime) {
    let tally = entry.or_insert(Tally { since: now, wrong: 0 });
    if !tally.holds(now) {
        *tally = Tally { since: now, wrong: 0 };
    }
    tally.wrong = tally.wrong.saturating_add(1);
}

fn used_up(tally: Option<&Tally>, most: u32, now: SystemTime) -> bool {
    tally.is_some_and(|tally| tally.holds(now) && tally.wrong >= most)
}

impl Tally {
    /// A clock that was set back ends the window, or it would last for longer.
    fn holds(&self, now: SystemTime) -> bool {
        now.duration_since(self.since).is_ok_and(|age| age < WINDOW)
    }
}

/// Whoever has an IPv6 address has all of its /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Without names and passwords.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.passwords.len())
    }
}

#[cfg(test)]
mod tests {
    use portcullis_guard::ManualClock;

    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    fn users() -> (Users, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(1_000));
        let password = |text: &str| Secret::new(text.to_owned());
        let all = [("alice".to_owned(), password("hunter2")), ("bob".to_owned(), password("b"))];
        (Users::new(all, [7; 32], clock.clone()), clock)
    }

    #[test]
    fn a_user_signs_in_with_their_own_password_alone() {
        let (users, _) = users();
        assert_eq!(users.sign_in("alice", "hunter2", HERE), Ok(()));
        for (name, password) in
            [("alice", "hunter"), ("alice", ""), ("alice", "b"), ("Alice", "hunter2"), ("", "")]
        {
            assert_eq!(users.sign_in(name, password, HERE), Err(SignInError::Wrong), "{name}");
        }
        assert!(!format!("{users:?}").contains("alice"));
    }

    #[test]
    fn q04_guesses_from_one_address_end_for_a_while() {
        let (users, clock) = users();
        for _ in 0..WRONG_PER_ADDRESS {
            assert_eq!(users.sign_in("carol", "x", HERE), Err(SignInError::Wrong));
        }
        assert_eq!(users.sign_in("alice", "hunter2", HERE), Err(SignInError::TooMany));
        let elsewhere = Some("192.0.2.1".parse().unwrap());
        assert_eq!(users.sign_in("alice", "hunter2", elsewhere), Ok(()));
        clock.advance(WINDOW);
        assert_eq!(users.sign_in("alice", "hunter2", HERE), Ok(()));
    }

    #[test]
    fn q04_guesses_for_one_user_end_for_a_while_wherever_they_come_from() {
        let (users, clock) = users();
        for n in 0..WRONG_PER_USER {
            let from = Some(IpAddr::V4((0xc000_0200 + n).into()));
            assert_eq!(users.sign_in("alice", "x", from), Err(SignInError::Wrong));
        }
        assert_eq!(users.sign_in("alice", "hunter2", HERE), Err(SignInError::TooMany));
        assert_eq!(users.sign_in("bob", "b", HERE), Ok(()));
        clock.advance(WINDOW);
        assert_eq!(users.sign_in("alice", "hunter2", HERE), Ok(()));
    }

    #[test]
    fn q04_addresses_of_one_ipv6_network_are_one() {
        let (users, _) = users();
        for n in 0..WRONG_PER_ADDRESS {
            let from = Some(format!("2001:db8::{n:x}").parse().unwrap());
            assert_eq!(users.sign_in("carol", "x", from), Err(SignInError::Wrong));
        }
        let neighbour = Some("2001:db8::ffff:1".parse().unwrap());
        assert_eq!(users.sign_in("alice", "hunter2", neighbour), Err(SignInError::TooMany));
        let other = Some("2001:db8:0:1::1".parse().unwrap());
        assert_eq!(users.sign_in("alice", "hunter2", other), Ok(()));
    }

    #[test]
    fn q04_what_is_remembered_is_bounded() {
        let (users, _) = users();
        for n in 0..(ADDRESSES as u32 + 10) {
            let _ = users.sign_in("carol", "x", Some(IpAddr::V4(n.into())));
        }
        assert_eq!(users.wrong.lock().unwrap().by_address.len(), ADDRESSES);
        assert!(users.wrong.lock().unwrap().by_user.is_empty());
    }
}
