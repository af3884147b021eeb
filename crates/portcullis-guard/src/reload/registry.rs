//! What of this process is to be reloaded, and the thread that does it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// How often everything is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// When something is looked at again that has just changed.
const AGAIN: Duration = Duration::from_millis(250);

/// Something that can be reloaded while the process runs.
pub trait Reload: Send + Sync + 'static {
    /// Looks for what is new, and takes it. May block: a thread of its own calls it.
    fn reload(&self, cause: Cause) -> Progress;
}

/// Why something is to be reloaded.
///
/// Exhaustive: there is no third cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Two seconds are over.
    Poll,
    /// The operator asks for it, by SIGHUP.
    Signal,
}

/// The outcome of a look.
///
/// Exhaustive: something is still changing, or nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is left to do.
    Settled,
    /// Something is changing: look again soon.
    Pending,
}

/// One for the process, as the signal is.
static REGISTRY: Registry = Registry {
    state: Mutex::new(State { watched: Vec::new(), asked: false, running: false }),
    asked: Condvar::new(),
};

struct Registry {
    state: Mutex<State>,
    asked: Condvar,
}

struct State {
    watched: Vec<Weak<dyn Reload>>,
    asked: bool,
    running: bool,
}

/// Reloads `what` every two seconds, and at SIGHUP while a server runs, until it is dropped.
///
/// # Errors
///
/// When the thread for it cannot be started.
pub fn watch(what: &Arc<dyn Reload>) -> io::Result<()> {
    let mut state = REGISTRY.state();
    if !state.running {
        thread::Builder::new().name("portcullis-reload".to_owned()).spawn(run)?;
        state.running = true;
    }
    state.watched.push(Arc::downgrade(what));
    Ok(())
}

/// Reloads everything that is watched, now: what SIGHUP does. Waits for nothing.
pub fn now() {
    REGISTRY.state().asked = true;
    REGISTRY.asked.notify_one();
}

/// Whether there is anything to reload.
#[must_use]
pub fn is_anything_watched() -> bool {
    REGISTRY.state().watched.iter().any(|what| what.strong_count() > 0)
}

fn run() {
    let mut wait = EVERY;
    while let Some((watched, cause)) = REGISTRY.next(wait) {
        let mut progress = Progress::Settled;
        for what in watched.iter().filter_map(Weak::upgrade) {
            let reload = catch_unwind(AssertUnwindSafe(|| what.reload(cause)));
            match reload {
                Ok(Progress::Pending) => progress = Progress::Pending,
                Ok(Progress::Settled) => {}
                Err(_) => {
                    tracing::error!("a panic while something was reloaded: it stays as it was")
                }
            }
        }
        wait = match progress {
            Progress::Settled => EVERY,
            Progress::Pending => AGAIN,
        };
    }
}

impl Registry {
    /// Waits so long, or until somebody asks. There is nothing more once nothing is watched.
    fn next(&self, wait: Duration) -> Option<(Vec<Weak<dyn Reload>>, Cause)> {
        let waited = self.asked.wait_timeout_while(self.state(), wait, |state| !state.asked);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let cause = match std::mem::take(&mut state.asked) {
            true => Cause::Signal,
            false => Cause::Poll,
        };
        state.watched.retain(|what| what.strong_count() > 0);
        state.running = !state.watched.is_empty();
        state.running.then(|| (state.watched.clone(), cause))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A list of weak references is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
