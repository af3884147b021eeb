//! An open folder of a workspace, entry by entry.

use std::io;
use std::path::Path;

use cap_std::fs::Dir;
#[cfg(unix)]
use rustix::fs::{Mode, OFlags, openat};

use super::metadata::FileMetadata;
#[cfg(not(unix))]
use super::metadata::described;
#[cfg(unix)]
use super::metadata::look;

/// A folder that was opened beneath the workspace.
#[cfg(unix)]
pub(super) struct Folder(rustix::fs::Dir);

/// What is in it.
#[cfg(unix)]
pub(super) struct Found(rustix::fs::DirEntry);

// cap-std makes two handles and two calls more, and an entry of it holds both of them.
#[cfg(unix)]
impl Folder {
    pub(super) fn open(root: &Dir, path: &Path) -> io::Result<Self> {
        // On Linux the first handle stands for the folder, and cannot be read.
        let folder = root.open_dir(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(&folder, c".", flags, Mode::empty())?;
        Ok(Self(rustix::fs::Dir::new(opened)?))
    }

    /// The next entry: neither the folder itself nor the one above it.
    pub(super) fn next(&mut self) -> Option<io::Result<Found>> {
        loop {
            match self.0.read()? {
                Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                found => return Some(found.map(Found).map_err(io::Error::from)),
            }
        }
    }

    /// What an entry is; nothing, where it is a link.
    pub(super) fn look_at(&self, found: &Found) -> io::Result<Option<FileMetadata>> {
        look(self.0.fd()?, found.0.file_name())
    }
}

#[cfg(unix)]
impl Found {
    /// Its name, if that is UTF-8.
    pub(super) fn name(&self) -> Option<&str> {
        self.0.file_name().to_str().ok()
    }
}

/// A folder that was opened beneath the workspace.
#[cfg(not(unix))]
pub(super) struct Folder(cap_std::fs::ReadDir);

/// What is in it.
#[cfg(not(unix))]
pub(super) struct Found {
    entry: cap_std::fs::DirEntry,
    name: std::ffi::OsString,
}

#[cfg(not(unix))]
impl Folder {
    pub(super) fn open(root: &Dir, path: &Path) -> io::Result<Self> {
        root.read_dir(path).map(Self)
    }

    pub(super) fn next(&mut self) -> Option<io::Result<Found>> {
        Some(self.0.next()?.map(|entry| Found { name: entry.file_name(), entry }))
    }

    pub(super) fn look_at(&self, found: &Found) -> io::Result<Option<FileMetadata>> {
        let metadata = found.entry.metadata()?;
        if metadata.is_symlink() { Ok(None) } else { described(&metadata).map(Some) }
    }
}

#[cfg(not(unix))]
impl Found {
    pub(super) fn name(&self) -> Option<&str> {
        self.name.to_str()
    }
}
