//! The lines that wait, and the thread that writes them.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{DeliveryError, MAX_WAITING};

/// How long lines gather between two writes, unless what they are written to wants it longer.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// So many bytes of lines gather no longer.
const GATHERED: usize = 256 * 1024;

/// How long a caller waits for the writer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the lines are written to, by a thread.
pub(crate) trait Output: Send + 'static {
    /// What can take its place.
    type Next: Send + 'static;
    /// The name of the thread.
    const THREAD: &'static str;
    /// Whether lines are refused from a failure on, until it is made good. Otherwise they wait as long
    /// as there is room.
    const REFUSES_WHILE_FAILING: bool;

    /// What comes before `bytes` are written.
    fn prepare(&mut self, bytes: usize) {
        let _ = bytes;
    }

    /// Writes the first of `lines`, and says how many bytes that was.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize>;

    /// Goes on in `next`, at the beginning of a line.
    fn go_on_in(&mut self, next: Self::Next);

    /// How long a failed write rests before it is tried again.
    fn pause(&self) -> Duration;

    /// How long lines gather between two writes.
    fn gathers(&self) -> Duration {
        PAUSE
    }

    /// What the log calls it.
    fn name(&self) -> String;
}

pub(crate) struct Queue<N> {
    state: Mutex<State<N>>,
    refuses_while_failing: bool,
    /// For the writer: there is something to do.
    work: Condvar,
    /// For callers that wait for the writer: something was written, failed or ended.
    progress: Condvar,
}

struct State<N> {
    lines: Vec<u8>,
    /// The bytes ever appended, and those of them that are written.
    appended: u64,
    written: u64,
    /// Why the last write failed, until one succeeds.
    failure: Option<Arc<io::Error>>,
    /// What takes the place of what is written to.
    next: Option<N>,
    /// Whether the writer sleeps until there is a line.
    idle: bool,
    /// How many callers wait for the writer.
    flushing: usize,
    closing: bool,
    ended: bool,
}

impl<N> State<N> {
    fn ready(&self) -> Result<(), DeliveryError> {
        match &self.failure {
            Some(cause) if !self.ended && !self.closing => {
                Err(DeliveryError::Failed(cause.clone()))
            }
            Some(_) | None => self.has_room(),
        }
    }

    fn has_room(&self) -> Result<(), DeliveryError> {
        if self.ended || self.closing {
            return Err(DeliveryError::Ended);
        }
        if self.appended - self.written >= MAX_WAITING {
            return Err(DeliveryError::Full);
        }
        Ok(())
    }
}

impl<N> Queue<N> {
    pub(crate) fn new(first: &[u8], refuses_while_failing: bool) -> Self {
        let state = Mutex::new(State {
            lines: first.to_vec(),
            appended: first.len() as u64,
            written: 0,
            failure: None,
            next: None,
            idle: false,
            flushing: 0,
            closing: false,
            ended: false,
        });
        let (work, progress) = (Condvar::new(), Condvar::new());
        Self { state, refuses_while_failing, work, progress }
    }

