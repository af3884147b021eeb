//! The door to files that are only ever appended to.

mod appended;
mod open;
mod out;
mod rotation;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use appended::AppendedFile;
use out::Out;
use rotation::Rotating;
pub use rotation::Rotation;

use crate::Clock;
use crate::delivery::{Courier, DeliveryError, MAX_WAITING};

/// A file that whole lines are appended to, by a thread of its own.
///
/// [`append`](Self::append) puts a line in memory; the thread writes what has gathered with
/// one call, at once when it was idle and every five milliseconds under load. What a line
/// costs is a lock and a copy.
///
/// What it decides:
///
/// 1. The file is created with mode 0600, or has to be a regular file with one name: a
///    link, a second hard link, a pipe, a device or a folder is refused. It is opened for
///    appending, so that nothing in it is overwritten, by several processes either.
/// 2. If the file ends within a line (a full disk, a crash), that line is ended first.
/// 3. A failed write is tried again every second, from the byte where it stopped. Until it
///    has succeeded, every line is refused.
/// 4. Lines are refused when more than 8 MiB are unwritten.
///
/// **Deployment caveat.** A line is safe from a crash of the program once it was
/// [flushed](Self::flush), and from a power failure when the operating system says so:
/// nothing is synced. What is left when it is dropped is written for five seconds at most. A file that is renamed away is still the one that is written to, until
/// [`reopen`](Self::reopen) or the next [rotation](Self::rotating). An older file keeps its mode; there is a warning when every user may
/// read or write it.
///
/// # Example
///
/// ```
/// use std::io::Write;
/// use portcullis_guard::AppendFile;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("visits.log");
/// let file = AppendFile::open(&path)?;
/// file.append(|line| write!(line, "hello"))?;
/// file.flush()?;
/// assert_eq!(std::fs::read_to_string(&path).unwrap(), "hello\n");
///
/// assert!(AppendFile::open(folder.path()).is_err()); // a folder
/// # Ok::<(), portcullis_guard::AppendError>(())
/// ```
pub struct AppendFile {
    path: PathBuf,
    courier: Courier<File>,
}

impl AppendFile {
    /// Opens the file at `path`, which the program itself has chosen, or creates it.
    ///
    /// # Errors
    ///
    /// When it cannot be opened for reading and appending, or is not a regular file with one
    /// name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, AppendError> {
        Self::opened(path.as_ref(), |file| Ok(Out::new(file)))
    }

    /// As [`open`](Self::open), with a new file whenever `rotation` says, by `clock`.
    ///
    /// If a rotation fails, the lines go on into the file of before; the failure is logged, and it is
    /// tried again a minute later.
    ///
    /// **Deployment caveat.** Of several programs that append to one file, each has to rotate it or be
    /// told to [`reopen`](Self::reopen): the others go on in the renamed one.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn rotating(
        path: impl AsRef<Path>,
        rotation: Rotation,
        clock: impl Clock,
    ) -> Result<Self, AppendError> {
        let path = path.as_ref();
        Self::opened(path, |file| {
            let rotating = Rotating::new(path, rotation, clock, &file)?;
            Ok(Out::rotating(file, rotating))
        })
    }

    fn opened(
        path: &Path,
        out: impl FnOnce(std::fs::File) -> io::Result<Out>,
    ) -> Result<Self, AppendError> {
        let started = open::regular_file(path).and_then(|file| {
            let torn = open::ends_within_a_line(&file)?;
            Self::start(path, out(file)?, torn)
        });
        started.map_err(|cause| AppendError::Unopened {
            path: path.to_owned(),
            cause: Arc::new(cause),
        })
    }

    fn start(path: &Path, out: Out, torn: bool) -> io::Result<Self> {
        let courier = Courier::start(out, if torn { b"\n" } else { b"" })?;
        Ok(Self { path: path.to_owned(), courier })
    }

    /// Appends one line: what `write` appends to the vector, and a line feed.
    ///
    /// The vector may hold other lines already. Lines are written in the order of the calls.
    ///
    /// # Errors
    ///
    /// When the line will not be in the file: `write` failed, a write to the file has failed
    /// and was not made good yet, or too much is unwritten. A panic in `write` ends the file
    /// for good.
    pub fn append(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> Result<(), AppendError> {
        Ok(self.courier.queue.append(write)?)
    }

    /// Whether a line would be taken now.
    ///
    /// # Errors
    ///
    /// The error that [`append`](Self::append) would return.
    pub fn ready(&self) -> Result<(), AppendError> {
        Ok(self.courier.queue.ready()?)
    }

    /// Opens the path again, and goes on in what is there now: once the file was renamed away, a
    /// new one. No line is lost, torn or written twice; those that were appended before may be in
    /// either file.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open). The lines then go on into the file of before.
    ///
    /// # Example
    ///
    /// ```
    /// use std::io::Write;
    /// use portcullis_guard::AppendFile;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (path, old) = (folder.path().join("visits.log"), folder.path().join("visits.1"));
    /// let file = AppendFile::open(&path)?;
    /// std::fs::rename(&path, &old).unwrap();
    /// file.reopen()?;
    /// file.append(|line| write!(line, "hello"))?;
    /// file.flush()?;
    /// assert_eq!(std::fs::read_to_string(&path).unwrap(), "hello\n");
    /// # Ok::<(), portcullis_guard::AppendError>(())
    /// ```
    pub fn reopen(&self) -> Result<(), AppendError> {
        let unopened =
            |cause| AppendError::Unopened { path: self.path.clone(), cause: Arc::new(cause) };
        Ok(self.courier.queue.go_on_in(open::regular_file(&self.path).map_err(unopened)?)?)
    }

    /// Waits until every line that was appended before is with the operating system, for
    /// five seconds at most.
    ///
    /// # Errors
    ///
    /// When a write has failed, or the time is over. Writing the lines is still tried.
    pub fn flush(&self) -> Result<(), AppendError> {
        Ok(self.courier.queue.flush()?)
    }
}

impl fmt::Debug for AppendFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppendFile").field("ready", &self.ready().is_ok()).finish_non_exhaustive()
    }
}

/// Why a line, or a file, was not taken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AppendError {
    /// The writer has ended: something panicked, and the file has to be opened again.
    Ended,
    /// The last write failed, or the line could not be written to memory.
    Failed(Arc<io::Error>),
    /// More than 8 MiB are unwritten: the disk is slower than the lines.
    Full,
    /// The file could not be opened, or may not be appended to.
    Unopened {
        /// The path as it was given.
        path: PathBuf,
        /// What is wrong with the file.
        cause: Arc<io::Error>,
    },
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the writer of the file has ended"),
            Self::Failed(cause) => write!(f, "the file cannot be written: {cause}"),
            Self::Full => write!(f, "more than {MAX_WAITING} bytes are unwritten"),
            Self::Unopened { path, cause } => {
                write!(f, "the file {} cannot be appended to: {cause}", path.display())
            }
        }
    }
}

impl std::error::Error for AppendError {}

impl From<DeliveryError> for AppendError {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Ended => Self::Ended,
            DeliveryError::Failed(cause) => Self::Failed(cause),
            DeliveryError::Full => Self::Full,
        }
    }
}

#[cfg(test)]
mod tests;
