//! Files that are written whole, within a quota.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use cap_std::fs::{Dir, DirBuilder, File, Metadata, OpenOptions, OpenOptionsExt};
#[cfg(unix)]
use cap_std::fs::{DirBuilderExt, PermissionsExt};
use tokio::sync::Semaphore;

use super::path::{folder_and_name, plain, refused};
use super::quota::{Quota, Usage, or_here};
use super::read::{check_regular, keeps_its_name};
use super::{Workspace, WorkspaceError, WorkspaceErrorKind, blocking};
use crate::random;

/// A [`Workspace`] that can be written to, within a [`Quota`].
///
/// A function that is given a `Workspace` cannot write; one that is given this can. What it
/// decides, beyond what a `Workspace` does:
///
/// 1. The folder of the file is opened beneath the workspace, and what follows is done in that open
///    folder by a bare name: no link and no race leads outside (CWE-59, CWE-367).
/// 2. [`write`](Self::write) fills a new file under a random name, syncs it and gives it its name:
///    readers see the old file or the new one, never a half, after a crash too.
/// 3. Only a regular file with one name is replaced, appended to or removed: never a link, pipe or
///    device.
/// 4. A new file can be read by its owner alone (0600) and a new folder entered (0700); no file
///    becomes executable, and no folder is made on the way.
/// 5. The quota counts what the folder holds, whoever put it there. What this process changes is
///    counted at once.
///
/// **Deployment caveat.** What other processes add is only counted when the workspace is opened
/// and before a refusal: give each process a folder of its own, or a quota of the file system.
/// Writes happen one at a time. A crash may leave a hidden file `.portcullis-….tmp`, which counts.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir().unwrap();
/// use portcullis::guard::{Quota, Workspace, WorkspaceErrorKind};
///
/// let quota = Quota { bytes: 1024, files: 10 };
/// let workspace = Workspace::open(folder.path())?.writable(quota)?;
/// workspace.write("notes.txt", "one\n").await?;
/// workspace.append("notes.txt", "two\n").await?;
/// assert_eq!(workspace.files().read_text("notes.txt").await?, "one\ntwo\n");
///
/// let outside = workspace.write("../notes.txt", "x").await.unwrap_err();
/// assert_eq!(outside.kind(), WorkspaceErrorKind::NotFound);
/// let large = workspace.write("large.txt", vec![0; 2048]).await.unwrap_err();
/// assert_eq!(large.kind(), WorkspaceErrorKind::QuotaExceeded);
/// # Ok::<(), portcullis::guard::WorkspaceError>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct WritableWorkspace {
    files: Workspace,
    pub(super) usage: Arc<Mutex<Usage>>,
    /// Has one permit: what waits for it is a future, which goes away with whoever asked.
    turn: Arc<Semaphore>,
}

impl Workspace {
    /// Lets the workspace be written to, within `quota`.
    ///
    /// What is made here counts for itself what it writes: have one for each folder, and give clones of that
    /// one to those who write. Two of them could write as much as both quotas together.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read through, to count what it holds: serve a folder in the volume
    /// rather than its root, where a `lost+found` is.
    pub fn writable(self, quota: Quota) -> Result<WritableWorkspace, WorkspaceError> {
        let usage = Usage::measure(&self.root, quota).map_err(WorkspaceError::not_counted)?;
        let (usage, turn) = (Arc::new(Mutex::new(usage)), Arc::new(Semaphore::new(1)));
        Ok(WritableWorkspace { files: self, usage, turn })
    }
}

impl WritableWorkspace {
    /// The same workspace, for reading.
    #[must_use]
    pub fn files(&self) -> &Workspace {
        &self.files
    }

