//! Who may have read or written a file.

use std::fs::Metadata;
use std::path::Path;

use super::{LockedFileError, Readers};

impl Readers {
    /// The mode of a new file.
    pub(super) fn mode(self) -> u32 {
        match self {
            Self::Trusted => 0o600,
            Self::Everybody => 0o644,
        }
    }

    /// What the mode of a file must not have.
    #[cfg(unix)]
    fn refused(self) -> u32 {
        match self {
            Self::Trusted => 0o027,
            Self::Everybody => 0o022,
        }
    }
}

/// The bits of a mode that say who may do what.
#[cfg(unix)]
pub(super) fn mode(found: &Metadata) -> u32 {
    use std::os::unix::fs::MetadataExt;
    found.mode() & 0o777
}

#[cfg(not(unix))]
pub(super) fn mode(_: &Metadata) -> u32 {
    0o600
}

/// Refuses what others may have read or written, by what was found of the opened file, and a folder
/// in which they may put another file in its place.
#[cfg(unix)]
pub(super) fn check(
    path: &Path,
    found: &Metadata,
    readers: Readers,
) -> Result<(), LockedFileError> {
    use std::os::unix::fs::MetadataExt;
    if mode(found) & readers.refused() != 0 {
        return Err(LockedFileError::exposed(path, mode(found), readers));
    }
    if readers == Readers::Trusted && found.nlink() > 1 {
        return Err(LockedFileError::linked(path, found.nlink()));
    }
    check_folder(path)?;
    // Of a link, both folders count.
    path.canonicalize().map_or(Ok(()), |file| check_folder(&file))
}

#[cfg(unix)]
fn check_folder(path: &Path) -> Result<(), LockedFileError> {
    use crate::private_file;
    let folder = private_file::folder(path);
    let found = folder.metadata().map_err(|cause| LockedFileError::io(path, "read", &cause))?;
    private_file::check_around(&found, folder)
        .map_err(|error| LockedFileError::replaceable(path, folder, error.flaw()))
}

/// Refuses a file of another user, unless that is root: its owner can read and write it, whatever its
/// mode is.
#[cfg(all(unix, feature = "keys"))]
pub(super) fn check_owner(path: &Path, found: &Metadata) -> Result<(), LockedFileError> {
    use std::os::unix::fs::MetadataExt;
    let own = rustix::process::geteuid().as_raw();
    crate::private_file::check_owner(found.uid(), own, path)
        .map_err(|error| LockedFileError::owned(path, error.flaw()))
}

#[cfg(not(unix))]
pub(super) fn check(_: &Path, _: &Metadata, _: Readers) -> Result<(), LockedFileError> {
    Ok(())
}

#[cfg(all(not(unix), feature = "keys"))]
pub(super) fn check_owner(_: &Path, _: &Metadata) -> Result<(), LockedFileError> {
    Ok(())
}