    pub(crate) fn append(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> Result<(), DeliveryError> {
        let mut state = self.lock()?;
        match self.refuses_while_failing {
            true => state.ready()?,
            false => state.has_room()?,
        }
        let before = state.lines.len();
        let written = write(&mut state.lines);
        state.lines.push(b'\n');
        let line = state.lines.len().saturating_sub(before) as u64;
        let full = state.appended - state.written + line > MAX_WAITING;
        if full || written.is_err() {
            state.lines.truncate(before);
            written.map_err(|cause| DeliveryError::Failed(Arc::new(cause)))?;
            return Err(DeliveryError::Full);
        }
        state.appended += line;
        let are_enough = before < GATHERED && state.lines.len() >= GATHERED;
        // A wake-up costs a system call, so only a sleeping writer is woken.
        if std::mem::take(&mut state.idle) || are_enough {
            drop(state);
            self.work.notify_one();
        }
        Ok(())
    }

    pub(crate) fn ready(&self) -> Result<(), DeliveryError> {
        self.lock()?.ready()
    }

    pub(crate) fn flush(&self) -> Result<(), DeliveryError> {
        let mut state = self.lock()?;
        let target = state.appended;
        state.flushing += 1;
        self.work.notify_one();
        let is_final = |s: &State<N>| self.refuses_while_failing && s.failure.is_some();
        let mut state = self.wait(state, |s| s.written < target && !is_final(s))?;
        state.flushing -= 1;
        match &state.failure {
            _ if state.written >= target => Ok(()),
            Some(cause) => Err(DeliveryError::Failed(cause.clone())),
            None if state.ended => Err(DeliveryError::Ended),
            None => Err(DeliveryError::Failed(Arc::new(io::ErrorKind::TimedOut.into()))),
        }
    }

    /// Has the writer go on in `next`.
    pub(crate) fn go_on_in(&self, next: N) -> Result<(), DeliveryError> {
        self.lock()?.next = Some(next);
        self.work.notify_one();
        Ok(())
    }

    /// Takes no more lines, and waits until the writer has ended. Says whether it has.
    pub(crate) fn close(&self) -> bool {
        let Ok(mut state) = self.lock() else { return false };
        state.closing = true;
        self.work.notify_one();
        self.wait(state, |_| true).is_ok_and(|state| state.ended)
    }

    /// Writes the lines to `out` until the queue is closed: the writer thread's loop.
    pub(crate) fn write_to(&self, mut out: impl Output<Next = N>) {
        let _end = End(self);
        let mut batch = Vec::new();
        while self.next(&mut batch, &mut out).is_ok_and(|more| more) {
            if let Err(unwritten) = self.write(&mut out, &batch) {
                let lines = count(unwritten) + self.lock().map_or(0, |state| count(&state.lines));
                tracing::error!(to = out.name(), lines, "the last lines are lost");
                return;
            }
            batch.clear();
        }
    }

    /// Waits for lines and exchanges them for the empty `batch`, and goes on in what is next. There
    /// are no more lines once the queue is closed.
    fn next(
        &self,
        batch: &mut Vec<u8>,
        out: &mut impl Output<Next = N>,
    ) -> Result<bool, DeliveryError> {
        loop {
            let rests = |s: &mut State<N>| {
                !s.closing && s.flushing == 0 && s.next.is_none() && s.lines.len() < GATHERED
            };
            let (mut state, _) =
                self.work.wait_timeout_while(self.lock()?, out.gathers(), rests).map_err(ended)?;
            state.idle = true;
            let sleeps = |s: &mut State<N>| s.lines.is_empty() && !s.closing && s.next.is_none();
            let mut state = self.work.wait_while(state, sleeps).map_err(ended)?;
            state.idle = false;
            let next = state.next.take();
            std::mem::swap(&mut state.lines, batch);
            let closing = state.closing;
            drop(state);
            if let Some(next) = next {
                out.go_on_in(next);
            }
            if closing || !batch.is_empty() {
                return Ok(!batch.is_empty());
            }
        }
    }

    /// Writes `batch`, however often it fails. Gives up only once the queue is closed, and returns
    /// what is unwritten.
    fn write<'b>(&self, out: &mut impl Output<Next = N>, batch: &'b [u8]) -> Result<(), &'b [u8]> {
        out.prepare(batch.len());
        let (mut written, mut noted) = (0, 0);
        while let Some(rest) = batch.get(written..).filter(|rest| !rest.is_empty()) {
            let failure = match out.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(more) => {
                    written += more;
                    // A line that is torn may yet be written again: it is noted with its batch.
                    if !self.refuses_while_failing {
                        self.note(written - noted).map_err(|()| rest)?;
                        noted = written;
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            match self.rest(failure, out.pause()) {
                Rested::Closed => return Err(rest),
                Rested::Again => {}
                Rested::Replaced(next) => {
                    out.go_on_in(next);
                    // The line that is torn in the old file is whole in this one.
                    let whole = batch.get(..written).unwrap_or_default();
                    written =
                        whole.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                }
            }
        }
        self.note(batch.len() - noted).map_err(|()| &[][..])
    }

    /// Notes that so many bytes more are written.
    fn note(&self, more: usize) -> Result<(), ()> {
        let mut state = self.lock().map_err(|_| ())?;
        state.written += more as u64;
        state.failure = None;
        self.progress.notify_all();
        Ok(())
    }

    /// Rests after a failure, and says how to go on.
    fn rest(&self, failure: io::Error, pause: Duration) -> Rested<N> {
        let Ok(mut state) = self.lock() else { return Rested::Closed };
        state.failure = Some(Arc::new(failure));
        self.progress.notify_all();
        if state.closing {
            return Rested::Closed;
        }
        let rests = |s: &mut State<N>| !s.closing && s.next.is_none();
        match self.work.wait_timeout_while(state, pause, rests) {
            Ok((mut state, _)) => state.next.take().map_or(Rested::Again, Rested::Replaced),
            Err(_) => Rested::Closed,
        }
    }

    /// Waits for the writer as long as `condition` holds, it has not ended, and there is
    /// time.
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State<N>>,
        mut condition: impl FnMut(&State<N>) -> bool,
    ) -> Result<MutexGuard<'a, State<N>>, DeliveryError> {
        let waits = |s: &mut State<N>| !s.ended && condition(s);
        let waited = self.progress.wait_timeout_while(state, PATIENCE, waits);
        waited.map(|(state, _)| state).map_err(ended)
    }

    fn lock(&self) -> Result<MutexGuard<'_, State<N>>, DeliveryError> {
        self.state.lock().map_err(ended)
    }

    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().is_ok_and(|state| state.idle)
    }

    /// Waits until the last write has succeeded.
    #[cfg(test)]
    pub(crate) fn recover(&self) -> Result<(), DeliveryError> {
        self.wait(self.lock()?, |s| s.failure.is_some())?.ready()
    }
}

/// What came after a failed write.
enum Rested<N> {
    /// The time is over: try again.
    Again,
    /// There is something else to write to.
    Replaced(N),
    Closed,
}

fn count(lines: &[u8]) -> usize {
    lines.iter().filter(|byte| **byte == b'\n').count()
}

/// A line may be half there: nothing more is written.
fn ended<T>(_: PoisonError<T>) -> DeliveryError {
    DeliveryError::Ended
}

/// Notes that the writer has ended, also after a panic.
struct End<'a, N>(&'a Queue<N>);

impl<N> Drop for End<'_, N> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.0.lock() {
            state.ended = true;
        }
        self.0.progress.notify_all();
    }
}
