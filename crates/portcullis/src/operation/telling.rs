//! What functions tell their clients before an answer passes here.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::component::telling::Examined;
use crate::operation::credentials::{self, CredentialsInResults};
use crate::operation::redaction;

/// Examines what is told as results are examined.
pub(crate) struct ExaminedAsResults {
    credentials: CredentialsInResults,
    /// Whether the log has said that something was told which looks like a credential.
    held_credential: AtomicBool,
}

impl ExaminedAsResults {
    pub(crate) fn new(credentials: CredentialsInResults) -> Self {
        Self { credentials, held_credential: AtomicBool::default() }
    }
}

impl Examined for ExaminedAsResults {
    fn examine(&self, mut data: Value) -> Option<Value> {
        redaction::redact_value(&mut data);
        if self.credentials == CredentialsInResults::Off {
            return Some(data);
        }
        let Some(kind) = credentials::find_in(&data) else { return Some(data) };
        let blocks = self.credentials == CredentialsInResults::Block;
        if !self.held_credential.swap(true, Ordering::Relaxed) || blocks {
            tracing::warn!(
                kind,
                blocked = blocks,
                "progress or a message for a client's log looks as if it held a credential"
            );
        }
        (!blocks).then_some(data)
    }
}
