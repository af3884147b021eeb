//! The content of files, regular and bounded.

#[cfg(target_os = "linux")]
use std::ffi::CString;
use std::io::{self, BufRead, BufReader, Read};
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::SystemTime;
#[cfg(unix)]
use std::time::{Duration, UNIX_EPOCH};

use cap_std::fs::{Dir, File, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, Mode, OFlags, readlink, statat};
#[cfg(target_os = "linux")]
use rustix::io::Errno;
#[cfg(unix)]
use rustix::{buffer::spare_capacity, io::retry_on_intr};

use super::path::{plain, refused};
use super::{Workspace, WorkspaceError, blocking};
use crate::clock::{Clock, SystemClock};
#[cfg(target_os = "linux")]
use crate::random;

/// The first lines of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The lines, with the line feeds that end them.
    pub text: String,
    /// Whether the file has more.
    pub more: bool,
}

impl Workspace {
    /// Reads the file at `path`, relative to the folder.
    ///
    /// # Errors
    ///
    /// A path that leads outside, does not exist, is hidden, may not be read, or is not a regular
    /// file: one error for all of them, so that it tells nothing about what is outside. A
    /// file over the size cap is told apart.
    pub async fn read(&self, path: impl AsRef<Path>) -> Result<Vec<u8>, WorkspaceError> {
        let (workspace, path) = (self.clone(), path.as_ref().to_owned());
        blocking(move || workspace.read_now(&path)).await
    }

    /// Reads the UTF-8 file at `path`, relative to the folder.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and when the file is not UTF-8.
    pub async fn read_text(&self, path: impl AsRef<Path>) -> Result<String, WorkspaceError> {
        text(self.read(path).await?)
    }

    /// Reads the first `most` lines of the UTF-8 file at `path`, which may be larger than the size
    /// cap: only what is read counts.
    ///
    /// # Errors
    ///
    /// As [`read_text`](Self::read_text): the lines have to be UTF-8, and within the size cap.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_guard as guard; }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # std::fs::write(folder.path().join("log.txt"), "one\ntwo\nthree\n").unwrap();
    /// use portcullis::guard::Workspace;
    ///
    /// let lines = Workspace::open(folder.path())?.read_lines("log.txt", 2).await?;
    /// assert_eq!((lines.text.as_str(), lines.more), ("one\ntwo\n", true));
    /// # Ok::<(), portcullis::guard::WorkspaceError>(()) }).unwrap();
    /// ```
    pub async fn read_lines(
        &self,
        path: impl AsRef<Path>,
        most: usize,
    ) -> Result<Lines, WorkspaceError> {
        let (workspace, path) = (self.clone(), path.as_ref().to_owned());
        blocking(move || workspace.read_lines_now(&path, most)).await
    }

    pub(super) fn read_now(&self, path: &Path) -> Result<Vec<u8>, WorkspaceError> {
        let (file, metadata) = self.open_regular(path).map_err(WorkspaceError::not_found)?;
        let content = read_bounded(&file, metadata.len(), self.max_size);
        let content = content.map_err(WorkspaceError::not_found)?;
        if content.len() as u64 > self.max_size {
            return Err(WorkspaceError::too_large(self.max_size));
        }
        Ok(content)
    }

    fn read_lines_now(&self, path: &Path, most: usize) -> Result<Lines, WorkspaceError> {
        let (file, _) = self.open_regular(path).map_err(WorkspaceError::not_found)?;
        let mut bounded = BufReader::new(file.take(self.max_size.saturating_add(1)));
        let mut content = Vec::new();
        for _ in 0..most {
            let read = bounded.read_until(b'\n', &mut content);
            if read.map_err(WorkspaceError::not_found)? == 0 {
                break;
            }
            if content.len() as u64 > self.max_size {
                return Err(WorkspaceError::too_large(self.max_size));
            }
        }
        let more = !bounded.fill_buf().map_err(WorkspaceError::not_found)?.is_empty();
        Ok(Lines { text: text(content)?, more })
    }

    /// Opens a file, and judges what is open. Where somebody takes its name away meanwhile, it is
    /// opened again.
    fn open_regular(&self, path: &Path) -> io::Result<(File, Metadata)> {
        let path = plain(path, self.hidden)?;
        let mut options = OpenOptions::new();
        options.read(true);
        // A pipe without a writer would block the open for ever.
        #[cfg(unix)]
        options.custom_flags(crate::open_flags::O_NONBLOCK);
        for _ in 0..MOST_ATTEMPTS {
            let now = SystemClock.now();
            let file = self.root.open_with(path, &options)?;
            let metadata = file.metadata()?;
            check_regular(&metadata)?;
            if is_settled(&metadata, now) || keeps_its_name(&self.root, path, &file, &metadata) {
                return Ok((file, metadata));
            }
        }
        Err(refused("a name that is taken away each time"))
    }
}

