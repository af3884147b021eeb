//! The identity provider at which the users of a store sign in.

use std::time::Duration;

use portcullis_store::{RecordKey, RecordValue};
use serde::{Deserialize, Serialize};

use super::{read, write};
use crate::error::OAuthError;

/// How long it is kept: longer than whatever knows a user by their subject.
pub(crate) const PROVIDER_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The record of the one provider.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderRecord {
    pub(crate) identifier: String,
}

impl ProviderRecord {
    pub(crate) fn key(issuer: &str, resource: &str) -> RecordKey {
        RecordKey::new("oauth-provider", [issuer, resource])
    }

    pub(crate) fn read(value: &RecordValue) -> Result<Self, OAuthError> {
        read(value)
    }

    pub(crate) fn write(&self) -> Result<RecordValue, OAuthError> {
        write(self)
    }
}
