//! What goes to the identity provider in `state`, and comes back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_store::{RecordKey, RecordValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::grant::CLOCKS;
use super::store_away;
use crate::error::OAuthError;

/// A user on the way to the identity provider and back. They carry all of it themselves, sealed for
/// their browser, so that nobody fills the store by going away.
pub(crate) trait Departed: Serialize + DeserializeOwned {
    /// What it is sealed for: it opens as nothing else.
    const PURPOSE: &'static str;
    /// What its `state` begins with.
    const PREFIX: &'static str;

    /// No other one has it.
    fn nonce(&self) -> &str;

    /// In seconds since 1970.
    fn expires_at(&self) -> u64;

    fn ends(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.expires_at())
    }
}

/// The record of what came back: nobody signs in by it a second time. It lasts longer than a replica
/// whose clock is late would take it.
pub(crate) struct Returned;

impl Returned {
    pub(crate) fn key(issuer: &str, resource: &str, departed: &impl Departed) -> RecordKey {
        RecordKey::new("oauth-returned", [issuer, resource, departed.nonce()])
    }

    pub(crate) fn value() -> Result<RecordValue, OAuthError> {
        RecordValue::new(*b"1").map_err(|error| store_away(&error))
    }

    pub(crate) fn ends(departed: &impl Departed) -> SystemTime {
        departed.ends() + CLOCKS
    }
}

/// The record of what is too long for an address.
pub(crate) struct Long;

impl Long {
    pub(crate) fn key(issuer: &str, resource: &str, state: &str) -> RecordKey {
        RecordKey::new("oauth-departed", [issuer, resource, state])
    }
}
