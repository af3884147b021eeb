//! Keys that seal what rests: a ring of them, and the text and the file that it is read from.
//!
//! A key is one line: its id, its state and its 32 random bytes, as `portcullis keys new` writes
//! it. The newest line is the first.
//!
//! ```text
//! 9f2c41d07a55be13 valid pck1_<43 digits of base64url>
//! 03b7e6aa1c90f4d2 retained pck1_<43 digits of base64url>
//! 5d11c02e98ab7f60 revoked
//! ```
//!
//! One key serves every purpose: what is used is derived from it by HKDF (RFC 5869), with the
//! purpose as its `info`. So an operator keeps one secret, a new purpose needs no new key, and a
//! derived key tells nothing about another one.

mod derivation;
mod entry;
mod error;
mod file;
mod id;
mod list;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub(crate) use self::derivation::Derivation;
pub use self::entry::{KeyState, new_key};
pub use self::error::{KeyError, KeyErrorKind};
pub use self::file::KeyFile;
pub use self::id::KeyId;
use self::list::KeyList;
#[cfg(test)]
pub(crate) use self::tests::KNOWN;
use crate::{Environment, ErrorChain, Secret, WatchedFile};

/// The variable that holds keys, one a line; a comma ends a line too.
pub const KEYS_VARIABLE: &str = "PORTCULLIS_KEYS";
/// The variable that names a file of keys.
pub const KEY_FILE_VARIABLE: &str = "PORTCULLIS_KEY_FILE";

/// The keys of a server: the first valid one seals, all that are not revoked open.
///
/// Keys from a file change as the file does ([`WatchedFile`]), for all clones at once. `Debug` shows
/// ids and states; the bytes are wiped from memory when they are dropped.
///
/// # Example
///
/// ```
/// use portcullis_guard::keys::{KeyErrorKind, KeyRing, KeyState, new_key};
///
/// let (new, old) = (new_key()?, new_key()?);
/// let old = old.expose().replace(" valid ", " retained ");
/// let keys = KeyRing::from_text(&format!("{}\n{old}", new.expose()))?;
/// assert!(keys.states().map(|(_, state)| state).eq([KeyState::Valid, KeyState::Retained]));
///
/// // Nothing could be sealed.
/// let error = KeyRing::from_text(&old).unwrap_err();
/// assert_eq!(error.kind(), KeyErrorKind::NoValidKey);
/// # Ok::<(), portcullis_guard::keys::KeyError>(())
/// ```
#[derive(Clone)]
pub struct KeyRing(Source);

#[derive(Clone)]
enum Source {
    Text(Arc<Keys>),
    File(WatchedFile<Keys>),
}

/// What a ring holds at one time.
pub(crate) struct Keys {
    all: Vec<Arc<RingKey>>,
    sealing: Arc<RingKey>,
}

pub(crate) struct RingKey {
    pub(crate) id: KeyId,
    state: KeyState,
    /// Of a revoked key, nothing is kept.
    pub(crate) derivation: Option<Derivation>,
}

impl KeyRing {
    /// The keys of a text, one a line, newest first. Empty lines and those that begin with `#`
    /// are left out; a comma ends a line too.
    ///
    /// # Errors
    ///
    /// When a line is not a key, a key is a duplicate, or none is valid.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        Ok(Self(Source::Text(Arc::new(Keys::parse(text)?))))
    }

    /// The keys of the file at `path`, as `portcullis keys new` makes it. It is watched from now on:
    /// after a change, its keys take the place of these within three seconds, and at once at SIGHUP.
    /// A file that is not good changes nothing, and the log says why.
    ///
    /// # Errors
    ///
    /// As those of [`from_text`](Self::from_text), and when the file cannot be read, is not a
    /// regular file, belongs to another user than this process's own and root, or may have been read
    /// or written by others ([`LockedFile`](crate::locked_file::LockedFile), rule 2). A link is
    /// followed, as Kubernetes mounts secrets.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        // Read first for the kind of error, which a watched file does not tell.
        Keys::parse(file::read(path)?.expose()).map_err(|error| error.of(path.display()))?;
        let watched = WatchedFile::open_with(path, file::text, Keys::parse);
        let watched = watched.map_err(|error| KeyError::unwatched(&ErrorChain::new(&error)))?;
        Ok(Self(Source::File(watched)))
    }

    /// The keys of the variable `PORTCULLIS_KEYS`, or of the file that `PORTCULLIS_KEY_FILE`
    /// names.
    ///
    /// # Errors
    ///
    /// [`KeyErrorKind::Missing`] when neither is set, [`KeyErrorKind::Ambiguous`] when both are;
    /// else as those of [`from_text`](Self::from_text) and [`from_file`](Self::from_file).
    pub fn from_env(environment: &Environment) -> Result<Self, KeyError> {
        for name in [KEYS_VARIABLE, KEY_FILE_VARIABLE] {
            if environment.is_unreadable(name) {
                return Err(KeyError::malformed(&format!("the variable {name} is not UTF-8")));
            }
        }
        let (keys, file) =
            (environment.variable(KEYS_VARIABLE), environment.variable(KEY_FILE_VARIABLE));
        match (keys, file) {
            (Some(keys), None) => Self::from_text(keys).map_err(|error| error.of(KEYS_VARIABLE)),
            (None, Some(file)) => Self::from_file(Path::new(file)),
            (None, None) => Err(KeyError::missing()),
            (Some(_), Some(_)) => Err(KeyError::ambiguous()),
        }
    }

    /// A ring with one new key, for a store that ends with the process: what it sealed cannot be
    /// opened after that.
    ///
    /// # Errors
    ///
    /// When the operating system gives no random bytes.
    pub fn ephemeral() -> Result<Self, KeyError> {
        Self::from_text(new_key()?.expose())
    }

    /// The ids and states of the keys, newest first.
    #[must_use]
    pub fn states(&self) -> impl ExactSizeIterator<Item = (KeyId, KeyState)> + use<> {
        let states: Vec<_> = self.keys().all.iter().map(|key| (key.id, key.state)).collect();
        states.into_iter()
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn sealing_key(&self) -> KeyId {
        self.keys().sealing.id
    }

    /// The keys in force.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        match &self.0 {
            Source::Text(keys) => Arc::clone(keys),
            Source::File(file) => file.current(),
        }
    }
}

impl Keys {
    fn parse(text: &str) -> Result<Self, KeyError> {
        Self::of(&KeyList::parse(text)?)
    }

    fn of(list: &KeyList) -> Result<Self, KeyError> {
        let key = |entry: &entry::KeyEntry| {
            let derivation = entry.secret().map(Secret::expose).map(Derivation::new);
            Arc::new(RingKey { id: entry.id(), state: entry.state(), derivation })
        };
        let all: Vec<_> = list.entries().iter().map(key).collect();
        let valid = all.iter().find(|key| key.state == KeyState::Valid);
        let sealing = Arc::clone(valid.ok_or_else(KeyError::no_valid_key)?);
        Ok(Self { all, sealing })
    }

    pub(crate) fn sealing(&self) -> &RingKey {
        &self.sealing
    }

    pub(crate) fn find(&self, id: KeyId) -> Option<&RingKey> {
        self.all.iter().find(|key| key.id == id).map(|key| &**key)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing")?;
        f.debug_map().entries(self.states()).finish()
    }
}
