//! The authorization server for development, whose users are configured.

use std::fmt;
use std::sync::Arc;

use portcullis_auth::{
    AuthProvider, AuthProviderError, AuthSummary, OneOrMany, ProtectedResource, PublicUrl, Scopes,
};
use portcullis_guard::keys::KeyRing;
use portcullis_guard::{Clock, Secret, random};
use portcullis_store::Store;

use super::setup::{Setup, setup_methods};
use crate::connection::Connections;
use crate::server::Users;
use crate::users::{DevelopmentUsers, LocalUsers};

/// An authorization server of its own, whose users are written down here: for development and
/// demonstrations.
///
/// MCP clients find it, register, and show a page on which a user signs in with a name and a
/// password, and allows the client or not. Passwords are in the configuration, and there is no second
/// factor, so a server with it warns at start, and refuses to listen beyond the loopback interface,
/// and to have a `public_url` or an `allow_host` there.
///
/// By default all is kept in memory: registrations, grants and tokens end with the process.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub use portcullis_oauth as danger;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::danger::LoginProvider;
/// use portcullis::guard::Secret;
///
/// let provider = LoginProvider::new()
///     .name("Notes")
///     .user("alice", Secret::new("dev-password-alice".to_owned()))
///     .scopes(["notes:read", "notes:write"]);
/// ```
#[must_use]
pub struct LoginProvider {
    users: Vec<(String, Secret<String>)>,
    setup: Setup,
}

/// The longest user name, in bytes, as of any subject.
const MAX_NAME: usize = 255;

impl LoginProvider {
    /// A provider without users: add one at least.
    #[expect(clippy::new_without_default, reason = "it does not start as it is")]
    pub fn new() -> Self {
        Self { users: Vec::new(), setup: Setup::default() }
    }

    /// Adds a user. The name is the subject of their tokens.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<Secret<String>>) -> Self {
        self.users.push((name.into(), password.into()));
        self
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

    fn check(&self) -> Result<(), AuthProviderError> {
        let refused = |text: &str| Err(AuthProviderError::new(text));
        if self.users.is_empty() {
            return refused("nobody could sign in: add a user with `user(name, password)`");
        }
        if self.users.iter().any(|(name, _)| name.is_empty() || name.len() > MAX_NAME) {
            return refused("a user name is empty, or has more than 255 bytes");
        }
        if self.users.iter().any(|(_, password)| password.expose().is_empty()) {
            return refused("a password is empty");
        }
        let mut names: Vec<_> = self.users.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() < self.users.len() {
            return refused("two users have the same name: remove one");
        }
        self.setup.check()
    }

    fn warnings(&self) -> Vec<String> {
        let passwords = "users sign in with passwords of the configuration: for development only";
        [Some(passwords.to_owned()), self.setup.warning("LoginProvider")]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Users and their passwords, for a server.
    fn users(&self) -> Result<Users, AuthProviderError> {
        let nobody = random::bytes().map_err(|error| AuthProviderError::new(error.to_string()))?;
        let users = DevelopmentUsers::new(self.users.iter().cloned(), nobody);
        Ok(Users::Local(LocalUsers::new(Arc::new(users), Arc::clone(&self.setup.clock))))
    }
}

impl AuthProvider for LoginProvider {
    fn summary(&self) -> AuthSummary {
        let description = match self.users.len() {
            1 => "a sign-in page with 1 development user".to_owned(),
            users => format!("a sign-in page with {users} development users"),
        };
        AuthSummary::new(description).loopback_only()
    }

    fn at(self: Arc<Self>, url: &PublicUrl) -> Result<ProtectedResource, AuthProviderError> {
        self.check()?;
        let mut protected = self.setup.at(url, self.users()?)?;
        protected.warnings = self.warnings();
        Ok(protected)
    }
}

/// Without passwords.
impl fmt::Debug for LoginProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users: Vec<_> = self.users.iter().map(|(name, _)| name).collect();
        f.debug_struct("LoginProvider")
            .field("users", &users)
            .field("setup", &self.setup)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use portcullis_auth::EndpointPath;
    use portcullis_guard::SystemClock;
    use portcullis_store::MemoryStore;

    use super::*;

    fn password(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn at(provider: LoginProvider) -> Result<ProtectedResource, AuthProviderError> {
        let path = EndpointPath::parse("/mcp").unwrap();
        Arc::new(provider).at(&PublicUrl::parse("http://127.0.0.1:8000", path).unwrap())
    }

    #[test]
    fn n28_it_is_for_loopback_only_and_shows_no_password() {
        let provider = LoginProvider::new().user("alice", password("hunter2"));
        assert!(provider.summary().loopback_only);
        assert!(!format!("{provider:?}").contains("hunter2"));
    }

    #[test]
    fn a_provider_at_which_nobody_could_sign_in_does_not_start() {
        let alice = || LoginProvider::new().user("alice", password("a"));
        assert!(at(alice()).is_ok());
        for (provider, said) in [
            (LoginProvider::new(), "add a user"),
            (alice().user("", password("b")), "user name"),
            (alice().user("b".repeat(256), password("b")), "user name"),
            (alice().user("bob", password("")), "password"),
            (alice().user("alice", password("b")), "same name"),
            (alice().scopes(["read write"]), "scope"),
        ] {
            let error = at(provider).unwrap_err();
            assert!(error.problems()[0].text().contains(said), "{error}");
        }
    }

    #[test]
    fn start_up_warns_of_what_ends_with_the_process() {
        let alice = || LoginProvider::new().user("alice", password("a"));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        let keys = KeyRing::ephemeral().unwrap();
        let warnings = |provider| at(provider).unwrap().warnings;
        assert!(warnings(alice())[1].contains("sign in again"));
        assert!(warnings(alice().store(store.clone()))[1].contains("added again"));
        assert_eq!(warnings(alice().store(store).keys(keys)).len(), 1);
    }
}
