//! Limits for guessed passwords, by address and by name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use portcullis_guard::digest;

use super::SignInError;

/// How often passwords were guessed wrong.
///
/// After [`WRONG_PER_ADDRESS`] wrong guesses from one address, or [`WRONG_PER_USER`] for one name,
/// within [`WINDOW`], none is heard until it is over: not even the right one, or a guess would be told
/// by the answer. Names that nobody has are counted alike, so that nobody is told which there are.
///
/// **Deployment caveat.** Someone who guesses keeps a user out for as long as they go on.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<Wrong>);

/// A guess that is counted as a wrong one.
pub(super) struct Guess {
    address: Option<IpAddr>,
    name: [u8; 32],
}

/// How many wrong guesses one address has.
const WRONG_PER_ADDRESS: u32 = 10;
/// How many wrong guesses there are for one name, from anywhere.
const WRONG_PER_USER: u32 = 20;
/// Guesses are counted from the first wrong one for as long as this.
pub(crate) const WINDOW: Duration = Duration::from_secs(10 * 60);
/// How many addresses are remembered, and how many names. Beyond that, one whose window is over is
/// forgotten, or the one with the fewest guesses: whoever guesses many names once, from many networks,
/// wipes out none that is guessed in earnest.
const REMEMBERED: usize = 10_000;

#[derive(Debug, Default)]
struct Wrong {
    by_address: HashMap<Option<IpAddr>, Tally>,
    /// By the digest of the name, which may be long.
    by_name: HashMap<[u8; 32], Tally>,
}

#[derive(Clone, Copy, Debug)]
struct Tally {
    since: SystemTime,
    wrong: u32,
}

