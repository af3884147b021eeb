//! The door to files that commands change while servers read them.

mod access;
mod error;
#[cfg(test)]
mod tests;

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::error::{LockedFileError, LockedFileErrorKind};
use crate::Secret;
use crate::private_file::{draft, folder, is_draft, new_file, settle, sync_folder};

/// The largest file that is read or written, in bytes: what watched files may have.
const MAX_BYTES: u64 = 1024 * 1024;
/// How often a lock that somebody else has is tried, and how long apart.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// Who may read a [`LockedFile`], beside its owner and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readers {
    /// Nobody: it holds secrets.
    Trusted,
    /// Everybody: it has to be right, and no secret.
    Everybody,
}

/// A text file that one command changes at a time, and that everybody else reads whole.
///
/// What it decides:
///
/// 1. The file is a regular file of at most 1 MiB, in UTF-8. A link is refused, since a new file
///    would take its place.
/// 2. Only its owner may write it. If it holds secrets, only the owner and the group may read it,
///    and it has one name (hard link). Where every user may write to its folder, as in `/tmp`, the
///    folder is sticky. Nothing is repaired: the error says the `chmod`.
/// 3. It is locked from the first read on, so that no change is lost. Who comes second waits for
///    ten seconds, and reads what the first one wrote. The lock of a process that was killed is
///    gone, and the next command that creates or locks the file removes what an unfinished one left
///    beside it (`.NAME.….new`, `.NAME.next`).
/// 4. A change is written beside the file, with its owner, group and mode, and renamed. Whatever
///    fails leaves the file as it was.
///
/// **Deployment caveat.** The lock is that of `flock`, and advisory: an editor does not ask for
/// it. Access-control lists and security labels are not carried over.
///
/// # Example
///
/// ```
/// use portcullis_guard::locked_file::{LockedFile, LockedFileErrorKind, Readers};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("numbers");
/// LockedFile::create(&path, Readers::Trusted, "1\n")?;
/// let file = LockedFile::open(&path, Readers::Trusted)?;
/// let text = format!("{}2\n", file.text().expose());
/// file.replace(&text)?;
/// assert_eq!(LockedFile::open(&path, Readers::Trusted)?.text().expose(), "1\n2\n");
///
/// let refused = LockedFile::create(&path, Readers::Trusted, "3\n").unwrap_err();
/// assert_eq!(refused.kind(), LockedFileErrorKind::Exists);
/// # Ok::<(), portcullis_guard::locked_file::LockedFileError>(())
/// ```
#[derive(Debug)]
pub struct LockedFile {
    path: PathBuf,
    found: Metadata,
    text: Secret<String>,
    /// Holds the lock until it is dropped.
    _file: File,
}

impl LockedFile {
    /// Creates a file with this text, for its owner alone or for everybody to read.
    ///
    /// # Errors
    ///
    /// [`LockedFileErrorKind::Exists`] when something is there already, and whatever keeps a file
    /// from being written.
    pub fn create(
        path: impl AsRef<Path>,
        readers: Readers,
        text: &str,
    ) -> Result<(), LockedFileError> {
        let path = path.as_ref();
        check_size(path, text)?;
        let draft = draft(path).map_err(|_| LockedFileError::nameless(path))?;
        let written = new_file(&draft).and_then(|file| fill(file, text, readers.mode()));
        let failed = |cause| LockedFileError::io(path, "created", &cause);
        let named = written.map_err(failed).and_then(|()| name(&draft, path));
        if named.is_err() {
            remove(&draft);
        }
        named
    }

    /// Reads the file at `path`, and keeps others from changing it until it is replaced or
    /// dropped.
    ///
    /// # Errors
    ///
    /// When the file is not as the [type](Self) says, another process keeps it locked, or the
    /// operating system refuses.
    pub fn open(path: impl AsRef<Path>, readers: Readers) -> Result<Self, LockedFileError> {
        let path = path.as_ref();
        for _ in 0..TRIES {
            if let Some(locked) = Self::lock(path, readers, open_regular(path)?)? {
                return Ok(locked);
            }
        }
        Err(LockedFileError::busy(path))
    }

    /// Locks what was opened, unless another process has it locked, or has replaced it since.
    fn lock(
        path: &Path,
        readers: Readers,
        (file, found): (File, Metadata),
    ) -> Result<Option<Self>, LockedFileError> {
        match file.try_lock() {
            Ok(()) if is_at(path, &found) => {
                // The file is there, so that no draft can get its name any more.
                remove_drafts(path);
                let found = metadata(path, &file)?;
                access::check(path, &found, readers)?;
                let text = text(path, &file)?;
                Ok(Some(Self { path: path.to_owned(), found, text, _file: file }))
            }
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(PAUSE);
                Ok(None)
            }
            Err(TryLockError::Error(cause)) => Err(LockedFileError::io(path, "locked", &cause)),
        }
    }

    /// Reads the file at `path` without locking it.
    ///
    /// # Errors
    ///
    /// As those of [`open`](Self::open), but for locks.
    pub fn read(
        path: impl AsRef<Path>,
        readers: Readers,
    ) -> Result<Secret<String>, LockedFileError> {
        let path = path.as_ref();
        let (file, found) = open_file(path)?;
        access::check(path, &found, readers)?;
        text(path, &file)
    }

    /// As [`read`](Self::read), and the file has to belong to the user whose process it is, or to
    /// root.
    #[cfg(feature = "keys")]
    pub(crate) fn read_own(
        path: &Path,
        readers: Readers,
    ) -> Result<Secret<String>, LockedFileError> {
        let (file, found) = open_file(path)?;
        access::check_owner(path, &found)?;
        access::check(path, &found, readers)?;
        text(path, &file)
    }

    /// What is in the file.
    #[must_use]
    pub fn text(&self) -> &Secret<String> {
        &self.text
    }

    /// Puts `text` in its place.
    ///
    /// # Errors
    ///
    /// When the text has more than 1 MiB, or the operating system refuses.
    pub fn replace(self, text: &str) -> Result<(), LockedFileError> {
        check_size(&self.path, text)?;
        let failed = |cause: io::Error| LockedFileError::io(&self.path, "replaced", &cause);
        let next = next(&self.path).ok_or_else(|| LockedFileError::nameless(&self.path))?;
        // What an interrupted command left: whoever would write it now has the lock.
        remove(&next);
        let replaced = new_file(&next).and_then(|file| {
            keep_owner(&file, &self.found)?;
            fill(file, text, access::mode(&self.found))?;
            fs::rename(&next, &self.path)
        });
        if replaced.is_err() {
            remove(&next);
        }
        replaced.and_then(|()| sync_folder(&self.path)).map_err(failed)
    }
}

