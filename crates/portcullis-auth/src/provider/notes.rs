//! What an endpoint notes for the audit record of its request.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_guard::Reference;

use crate::audit::Verdict;

/// What an endpoint finds out about a request, for the request's one audit record. Clones are one: what
/// was noted is in the record of a request that was cancelled, too.
#[derive(Clone, Default)]
pub struct EndpointNotes(Arc<Mutex<EndpointRecord>>);

/// What is noted of a request to an endpoint. Never a code, a token or a password: there is no field for
/// one. What is left out is as in the record of any route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointRecord {
    /// What happened, in a word: the `outcome`.
    pub outcome: Option<&'static str>,
    /// The decision.
    pub verdict: Option<Verdict>,
    /// The rule that decided: an error code of OAuth, most often.
    pub rule: Option<&'static str>,
    /// Why, in words for the log.
    pub reason: Option<String>,
    /// Who says who the subject is.
    pub issuer: Option<String>,
    /// The user, once that is proven.
    pub subject: Option<String>,
    /// The client, once that is known here.
    pub client_id: Option<String>,
    /// What the client calls itself.
    pub client_name: Option<String>,
    /// The scopes that the user allows or has allowed, with spaces between them.
    pub scopes: Option<String>,
    /// The reference under which the log has what went wrong.
    pub reference: Option<Reference>,
}

impl EndpointNotes {
    /// Notes something.
    pub fn note(&self, change: impl FnOnce(&mut EndpointRecord)) {
        // A note that panicked half-way is still what is known.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What was noted until now.
    #[must_use]
    pub fn read(&self) -> EndpointRecord {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for EndpointNotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}
