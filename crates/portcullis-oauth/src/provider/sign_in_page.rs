//! The authorization server whose users are in a directory of your own.

use std::sync::Arc;

use portcullis_auth::{
    AuthProvider, AuthProviderError, AuthSummary, OneOrMany, ProtectedResource, PublicUrl, Scopes,
};
use portcullis_guard::Clock;
use portcullis_guard::keys::KeyRing;
use portcullis_store::Store;

use super::setup::{Setup, setup_methods};
use crate::connection::Connections;
use crate::server::Users;
use crate::users::{LocalUsers, OAuthProvider};

/// An authorization server of its own, whose users an [`OAuthProvider`] knows: the hard way.
///
/// MCP clients find it, register, and show a page on which a user signs in with a name and a
/// password, and allows the client or not. There is no second factor, and a server with it says so at
/// start.
///
/// By default all is kept in memory: registrations, grants and tokens end with the process.
#[derive(Debug)]
#[must_use]
pub struct SignInPage {
    users: Arc<dyn OAuthProvider>,
    setup: Setup,
}

impl SignInPage {
    /// A page for the users of `provider`.
    pub fn new(provider: impl OAuthProvider) -> Self {
        Self { users: Arc::new(provider), setup: Setup::default() }
    }

    setup_methods!();

    /// What users allowed clients at the server at `url`, to list and to revoke.
    ///
    /// # Errors
    ///
    /// Without a [`store`](Self::store), which the server shares, and where the server would not start.
    pub fn connections(&self, url: &PublicUrl) -> Result<Connections, AuthProviderError> {
        self.setup.connections(url, None)
    }
}

impl AuthProvider for SignInPage {
    fn summary(&self) -> AuthSummary {
        let summary = AuthSummary::new("a sign-in page with users of its own");
        match self.setup.clients.is_for_loopback() {
            true => summary.loopback_only(),
            false => summary,
        }
    }

    fn at(self: Arc<Self>, url: &PublicUrl) -> Result<ProtectedResource, AuthProviderError> {
        let users = LocalUsers::new(Arc::clone(&self.users), Arc::clone(&self.setup.clock));
        let mut protected = self.setup.at(url, Users::Local(users))?;
        let passwords = "users sign in with a password alone, without a second factor: an identity \
                         provider does more against stolen ones";
        protected.warnings.push(passwords.to_owned());
        protected.warnings.extend(self.setup.warning("SignInPage"));
        Ok(protected)
    }
}