impl Guesses {
    /// Counts a guess, if it is heard.
    pub(super) fn begin(
        &self,
        name: &str,
        remote: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Guess, SignInError> {
        let (address, name) = (remote.map(network), digest::sha256(name.as_bytes()));
        // A poisoned lock hears none.
        let mut wrong = self.0.lock().map_err(|_| SignInError::TooMany)?;
        if used_up(wrong.by_address.get(&address), WRONG_PER_ADDRESS, now)
            || used_up(wrong.by_name.get(&name), WRONG_PER_USER, now)
        {
            return Err(SignInError::TooMany);
        }
        count(&mut wrong.by_address, address, now);
        count(&mut wrong.by_name, name, now);
        Ok(Guess { address, name })
    }

    /// The guess was right, or was never made.
    pub(super) fn take_back(&self, guess: &Guess) {
        // With a poisoned lock it stays counted, and none is heard.
        let Ok(mut wrong) = self.0.lock() else { return };
        let Guess { address, name } = *guess;
        take_back(wrong.by_address.entry(address));
        take_back(wrong.by_name.entry(name));
    }
}

/// Whoever takes the place of another one begins with its count, or names that push each other out
/// would never have one.
fn count<K: Copy + Eq + Hash>(tallies: &mut HashMap<K, Tally>, key: K, now: SystemTime) {
    let mut begun = Tally { since: now, wrong: 0 };
    if tallies.len() >= REMEMBERED && !tallies.contains_key(&key) {
        let least = |tally: &Tally| (tally.holds(now), tally.wrong, tally.since);
        let first = tallies.iter().min_by_key(|(_, tally)| least(tally));
        if let Some((first, tally)) = first.map(|(key, tally)| (*key, *tally)) {
            tallies.remove(&first);
            begun = tally;
        }
    }
    let tally = tallies.entry(key).or_insert(begun);
    if !tally.holds(now) {
        *tally = Tally { since: now, wrong: 0 };
    }
    tally.wrong = tally.wrong.saturating_add(1);
}

fn take_back<K>(entry: Entry<'_, K, Tally>) {
    if let Entry::Occupied(mut entry) = entry {
        let tally = entry.get_mut();
        tally.wrong = tally.wrong.saturating_sub(1);
        if tally.wrong == 0 {
            entry.remove();
        }
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portcullis_auth::MaybeFuture;
    use portcullis_guard::{ManualClock, Secret};

    use super::super::{DevelopmentUsers, LocalUsers, OAuthProvider, SignInRefused, UserIdentity};
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    fn password(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn users() -> (LocalUsers, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(1_000));
        let all = [("alice".to_owned(), password("hunter2")), ("bob".to_owned(), password("b"))];
        (LocalUsers::new(Arc::new(DevelopmentUsers::new(all, [7; 32])), clock.clone()), clock)
    }

    async fn sign_in(
        users: &LocalUsers,
        name: &str,
        guess: &str,
        from: Option<IpAddr>,
    ) -> Result<String, SignInError> {
        users.sign_in(name, &password(guess), from).await.map(|user| user.subject)
    }

    fn alice() -> Result<String, SignInError> {
        Ok("alice".to_owned())
    }

    #[tokio::test]
    async fn a_user_signs_in_with_their_own_password_alone() {
        let (users, _) = users();
        assert_eq!(sign_in(&users, "alice", "hunter2", HERE).await, alice());
        for (name, guess) in
            [("alice", "hunter"), ("alice", ""), ("alice", "b"), ("Alice", "hunter2"), ("", "")]
        {
            assert_eq!(sign_in(&users, name, guess, HERE).await, Err(SignInError::Wrong), "{name}");
        }
        assert!(!format!("{users:?}").contains("alice"));
    }

    #[tokio::test]
    async fn q04_guesses_from_one_address_end_for_a_while() {
        let (users, clock) = users();
        for _ in 0..WRONG_PER_ADDRESS {
            assert_eq!(sign_in(&users, "carol", "x", HERE).await, Err(SignInError::Wrong));
        }
        let hunter2 = async |from| sign_in(&users, "alice", "hunter2", from).await;
        assert_eq!(hunter2(HERE).await, Err(SignInError::TooMany));
        assert_eq!(hunter2(Some("192.0.2.1".parse().unwrap())).await, alice());
        clock.advance(WINDOW);
        for _ in 0..2 * WRONG_PER_USER {
            assert_eq!(hunter2(HERE).await, alice(), "right ones are not counted");
        }
    }

    #[tokio::test]
    async fn q04_guesses_for_one_name_end_for_a_while_whoever_has_it() {
        let (users, clock) = users();
        for name in ["alice", "nobody"] {
            for n in 0..WRONG_PER_USER {
                let from = Some(IpAddr::V4((0xc000_0200 + n).into()));
                assert_eq!(sign_in(&users, name, "x", from).await, Err(SignInError::Wrong));
            }
            let told = sign_in(&users, name, "hunter2", HERE).await;
            assert_eq!(told, Err(SignInError::TooMany), "{name}");
            clock.advance(WINDOW);
        }
        assert_eq!(sign_in(&users, "alice", "hunter2", HERE).await, alice());
    }

    #[tokio::test]
    async fn q04_addresses_of_one_ipv6_network_are_one() {
        let (users, _) = users();
        for n in 0..WRONG_PER_ADDRESS {
            let from = Some(format!("2001:db8::{n:x}").parse().unwrap());
            assert_eq!(sign_in(&users, "carol", "x", from).await, Err(SignInError::Wrong));
        }
        let hunter2 =
            async |from: &str| sign_in(&users, "alice", "hunter2", from.parse().ok()).await;
        assert_eq!(hunter2("2001:db8::ffff:1").await, Err(SignInError::TooMany));
        assert_eq!(hunter2("2001:db8:0:1::1").await, alice());
    }

    #[test]
    fn q04_what_is_remembered_is_bounded() {
        let guesses = Guesses::default();
        for n in 0..(REMEMBERED as u32 + 10) {
            let from = Some(IpAddr::V4(n.into()));
            assert!(guesses.begin(&n.to_string(), from, SystemTime::UNIX_EPOCH).is_ok());
        }
        let wrong = guesses.0.lock().unwrap();
        assert_eq!((wrong.by_address.len(), wrong.by_name.len()), (REMEMBERED, REMEMBERED));
    }

    #[test]
    fn q04_a_flood_of_names_and_networks_wipes_out_no_guesses() {
        let (guesses, now) = (Guesses::default(), SystemTime::UNIX_EPOCH);
        let from = |n: u32| Some(IpAddr::V4(n.into()));
        for n in 0..WRONG_PER_USER {
            assert!(guesses.begin("alice", from(n), now).is_ok());
        }
        for _ in 1..WRONG_PER_ADDRESS {
            assert!(guesses.begin("bob", HERE, now).is_ok());
        }
        let later = now + WINDOW / 2;
        for n in 0..REMEMBERED as u32 + 100 {
            assert!(guesses.begin(&n.to_string(), from(1_000 + n), later).is_ok());
        }
        assert!(guesses.begin("alice", from(999_999), later).is_err());
        assert!(guesses.begin("carol", HERE, later).is_ok(), "the tenth");
        assert!(guesses.begin("dave", HERE, later).is_err());
        // What is over makes room.
        let over = now + WINDOW;
        assert!(guesses.begin("alice", from(999_999), over).is_ok());
    }

    #[test]
    fn q04_a_name_is_guessed_no_more_often_because_others_push_it_out() {
        let (guesses, now) = (Guesses::default(), SystemTime::UNIX_EPOCH);
        let from = |n: u32| Some(IpAddr::V4(n.into()));
        for n in 0..2 * REMEMBERED as u32 {
            let name = (n / 2).to_string();
            assert!(guesses.begin(&name, from(n), now).is_ok());
        }
        let heard = (0..100).filter(|n| {
            let other = guesses.begin(&format!("other {n}"), from(1_000_000 + n), now);
            assert!(other.is_ok(), "a name that nobody guessed is heard");
            guesses.begin("alice", from(2_000_000 + n), now).is_ok()
        });
        assert!(heard.count() <= WRONG_PER_USER as usize);
    }

    /// Says nothing until as many wait for it as the barrier is for.
    #[derive(Debug)]
    struct Slow(tokio::sync::Barrier);

    impl OAuthProvider for Slow {
        fn sign_in<'a>(
            &'a self,
            name: &'a str,
            _: &'a Secret<String>,
        ) -> MaybeFuture<'a, Result<UserIdentity, SignInRefused>> {
            MaybeFuture::pending(async move {
                self.0.wait().await;
                match name {
                    "long" => Ok(UserIdentity::new("x".repeat(256))),
                    "away" => Err(SignInRefused::Unavailable),
                    _ => Ok(UserIdentity::new(name)),
                }
            })
        }
    }

