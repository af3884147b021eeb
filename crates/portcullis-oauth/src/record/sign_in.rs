//! What a client asked for, until its user has decided and signed in.

use serde::{Deserialize, Serialize};

/// It rests in the form of the page, sealed for one browser: nothing is stored for whoever merely
/// opens a page (rule 18). Once a user allowed it, it is part of a
/// [`Transaction`](super::transaction::Transaction).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) scopes: Vec<String>,
    /// That of S256 (RFC 7636 §4.2).
    pub(crate) code_challenge: String,
    /// In seconds since the Unix epoch.
    pub(crate) expires_at: u64,
}