/// How often a file is opened whose name is taken away: whoever replaces one does so once.
const MOST_ATTEMPTS: usize = 8;

/// Whether the names of a file are those that it had at `now`, which was before it was opened: each one
/// that it gets or loses changes its time of change, which is told in steps of 10 ms at most.
#[cfg(unix)]
pub(super) fn is_settled(metadata: &Metadata, now: SystemTime) -> bool {
    let (seconds, nanoseconds) = (metadata.ctime(), metadata.ctime_nsec());
    let since = u64::try_from(seconds).ok().zip(u32::try_from(nanoseconds).ok());
    let changed = since.and_then(|(seconds, nanoseconds)| {
        UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
    });
    changed.is_some_and(|changed| now.duration_since(changed).is_ok_and(|ago| ago > LONG_AGO))
}

#[cfg(unix)]
const LONG_AGO: Duration = Duration::from_millis(200);

#[cfg(not(unix))]
pub(super) fn is_settled(_: &Metadata, _: SystemTime) -> bool {
    true
}

/// Whether a file that has one name is still called as it was when it was opened. Otherwise the one name
/// may be outside: somebody linked a file of theirs, and took the link away before it was counted.
pub(super) fn keeps_its_name(folder: &Dir, path: &Path, file: &File, metadata: &Metadata) -> bool {
    // Linux knows by which name it was opened. Elsewhere the name is looked up once more.
    #[cfg(target_os = "linux")]
    if let Ok(name) = name_of(file) {
        // A name that is taken away is counted first, and marked later, while its folder is locked.
        return !name.as_bytes().ends_with(DELETED)
            && wait_for_folder_of(name.as_bytes()).is_ok()
            && name_of(file).is_ok_and(|later| later == name);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
    #[cfg(unix)]
    return folder.metadata(path).is_ok_and(|named| {
        (named.dev(), named.ino(), named.nlink()) == (metadata.dev(), metadata.ino(), 1)
    });
    #[cfg(not(unix))]
    {
        let _ = (folder, path, metadata);
        true
    }
}

#[cfg(target_os = "linux")]
const DELETED: &[u8] = b" (deleted)";

#[cfg(target_os = "linux")]
fn name_of(file: &File) -> io::Result<CString> {
    Ok(readlink(format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new())?)
}

/// Waits for whoever adds or takes away a name in the folder of `path` just now: a name that nobody has
/// looked up before is looked up with the folder locked.
#[cfg(target_os = "linux")]
fn wait_for_folder_of(path: &[u8]) -> io::Result<()> {
    let end = path.iter().rposition(|byte| *byte == b'/').ok_or(io::ErrorKind::NotFound)?;
    let folder = path.get(..=end).ok_or(io::ErrorKind::NotFound)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    let unused = u128::from_be_bytes(random::bytes().map_err(io::Error::other)?);
    match statat(folder, format!(".{unused:032x}"), AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) => Err(error.into()),
    }
}

/// Refuses what is not a regular file with one name.
pub(super) fn check_regular(metadata: &Metadata) -> io::Result<()> {
    if !metadata.is_file() {
        return Err(refused("not a regular file"));
    }
    #[cfg(unix)]
    if metadata.nlink() > 1 {
        return Err(refused("a second hard link may lie outside the workspace"));
    }
    Ok(())
}

/// Reads a file that had `expected` bytes, and at most about one byte more than `most`: the size may
/// change after it was looked at.
#[cfg(unix)]
fn read_bounded(file: &File, expected: u64, most: u64) -> io::Result<Vec<u8>> {
    // With room for one byte more the second call says that this was all. The reader of std makes
    // many small calls where it is bounded.
    let room = |bytes: u64| usize::try_from(bytes.min(most).saturating_add(1));
    let mut content = Vec::with_capacity(room(expected).map_err(io::Error::other)?);
    loop {
        let read = retry_on_intr(|| rustix::io::read(file, spare_capacity(&mut content)))?;
        let length = content.len() as u64;
        if read == 0 || length > most {
            return Ok(content);
        }
        if content.len() == content.capacity() {
            let doubled = room(length.saturating_mul(2)).map_err(io::Error::other)?;
            content.reserve_exact(doubled.saturating_sub(content.len()));
        }
    }
}

#[cfg(not(unix))]
fn read_bounded(file: &File, expected: u64, most: u64) -> io::Result<Vec<u8>> {
    let room = usize::try_from(expected.min(most).saturating_add(1)).map_err(io::Error::other)?;
    let mut content = Vec::with_capacity(room);
    file.take(most.saturating_add(1)).read_to_end(&mut content)?;
    Ok(content)
}

fn text(content: Vec<u8>) -> Result<String, WorkspaceError> {
    String::from_utf8(content).map_err(|cause| WorkspaceError::not_text(cause.utf8_error()))
}
