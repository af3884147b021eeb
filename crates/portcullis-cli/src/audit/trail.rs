//! The lines of audit files, read by several threads.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use portcullis::audit::LogText;
use portcullis::guard::{AppendedFile, Environment};

use super::progress::Progress;
use super::record::Record;
use super::source;
use crate::Error;
use crate::arguments::audit::Files;
use crate::moment::Moment;

/// The variable that names the audit file.
const AUDIT_FILE_VARIABLE: &str = "PORTCULLIS_AUDIT_FILE";

/// How much is read at once. No line that a server writes is nearly as long.
const BLOCK: usize = 512 * 1024;

/// How many threads read records. One alone waits for the disk half of the time.
pub(super) const THREADS: usize = 2;

/// Audit files, opened as they are now: what is renamed or appended meanwhile changes nothing.
pub(super) struct Trail {
    files: VecDeque<AppendedFile>,
}

/// What was read, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) files: usize,
    pub(super) records: u64,
    /// Lines that are no records.
    pub(super) damaged: u64,
    /// Files that end within a line: a server was writing it, or died.
    pub(super) unfinished: u64,
    /// The beginning of such a line, in the newest file.
    pub(super) unfinished_line: Option<Vec<u8>>,
    /// Files that could not be read to their ends, and why.
    pub(super) failures: Vec<String>,
    /// The first and the last time in records.
    pub(super) span: Option<(Moment, Moment)>,
}

impl Files {
    /// The paths that are meant.
    pub(super) fn paths(&self) -> Result<Vec<PathBuf>, Error> {
        if !self.paths.is_empty() {
            return Ok(self.paths.clone());
        }
        let named = Environment::process().variable(AUDIT_FILE_VARIABLE).map(PathBuf::from);
        let named = named.ok_or_else(|| {
            format!("no audit file is named: write its PATH, or set {AUDIT_FILE_VARIABLE}")
        })?;
        Ok(vec![named])
    }
}

impl Trail {
    /// Opens all files that are meant, each once.
    pub(super) fn open(files: &Files) -> Result<Self, Error> {
        let mut all: Vec<AppendedFile> = Vec::new();
        for path in files.paths()? {
            let found = AppendedFile::all(&path)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
            for file in found {
                if !all.iter().any(|known| known.is(&file)) {
                    all.push(file);
                }
            }
        }
        Ok(Self { files: all.into() })
    }

    /// Opens the newest file once more, to go on behind what [`read`](Self::read) reads of it.
    pub(super) fn continued(&self) -> Result<AppendedFile, Error> {
        let newest = self.files.back().ok_or("there is no file")?;
        Ok(newest.continued()?)
    }

    /// Gives each record and its line to `each`, with what the thread that read it has gathered.
    /// With one thread they are in the order of the files.
    pub(super) fn read<T: Default + Send>(
        self,
        threads: usize,
        each: impl Fn(&mut T, &Record<'_>, &[u8]) + Sync,
    ) -> (Vec<T>, Reading) {
        let files = self.files.len();
        let blocks = Mutex::new(Blocks::new(self.files));
        let read = || {
            let (mut gathered, mut reading) = (T::default(), Reading::default());
            let mut block = Block::default();
            loop {
                // A thread that panicked has left at most one block unread, and its panic is told.
                if !blocks.lock().unwrap_or_else(PoisonError::into_inner).next(&mut block) {
                    return (gathered, reading);
                }
                reading.read(&block, |record, line| each(&mut gathered, record, line));
            }
        };
        let results: Vec<_> = thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(read)).collect();
            let own = read();
            let joined = others
                .into_iter()
                .map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            std::iter::once(own).chain(joined).collect()
        });
        let blocks = blocks.into_inner().unwrap_or_else(PoisonError::into_inner);
        blocks.progress.end();
        let mut whole = Reading { files, damaged: blocks.overlong, ..Reading::default() };
        whole.failures = blocks.failures;
        let gathered = results.into_iter().map(|(gathered, reading)| {
            whole.add(reading);
            gathered
        });
        (gathered.collect(), whole)
    }
}

