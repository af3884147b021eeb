//! The door to standard error: a log that nobody reads stops nothing.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use crate::redaction;

/// The most bytes that wait to be written, besides those that are being written.
const MAX_WAITING: usize = 1024 * 1024;

/// How long the writer rests after a write that would block.
const PAUSE: Duration = Duration::from_millis(10);

static STDERR: OnceLock<LogWriter> = OnceLock::new();

/// Standard error, for logs, through the one [`LogWriter`] of the process.
///
/// # Example
///
/// ```
/// # mod portcullis { pub use portcullis_guard::stderr; }
/// use std::io::Write;
///
/// // The same for a log: `tracing_subscriber::fmt().with_writer(portcullis::stderr).init()`.
/// writeln!(portcullis::stderr(), "ready")?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn stderr() -> LogWriter {
    STDERR.get_or_init(|| LogWriter::to_writer(io::stderr())).clone()
}

/// Waits until everything logged through [`stderr`] is written, for `patience` at most. Call it
/// when a process ends, which would lose what still waits.
pub fn drain_stderr(patience: Duration) {
    if let Some(writer) = STDERR.get() {
        writer.drain(patience);
    }
}

/// A log writer that never blocks: records wait in memory, and a thread of its own writes them.
///
/// A pipe that nobody reads blocks its writers, and a closed pipe returns errors to them: MCP lets
/// clients ignore the standard error of the server that they started. A write to this always
/// succeeds at once. A record that finds more than 1 MiB waiting is dropped; each call of `write`
/// is one record. The number of dropped records is logged when there is room again. Secrets that are
/// known are [removed](crate::redaction) from each record.
///
/// **Deployment caveat.** A process that does not end through `Server::run` may lose its last
/// records: [`drain`](Self::drain) waits for them.
#[derive(Clone)]
pub struct LogWriter(Arc<Queue>);

impl LogWriter {
    /// Writes to `out`, which may block for as long as it likes.
    pub fn to_writer(out: impl Write + Send + 'static) -> Self {
        let queue = Arc::new(Queue::default());
        let writer = Self(Arc::clone(&queue));
        // Without a thread everything is dropped and counted once the queue is full.
        let _ = thread::Builder::new().name("log".to_owned()).spawn(move || queue.write_to(out));
        writer
    }

    /// Waits until everything is written, for `patience` at most; says whether it is.
    pub fn drain(&self, patience: Duration) -> bool {
        let state = self.0.lock();
        let waiting = |state: &mut State| state.is_writing || !state.records.is_empty();
        let drained = self.0.written.wait_timeout_while(state, patience, waiting);
        !drained.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// How many records were dropped, or could not be written.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lock().lost
    }
}

impl Write for LogWriter {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.push(record);
        Ok(record.len())
    }

    /// It waits for nothing: see [`LogWriter::drain`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// In one piece, so that no other record comes between.
    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        self.0.push(fmt::format(text).as_bytes());
        Ok(())
    }
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter").field("lost", &self.lost()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// For the writer: there is something to write.
    work: Condvar,
    /// For callers that wait for the writer.
    written: Condvar,
}

#[derive(Default)]
struct State {
    records: Vec<u8>,
    /// The number of waiting records.
    count: u64,
    /// The number of records lost for good.
    lost: u64,
    /// Whether the writer sleeps.
    is_idle: bool,
    is_writing: bool,
}

impl Queue {
    fn push(&self, record: &[u8]) {
        if !self.offer(&redaction::redact_bytes(record)) {
            self.lock().lost += 1;
        }
    }

    /// Takes a record if there is room for it.
    fn offer(&self, record: &[u8]) -> bool {
        let mut state = self.lock();
        if state.records.len() + record.len() > MAX_WAITING {
            return false;
        }
        state.records.extend_from_slice(record);
        state.count += 1;
        // A wake-up costs a system call, so only a sleeping writer is woken.
        if std::mem::take(&mut state.is_idle) {
            drop(state);
            self.work.notify_one();
        }
        true
    }

