//! The keys that a verifier has at the moment, fixed, watched or fetched.

use std::sync::Arc;

use portcullis_guard::WatchedFile;
use portcullis_guard::reload::Loaded;

use super::key_set::KeySet;
use super::remote::{RemoteKeys, Snapshot};

/// Where a verifier has its keys from.
#[derive(Debug)]
pub(super) enum Keys {
    Fixed(KeySet),
    File(WatchedFile<KeySet>),
    Remote(Arc<RemoteKeys>),
}

/// The keys of now.
pub(super) enum Now<'k> {
    Fixed(&'k KeySet),
    File(Loaded<KeySet>),
    /// None before the first ones are fetched, and once the last ones are too old.
    Remote(&'k Arc<RemoteKeys>, Option<Snapshot>),
}

/// The generation of keys that do not change.
pub(super) const FIXED: u64 = 0;

impl Keys {
    pub(super) fn now(&self) -> Now<'_> {
        match self {
            Self::Fixed(keys) => Now::Fixed(keys),
            Self::File(file) => Now::File(file.loaded()),
            Self::Remote(remote) => Now::Remote(remote, remote.snapshot()),
        }
    }
}

impl Now<'_> {
    pub(super) fn generation(&self) -> Option<u64> {
        match self {
            Self::Fixed(_) => Some(FIXED),
            Self::File(loaded) => Some(loaded.generation),
            Self::Remote(_, snapshot) => snapshot.as_ref().map(|snapshot| snapshot.generation),
        }
    }
}
