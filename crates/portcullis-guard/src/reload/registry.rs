//! What of this process is to be reloaded, and the thread that has it done.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

/// How often everything is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// When something is looked at again that has just changed.
const AGAIN: Duration = Duration::from_millis(250);
/// How long a look may take before the log says so: what it looks for is late by then.
const LATE: Duration = Duration::from_secs(5);

/// Something that can be reloaded while the process runs.
pub trait Reload: Send + Sync + 'static {
    /// Looks for what is new, and takes it. May block: a thread of its own calls it, and everything
    /// else goes on meanwhile.
    fn reload(&self, cause: Cause) -> Progress;

    /// What it is, for the log.
    fn name(&self) -> String;
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
    state: Mutex::new(State { watched: Vec::new(), asked: false, pending: false, running: false }),
    changed: Condvar::new(),
};

struct Registry {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    watched: Vec<Watched>,
    /// Somebody asks for everything to be reloaded.
    asked: bool,
    /// Something is changing.
    pending: bool,
    running: bool,
}

/// Something that is watched, and the look that is taken of it, if one is.
#[derive(Clone)]
struct Watched {
    what: Weak<dyn Reload>,
    look: Arc<Mutex<Option<Look>>>,
}

/// A look that is being taken: at a file on a file system that hangs, for as long as that does.
struct Look {
    since: Instant,
    /// Whether the log has it that it is late.
    is_late: bool,
    /// Whether another one was asked for meanwhile.
    asked: bool,
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
    state.watched.push(Watched { what: Arc::downgrade(what), look: Arc::default() });
    Ok(())
}

/// Reloads everything that is watched, now: what SIGHUP does. Waits for nothing.
pub fn now() {
    REGISTRY.state().asked = true;
    REGISTRY.changed.notify_one();
}

/// Whether there is anything to reload.
#[must_use]
pub fn is_anything_watched() -> bool {
    REGISTRY.state().watched.iter().any(|watched| watched.what.strong_count() > 0)
}

fn run() {
    let mut wait = EVERY;
    while let Some((watched, cause)) = REGISTRY.next(&mut wait) {
        watched.iter().for_each(|watched| watched.begin(cause));
    }
}

impl Registry {
    /// Waits so long, or until somebody asks. There is nothing more once nothing is watched.
    fn next(&self, wait: &mut Duration) -> Option<(Vec<Watched>, Cause)> {
        let mut state = self.state();
        loop {
            let rests = |state: &mut State| !state.asked && (!state.pending || *wait == AGAIN);
            let waited = self.changed.wait_timeout_while(state, *wait, rests);
            let (next, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = next;
            if state.asked || timeout.timed_out() {
                break;
            }
            *wait = AGAIN;
        }
        let cause = match std::mem::take(&mut state.asked) {
            true => Cause::Signal,
            false => Cause::Poll,
        };
        state.pending = false;
        *wait = EVERY;
        state.watched.retain(|watched| watched.what.strong_count() > 0);
        state.running = !state.watched.is_empty();
        state.running.then(|| (state.watched.clone(), cause))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A list of weak references is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// Looks at it on a thread of its own, unless the last look still hangs.
    fn begin(&self, cause: Cause) {
        let Some(what) = self.what.upgrade() else { return };
        let mut look = self.look();
        if let Some(look) = &mut *look {
            look.asked |= cause == Cause::Signal;
            if look.since.elapsed() > LATE && !look.is_late {
                look.is_late = true;
                tracing::error!(
                    what = what.name(),
                    "it cannot be reloaded: reading it hangs, so what it held before stays in force"
                );
            }
            return;
        }
        *look = Some(Look { since: Instant::now(), is_late: false, asked: false });
        drop(look);
        let watched = self.clone();
        let begun = thread::Builder::new()
            .name("portcullis-look".to_owned())
            .spawn(move || watched.finish(&*what, cause));
        if let Err(error) = begun {
            *self.look() = None;
            tracing::error!(%error, "nothing can be reloaded: no thread can be started");
        }
    }

    fn finish(&self, what: &dyn Reload, mut cause: Cause) {
        loop {
            let reload = catch_unwind(AssertUnwindSafe(|| what.reload(cause)));
            let progress = reload.unwrap_or_else(|_| {
                tracing::error!("a panic while something was reloaded: it stays as it was");
                Progress::Settled
            });
            let mut look = self.look();
            match &mut *look {
                Some(look) if look.asked => {
                    look.asked = false;
                    cause = Cause::Signal;
                }
                _ => {
                    *look = None;
                    drop(look);
                    if progress == Progress::Pending {
                        REGISTRY.state().pending = true;
                        REGISTRY.changed.notify_one();
                    }
                    return;
                }
            }
        }
    }

    fn look(&self) -> MutexGuard<'_, Option<Look>> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::*;

    /// Tells of each look, and hangs until it may go on.
    struct Hanging {
        looked: Sender<Cause>,
        may_go_on: Mutex<Receiver<()>>,
    }

    impl Reload for Hanging {
        fn reload(&self, cause: Cause) -> Progress {
            self.looked.send(cause).unwrap();
            self.may_go_on.lock().unwrap().recv().unwrap();
            Progress::Settled
        }

        fn name(&self) -> String {
            "what hangs".to_owned()
        }
    }

    #[test]
    fn a_signal_while_something_hangs_is_answered_after_that_and_a_poll_is_left_out() {
        let ((looked, looks), (free, may_go_on)) = (mpsc::channel(), mpsc::channel());
        let what: Arc<dyn Reload> = Arc::new(Hanging { looked, may_go_on: Mutex::new(may_go_on) });
        let watched = Watched { what: Arc::downgrade(&what), look: Arc::default() };
        let patience = Duration::from_secs(5);
        watched.begin(Cause::Poll);
        assert_eq!(looks.recv_timeout(patience), Ok(Cause::Poll));
        [Cause::Signal, Cause::Poll].into_iter().for_each(|cause| watched.begin(cause));
        assert!(looks.try_recv().is_err(), "one look at a time");
        free.send(()).unwrap();
        assert_eq!(looks.recv_timeout(patience), Ok(Cause::Signal));
        free.send(()).unwrap();
        let over = || watched.look().is_none();
        (0..500).take_while(|_| !over()).for_each(|_| thread::sleep(Duration::from_millis(10)));
        assert!(over() && looks.try_recv().is_err(), "nothing else was asked for");
    }
}
