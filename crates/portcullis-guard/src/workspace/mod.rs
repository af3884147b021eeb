//! The door to files with untrusted paths, safe against path traversal.

mod error;
mod folder;
mod list;
mod metadata;
mod path;
mod quota;
mod read;
mod writable;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

pub use self::error::{WorkspaceError, WorkspaceErrorKind};
pub use self::list::Entry;
pub use self::metadata::{EntryKind, FileMetadata};
pub use self::quota::Quota;
pub use self::read::Lines;
pub use self::writable::WritableWorkspace;

/// The largest file that is read or written unless [`Workspace::max_size`] says otherwise: 1 MiB.
pub const DEFAULT_MAX_SIZE: u64 = 1024 * 1024;
/// The most entries that a folder may have to be listed, unless [`Workspace::max_entries`] says
/// otherwise: 1,000.
pub const DEFAULT_MAX_ENTRIES: usize = 1_000;

/// A folder whose files can be read by untrusted paths, safe against path traversal.
///
/// What it decides, in this order:
///
/// 1. A path that is empty, absolute, begins with `~`, or holds a control character, a backslash
///    or a colon is refused, on every operating system. So is one with a hidden part, a name
///    that begins with a dot, and one of more than 1,024 bytes or 32 parts.
/// 2. The file is opened relative to the folder's handle, by the kernel's own rules
///    (`openat2` with `RESOLVE_BENEATH` on Linux): no `..`, no link and no race leads
///    outside, because nothing is checked first and opened later.
/// 3. What was opened must be a regular file with one name (no pipe, device, socket,
///    folder, or second hard link) that it still has, and no larger than the size cap: a link to a file
///    outside, which another process makes and takes away meanwhile, is opened again, and is gone.
///
/// It only reads; [`writable`](Self::writable) gives what writes.
///
/// **Deployment caveat.** It protects against paths, not against what the folder holds:
/// whoever may write there decides what is read, and a link that they put there may have another
/// name than the hidden file that it leads to. Mount points inside the folder count as part of it.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir().unwrap();
/// # std::fs::write(folder.path().join("hello.txt"), "hello").unwrap();
/// use portcullis::guard::Workspace;
///
/// let workspace = Workspace::open(folder.path())?;
/// assert_eq!(workspace.read_text("hello.txt").await?, "hello");
///
/// let refused = workspace.read_text("../../etc/passwd").await.unwrap_err();
/// assert_eq!(refused.to_string(), "no such file in the workspace");
/// # Ok::<(), portcullis::guard::WorkspaceError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Workspace {
    root: Arc<Dir>,
    max_size: u64,
    max_entries: usize,
    hidden: bool,
}

impl Workspace {
    /// Opens the folder at `path`, which the program itself has chosen.
    ///
    /// # Errors
    ///
    /// When it is not a folder that can be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WorkspaceError> {
        let root = Dir::open_ambient_dir(path, ambient_authority());
        let root = Arc::new(root.map_err(WorkspaceError::not_found)?);
        let (max_size, max_entries) = (DEFAULT_MAX_SIZE, DEFAULT_MAX_ENTRIES);
        Ok(Self { root, max_size, max_entries, hidden: false })
    }

    /// Sets the largest file that is read or written, in bytes. The default is 1 MiB.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// Sets how many entries a folder may have to be listed, hidden ones included. The default is
    /// 1,000.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// Lets hidden files, those with a name that begins with a dot, be read and listed. By default
    /// they are as good as absent: that is where tools keep credentials (`.env`, `.git/config`).
    #[must_use]
    pub fn show_hidden(mut self) -> Self {
        self.hidden = true;
        self
    }
}

/// Does what would block somewhere else, to its end.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WorkspaceError> + Send + 'static,
) -> Result<T, WorkspaceError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|cause| Err(WorkspaceError::not_found(io::Error::other(cause))))
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace")
            .field("max_size", &self.max_size)
            .field("max_entries", &self.max_entries)
            .field("hidden", &self.hidden)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
