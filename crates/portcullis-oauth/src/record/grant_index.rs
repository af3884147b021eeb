//! Which grants there are of one user, and of one client: so that people find them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_store::{RecordKey, RecordOwner, RecordValue};
use serde::{Deserialize, Serialize};

use super::grant::{GrantRecord, LONGEST};
use super::{read, write};
use crate::error::OAuthError;

/// Whose grants are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrantOwner<'a> {
    /// Those of the user with this subject.
    Subject(&'a str),
    /// Those that the client with this id was given.
    Client(&'a str),
}

/// One entry, which says nothing but the id: what a grant is, its own record says. It is written once,
/// and outlives a grant that nobody used.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantEntry {
    pub(crate) grant_id: String,
}

/// One entry of a code that was not redeemed yet, by the id of the tokens of the identity provider that
/// are kept for it: a provider may end what a user needs with what the user gives back.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeEntry {
    pub(crate) upstream: String,
}

impl GrantOwner<'_> {
    /// Both owners of a grant.
    pub(crate) fn of(record: &GrantRecord) -> [GrantOwner<'_>; 2] {
        [GrantOwner::Subject(&record.subject), GrantOwner::Client(&record.client_id)]
    }

    /// The owner of the entries, at one server.
    pub(crate) fn entries(self, issuer: &str, resource: &str) -> RecordOwner {
        match self {
            Self::Subject(subject) => {
                RecordOwner::new("oauth-grants-of", [issuer, resource, subject])
            }
            Self::Client(id) => RecordOwner::new("oauth-grants-to", [issuer, resource, id]),
        }
    }

    /// Whether a grant is one of its.
    pub(crate) fn owns(self, record: &GrantRecord) -> bool {
        match self {
            Self::Subject(subject) => record.subject == subject,
            Self::Client(id) => record.client_id == id,
        }
    }
}

impl GrantEntry {
    pub(crate) fn key(&self, entries: &RecordOwner) -> RecordKey {
        entries.key([&self.grant_id])
    }

    /// When no grant that was allowed then can last any more.
    pub(crate) fn ends(record: &GrantRecord) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(record.allowed_at) + LONGEST
    }

    pub(crate) fn read(value: &RecordValue) -> Result<Self, OAuthError> {
        read(value)
    }

    pub(crate) fn write(&self) -> Result<RecordValue, OAuthError> {
        write(self)
    }
}

impl CodeEntry {
    /// The owner of those of the user with this subject.
    pub(crate) fn of(issuer: &str, resource: &str, subject: &str) -> RecordOwner {
        RecordOwner::new("oauth-codes-of", [issuer, resource, subject])
    }

    pub(crate) fn read(value: &RecordValue) -> Result<Self, OAuthError> {
        read(value)
    }

    pub(crate) fn write(&self) -> Result<RecordValue, OAuthError> {
        write(self)
    }
}
