//! The lines that wait, and the thread that writes them.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rotation::Rotating;
use super::{AppendError, open};

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
    /// The file that takes the place of the one that is written to.
    reopened: Option<File>,
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

    /// Has the writer go on in `file`.
    pub(super) fn reopen(&self, file: File) -> Result<(), AppendError> {
        self.lock()?.reopened = Some(file);
        self.work.notify_one();
        Ok(())
    }

    /// Takes no more lines, and waits until the writer has ended. Says whether it has.
    pub(super) fn close(&self) -> bool {
        let Ok(mut state) = self.lock() else { return false };
        state.closing = true;
        self.work.notify_one();
        self.wait(state, |_| true).is_ok_and(|state| state.ended)
    }

    /// Writes the lines to `out` until the queue is closed: the writer thread's loop.
    pub(super) fn write_to(&self, mut out: Out, retry: Duration) {
        let _end = End(self);
        let mut batch = Vec::new();
        while self.next(&mut batch, &mut out).is_ok_and(|more| more) {
            if !self.write(&mut out, &batch, retry) {
                tracing::error!("cannot write the file: the last lines are lost");
                return;
            }
            batch.clear();
        }
    }

    /// Waits for lines and exchanges them for the empty `batch`, and `out` for a reopened file.
    /// There are no more lines once the queue is closed.
    fn next(&self, batch: &mut Vec<u8>, out: &mut Out) -> Result<bool, AppendError> {
        loop {
            let rests = |s: &mut State| !s.closing && s.flushing == 0 && s.reopened.is_none();
            let (mut state, _) =
                self.work.wait_timeout_while(self.lock()?, PAUSE, rests).map_err(ended)?;
            state.idle = true;
            let sleeps = |s: &mut State| s.lines.is_empty() && !s.closing && s.reopened.is_none();
            let mut state = self.work.wait_while(state, sleeps).map_err(ended)?;
            state.idle = false;
            let reopened = state.reopened.take();
            std::mem::swap(&mut state.lines, batch);
            let closing = state.closing;
            drop(state);
            if let Some(file) = reopened {
                out.go_on_in(file);
            }
            if closing || !batch.is_empty() {
                return Ok(!batch.is_empty());
            }
        }
    }

    /// Writes `batch`, however often it fails. Gives up only once the queue is closed.
    fn write(&self, out: &mut Out, batch: &[u8], retry: Duration) -> bool {
        out.rotate(batch.len());
        let mut written = 0;
        while let Some(rest) = batch.get(written..).filter(|rest| !rest.is_empty()) {
            let failure = match out.writer.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(more) => {
                    written += more;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            match self.rest(failure, retry) {
                Rested::Closed => return false,
                Rested::Again => {}
                Rested::Reopened(file) => {
                    out.go_on_in(file);
                    // The line that is torn in the old file is whole in this one.
                    let whole = batch.get(..written).unwrap_or_default();
                    written =
                        whole.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                }
            }
        }
        let Ok(mut state) = self.lock() else { return false };
        state.written += batch.len() as u64;
        state.failure = None;
        self.progress.notify_all();
        true
    }

    /// Rests after a failure, and says how to go on.
    fn rest(&self, failure: io::Error, retry: Duration) -> Rested {
        let Ok(mut state) = self.lock() else { return Rested::Closed };
        if state.closing {
            return Rested::Closed;
        }
        state.failure = Some(Arc::new(failure));
        self.progress.notify_all();
        let rests = |s: &mut State| !s.closing && s.reopened.is_none();
        match self.work.wait_timeout_while(state, retry, rests) {
            Ok((mut state, _)) => state.reopened.take().map_or(Rested::Again, Rested::Reopened),
            Err(_) => Rested::Closed,
        }
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

/// What the lines are written to.
pub(super) struct Out {
    writer: Box<dyn io::Write + Send>,
    rotating: Option<Rotating>,
}

impl Out {
    pub(super) fn new(writer: impl io::Write + Send + 'static) -> Self {
        Self { writer: Box::new(writer), rotating: None }
    }

    pub(super) fn rotating(file: File, rotating: Rotating) -> Self {
        Self { writer: Box::new(file), rotating: Some(rotating) }
    }

    /// Goes on in another file, if one is due before the next `bytes`.
    fn rotate(&mut self, bytes: usize) {
        if let Some(file) = self.rotating.as_mut().and_then(|rotating| rotating.next(bytes)) {
            self.writer = begun(file);
        }
    }

    fn go_on_in(&mut self, file: File) {
        if let Some(rotating) = &mut self.rotating {
            rotating.reopened(&file);
        }
        self.writer = begun(file);
    }
}

/// What came after a failed write.
enum Rested {
    /// The time is over: try again.
    Again,
    /// There is another file to write to.
    Reopened(File),
    Closed,
}

/// A file to go on in, with the line ended that was torn in it.
fn begun(file: File) -> Box<dyn io::Write + Send> {
    // The writer asks, since nobody else knows that it is not within a line itself.
    let torn = open::ends_within_a_line(&file).unwrap_or(true);
    let mut out: Box<dyn io::Write + Send> = Box::new(file);
    if torn && let Err(error) = out.write_all(b"\n") {
        tracing::warn!(%error, "cannot end the torn line of a reopened file");
    }
    out
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
