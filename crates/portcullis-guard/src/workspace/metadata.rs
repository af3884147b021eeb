//! The size, time and kind of a file or folder.

use std::io;
use std::path::Path;
use std::time::SystemTime;
#[cfg(unix)]
use std::{os::fd::AsFd, time::Duration};

#[cfg(not(target_os = "linux"))]
use cap_std::fs::Metadata;
#[cfg(target_os = "linux")]
use cap_std::fs::{OpenOptions, OpenOptionsExt};
#[cfg(target_os = "linux")]
use rustix::fs::fstat;
#[cfg(unix)]
use rustix::{
    fs::{AtFlags, FileType, Stat, statat},
    path::Arg,
};

#[cfg(unix)]
use super::path::bare_name;
use super::path::{plain, refused};
#[cfg(not(target_os = "linux"))]
use super::read::check_regular;
use super::{Workspace, WorkspaceError, blocking};

/// What [`Workspace::metadata`] says of a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileMetadata {
    /// Whether it is a file or a folder.
    pub kind: EntryKind,
    /// The size of a file in bytes; 0 for a folder.
    pub size: u64,
    /// When it was last written to, if the file system knows.
    pub modified: Option<SystemTime>,
}

/// What an entry is.
///
/// Exhaustive: nothing else is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
}

/// Why nothing is said of something else.
const OTHER: &str = "neither a folder nor a regular file with one name";

impl Workspace {
    /// What is at `path`, relative to the folder.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), for files and folders.
    pub async fn metadata(&self, path: impl AsRef<Path>) -> Result<FileMetadata, WorkspaceError> {
        let (workspace, path) = (self.clone(), path.as_ref().to_owned());
        blocking(move || workspace.metadata_now(&path).map_err(WorkspaceError::not_found)).await
    }

    pub(super) fn metadata_now(&self, path: &Path) -> io::Result<FileMetadata> {
        let path = plain(path, self.hidden)?;
        // A bare name that is no link leads nowhere: one call, without a handle.
        #[cfg(unix)]
        if let Some(name) = bare_name(path)
            && let Some(found) = look(&*self.root, name)?
        {
            return Ok(found);
        }
        self.described_beneath(path)
    }

    /// The same as `Dir::metadata`, with the one call that costs least, `fstat`, for what it opened.
    #[cfg(target_os = "linux")]
    fn described_beneath(&self, path: &Path) -> io::Result<FileMetadata> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(crate::open_flags::O_PATH);
        let stat = fstat(self.root.open_with(path, &options)?)?;
        described_stat(&stat)?.ok_or_else(|| refused(OTHER))
    }

    #[cfg(not(target_os = "linux"))]
    fn described_beneath(&self, path: &Path) -> io::Result<FileMetadata> {
        described(&self.root.metadata(path)?)
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn described(metadata: &Metadata) -> io::Result<FileMetadata> {
    let modified = metadata.modified().ok().map(cap_std::time::SystemTime::into_std);
    if metadata.is_dir() {
        return Ok(FileMetadata { kind: EntryKind::Folder, size: 0, modified });
    }
    check_regular(metadata).map_err(|_| refused(OTHER))?;
    Ok(FileMetadata { kind: EntryKind::File, size: metadata.len(), modified })
}

/// What has a bare name in an open folder; nothing, where it is a link, which is not followed.
#[cfg(unix)]
pub(super) fn look(folder: impl AsFd, name: impl Arg) -> io::Result<Option<FileMetadata>> {
    described_stat(&statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(unix)]
fn described_stat(stat: &Stat) -> io::Result<Option<FileMetadata>> {
    let modified = modified(stat);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => Ok(None),
        FileType::Directory => {
            Ok(Some(FileMetadata { kind: EntryKind::Folder, size: 0, modified }))
        }
        FileType::RegularFile if stat.st_nlink <= 1 => {
            let size = u64::try_from(stat.st_size).map_err(io::Error::other)?;
            Ok(Some(FileMetadata { kind: EntryKind::File, size, modified }))
        }
        _ => Err(refused(OTHER)),
    }
}

#[cfg(unix)]
fn modified(stat: &Stat) -> Option<SystemTime> {
    let (seconds, nanos) = (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).ok()?);
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    second?.checked_add(Duration::new(0, nanos))
}
