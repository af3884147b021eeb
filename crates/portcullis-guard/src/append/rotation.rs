//! When a file that is appended to gives way to a new one.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::open;
use crate::private_file::{folder, settle};
use crate::{Clock, Timestamp};

/// How long a rotation rests after it has failed.
const RETRY: Duration = Duration::from_secs(60);

const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

/// The length of what a rotated file has behind its name: `20260728T123456.000123Z`.
const STAMP: usize = 23;

/// When a file that lines are appended to is renamed, so that a new one begins: each day, or at a
/// size, or both. Old ones stay, unless [`keep`](Self::keep) says how many.
///
/// `audit.jsonl` becomes `audit.jsonl.20260728T123456.000123Z`, by the time of the renaming in UTC. It
/// keeps that name, so that whatever reads, ships or compresses it is not disturbed by the next one.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use portcullis_guard::{AppendFile, Rotation, SystemClock};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("visits.log");
/// let rotation = Rotation::daily().or_at_bytes(100 * 1024 * 1024).keep(30);
/// let file = AppendFile::rotating(&path, rotation, Arc::new(SystemClock))?;
/// assert!(file.ready().is_ok());
/// # Ok::<(), portcullis_guard::AppendError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    daily: bool,
    bytes: Option<u64>,
    keep: Option<usize>,
}

impl Rotation {
    /// The smallest size at which a file is rotated: 64 KiB.
    pub const SMALLEST: u64 = 64 * 1024;

    /// A new file for each day, in UTC. It begins with the first line that is written on that day: an
    /// idle program rotates nothing.
    #[must_use]
    pub fn daily() -> Self {
        Self { daily: true, bytes: None, keep: None }
    }

    /// A new file before one would have more than `bytes`. Lines that are written with one call stay
    /// together, so a file is longer than that if one call writes more. Sizes under
    /// [`SMALLEST`](Self::SMALLEST) count as that.
    #[must_use]
    pub fn at_bytes(bytes: u64) -> Self {
        Self { daily: false, bytes: Some(bytes.max(Self::SMALLEST)), keep: None }
    }

    /// As [`at_bytes`](Self::at_bytes), as well.
    #[must_use]
    pub fn or_at_bytes(self, bytes: u64) -> Self {
        Self { bytes: Some(bytes.max(Self::SMALLEST)), ..self }
    }

    /// Deletes the oldest ones beyond `files` of them after each rotation, with or without `.gz` or
    /// `.zst` behind their names. The one that is written to does not count. Default: all stay.
    #[must_use]
    pub fn keep(self, files: usize) -> Self {
        Self { keep: Some(files), ..self }
    }
}

/// A file that is rotated, for the thread that writes it.
pub(super) struct Rotating {
    path: PathBuf,
    rotation: Rotation,
    clock: Box<dyn Clock>,
    /// The file that is written to, and the day of what was written last.
    file: File,
    day: u64,
    failed: Option<SystemTime>,
}

impl Rotating {
    pub(super) fn new(
        path: &Path,
        rotation: Rotation,
        clock: impl Clock,
        file: &File,
    ) -> io::Result<Self> {
        let day = day_of(file, clock.now())?;
        let (path, clock, file) = (path.to_owned(), Box::new(clock), file.try_clone()?);
        Ok(Self { path, rotation, clock, file, day, failed: None })
    }

    /// Notes that the lines go on in `file`, which somebody else has rotated.
    pub(super) fn reopened(&mut self, file: &File) {
        let now = self.clock.now();
        match file.try_clone().and_then(|file| Ok((day_of(&file, now)?, file))) {
            Ok((day, file)) => (self.day, self.file) = (day, file),
            Err(error) => tracing::error!(%error, "the reopened file is not rotated"),
        }
    }

    /// The file for the next `bytes`, if it is another one. If that cannot be had, the lines go on into
    /// the file of before, and it is tried again a minute later.
    pub(super) fn next(&mut self, bytes: usize) -> Option<File> {
        let now = self.clock.now();
        let rests = |failed| now.duration_since(failed).is_ok_and(|since| since < RETRY);
        if self.failed.is_some_and(rests) {
            return None;
        }
        match self.rotate(now, bytes) {
            Ok(next) => {
                self.failed = None;
                self.day = day(now);
                next
            }
            Err(error) => {
                let path = self.path.display();
                tracing::error!(%path, %error, "the file cannot be rotated: lines go on into it");
                self.failed = Some(now);
                None
            }
        }
    }

    fn rotate(&mut self, now: SystemTime, bytes: usize) -> io::Result<Option<File>> {
        let length = self.file.metadata()?.len();
        let is_full = |most| length.saturating_add(bytes as u64) > most;
        let is_due = self.rotation.bytes.is_some_and(is_full)
            || (self.rotation.daily && day(now) > self.day);
        if length == 0 || !is_due {
            return Ok(None);
        }
        // Another program may have renamed it: then only the new one is opened.
        if open::is_named(&self.file, &self.path) {
            set_aside(&self.path, now)?;
        }
        let file = open::regular_file(&self.path)?;
        self.file = file.try_clone()?;
        if let Some(keep) = self.rotation.keep
            && let Err(error) = remove_old(&self.path, keep)
        {
            tracing::error!(path = %self.path.display(), %error, "old files cannot be deleted");
        }
        Ok(Some(file))
    }
}

impl fmt::Debug for Rotating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotating").field("rotation", &self.rotation).finish_non_exhaustive()
    }
}

fn day(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / SECONDS_OF_A_DAY
}

/// The day on which `file` was written to; an empty one is of today.
fn day_of(file: &File, now: SystemTime) -> io::Result<u64> {
    let metadata = file.metadata()?;
    Ok(if metadata.len() == 0 { day(now) } else { day(metadata.modified()?) })
}

/// Renames the file at `path`, and replaces nothing.
fn set_aside(path: &Path, now: SystemTime) -> io::Result<()> {
    let mut time = now;
    loop {
        let stamp: String =
            Timestamp::from(time).to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(stamp);
        match settle(path, Path::new(&name)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                time += Duration::from_micros(1);
            }
            settled => return settled,
        }
    }
}

/// Deletes rotated files of `path`, the oldest first, until there are `keep` of them.
fn remove_old(path: &Path, keep: usize) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Ok(()) };
    let mut rotated = Vec::new();
    for entry in open::folder(folder(path))? {
        let entry = entry?;
        if let Some(stamp) = stamp(&entry.file_name(), name)
            && entry.file_type()?.is_file()
        {
            rotated.push((stamp, entry.path()));
        }
    }
    rotated.sort_unstable();
    let surplus = rotated.len().saturating_sub(keep);
    rotated.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
}

/// When the file called `rotated` was renamed, if it was one called `name` before.
fn stamp(rotated: &OsStr, name: &OsStr) -> Option<String> {
    let rest = rotated.to_str()?.strip_prefix(name.to_str()?)?.strip_prefix('.')?;
    let stamp = rest.strip_suffix(".gz").or(rest.strip_suffix(".zst")).unwrap_or(rest);
    let fits = |(place, byte): (usize, u8)| match place {
        8 => byte == b'T',
        15 => byte == b'.',
        22 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    (stamp.len() == STAMP && stamp.bytes().enumerate().all(fits)).then(|| stamp.to_owned())
}

#[cfg(test)]
mod tests;
