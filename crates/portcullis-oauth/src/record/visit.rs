//! A user who goes to the identity provider to see their connections.

use std::time::Duration;

use portcullis_store::{RecordKey, RecordValue};
use serde::{Deserialize, Serialize};

use super::{read, write};
use crate::error::OAuthError;

/// How long the user may take at the identity provider.
pub(crate) const VISIT_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// What the `state` of a visit begins with. That of a sign-in for a client has no dot.
pub(crate) const PREFIX: &str = "pcv.";

/// The record of one visit. Its key holds the digest of the `state` that the provider gives back. It is
/// taken once.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Visit {
    /// The digest of the cookie of the browser in which it began.
    pub(crate) browser: String,
    /// That of the challenge which the provider has (RFC 7636 §4.1).
    pub(crate) code_verifier: String,
    /// OpenID Connect Core §3.1.2.1.
    pub(crate) nonce: String,
}

impl Visit {
    pub(crate) fn key(issuer: &str, resource: &str, state: &str) -> RecordKey {
        RecordKey::new("oauth-visit", [issuer, resource, state])
    }

    pub(crate) fn read(value: &RecordValue) -> Result<Self, OAuthError> {
        read(value)
    }

    pub(crate) fn write(&self) -> Result<RecordValue, OAuthError> {
        write(self)
    }
}
