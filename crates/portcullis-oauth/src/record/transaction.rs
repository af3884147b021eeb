//! A sign-in that a user allowed, and that goes on at the identity provider.

use std::time::Duration;

use portcullis_store::{RecordKey, RecordValue};
use serde::{Deserialize, Serialize};

use super::sign_in::SignIn;
use super::{read, write};
use crate::error::OAuthError;

/// How long the user may take at the identity provider.
pub(crate) const TRANSACTION_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The record of one transaction. Its key holds the digest of the `state` that the provider gives
/// back. It is taken once.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transaction {
    pub(crate) sign_in: SignIn,
    /// The digest of the cookie of the browser in which it began.
    pub(crate) browser: String,
    /// This server's own, whose challenge the provider has (RFC 7636 §4.1). No client knows it.
    pub(crate) code_verifier: String,
    /// OpenID Connect Core §3.1.2.1.
    pub(crate) nonce: String,
    /// When it began, in seconds since 1970: what its user takes back after that ends it.
    #[serde(default)]
    pub(crate) allowed_at: u64,
    /// Who allowed the client before, where nobody was asked this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remembered: Option<String>,
}

impl Transaction {
    /// The key of the transaction with this `state`, of one server.
    pub(crate) fn key(issuer: &str, resource: &str, state: &str) -> RecordKey {
        RecordKey::new("oauth-transaction", [issuer, resource, state])
    }

    pub(crate) fn read(value: &RecordValue) -> Result<Self, OAuthError> {
        read(value)
    }

    pub(crate) fn write(&self) -> Result<RecordValue, OAuthError> {
        write(self)
    }
}