    /// Writes the file at `path`, relative to the folder, in place of one that is there. It is all
    /// written, or not at all.
    ///
    /// # Errors
    ///
    /// As [`Workspace::read`] for the folder of the file and for what is replaced; when the file
    /// would be over the size cap or the quota; and when the operating system does not write it.
    pub async fn write(
        &self,
        path: impl AsRef<Path>,
        content: impl Into<Vec<u8>>,
    ) -> Result<(), WorkspaceError> {
        let (path, content) = (path.as_ref().to_owned(), content.into());
        self.within_the_cap(content.len() as u64)?;
        self.in_turn(move |workspace| workspace.write_now(&path, &content)).await
    }

    /// Appends to the file at `path`, or creates it.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn append(
        &self,
        path: impl AsRef<Path>,
        content: impl Into<Vec<u8>>,
    ) -> Result<(), WorkspaceError> {
        let (path, content) = (path.as_ref().to_owned(), content.into());
        self.within_the_cap(content.len() as u64)?;
        self.in_turn(move |workspace| workspace.append_now(&path, &content)).await
    }

    /// Makes the folder at `path`, in a folder that is there. One that is there already is left as
    /// it is.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), and where something else has the name.
    pub async fn create_folder(&self, path: impl AsRef<Path>) -> Result<(), WorkspaceError> {
        let path = path.as_ref().to_owned();
        self.in_turn(move |workspace| workspace.create_folder_now(&path)).await
    }

    /// Removes the file, or the empty folder, at `path`.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), and when the folder is not empty.
    pub async fn remove(&self, path: impl AsRef<Path>) -> Result<(), WorkspaceError> {
        let path = path.as_ref().to_owned();
        self.in_turn(move |workspace| workspace.remove_now(&path)).await
    }

    /// Does what writes, one after another: who goes away before their turn leaves nothing to do.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, WorkspaceError> + Send + 'static,
    ) -> Result<T, WorkspaceError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.map_err(|closed| WorkspaceError::not_written(io::Error::other(closed)))?;
        let workspace = self.clone();
        blocking(move || {
            let _turn = turn;
            work(&workspace)
        })
        .await
    }

    pub(super) fn write_now(&self, path: &Path, content: &[u8]) -> Result<(), WorkspaceError> {
        let (folder, name) = self.place(path).map_err(WorkspaceError::not_found)?;
        let size = content.len() as u64;
        let mut usage = self.usage()?;
        let replaced = regular_file(&folder, name).map_err(WorkspaceError::not_found)?;
        let before = replaced.as_ref().map(Metadata::len);
        usage.has_room(&self.files.root, before, size)?;
        let written = write_whole(&folder, name, content, replaced.as_ref());
        written.map_err(WorkspaceError::not_written)?;
        usage.changed(before, size);
        Ok(())
    }

    pub(super) fn append_now(&self, path: &Path, content: &[u8]) -> Result<(), WorkspaceError> {
        let (folder, name) = self.place(path).map_err(WorkspaceError::not_found)?;
        let added = content.len() as u64;
        let mut usage = self.usage()?;
        let Some(before) = regular_file(&folder, name).map_err(WorkspaceError::not_found)? else {
            usage.has_room(&self.files.root, None, added)?;
            write_whole(&folder, name, content, None).map_err(WorkspaceError::not_written)?;
            usage.changed(None, added);
            return Ok(());
        };
        let size = self.within_the_cap(before.len().saturating_add(added))?;
        usage.has_room(&self.files.root, Some(before.len()), size)?;
        let file = open_to_append(&folder, name).map_err(WorkspaceError::not_found)?;
        append_whole(file, content).map_err(WorkspaceError::not_written)?;
        usage.changed(Some(before.len()), size);
        Ok(())
    }

    pub(super) fn create_folder_now(&self, path: &Path) -> Result<(), WorkspaceError> {
        let (folder, name) = self.place(path).map_err(WorkspaceError::not_found)?;
        let mut usage = self.usage()?;
        match folder.symlink_metadata(name) {
            Ok(there) if there.is_dir() => return Ok(()),
            Ok(_) => return Err(WorkspaceError::not_found(io::ErrorKind::NotADirectory.into())),
            Err(_) => {}
        }
        usage.has_room(&self.files.root, None, 0)?;
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        builder.mode(0o700);
        folder.create_dir_with(name, &builder).map_err(WorkspaceError::not_written)?;
        usage.changed(None, 0);
        Ok(())
    }

    pub(super) fn remove_now(&self, path: &Path) -> Result<(), WorkspaceError> {
        let (folder, name) = self.place(path).map_err(WorkspaceError::not_found)?;
        let mut usage = self.usage()?;
        let there = folder.symlink_metadata(name).map_err(WorkspaceError::not_found)?;
        if there.is_dir() {
            folder.remove_dir(name).map_err(|cause| match cause.kind() {
                io::ErrorKind::DirectoryNotEmpty => {
                    WorkspaceError::of(WorkspaceErrorKind::NotEmpty, "the folder is not empty")
                }
                _ => WorkspaceError::not_written(cause),
            })?;
            usage.removed(0);
            return Ok(());
        }
        check_regular(&there).map_err(WorkspaceError::not_found)?;
        folder.remove_file(name).map_err(WorkspaceError::not_written)?;
        usage.removed(there.len());
        Ok(())
    }

    /// The open folder of `path`, and the name in it.
    fn place<'a>(&self, path: &'a Path) -> io::Result<(Dir, &'a OsStr)> {
        let (folder, name) = folder_and_name(plain(path, self.files.hidden)?)?;
        Ok((self.files.root.open_dir(or_here(folder))?, name))
    }

    fn within_the_cap(&self, size: u64) -> Result<u64, WorkspaceError> {
        let max = self.files.max_size;
        if size > max { Err(WorkspaceError::too_large(max)) } else { Ok(size) }
    }

    /// Held for the whole of a write: what was looked at is what is counted.
    fn usage(&self) -> Result<MutexGuard<'_, Usage>, WorkspaceError> {
        let broken = "a write broke off: what the folder holds is not known";
        self.usage.lock().map_err(|_| WorkspaceError::of(WorkspaceErrorKind::NotWritten, broken))
    }
}

