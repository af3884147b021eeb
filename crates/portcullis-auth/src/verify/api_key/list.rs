//! The list of API keys that a file holds.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, Secret};

use super::error::{ApiKeyError, ApiKeyErrorKind};
use super::minted::NewApiKey;
use super::record::ApiKeyRecord;
use crate::audit::Timestamp;

/// The records of API keys, as a file holds them: one a line, with empty lines and lines that
/// begin with `#` between them.
///
/// Its `Display` is the text of the file. [`ApiKeyFile`](super::ApiKeyFile) changes the file.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub extern crate portcullis_auth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use std::time::Duration;
///
/// use portcullis::auth::{ApiKeyList, NewApiKey};
/// use portcullis::guard::SystemClock;
///
/// let (old, record) = NewApiKey::of("reports").scopes(["read"]).mint(&SystemClock)?;
/// let id = record.id().to_owned();
/// let mut list = ApiKeyList::default();
/// list.add(record)?;
///
/// // Both keys are good for a day.
/// let new = list.rotate(&id, Duration::from_secs(86_400), &SystemClock)?;
/// assert_ne!(old.expose(), new.expose());
/// assert_eq!(list.iter().count(), 2);
/// assert_eq!(ApiKeyList::read(&list.to_string())?, list);
/// # Ok::<(), portcullis::auth::ApiKeyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeyList {
    records: Vec<ApiKeyRecord>,
    // Found by digest: how long a look-up takes says nothing about the keys.
    places: HashMap<[u8; 32], usize>,
}

impl ApiKeyList {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// Names the line that is not a record, or repeats one. Nothing is left out: a list is read
    /// whole or not at all.
    pub fn read(text: &str) -> Result<Self, ApiKeyError> {
        let mut list = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            ApiKeyRecord::read(line).and_then(|record| list.add(record)).map_err(|error| {
                ApiKeyError::new(error.kind(), format!("line {}: {error}", index + 1))
            })?;
        }
        Ok(list)
    }

    /// The records, in the order of their lines.
    pub fn iter(&self) -> impl Iterator<Item = &ApiKeyRecord> {
        self.records.iter()
    }

    /// Adds the record of a key that was minted.
    ///
    /// # Errors
    ///
    /// When it is in the list already.
    pub fn add(&mut self, record: ApiKeyRecord) -> Result<(), ApiKeyError> {
        if self.records.iter().any(|other| other.id() == record.id()) {
            let text = format!("the API key {} is in the list already", record.id());
            return Err(ApiKeyError::new(ApiKeyErrorKind::Repeated, text));
        }
        self.places.insert(*record.digest(), self.records.len());
        self.records.push(record);
        Ok(())
    }

    /// Revokes the key with this id. Its record stays, so that the log can say which key it was.
    ///
    /// # Errors
    ///
    /// When no key has it.
    pub fn revoke(&mut self, id: &str) -> Result<(), ApiKeyError> {
        self.record(id)?.revoke();
        Ok(())
    }

    /// Makes a key like the one with this id: of the same subject, client, scopes, prefix and
    /// lifetime. The old one is good for `overlap` more, if it would not end earlier.
    ///
    /// # Errors
    ///
    /// When there is no such key, it was revoked, rotated or has expired, or none can be minted.
    pub fn rotate(
        &mut self,
        id: &str,
        overlap: Duration,
        clock: &dyn Clock,
    ) -> Result<Secret<String>, ApiKeyError> {
        Ok(self.rotated(id, overlap, clock)?.0)
    }

    /// As [`rotate`](Self::rotate), with the record of the new key.
    pub(super) fn rotated(
        &mut self,
        id: &str,
        overlap: Duration,
        clock: &dyn Clock,
    ) -> Result<(Secret<String>, ApiKeyRecord), ApiKeyError> {
        let now = clock.now();
        let old = self.record(id)?;
        if old.is_revoked() || old.expires_at() <= now {
            let text = format!("the API key {id} has ended: make a new one");
            return Err(ApiKeyError::new(ApiKeyErrorKind::KeyEnded, text));
        }
        if old.is_rotated() {
            let end = Timestamp::from(old.expires_at());
            let text = format!(
                "the API key {id} was rotated before, and ends at {end}: rotate the key that took its \
                 place, or make a new one"
            );
            return Err(ApiKeyError::new(ApiKeyErrorKind::KeyRotated, text));
        }
        let (key, record) = NewApiKey::of(old.subject())
            .prefix(old.prefix())
            .client_id(old.client_id())
            .scopes(old.scopes().clone())
            .lifetime(old.lifetime())
            .mint(clock)?;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        old.rotate(now.saturating_add(overlap).as_secs());
        self.add(record.clone())?;
        Ok((key, record))
    }

    pub(super) fn find(&self, digest: &[u8; 32]) -> Option<&ApiKeyRecord> {
        self.records.get(*self.places.get(digest)?)
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    fn record(&mut self, id: &str) -> Result<&mut ApiKeyRecord, ApiKeyError> {
        let found = self.records.iter_mut().find(|record| record.id() == id);
        found.ok_or_else(|| {
            let text = format!("no API key has the id {}", quoted(id));
            ApiKeyError::new(ApiKeyErrorKind::UnknownKey, text)
        })
    }
}

impl fmt::Display for ApiKeyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# API keys, by digest: one a line.")?;
        self.records.iter().try_for_each(|record| writeln!(f, "{record}"))
    }
}
