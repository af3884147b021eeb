//! A grant: what a user allowed a client, and the refresh token that stands for it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_store::RecordValue;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{read, write};
use crate::error::{Granted, OAuthError};

/// How long a grant is kept while its code is being redeemed: nobody has its tokens yet.
pub(crate) const UNREDEEMED: Duration = Duration::from_secs(2 * 60);
/// How long a grant lasts without use.
pub(crate) const IDLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long it lasts in all: then the user is asked again.
pub(crate) const LONGEST: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// For how long the previous refresh token still gives the next one. Clients that refresh in
/// several places at once all send the same one (rule 29).
pub(crate) const GRACE: Duration = Duration::from_secs(60);
/// How much the clocks of replicas may differ.
pub(crate) const CLOCKS: Duration = Duration::from_secs(5 * 60);

/// The record of one grant, at [`AccessTokenKeys::grant_record`]. One that was revoked is not there.
///
/// [`AccessTokenKeys::grant_record`]: portcullis_auth::AccessTokenKeys::grant_record
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantRecord {
    pub(crate) client_id: String,
    pub(crate) subject: String,
    pub(crate) scope: String,
    /// In seconds since 1970.
    pub(crate) allowed_at: u64,
    /// The number of the refresh token that is good, and the token itself: whoever shows the one
    /// before gets it as well, for a while.
    pub(crate) generation: u64,
    pub(crate) refresh_token: String,
    pub(crate) rotated_at: u64,
    /// What the identity provider says of the user, for the access tokens.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) claims: Map<String, Value>,
    /// The id of the record with the tokens of the identity provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upstream: Option<String>,
    /// The redirect URI of the sign-in.
    #[serde(default)]
    pub(crate) redirect_uri: String,
    /// What the client called itself when the user allowed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_name: Option<String>,
}

impl GrantRecord {
    pub(crate) fn read(value: &RecordValue) -> Result<Self, OAuthError> {
        read(value)
    }

    pub(crate) fn write(&self) -> Result<RecordValue, OAuthError> {
        write(self)
    }

    pub(crate) fn granted(&self) -> Granted {
        Granted {
            subject: self.subject.clone(),
            client_id: self.client_id.clone(),
            client_name: self.client_name.clone(),
            scope: self.scope.clone(),
        }
    }

    /// When it ends, if it is used at `now` for the last time.
    pub(crate) fn ends(&self, now: SystemTime) -> SystemTime {
        let longest = UNIX_EPOCH + Duration::from_secs(self.allowed_at) + LONGEST;
        longest.min(now + IDLE)
    }

    /// When it ends, as long as nobody refreshes it.
    pub(crate) fn kept_until(&self) -> SystemTime {
        self.ends(UNIX_EPOCH + Duration::from_secs(self.rotated_at))
    }
}