/// What has the name already, if it is a regular file; an error for anything else.
fn regular_file(folder: &Dir, name: &OsStr) -> io::Result<Option<Metadata>> {
    match folder.symlink_metadata(name) {
        Ok(metadata) => check_regular(&metadata).map(|()| Some(metadata)),
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

pub(super) fn write_whole(
    folder: &Dir,
    name: &OsStr,
    content: &[u8],
    replaced: Option<&Metadata>,
) -> io::Result<()> {
    let number = u64::from_be_bytes(random::bytes().map_err(io::Error::other)?);
    let draft = format!(".portcullis-{number:016x}.tmp");
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(replaced.map_or(0o600, |replaced| replaced.permissions().mode() & 0o666));
    #[cfg(not(unix))]
    let _ = replaced;
    let mut file = folder.open_with(&draft, &options)?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| folder.rename(&draft, folder, name));
    if written.is_err() {
        // What failed before is what is told.
        let _ = folder.remove_file(&draft);
        return written;
    }
    // The file is whole and has its name; without this, a power failure may take the name back.
    let _ = folder.open(".").and_then(|folder| folder.sync_all());
    Ok(())
}

pub(super) fn open_to_append(folder: &Dir, name: &OsStr) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true);
    // Another process may have put a link or a pipe there meanwhile.
    #[cfg(unix)]
    options.custom_flags(crate::open_flags::O_NONBLOCK | crate::open_flags::O_NOFOLLOW);
    let file = folder.open_with(name, &options)?;
    let metadata = file.metadata()?;
    check_regular(&metadata)?;
    match keeps_its_name(folder, name.as_ref(), &file, &metadata) {
        true => Ok(file),
        false => Err(refused("its name was taken away")),
    }
}

fn append_whole(mut file: File, content: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(content).and_then(|()| file.sync_data()).inspect_err(|_| {
        // A part of it would be taken for all of it.
        let _ = file.set_len(before);
    })
}
