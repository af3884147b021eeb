use std::io;
use std::path::Path;
use std::time::SystemTime;

use cap_std::fs::Metadata;

use super::path::{is_hidden, plain, refused};
use super::read::check_regular;
use super::{Workspace, WorkspaceError, WorkspaceErrorKind, blocking};

/// What [`Workspace::metadata`] says of a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, without the folder's.
    pub name: String,
    /// What it is.
    pub metadata: FileMetadata,
}

impl Workspace {
    /// Lists the folder at `path`, by name; the workspace itself is `.`.
    ///
    /// What could not be read is left out: hidden files, links that lead nowhere or outside, pipes,
    /// devices, sockets, files with a second hard link, and names that are not UTF-8.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), for a folder; and when it has more entries than
    /// [`max_entries`](Self::max_entries).
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_guard as guard; }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # std::fs::write(folder.path().join("hello.txt"), "hello").unwrap();
    /// # std::fs::write(folder.path().join(".env"), "KEY=hunter2").unwrap();
    /// use portcullis::guard::Workspace;
    ///
    /// let entries = Workspace::open(folder.path())?.list(".").await?;
    /// assert_eq!(entries.len(), 1); // and not `.env`
    /// assert_eq!((entries[0].name.as_str(), entries[0].metadata.size), ("hello.txt", 5));
    /// # Ok::<(), portcullis::guard::WorkspaceError>(()) }).unwrap();
    /// ```
    pub async fn list(&self, path: impl AsRef<Path>) -> Result<Vec<Entry>, WorkspaceError> {
        let (workspace, path) = (self.clone(), path.as_ref().to_owned());
        blocking(move || workspace.list_now(&path)).await
    }

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
        described(&self.root.metadata(plain(path, self.hidden)?)?)
    }

    pub(super) fn list_now(&self, path: &Path) -> Result<Vec<Entry>, WorkspaceError> {
        let folder = plain(path, self.hidden).map_err(WorkspaceError::not_found)?;
        let found = self.root.read_dir(folder).map_err(WorkspaceError::not_found)?;
        let mut entries = Vec::new();
        for (seen, entry) in found.enumerate() {
            if seen >= self.max_entries {
                let kind = WorkspaceErrorKind::TooMany { max: self.max_entries };
                return Err(WorkspaceError::of(kind, "over the cap of entries"));
            }
            let entry = entry.map_err(WorkspaceError::not_found)?;
            let name = entry.file_name();
            if is_hidden(&name) && !self.hidden {
                continue;
            }
            let metadata = match entry.metadata() {
                // Asked from the workspace's own folder: it may lead to another one in it.
                Ok(link) if link.is_symlink() => self.metadata_now(&folder.join(&name)),
                metadata => metadata.and_then(|metadata| described(&metadata)),
            };
            if let (Ok(name), Ok(metadata)) = (name.into_string(), metadata) {
                entries.push(Entry { name, metadata });
            }
        }
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }
}

fn described(metadata: &Metadata) -> io::Result<FileMetadata> {
    let modified = metadata.modified().ok().map(cap_std::time::SystemTime::into_std);
    if metadata.is_dir() {
        return Ok(FileMetadata { kind: EntryKind::Folder, size: 0, modified });
    }
    check_regular(metadata).map_err(|_| refused("neither a folder nor a regular file"))?;
    Ok(FileMetadata { kind: EntryKind::File, size: metadata.len(), modified })
}
