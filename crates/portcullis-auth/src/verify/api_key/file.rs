//! The file of API keys, and how it is changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_guard::locked_file::{LockedFile, LockedFileErrorKind, Readers};
use portcullis_guard::{Clock, Secret};

use super::error::ApiKeyError;
use super::list::ApiKeyList;
use super::minted::NewApiKey;
use super::record::ApiKeyRecord;

/// The file of an [`ApiKeyList`], as `portcullis keys api` changes it.
///
/// One change happens at a time, so that none is lost, and takes effect whole: servers that
/// [watch](super::ApiKeys::file) the file read the old list or the new one. What cannot be read as
/// a list, or can be written by others, is refused and stays as it is. Comments and empty
/// lines stay.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub extern crate portcullis_auth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::auth::{ApiKeyErrorKind, ApiKeyFile, ApiKeys, NewApiKey};
/// use portcullis::guard::SystemClock;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("api-keys");
/// let file = ApiKeyFile::new(&path);
/// let (key, record) = file.mint(NewApiKey::of("reports").scopes(["read"]), &SystemClock)?;
/// println!("shown once: {}", key.expose());
///
/// file.revoke(record.id())?;
/// assert!(file.list()?.iter().all(|record| record.is_revoked()));
/// assert_eq!(file.revoke("a").unwrap_err().kind(), ApiKeyErrorKind::UnknownKey);
/// # Ok::<(), portcullis::auth::ApiKeyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ApiKeyFile {
    path: PathBuf,
}

impl ApiKeyFile {
    /// The file at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned() }
    }

    /// The list that is in the file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, others may write it, or a line is not a record.
    pub fn list(&self) -> Result<ApiKeyList, ApiKeyError> {
        let text = LockedFile::read(&self.path, Readers::Everybody);
        self.read(text.map_err(|error| ApiKeyError::of_change(&error))?.expose())
    }

    /// Makes a key, and adds its record to the file. A file that is absent is created.
    ///
    /// # Errors
    ///
    /// As those of [`NewApiKey::mint`] and [`list`](Self::list), and when the file cannot be
    /// written.
    pub fn mint(
        &self,
        new: NewApiKey,
        clock: &dyn Clock,
    ) -> Result<(Secret<String>, ApiKeyRecord), ApiKeyError> {
        let (key, record) = new.mint(clock)?;
        let mut list = ApiKeyList::default();
        list.add(record.clone())?;
        match LockedFile::create(&self.path, Readers::Everybody, &list.to_string()) {
            Err(error) if error.kind() == LockedFileErrorKind::Exists => {
                self.change(|list| list.add(record.clone()))?;
            }
            created => created.map_err(|error| ApiKeyError::of_change(&error))?,
        }
        Ok((key, record))
    }

    /// Makes a key like the one with this id, which is good for `overlap` more: see
    /// [`ApiKeyList::rotate`].
    ///
    /// # Errors
    ///
    /// As those of [`ApiKeyList::rotate`] and [`list`](Self::list), and when the file cannot be
    /// written.
    pub fn rotate(
        &self,
        id: &str,
        overlap: Duration,
        clock: &dyn Clock,
    ) -> Result<(Secret<String>, ApiKeyRecord), ApiKeyError> {
        self.change(|list| list.rotated(id, overlap, clock))
    }

    /// Revokes the key with this id.
    ///
    /// # Errors
    ///
    /// As those of [`ApiKeyList::revoke`] and [`list`](Self::list), and when the file cannot be
    /// written.
    pub fn revoke(&self, id: &str) -> Result<(), ApiKeyError> {
        self.change(|list| list.revoke(id))
    }

    fn read(&self, text: &str) -> Result<ApiKeyList, ApiKeyError> {
        ApiKeyList::read(text).map_err(|error| {
            ApiKeyError::new(error.kind(), format!("{}, {error}", self.path.display()))
        })
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut ApiKeyList) -> Result<T, ApiKeyError>,
    ) -> Result<T, ApiKeyError> {
        let failed = |error| ApiKeyError::of_change(&error);
        let file = LockedFile::open(&self.path, Readers::Everybody).map_err(failed)?;
        let mut list = self.read(file.text().expose())?;
        let changed = change(&mut list)?;
        let text = rewritten(file.text().expose(), &list);
        file.replace(&text).map_err(failed)?;
        Ok(changed)
    }
}

/// The lines of `text`, each record as it is in the list now; those that are new at the end.
fn rewritten(text: &str, list: &ApiKeyList) -> String {
    let mut records = list.iter();
    let mut lines: Vec<String> = text
        .lines()
        .filter_map(|line| match line.trim() {
            "" => Some(String::new()),
            comment if comment.starts_with('#') => Some(comment.to_owned()),
            _ => records.next().map(ToString::to_string),
        })
        .collect();
    lines.extend(records.map(ToString::to_string));
    lines.push(String::new());
    lines.join("\n")
}
