//! What a file of keys may be, and how it is changed.

use std::path::{Path, PathBuf};

use super::error::kind;
use super::list::KeyList;
use super::{KeyError, KeyErrorKind, KeyId, KeyState};
use crate::Secret;
use crate::locked_file::{LockedFile, LockedFileErrorKind, Readers};

/// A file of keys, as `portcullis keys` makes and changes it.
///
/// A change replaces the file at once, by a rename: a reader sees the old keys or the new ones.
/// The second of two changes waits for the first, for ten seconds ([`LockedFile`]).
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
        LockedFile::create(&self.path, Readers::Trusted, list.text().expose()).map_err(
            |error| match error.kind() {
                // A link that leads nowhere has no keys.
                LockedFileErrorKind::Exists if self.path.exists() => {
                    let text = "is there already: `portcullis keys rotate` adds a key to it";
                    KeyError::file(KeyErrorKind::Exists, &self.path, text)
                }
                _ => KeyError::of_change(&error),
            },
        )?;
        Ok(list.sealing().ok_or_else(KeyError::no_valid_key)?.id())
    }

    /// The ids and states of the keys, newest first.
    ///
    /// # Errors
    ///
    /// As those of [`KeyRing::from_file`](super::KeyRing::from_file); a file in which no key is
    /// valid is read.
    pub fn states(&self) -> Result<Vec<(KeyId, KeyState)>, KeyError> {
        Ok(self.list()?.entries().iter().map(|key| (key.id(), key.state())).collect())
    }

    /// The key that seals from the next [`rotate`](Self::rotate) on, if one is staged. Among the
    /// [states](Self::states) it is a retained one.
    ///
    /// # Errors
    ///
    /// As those of [`states`](Self::states).
    pub fn staged(&self) -> Result<Option<KeyId>, KeyError> {
        Ok(self.list()?.staged())
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

    fn list(&self) -> Result<KeyList, KeyError> {
        let text = LockedFile::read(&self.path, Readers::Trusted);
        self.parse(text.map_err(|error| KeyError::of_change(&error))?.expose())
    }

    fn parse(&self, text: &str) -> Result<KeyList, KeyError> {
        KeyList::parse(text).map_err(|error| error.of(self.path.display()))
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut KeyList) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        let failed = |error| KeyError::of_change(&error);
        let file = LockedFile::open(&self.path, Readers::Trusted).map_err(failed)?;
        let mut list = self.parse(file.text().expose())?;
        let changed = change(&mut list)?;
        file.replace(list.text().expose()).map_err(failed)?;
        Ok(changed)
    }
}

/// The text of the file at `path`, which others may not have read or written, or what is wrong with
/// the file.
pub(super) fn text(path: &Path) -> Result<Secret<String>, String> {
    LockedFile::read_own(path, Readers::Trusted).map_err(|error| error.flaw().to_owned())
}

/// As [`text`].
pub(super) fn read(path: &Path) -> Result<Secret<String>, KeyError> {
    let text = LockedFile::read_own(path, Readers::Trusted);
    text.map_err(|error| KeyError::file(kind(&error), path, error.flaw()))
}