/// Gives a draft its own name, and removes other drafts of the file.
fn name(draft: &Path, path: &Path) -> Result<(), LockedFileError> {
    let failed = |cause: io::Error| match cause.kind() {
        ErrorKind::AlreadyExists if leads_nowhere(path) => LockedFileError::dangling(path),
        ErrorKind::AlreadyExists => LockedFileError::exists(path),
        // Whoever was first took the draft for one that was left behind.
        ErrorKind::NotFound if path.symlink_metadata().is_ok() => LockedFileError::exists(path),
        _ => LockedFileError::io(path, "created", &cause),
    };
    settle(draft, path).and_then(|()| sync_folder(path)).map_err(failed)?;
    remove_drafts(path);
    Ok(())
}

/// The name under which the next text is written: always the same, so that none is left for long.
fn next(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_string_lossy();
    Some(folder(path).join(format!(".{name}.next")))
}

fn check_size(path: &Path, text: &str) -> Result<(), LockedFileError> {
    match text.len() as u64 <= MAX_BYTES {
        true => Ok(()),
        false => Err(LockedFileError::too_large(path)),
    }
}

/// Opens the file itself, not what a link leads to.
fn open_regular(path: &Path) -> Result<(File, Metadata), LockedFileError> {
    if is_link(path) && !leads_nowhere(path) {
        return Err(LockedFileError::link(path));
    }
    open_file(path)
}

#[expect(clippy::disallowed_methods, reason = "this is the door to locked files")]
fn open_file(path: &Path) -> Result<(File, Metadata), LockedFileError> {
    let unread = |cause: io::Error| match cause.kind() {
        ErrorKind::NotFound if leads_nowhere(path) => LockedFileError::dangling(path).absent(),
        _ => LockedFileError::io(path, "read", &cause),
    };
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe without a writer would block the open for ever.
        options.custom_flags(crate::open_flags::O_NONBLOCK);
    }
    let file = options.open(path).map_err(unread)?;
    let found = metadata(path, &file)?;
    match found.is_file() {
        true => Ok((file, found)),
        false => Err(LockedFileError::not_regular(path)),
    }
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_symlink())
}

fn leads_nowhere(path: &Path) -> bool {
    is_link(path) && !path.exists()
}

fn metadata(path: &Path, file: &File) -> Result<Metadata, LockedFileError> {
    file.metadata().map_err(|cause| LockedFileError::io(path, "read", &cause))
}

/// Whether what was opened still has its path: a lock belongs to a file.
#[cfg(unix)]
fn is_at(path: &Path, opened: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |found: Metadata| (found.dev(), found.ino()) == (opened.dev(), opened.ino());
    path.symlink_metadata().is_ok_and(same)
}

#[cfg(not(unix))]
fn is_at(_: &Path, _: &Metadata) -> bool {
    true
}

fn text(path: &Path, file: &File) -> Result<Secret<String>, LockedFileError> {
    let unread = |cause: io::Error| LockedFileError::io(path, "read", &cause);
    let size = file.metadata().map_err(unread)?.len().min(MAX_BYTES);
    // Room for all of it: bytes that move as they grow would stay behind in memory.
    let mut text = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 2);
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut text);
    let text = Secret::new(text);
    if read.map_err(unread)? as u64 > MAX_BYTES {
        return Err(LockedFileError::too_large(path));
    }
    let text = str::from_utf8(text.expose()).map_err(|_| LockedFileError::not_text(path))?;
    Ok(Secret::new(text.to_owned()))
}

fn fill(mut file: File, text: &str, mode: u32) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    file.sync_all()
}

/// The server that reads the file goes on being able to.
#[cfg(unix)]
fn keep_owner(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let new = file.metadata()?;
    match (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        true => Ok(()),
        false => fchown(file, Some(old.uid()), Some(old.gid())),
    }
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

fn remove(path: &Path) {
    // It is absent mostly; what cannot be removed fails the creation after it.
    let _ = fs::remove_file(path);
}

/// Removes what commands left that were killed while they created the file at `path`, which is
/// there now.
#[expect(clippy::disallowed_methods, reason = "this is the door to locked files")]
fn remove_drafts(path: &Path) {
    // What cannot be listed stays: a change does not fail for it.
    let Ok(entries) = fs::read_dir(folder(path)) else { return };
    let drafts = entries.flatten().filter(|entry| is_draft(&entry.file_name(), path));
    drafts.for_each(|draft| remove(&draft.path()));
}