impl Reading {
    fn read(&mut self, block: &Block, mut each: impl FnMut(&Record<'_>, &[u8])) {
        let mut rest = &*block.bytes;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = after.get(1..).unwrap_or_default();
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match Record::read(line) {
                Some(record) => {
                    self.records += 1;
                    self.note(record.time);
                    each(&record, line);
                }
                None if after.is_empty() => {
                    self.unfinished += 1;
                    self.unfinished_line = block.is_of_newest.then(|| line.to_owned());
                }
                None => self.damaged += 1,
            }
        }
    }

    fn note(&mut self, time: Moment) {
        self.span = Some(match self.span {
            None => (time, time),
            Some((first, last)) => (first.min(time), last.max(time)),
        });
    }

    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.damaged += other.damaged;
        self.unfinished += other.unfinished;
        self.unfinished_line = other.unfinished_line.or(self.unfinished_line.take());
        if let Some((first, last)) = other.span {
            self.note(first);
            self.note(last);
        }
    }
}

/// Whole lines of one file.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    /// Whether no file is behind theirs.
    is_of_newest: bool,
}

/// The files, cut into blocks at the ends of lines.
struct Blocks {
    waiting: VecDeque<AppendedFile>,
    current: Option<(PathBuf, Box<dyn Read + Send>)>,
    /// The beginning of a line whose end is in the next block.
    rest: Vec<u8>,
    /// Whether the beginning of the next block belongs to a line that is too long.
    within_overlong: bool,
    overlong: u64,
    failures: Vec<String>,
    read: Arc<AtomicU64>,
    progress: Progress,
}

impl Blocks {
    fn new(waiting: VecDeque<AppendedFile>) -> Self {
        let progress = Progress::new(waiting.iter().map(AppendedFile::length).sum());
        Self {
            waiting,
            current: None,
            rest: Vec::new(),
            within_overlong: false,
            overlong: 0,
            failures: Vec::new(),
            read: Arc::default(),
            progress,
        }
    }

    /// Fills `block` with the next lines; false at the end of the last file.
    fn next(&mut self, block: &mut Block) -> bool {
        block.bytes.clear();
        loop {
            block.is_of_newest = self.waiting.is_empty();
            let Some((path, source)) = &mut self.current else {
                match self.begin_file() {
                    true => continue,
                    false => return false,
                }
            };
            let bytes = &mut block.bytes;
            bytes.append(&mut self.rest);
            let room = BLOCK.saturating_sub(bytes.len());
            let read = source.take(room as u64).read_to_end(bytes);
            self.progress.show(self.read.load(Ordering::Relaxed));
            if let Err(error) = &read {
                self.failures.push(failure(path, error));
            }
            let is_at_end = read.is_err() || bytes.len() < BLOCK;
            if self.within_overlong {
                let end = memchr::memchr(b'\n', bytes);
                bytes.drain(..end.map_or(bytes.len(), |end| end + 1));
                self.within_overlong = end.is_none();
            }
            if is_at_end {
                (self.current, self.within_overlong) = (None, false);
                return true;
            }
            match memchr::memrchr(b'\n', bytes) {
                Some(end) => {
                    self.rest.extend_from_slice(bytes.get(end + 1..).unwrap_or_default());
                    bytes.truncate(end + 1);
                    return true;
                }
                // A line that is too long ended in it, or did not yet: what is left began behind it.
                None if bytes.len() < BLOCK => self.rest.append(bytes),
                None => {
                    self.overlong += 1;
                    self.within_overlong = true;
                    bytes.clear();
                }
            }
        }
    }

    fn begin_file(&mut self) -> bool {
        let Some(file) = self.waiting.pop_front() else { return false };
        let path = file.path().to_owned();
        match source::open(file, self.read.clone()) {
            Ok(source) => self.current = Some((path, source)),
            Err(error) => self.failures.push(failure(&path, &error)),
        }
        true
    }
}

fn failure(path: &Path, error: &std::io::Error) -> String {
    let why = match error.kind() {
        ErrorKind::UnexpectedEof => "it is cut off".to_owned(),
        _ => error.to_string(),
    };
    format!("{} was not read to its end: {why}", LogText::from(&*path.to_string_lossy()))
}
