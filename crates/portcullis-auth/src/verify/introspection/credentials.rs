//! The client credentials for introspection, fixed or from a file.

use std::sync::Arc;

use portcullis_guard::WatchedFile;

use crate::ClientCredentials;

/// The credentials of now.
#[derive(Debug)]
pub(super) enum CredentialSource {
    Fixed(Arc<ClientCredentials>),
    /// Made again whenever the file with the secret changes.
    File(WatchedFile<ClientCredentials>),
}

impl CredentialSource {
    pub(super) fn current(&self) -> Arc<ClientCredentials> {
        match self {
            Self::Fixed(credentials) => Arc::clone(credentials),
            Self::File(file) => file.current(),
        }
    }
}
