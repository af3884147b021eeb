//! The entries of a folder.

use std::path::Path;

use super::folder::Folder;
use super::metadata::FileMetadata;
use super::path::{is_hidden, plain};
use super::{Workspace, WorkspaceError, WorkspaceErrorKind, blocking};

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

    pub(super) fn list_now(&self, path: &Path) -> Result<Vec<Entry>, WorkspaceError> {
        let path = plain(path, self.hidden).map_err(WorkspaceError::not_found)?;
        let mut folder = Folder::open(&self.root, path).map_err(WorkspaceError::not_found)?;
        let (mut entries, mut seen) = (Vec::new(), 0);
        while let Some(found) = folder.next() {
            if seen >= self.max_entries {
                let kind = WorkspaceErrorKind::TooMany { max: self.max_entries };
                return Err(WorkspaceError::of(kind, "over the cap of entries"));
            }
            seen += 1;
            let found = found.map_err(WorkspaceError::not_found)?;
            let Some(name) = found.name() else { continue };
            if is_hidden(name.as_ref()) && !self.hidden {
                continue;
            }
            let metadata = match folder.look_at(&found) {
                Ok(Some(metadata)) => Ok(metadata),
                // Asked from the workspace's own folder: it may lead to another one in it.
                Ok(None) => self.metadata_now(&path.join(name)),
                Err(cause) => Err(cause),
            };
            if let Ok(metadata) = metadata {
                entries.push(Entry { name: name.to_owned(), metadata });
            }
        }
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }
}
