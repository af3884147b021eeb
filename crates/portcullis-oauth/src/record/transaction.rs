//! A sign-in that a user allowed, and that goes on at the identity provider.

use serde::{Deserialize, Serialize};

use super::departed::Departed;
use super::sign_in::SignIn;

/// One transaction.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transaction {
    pub(crate) sign_in: SignIn,
    /// This server's own, whose challenge the provider has (RFC 7636 §4.1). No client knows it.
    pub(crate) code_verifier: String,
    /// OpenID Connect Core §3.1.2.1.
    pub(crate) nonce: String,
    /// When it began, in seconds since 1970: what its user takes back after that ends it.
    pub(crate) allowed_at: u64,
    /// Who allowed the client before, where nobody was asked this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remembered: Option<String>,
    pub(crate) expires_at: u64,
}

impl Departed for Transaction {
    const PURPOSE: &'static str = "oauth-transaction";
    const PREFIX: &'static str = "pct.";

    fn nonce(&self) -> &str {
        &self.nonce
    }

    fn expires_at(&self) -> u64 {
        self.expires_at
    }
}
