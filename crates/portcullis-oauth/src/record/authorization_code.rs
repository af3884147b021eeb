//! An authorization code (RFC 6749 §4.1.2): what a user allowed, until a client redeems it.

use std::time::Duration;

use portcullis_store::{RecordKey, RecordValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{read, write};
use crate::error::OAuthError;

/// How long a code is good for (RFC 6749 §4.1.2: ten minutes at most).
pub(crate) const CODE_LIFETIME: Duration = Duration::from_secs(60);
/// For how long a code that was redeemed is remembered, so that a second use is noticed.
pub(crate) const REDEEMED_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The record of one code. Its key holds the digest of the code.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "state", rename_all = "snake_case")]
pub(crate) enum CodeRecord {
    /// It can be redeemed.
    Issued {
        client_id: String,
        subject: String,
        scope: String,
        redirect_uri: String,
        code_challenge: String,
        /// As those of the grant.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        claims: Map<String, Value>,
        /// As that of the grant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        upstream: Option<String>,
        /// As that of the grant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_name: Option<String>,
        /// When the user allowed it, in seconds since 1970.
        #[serde(default)]
        allowed_at: u64,
    },
    /// It was, for this grant, which says to whom. The challenge tells a client that redeems it again
    /// from somebody who has nothing but the code.
    Redeemed { grant_id: String, code_challenge: String },
}

impl CodeRecord {
    /// The key of a code for tokens for `resource`: no other server redeems it.
    pub(crate) fn key(issuer: &str, resource: &str, code: &str) -> RecordKey {
        RecordKey::new("oauth-code", [issuer, resource, code])
    }

    pub(crate) fn read(value: &RecordValue) -> Result<Self, OAuthError> {
        read(value)
    }

    pub(crate) fn write(&self) -> Result<RecordValue, OAuthError> {
        write(self)
    }
}
