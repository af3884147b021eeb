//! The tokens of the identity provider that stand behind a grant.

use portcullis_guard::seal::Binding;
use portcullis_store::{RecordKey, RecordValue};
use serde::{Deserialize, Serialize};

use super::{read, write};
use crate::error::OAuthError;

/// The record of the tokens of one grant, under an id of its own: they are there before the grant is.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamRecord {
    /// The tokens, sealed, in base64url.
    pub(crate) sealed: String,
    /// When the provider gave them, in milliseconds since 1970.
    pub(crate) given_at: u64,
    /// Until when one request is getting newer ones, in seconds since 1970. The others wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) leased_until: Option<u64>,
}

impl UpstreamRecord {
    pub(crate) fn key(issuer: &str, resource: &str, id: &str) -> RecordKey {
        RecordKey::new("oauth-upstream", [issuer, resource, id])
    }

    /// What the sealed tokens of a provider are bound to: they open in no other record, and not for
    /// another provider.
    pub(crate) fn binding(issuer: &str, provider: &str, id: &str) -> Binding {
        Binding::new("oauth-upstream", [issuer, provider, id])
    }

    pub(crate) fn read(value: &RecordValue) -> Result<Self, OAuthError> {
        read(value)
    }

    pub(crate) fn write(&self) -> Result<RecordValue, OAuthError> {
        write(self)
    }
}
