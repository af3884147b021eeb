//! How much a workspace holds, and may hold.

use std::io;
use std::path::Path;

use cap_std::fs::Dir;

use super::{WorkspaceError, WorkspaceErrorKind};

/// How much a [`WritableWorkspace`](super::WritableWorkspace) may hold, with everything that was
/// there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The most bytes that all files may have together.
    pub bytes: u64,
    /// The most files and folders that there may be.
    pub files: u64,
}

/// What is there, as far as this process knows.
#[derive(Debug)]
pub(super) struct Usage {
    quota: Quota,
    bytes: u64,
    files: u64,
    /// Whether everything was counted: beyond the quota, counting stops.
    complete: bool,
}

impl Usage {
    pub(super) fn measure(root: &Dir, quota: Quota) -> io::Result<Self> {
        let mut usage = Self { quota, bytes: 0, files: 0, complete: true };
        // Walked by open folders: a path from the root may be longer than the system takes.
        let mut folders = vec![root.entries()?];
        while let Some(folder) = folders.last_mut() {
            let Some(entry) = folder.next().transpose()? else {
                folders.pop();
                continue;
            };
            usage.files += 1;
            if usage.files > quota.files {
                usage.complete = false;
                return Ok(usage);
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                let inside = entry.open_dir().and_then(|folder| folder.entries());
                let inside = if_there(inside).map_err(|cause| {
                    let name = entry.file_name();
                    io::Error::new(cause.kind(), format!("to count what is in {name:?}: {cause}"))
                })?;
                folders.extend(inside);
            } else if kind.is_file() {
                let size = if_there(entry.metadata())?.map_or(0, |metadata| metadata.len());
                usage.bytes = usage.bytes.saturating_add(size);
            }
        }
        Ok(usage)
    }

    /// Whether there is room for a file of `after` bytes in place of one of `before` bytes, or of
    /// none. What others removed is noticed before anything is refused.
    pub(super) fn has_room(
        &mut self,
        root: &Dir,
        before: Option<u64>,
        after: u64,
    ) -> Result<(), WorkspaceError> {
        if self.fits(before, after) {
            return Ok(());
        }
        *self = Self::measure(root, self.quota).map_err(WorkspaceError::not_written)?;
        if self.fits(before, after) {
            return Ok(());
        }
        Err(WorkspaceError::of(WorkspaceErrorKind::QuotaExceeded, "over the quota"))
    }

    fn fits(&self, before: Option<u64>, after: u64) -> bool {
        if before.is_some_and(|before| after <= before) {
            return true;
        }
        let files = self.files.saturating_add(u64::from(before.is_none()));
        let bytes = self.bytes.saturating_sub(before.unwrap_or(0)).saturating_add(after);
        self.complete && files <= self.quota.files && bytes <= self.quota.bytes
    }

    /// A file of `before` bytes, or of none, has become one of `after` bytes.
    pub(super) fn changed(&mut self, before: Option<u64>, after: u64) {
        self.files = self.files.saturating_add(u64::from(before.is_none()));
        self.bytes = self.bytes.saturating_sub(before.unwrap_or(0)).saturating_add(after);
    }

    pub(super) fn removed(&mut self, bytes: u64) {
        self.files = self.files.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Nothing for what somebody removed meanwhile.
fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// The folder of a path, for the operating system: that of a bare name is `.`.
pub(super) fn or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}