    #[tokio::test]
    async fn q04_guesses_at_once_are_bounded_too() {
        let most = WRONG_PER_ADDRESS as usize;
        let slow = Arc::new(Slow(tokio::sync::Barrier::new(most + 1)));
        let users = Arc::new(LocalUsers::new(slow.clone(), Arc::new(ManualClock::at(1_000))));
        let guess =
            |users: Arc<LocalUsers>| async move { sign_in(&users, "alice", "x", HERE).await };
        let mut heard: Vec<_> = (0..2 * most).map(|_| tokio::spawn(guess(users.clone()))).collect();
        for refused in heard.split_off(most) {
            assert_eq!(refused.await.unwrap(), Err(SignInError::TooMany));
        }
        slow.0.wait().await;
        for heard in heard {
            assert_eq!(heard.await.unwrap(), alice());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_does_not_answer_signs_nobody_in() {
        let of = |most| Arc::new(Slow(tokio::sync::Barrier::new(most)));
        let clock = Arc::new(ManualClock::at(1_000));
        for (provider, name) in [(of(1), "away"), (of(1), "long"), (of(1), ""), (of(2), "alice")] {
            let users = LocalUsers::new(provider, clock.clone());
            let told = sign_in(&users, name, "x", HERE).await;
            assert_eq!(told, Err(SignInError::Unavailable), "{name}");
        }
    }
}
