//! A session as it rests in the store.

use std::collections::BTreeMap;

use portcullis_auth::PrincipalId;
use portcullis_store::RecordValue;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::state::State;
use crate::http::rejection::Rejection;
use crate::{ClientInfo, LogLevel};

/// What is kept of a session. Its id is in no record, and in the key as a digest of its digest.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) owner: Owner,
    pub(super) version: String,
    pub(super) client: Option<ClientInfo>,
    /// As the client declared them.
    #[serde(default)]
    pub(super) capabilities: Value,
    /// The level of the log that its client has set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) subscriptions: BTreeMap<String, String>,
    /// Which run of a server has it, if no replicas share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) process: Option<Process>,
}

/// All that identifies the owner of a session, compared as a whole.
///
/// Nobody is an owner of its own: without authentication the id is all that there is, and a record
/// that names nobody is never one that does not say.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Owner {
    Anonymous,
    Principal { principal: [u8; 32], holder: [u8; 32] },
}

/// Tells one run of a server from the next.
pub(super) type Process = [u8; 16];

/// Why nobody goes on with a record.
pub(super) const MALFORMED: &str = "the stored session is malformed";

impl Record {
    pub(super) fn read(value: &RecordValue) -> Result<Self, Rejection> {
        serde_json::from_slice(value.as_bytes()).map_err(|_| {
            tracing::error!(reason = MALFORMED, "cannot read a session");
            Rejection::sessions_unavailable()
        })
    }

    /// What its client has set; none if it is not what a server writes.
    pub(super) fn state(&self) -> Option<State> {
        let log = self.log.as_deref().map_or(Some(LogLevel::UNASKED), LogLevel::parse)?;
        Some(State { log, subscriptions: self.subscriptions.clone() })
    }

    pub(super) fn with(&self, state: &State) -> Self {
        let log = (state.log != LogLevel::UNASKED).then(|| state.log.as_str().to_owned());
        Self { log, subscriptions: state.subscriptions.clone(), ..self.clone() }
    }

    pub(super) fn written(&self) -> Result<RecordValue, Rejection> {
        let json = serde_json::to_vec(self).map_err(|error| error.to_string());
        let value = json.and_then(|json| RecordValue::new(json).map_err(|error| error.to_string()));
        value.map_err(|reason| {
            tracing::error!(reason, "cannot write a session");
            Rejection::sessions_unavailable()
        })
    }
}

pub(super) fn state_of(value: &RecordValue) -> Result<State, Rejection> {
    Record::read(value)?.state().ok_or_else(Rejection::sessions_unavailable)
}

impl Owner {
    pub(super) fn of(owner: Option<PrincipalId>) -> Self {
        match owner {
            None => Self::Anonymous,
            Some(id) => Self::Principal { principal: id.bytes(), holder: id.holder() },
        }
    }
}