    /// The work of the writer.
    fn write_to(&self, mut out: impl Write) {
        let (mut batch, mut told) = (Vec::new(), 0);
        loop {
            let count = self.next(&mut batch);
            let written = write_all(&mut out, &batch);
            batch.clear();
            let lost = self.finish(if written { 0 } else { count });
            // Reporting a report that cannot be written would never end.
            if written && lost > told && self.tell(lost) {
                told = lost;
            }
        }
    }

    /// Waits for records, exchanges them for the empty `batch`, and says how many they are.
    fn next(&self, batch: &mut Vec<u8>) -> u64 {
        let mut state = self.lock();
        while state.records.is_empty() {
            state.is_idle = true;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_idle = false;
        state.is_writing = true;
        std::mem::swap(&mut state.records, batch);
        std::mem::take(&mut state.count)
    }

    /// Notes that a write has ended and lost `lost` records; returns how many are lost in all.
    fn finish(&self, lost: u64) -> u64 {
        let mut state = self.lock();
        state.lost += lost;
        state.is_writing = false;
        self.written.notify_all();
        state.lost
    }

    /// Says how many records were lost, unless there is no room for that: then the next batch
    /// says it. Through a log it is a record like any other, which may be lost itself.
    fn tell(&self, lost: u64) -> bool {
        if tracing::dispatcher::has_been_set() {
            tracing::warn!(lost, "log records were dropped: they came faster than they were read");
            return true;
        }
        let text = "log records were dropped: they came faster than they were read";
        self.offer(format!("portcullis: {lost} {text}\n").as_bytes())
    }

    /// A panic leaves whole records behind, at most one too many or too few.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes everything, and says whether it could.
fn write_all(out: &mut impl Write, mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(0) => return false,
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The process at the other end may have made the pipe non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, pipe};
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn trial_b3_what_nobody_reads_is_dropped_and_counted_and_told_once_it_is_read() {
        let (reader, writer) = pipe().unwrap();
        let mut log = LogWriter::to_writer(writer);
        let line = "x".repeat(1_023);
        for _ in 0..4_000 {
            writeln!(log, "{line}").unwrap();
        }
        let lost = log.lost();
        assert!(lost > 1_000, "{lost}");
        assert!(!log.drain(Duration::from_millis(10)), "nobody reads");
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(reader).lines().try_for_each(|line| send.send(line.unwrap()))
        });
        let (mut whole, mut told) = (0, 0);
        while whole + told < 4_000 {
            let read = lines.recv_timeout(LONG).expect("all are read, or told to be lost");
            if read == line {
                whole += 1;
                continue;
            }
            // It may be told before all are read, and then again.
            let count = read.strip_prefix("portcullis: ").unwrap().split_once(" log records");
            told = count.unwrap().0.parse::<u64>().unwrap();
        }
        assert_eq!((whole, told), (4_000 - lost, lost));
    }

    #[test]
    fn trial_b3_a_closed_pipe_fails_nobody() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut log = LogWriter::to_writer(writer);
        writeln!(log, "one").unwrap();
        assert!(log.drain(LONG));
        assert_eq!(log.lost(), 1);
    }

    #[test]
    fn what_is_being_written_is_not_written_yet() {
        let (mut reader, writer) = pipe().unwrap();
        let mut log = LogWriter::to_writer(writer);
        // More than the pipe holds, and begun once there is something in it.
        let record = vec![b'x'; 200_000];
        log.write_all(&record).unwrap();
        let mut read = vec![0];
        reader.read_exact(&mut read).unwrap();
        assert!(!log.drain(Duration::from_millis(10)), "the rest waits for room");
        let (drained, is_drained) = mpsc::channel();
        thread::spawn(move || {
            drained.send(false).unwrap();
            drained.send(log.drain(LONG * 2)).unwrap();
        });
        assert_eq!(is_drained.recv(), Ok(false), "it waits from here on");
        read.resize(record.len(), 0);
        reader.read_exact(&mut read[1..]).unwrap();
        assert_eq!(read, record);
        assert_eq!(is_drained.recv_timeout(LONG), Ok(true), "whoever waits is woken");
    }
}
