//! Files whose content is re-read as it changes: secrets, keys, lists of tokens.

mod error;
mod registry;
mod secret_file;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub use self::error::{WatchedFileError, WatchedFileErrorKind};
pub use self::registry::{Cause, Progress, Reload, is_anything_watched, now, watch};
pub use self::secret_file::SecretFile;
use crate::{ErrorChain, Secret, digest, environment};

/// What a file holds, re-read when the file changes.
///
/// What it decides:
///
/// 1. The file is read every two seconds, and is new when its content is: replacing it by a
///    rename, writing it in place and swapping a link to its folder (Kubernetes) are all noticed.
/// 2. New content counts once two reads in a row, a quarter of a second apart, agree, so that
///    a file that is being written is not taken half. At [SIGHUP](now) it counts at once.
/// 3. Content that cannot be read or understood changes nothing: the value from before stays in
///    force, and the log says why, once.
/// 4. The file is a regular one of at most 1 MiB, in UTF-8, and not empty.
/// 5. Each file is read on a thread of its own. While a file system hangs, its files keep their
///    values, the log says so after five seconds, and all other files are re-read as ever.
///
/// Clones share the file and the value.
///
/// **Deployment caveat.** A file that loses lines while its writer pauses is a smaller file for
/// as long: write another one beside it, and rename it.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// use portcullis::guard::{WatchedFile, WatchedFileErrorKind};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("quota");
/// std::fs::write(&path, "100").unwrap();
/// let quota = WatchedFile::open(&path, |text| text.trim().parse::<u32>())?;
/// assert_eq!(*quota.current(), 100);
///
/// std::fs::write(&path, "a lot").unwrap();
/// assert_eq!(quota.reread().unwrap_err().kind(), WatchedFileErrorKind::Malformed);
/// assert_eq!(*quota.current(), 100); // the last good value
///
/// std::fs::write(&path, "200").unwrap();
/// quota.reread()?; // as happens by itself within three seconds
/// assert_eq!(*quota.current(), 200);
/// # Ok::<(), portcullis::guard::WatchedFileError>(())
/// ```
pub struct WatchedFile<T>(Arc<Inner<T>>);

/// A value, and the number of its generation.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The value.
    pub value: Arc<T>,
    /// Grows by one whenever another value comes into force: what was derived from an
    /// earlier one is out of date.
    pub generation: u64,
}

struct Inner<T> {
    path: PathBuf,
    load: Load,
    read: Box<Read<T>>,
    loaded: RwLock<Loaded<T>>,
    judged: Mutex<Judged>,
}

/// The text of a file, which may be a secret, or what is wrong with the file.
pub(crate) type Load = fn(&Path) -> Result<Secret<String>, String>;
type Read<T> = dyn Fn(&str) -> Result<T, Box<dyn Error + Send + Sync>> + Send + Sync;
type Digest = [u8; 32];

/// What was seen of the file, as digests of its content or of what is wrong with it.
struct Judged {
    in_force: Digest,
    last: Digest,
    /// What the last look saw for the first time.
    candidate: Option<Digest>,
}

impl<T: Send + Sync + 'static> WatchedFile<T> {
    /// Reads the file at `path`, and watches it from now on.
    ///
    /// `read` makes the value of the text. Its error is logged, so it must not repeat a secret.
    ///
    /// # Errors
    ///
    /// When the file is not as the [type](Self) says, or `read` refuses it, or no thread can be
    /// started to watch it.
    pub fn open<E: Into<Box<dyn Error + Send + Sync>>>(
        path: impl AsRef<Path>,
        read: impl Fn(&str) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, WatchedFileError> {
        Self::open_with(path.as_ref(), text, read)
    }

    /// Reads the file by `load`, which says what is wrong with a file that it refuses.
    pub(crate) fn open_with<E: Into<Box<dyn Error + Send + Sync>>>(
        path: &Path,
        load: Load,
        read: impl Fn(&str) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, WatchedFileError> {
        let file = Self::unwatched(path, load, read)?;
        let watched: Arc<dyn Reload> = file.0.clone();
        watch(&watched).map_err(|why| WatchedFileError::unwatched(file.path(), why))?;
        Ok(file)
    }

    pub(crate) fn unwatched<E: Into<Box<dyn Error + Send + Sync>>>(
        path: &Path,
        load: Load,
        read: impl Fn(&str) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, WatchedFileError> {
        let read: Box<Read<T>> = Box::new(move |text| read(text).map_err(Into::into));
        let text = load(path).map_err(|flaw| WatchedFileError::unreadable(path, flaw))?;
        let value = read(text.expose()).map_err(|why| WatchedFileError::malformed(path, why))?;
        let seen = digest::sha256(text.expose().as_bytes());
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            load,
            read,
            loaded: RwLock::new(Loaded { value: Arc::new(value), generation: 0 }),
            judged: Mutex::new(Judged { in_force: seen, last: seen, candidate: None }),
        })))
    }

    /// The value in force.
    #[must_use]
    pub fn current(&self) -> Arc<T> {
        self.loaded().value
    }

    /// The value in force, and its generation.
    #[must_use]
    pub fn loaded(&self) -> Loaded<T> {
        // The value is exchanged whole, so a panic elsewhere leaves a good one.
        self.0.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file now; new content counts at once.
    ///
    /// # Errors
    ///
    /// When it cannot be read or understood. The value from before stays in force.
    pub fn reread(&self) -> Result<(), WatchedFileError> {
        self.0.look(Cause::Signal).map(|_| ())
    }

    /// The path, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

impl<T> Inner<T> {
    fn look(&self, cause: Cause) -> Result<Progress, WatchedFileError> {
        let mut judged = self.judged();
        let text = (self.load)(&self.path);
        let seen = match &text {
            Ok(text) => digest::sha256(text.expose().as_bytes()),
            Err(flaw) => digest::sha256_of_parts(["unreadable", flaw.as_str()]),
        };
        if cause == Cause::Poll {
            if seen == judged.last {
                judged.candidate = None;
                return Ok(Progress::Settled);
            }
            if judged.candidate.replace(seen) != Some(seen) {
                return Ok(Progress::Pending);
            }
        }
        judged.candidate = None;
        judged.last = seen;
        let text = text.map_err(|flaw| WatchedFileError::unreadable(&self.path, flaw))?;
        if seen == judged.in_force {
            return Ok(Progress::Settled);
        }
        let value = (self.read)(text.expose());
        let value = value.map_err(|why| WatchedFileError::malformed(&self.path, why))?;
        judged.in_force = seen;
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let generation = loaded.generation + 1;
        *loaded = Loaded { value: Arc::new(value), generation };
        tracing::info!(path = %self.path.display(), "the file has changed: its new content is in force");
        Ok(Progress::Settled)
    }

    fn judged(&self) -> MutexGuard<'_, Judged> {
        // After a panic of `read` it says what was read, which is not read again.
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + Sync + 'static> Reload for Inner<T> {
    fn reload(&self, cause: Cause) -> Progress {
        self.look(cause).unwrap_or_else(|error| {
            let error = ErrorChain::new(&error).to_string();
            tracing::error!(error, "a watched file is refused: what it held before stays in force");
            Progress::Settled
        })
    }

    fn name(&self) -> String {
        format!("the file {}", self.path.display())
    }
}

pub(crate) fn text(path: &Path) -> Result<Secret<String>, String> {
    environment::file_text(path).map(Secret::new).map_err(|flaw| flaw.text)
}

impl<T> Clone for WatchedFile<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for WatchedFile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WatchedFile({})", self.0.path.display())
    }
}

impl<T> Clone for Loaded<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), generation: self.generation }
    }
}
