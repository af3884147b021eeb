//! What a file of keys may be, and how it is changed.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::list::KeyList;
use super::{KeyError, KeyErrorKind, KeyId, KeyState};
use crate::{Secret, reload};

/// A file of keys, as `portcullis keys` makes and changes it.
///
/// A change replaces the file at once, by a rename: a reader sees the old keys or the new ones.
/// Two changes at the same time exclude each other.
///
/// # Example
///
/// ```
/// use portcullis_guard::keys::{KeyErrorKind, KeyFile, KeyRing, KeyState};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("keys");
/// let file = KeyFile::new(&path);
/// let first = file.create()?;
/// let second = file.rotate()?;
/// let keys = KeyRing::from_file(&path)?;
/// assert!(keys.states().eq([(second, KeyState::Valid), (first, KeyState::Retained)]));
///
/// assert_eq!(file.create().unwrap_err().kind(), KeyErrorKind::Exists);
/// assert_eq!(file.revoke(second).unwrap_err().kind(), KeyErrorKind::InUse);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes the file, for its owner alone, with one new key.
    ///
    /// # Errors
    ///
    /// [`KeyErrorKind::Exists`] when something is there already, and whatever keeps a file from
    /// being written.
    pub fn create(&self) -> Result<KeyId, KeyError> {
        let list = KeyList::one_new()?;
        let mut file = match create(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let text = "is there already: `portcullis keys rotate` adds a key to it";
                return Err(KeyError::file(KeyErrorKind::Exists, &self.path, text));
            }
            Err(error) => return Err(KeyError::io(&self.path, "created", &error)),
        };
        let written = write(&mut file, &list).and_then(|()| sync_folder(&self.path));
        if let Err(error) = written {
            remove(&self.path);
            return Err(KeyError::io(&self.path, "written", &error));
        }
        Ok(list.sealing().ok_or_else(KeyError::no_valid_key)?.id())
    }

    /// The ids and states of the keys, newest first.
    ///
    /// # Errors
    ///
    /// As those of [`KeyRing::from_file`](super::KeyRing::from_file); a file in which no key is
    /// valid is read.
    pub fn states(&self) -> Result<Vec<(KeyId, KeyState)>, KeyError> {
        let list = self.read()?;
        Ok(list.entries().iter().map(|key| (key.id(), key.state())).collect())
    }

    /// Makes the staged key seal, or a new one where none is staged; the keys that were valid are
    /// retained. Gives the id of the key that seals now.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read or replaced.
    pub fn rotate(&self) -> Result<KeyId, KeyError> {
        self.change(KeyList::rotate)
    }

    /// Adds a key that opens only, until the next [`rotate`](Self::rotate). With several replicas
    /// each has to know a key before the first one seals with it.
    ///
    /// # Errors
    ///
    /// When one is staged already, and whatever keeps the file from being read or replaced.
    pub fn stage(&self) -> Result<KeyId, KeyError> {
        self.change(KeyList::stage)
    }

    /// Revokes a key, for ever: its bytes are deleted, and what it sealed cannot be opened any
    /// more.
    ///
    /// # Errors
    ///
    /// [`KeyErrorKind::InUse`] for the key that seals, [`KeyErrorKind::Unknown`] when no key has
    /// this id, and whatever keeps the file from being read or replaced.
    pub fn revoke(&self, id: KeyId) -> Result<(), KeyError> {
        self.change(|list| list.revoke(id))
    }

    fn read(&self) -> Result<KeyList, KeyError> {
        KeyList::parse(read(&self.path)?.expose()).map_err(|error| error.of(self.path.display()))
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut KeyList) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        // A rename would put a file in place of the link.
        if self.path.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
            let text = "is a link: name the file that it leads to";
            return Err(KeyError::file(KeyErrorKind::Unusable, &self.path, text));
        }
        // Made before the keys are read, so that a second change is refused, and none is lost.
        let mut next = NextFile::beside(&self.path)?;
        let mut list = self.read()?;
        let changed = change(&mut list)?;
        next.put_in_place(&self.path, &list)?;
        Ok(changed)
    }
}

/// The file that takes the place of the old one. Until then it is the lock, and is removed if the
/// change fails.
struct NextFile {
    path: PathBuf,
    file: File,
    in_place: bool,
}

impl NextFile {
    fn beside(path: &Path) -> Result<Self, KeyError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let next = PathBuf::from(name);
        match create(&next) {
            Ok(file) => Ok(Self { path: next, file, in_place: false }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let text = "is there: another command changes the keys, or one was interrupted; \
                            in that case remove it";
                Err(KeyError::file(KeyErrorKind::Exists, &next, text))
            }
            Err(error) => Err(KeyError::io(&next, "created", &error)),
        }
    }

    fn put_in_place(&mut self, path: &Path, list: &KeyList) -> Result<(), KeyError> {
        let failed = |error: io::Error| KeyError::io(path, "replaced", &error);
        let old = path.metadata().map_err(failed)?;
        keep_owner(&self.file, &old).map_err(failed)?;
        write(&mut self.file, list).map_err(failed)?;
        std::fs::rename(&self.path, path).map_err(failed)?;
        self.in_place = true;
        sync_folder(path).map_err(failed)
    }
}

impl Drop for NextFile {
    fn drop(&mut self) {
        if !self.in_place {
            remove(&self.path);
        }
    }
}

/// The text of the regular file at `path`, which others may neither read nor write, or what is
/// wrong with it.
pub(super) fn text(path: &Path) -> Result<Secret<String>, String> {
    match path.metadata() {
        Ok(found) if is_exposed(&found) => Err(EXPOSED.to_owned()),
        Ok(_) | Err(_) => reload::text(path),
    }
}

const EXPOSED: &str = "can be read or written by every user: chmod 600 it (in Kubernetes, set \
                       defaultMode: 0440 and fsGroup)";

/// As [`text`].
pub(super) fn read(path: &Path) -> Result<Secret<String>, KeyError> {
    text(path).map_err(|flaw| {
        let kind = match flaw == EXPOSED {
            true => KeyErrorKind::Exposed,
            false => KeyErrorKind::Unusable,
        };
        KeyError::file(kind, path, flaw)
    })
}

#[cfg(unix)]
fn is_exposed(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    found.is_file() && found.mode() & 0o006 != 0
}

#[cfg(not(unix))]
fn is_exposed(_: &Metadata) -> bool {
    false
}

/// A new file for its owner alone. An exclusive creation follows no link.
#[expect(clippy::disallowed_methods, reason = "this is the door to files of keys")]
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

fn write(file: &mut File, list: &KeyList) -> io::Result<()> {
    file.write_all(list.text().expose().as_bytes())?;
    file.sync_all()
}

/// Owner, group and mode of the file that is replaced: the server goes on reading it.
#[cfg(unix)]
fn keep_owner(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// A rename is in the folder, and is lost with it in a crash until then.
#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "this is the door to files of keys")]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn remove(path: &Path) {
    // What is left behind is named by the next command.
    let _ = std::fs::remove_file(path);
}
