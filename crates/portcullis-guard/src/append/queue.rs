//! The lines that wait, and the thread that writes them.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::AppendError;

/// The most bytes that wait to be written.
pub(super) const MAX_UNWRITTEN: u64 = 8 * 1024 * 1024;

/// How long lines gather between two writes.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a caller waits for the writer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Queue {
    state: Mutex<State>,
    /// For the writer: there is something to do.
    work: Condvar,
    /// For callers that wait for the writer: something was written, failed or ended.
    progress: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// The bytes ever appended, and those of them that are written.
    appended: u64,
    written: u64,
    /// Why the last write failed, until one succeeds.
    failure: Option<Arc<io::Error>>,
    /// Whether the writer sleeps until there is a line.
    idle: bool,
    /// How many callers wait for the writer.
    flushing: usize,
    closing: bool,
    ended: bool,
}

impl State {
    fn ready(&self) -> Result<(), AppendError> {
        if self.ended || self.closing {
            return Err(AppendError::Ended);
        }
        if let Some(cause) = &self.failure {
            return Err(AppendError::Failed(cause.clone()));
        }
        if self.appended - self.written >= MAX_UNWRITTEN {
            return Err(AppendError::Full);
        }
        Ok(())
    }
}

impl Queue {
    pub(super) fn new(first: &[u8]) -> Self {
        let state =
            State { lines: first.to_vec(), appended: first.len() as u64, ..State::default() };
        Self { state: Mutex::new(state), work: Condvar::new(), progress: Condvar::new() }
    }

    pub(super) fn append(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> Result<(), AppendError> {
        let mut state = self.lock()?;
        state.ready()?;
        let before = state.lines.len();
        let written = write(&mut state.lines);
        state.lines.push(b'\n');
        let line = state.lines.len().saturating_sub(before) as u64;
        let full = state.appended - state.written + line > MAX_UNWRITTEN;
        if full || written.is_err() {
            state.lines.truncate(before);
            written.map_err(|cause| AppendError::Failed(Arc::new(cause)))?;
            return Err(AppendError::Full);
        }
        state.appended += line;
        // A wake-up costs a system call, so only a sleeping writer is woken.
        if std::mem::take(&mut state.idle) {
            drop(state);
            self.work.notify_one();
        }
        Ok(())
    }

    pub(super) fn ready(&self) -> Result<(), AppendError> {
        self.lock()?.ready()
    }

    pub(super) fn flush(&self) -> Result<(), AppendError> {
        let mut state = self.lock()?;
        let target = state.appended;
        state.flushing += 1;
        self.work.notify_one();
        let mut state = self.wait(state, |s| s.written < target && s.failure.is_none())?;
        state.flushing -= 1;
        match &state.failure {
            _ if state.written >= target => Ok(()),
            Some(cause) => Err(AppendError::Failed(cause.clone())),
            None if state.ended => Err(AppendError::Ended),
            None => Err(AppendError::Failed(Arc::new(io::ErrorKind::TimedOut.into()))),
        }
    }

    /// Takes no more lines, and waits until the writer has ended. Says whether it has.
    pub(super) fn close(&self) -> bool {
        let Ok(mut state) = self.lock() else { return false };
        state.closing = true;
        self.work.notify_one();
        self.wait(state, |_| true).is_ok_and(|state| state.ended)
    }

    /// Writes the lines to `out` until the queue is closed: the writer thread's loop.
    pub(super) fn write_to(&self, mut out: impl io::Write, retry: Duration) {
        let _end = End(self);
        let mut batch = Vec::new();
        while self.next(&mut batch).is_ok_and(|more| more) {
            if !self.write(&mut out, &batch, retry) {
                tracing::error!("cannot write the file: the last lines are lost");
                return;
            }
            batch.clear();
        }
    }

    /// Waits for lines and exchanges them for the empty `batch`. There are no more once the
    /// queue is closed.
    fn next(&self, batch: &mut Vec<u8>) -> Result<bool, AppendError> {
        let rests = |s: &mut State| !s.closing && s.flushing == 0;
        let (mut state, _) =
            self.work.wait_timeout_while(self.lock()?, PAUSE, rests).map_err(ended)?;
        state.idle = true;
        let sleeps = |s: &mut State| s.lines.is_empty() && !s.closing;
        let mut state = self.work.wait_while(state, sleeps).map_err(ended)?;
        state.idle = false;
        std::mem::swap(&mut state.lines, batch);
        Ok(!batch.is_empty())
    }

    /// Writes `batch`, however often it fails. Gives up only once the queue is closed.
    fn write(&self, out: &mut impl io::Write, batch: &[u8], retry: Duration) -> bool {
        let mut rest = batch;
        while !rest.is_empty() {
            let failure = match out.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            if !self.rest(failure, retry) {
                return false;
            }
        }
        let Ok(mut state) = self.lock() else { return false };
        state.written += batch.len() as u64;
        state.failure = None;
        self.progress.notify_all();
        true
    }

    /// Rests after a failure, and says whether to try again.
    fn rest(&self, failure: io::Error, retry: Duration) -> bool {
        let Ok(mut state) = self.lock() else { return false };
        if state.closing {
            return false;
        }
        state.failure = Some(Arc::new(failure));
        self.progress.notify_all();
        self.work.wait_timeout_while(state, retry, |s| !s.closing).is_ok()
    }

    /// Waits for the writer as long as `condition` holds, it has not ended, and there is
    /// time.
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        mut condition: impl FnMut(&State) -> bool,
    ) -> Result<MutexGuard<'a, State>, AppendError> {
        let waits = |s: &mut State| !s.ended && condition(s);
        let waited = self.progress.wait_timeout_while(state, PATIENCE, waits);
        waited.map(|(state, _)| state).map_err(ended)
    }

    fn lock(&self) -> Result<MutexGuard<'_, State>, AppendError> {
        self.state.lock().map_err(ended)
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.lock().is_ok_and(|state| state.idle)
    }

    /// Waits until the last write has succeeded.
    #[cfg(test)]
    pub(super) fn recover(&self) -> Result<(), AppendError> {
        self.wait(self.lock()?, |s| s.failure.is_some())?.ready()
    }
}

/// A line may be half there: nothing more is written.
fn ended<T>(_: PoisonError<T>) -> AppendError {
    AppendError::Ended
}

/// Notes that the writer has ended, also after a panic.
struct End<'a>(&'a Queue);

impl Drop for End<'_> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.0.lock() {
            state.ended = true;
        }
        self.0.progress.notify_all();
    }
}
