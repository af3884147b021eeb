//! What a user allowed a client in one browser, so that the same need not be asked again.

use std::time::Duration;

use portcullis_store::{RecordKey, RecordValue};
use serde::{Deserialize, Serialize};

use super::grant_index::GrantOwner;
use super::{read, write};
use crate::error::OAuthError;

/// How long it is remembered.
pub(crate) const CONSENT_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The record of one consent.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consent {
    /// Who signed in after it.
    pub(crate) subject: String,
    pub(crate) scope: String,
    /// In seconds since 1970.
    pub(crate) allowed_at: u64,
}

/// When a user last took something back, or an operator all from a client: what was allowed before that
/// is forgotten. The record lasts as long as what it ends.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forgotten {
    /// In seconds since 1970.
    pub(crate) at: u64,
}

impl Forgotten {
    pub(crate) fn key(issuer: &str, resource: &str, owner: GrantOwner<'_>) -> RecordKey {
        match owner {
            GrantOwner::Subject(subject) => {
                RecordKey::new("oauth-consent-forgotten", [issuer, resource, subject])
            }
            GrantOwner::Client(id) => {
                RecordKey::new("oauth-client-forgotten", [issuer, resource, id])
            }
        }
    }

    pub(crate) fn read(value: &RecordValue) -> Result<Self, OAuthError> {
        read(value)
    }

    pub(crate) fn write(&self) -> Result<RecordValue, OAuthError> {
        write(self)
    }
}

impl Consent {
    /// The key of what was allowed to this client, with this redirect URI, in this browser.
    pub(crate) fn key(
        issuer: &str,
        resource: &str,
        browser: &str,
        client_id: &str,
        redirect_uri: &str,
    ) -> RecordKey {
        RecordKey::new("oauth-consent", [issuer, resource, browser, client_id, redirect_uri])
    }

    pub(crate) fn read(value: &RecordValue) -> Result<Self, OAuthError> {
        read(value)
    }

    pub(crate) fn write(&self) -> Result<RecordValue, OAuthError> {
        write(self)
    }
}
