//! Which secrets are known, and what finds them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use secrecy::zeroize::Zeroizing;

use super::MIN_BYTES;
use super::matcher::Matcher;
use crate::digest;

/// How many values of one secret are looked for.
const MAX_VALUES: usize = 16;

/// How many secrets of the environment are looked for until the process ends.
const MAX_KEPT: usize = 256;

/// A secret that is looked for, as long as this lives; one that is too short is only remembered, not to
/// be warned of again.
pub(crate) struct Known {
    secret: Zeroizing<Vec<u8>>,
    what: Box<str>,
}

/// The secrets of the process: a result may hold one of another server's, too.
static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { known: Vec::new(), built: 0, matcher: None });

/// The secrets of the environment, where they stay for as long as the process runs: what was made of
/// them is in use after the struct that they were read into is gone.
static KEPT: Mutex<VecDeque<Arc<Known>>> = Mutex::new(VecDeque::new());

/// Grows by one whenever a secret becomes known or is known no more. It is changed under the lock
/// of the registry alone.
static GENERATION: AtomicU64 = AtomicU64::new(0);

struct Registry {
    known: Vec<Weak<Known>>,
    /// The generation that `matcher` was made of.
    built: u64,
    matcher: Option<Arc<Matcher>>,
}

thread_local! {
    /// What this thread used last. The matcher holds secrets, so it is the registry alone that keeps
    /// it from being wiped.
    static LAST: RefCell<Last> = const { RefCell::new(Last { generation: 0, matcher: None }) };
}

struct Last {
    generation: u64,
    matcher: Option<Weak<Matcher>>,
}

impl Known {
    /// Has `secret` looked for from now on, unless it is too short. White space around it is not
    /// part of it. The log calls it `what`. One that is known already stays as it is: sources give the
    /// same secret again and again.
    pub(crate) fn new(secret: &[u8], what: &str) -> Arc<Self> {
        let secret = secret.trim_ascii();
        // The lock is let go of first: the last of a secret's holders may be here.
        let alive: Vec<Arc<Self>> = registry().known.iter().filter_map(Weak::upgrade).collect();
        let same = |known: &Arc<Self>| {
            *known.what == *what && digest::equal(known.secret.as_slice(), secret)
        };
        if let Some(known) = alive.into_iter().find(same) {
            return known;
        }
        let known = Arc::new(Self { secret: Zeroizing::new(secret.to_vec()), what: what.into() });
        let mut registry = registry();
        registry.known.push(Arc::downgrade(&known));
        if known.is_looked_for() {
            registry.changed();
            return known;
        }
        // The log is written without the lock: it looks for secrets.
        drop(registry);
        tracing::warn!(
            what,
            "a secret of fewer than 8 bytes is not looked for in results and logs, where it would \
             be found by accident: choose a longer one"
        );
        known
    }

    /// As [`new`](Self::new), until the process ends, or until 256 others came after it.
    pub(crate) fn kept(secret: &[u8], what: &str) -> Arc<Self> {
        let known = Self::new(secret, what);
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.iter().any(|other| Arc::ptr_eq(other, &known)) {
            kept.push_back(Arc::clone(&known));
        }
        let oldest = if kept.len() > MAX_KEPT { kept.pop_front() } else { None };
        // Without the lock: its end takes that of the registry.
        drop(kept);
        drop(oldest);
        known
    }

    fn is_looked_for(&self) -> bool {
        self.secret.len() >= MIN_BYTES
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        let mut registry = registry();
        registry.known.retain(|known| known.strong_count() > 0);
        if self.is_looked_for() {
            registry.changed();
        }
    }
}

/// The values that one secret has had: an old one is good elsewhere for a while.
#[derive(Default)]
pub(crate) struct KnownValues(Mutex<VecDeque<Arc<Known>>>);

impl KnownValues {
    /// Has `secret` looked for as long as this lives, or until 16 others came after it.
    pub(crate) fn add(&self, secret: &[u8], what: &str) {
        let known = Known::new(secret, what);
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that comes back is the newest again, and pushes no other out.
        values.retain(|value| !Arc::ptr_eq(value, &known));
        values.push_back(known);
        if values.len() > MAX_VALUES {
            values.pop_front();
        }
    }
}

impl Registry {
    /// What finds the secrets is made when it is used next: twenty are often loaded at once.
    fn changed(&mut self) {
        self.matcher = None;
        GENERATION.fetch_add(1, Ordering::Release);
    }
}

/// What finds the secrets that are known, if any is.
pub(super) fn matcher() -> Option<Arc<Matcher>> {
    let generation = GENERATION.load(Ordering::Acquire);
    if generation == 0 {
        return None;
    }
    let last = LAST.try_with(|last| {
        let last = last.try_borrow().ok()?;
        if last.generation != generation {
            return None;
        }
        match &last.matcher {
            None => Some(None),
            Some(matcher) => matcher.upgrade().map(Some),
        }
    });
    // A thread that ends has nothing left to remember by.
    last.ok().flatten().unwrap_or_else(built)
}

fn built() -> Option<Arc<Matcher>> {
    let (generation, matcher) = build();
    let kept = Last { generation, matcher: matcher.as_ref().map(Arc::downgrade) };
    let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = kept));
    matcher
}

/// The matcher of the present generation, which is made if nobody has.
fn build() -> (u64, Option<Arc<Matcher>>) {
    let (generation, known) = {
        let registry = registry();
        let generation = GENERATION.load(Ordering::Acquire);
        if registry.built == generation {
            return (generation, registry.matcher.clone());
        }
        (generation, registry.known.clone())
    };
    // Without the lock: the last of a secret's holders may drop it meanwhile, which takes it.
    let known: Vec<Arc<Known>> = known.iter().filter_map(Weak::upgrade).collect();
    let secrets = known.iter().filter(|known| known.is_looked_for());
    let secrets = secrets.map(|known| known.secret.as_slice());
    let matcher = Matcher::new(secrets).map(Arc::new);
    let mut registry = registry();
    if GENERATION.load(Ordering::Acquire) == generation {
        registry.built = generation;
        registry.matcher.clone_from(&matcher);
    }
    drop(registry);
    (generation, matcher)
}

fn registry() -> MutexGuard<'static, Registry> {
    // It is whole after every statement: at worst the matcher is made once more.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}
