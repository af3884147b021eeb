//! A user who goes to the identity provider to see their connections.

use serde::{Deserialize, Serialize};

use super::departed::Departed;

/// One visit.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Visit {
    /// That of the challenge which the provider has (RFC 7636 §4.1).
    pub(crate) code_verifier: String,
    /// OpenID Connect Core §3.1.2.1.
    pub(crate) nonce: String,
    pub(crate) expires_at: u64,
}

impl Departed for Visit {
    const PURPOSE: &'static str = "oauth-visit";
    const PREFIX: &'static str = "pcv.";

    fn nonce(&self) -> &str {
        &self.nonce
    }

    fn expires_at(&self) -> u64 {
        self.expires_at
    }
}
