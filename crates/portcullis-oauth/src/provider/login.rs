use std::fmt;
use std::sync::Arc;

use portcullis_auth::{
    AccessTokenKeys, AccessTokenVerifier, AuthProvider, AuthProviderError, AuthSummary, OneOrMany,
    ProtectedResource, PublicUrl, Scopes,
};
use portcullis_guard::keys::KeyRing;
use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, Secret, SystemClock, random};
use portcullis_store::{MemoryStore, Store};

use crate::client::Clients;
use crate::grant::Grants;
use crate::server::AuthorizationServer;
use crate::users::Users;

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
    scopes: Scopes,
    name: Option<String>,
    store: Option<Arc<dyn Store>>,
    keys: Option<KeyRing>,
    clock: Arc<dyn Clock>,
}

/// The longest user name, in bytes, as of any subject.
const MAX_NAME: usize = 255;

impl LoginProvider {
    /// A provider without users: add one at least.
    #[expect(clippy::new_without_default, reason = "it does not start as it is")]
    pub fn new() -> Self {
        Self {
            users: Vec::new(),
            scopes: Scopes::default(),
            name: None,
            store: None,
            keys: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Adds a user. The name is the subject of their tokens.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<Secret<String>>) -> Self {
        self.users.push((name.into(), password.into()));
        self
    }

    /// The scopes that clients may ask for; one that names none of them asks for all. Every user may
    /// grant them. Default: none.
    pub fn scopes(mut self, scopes: impl OneOrMany) -> Self {
        self.scopes = Scopes::from_iter(scopes.into_many());
        self
    }

    /// What the page calls the server. Default: its host and port.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Where grants and the keys of tokens are kept. Default: memory.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// The keys that seal registrations. Clients keep these, and have to register again without the
    /// key that sealed theirs. Default: a new one for each process.
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// The clock by which codes and tokens expire. Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
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
        if let Some(scope) = self.scopes.malformed() {
            let text = format!("{} is no scope: use visible ASCII", quoted(scope));
            return refused(&text);
        }
        if self.store.as_ref().is_some_and(|store| store.is_unsealed()) {
            return refused(
                "the store writes values as they are, and with them the keys of tokens: use \
                 Sealed::new(store, keys), with keys that `portcullis keys new` makes",
            );
        }
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = vec![
            "users sign in with passwords of the configuration: for development only".to_owned(),
        ];
        match (&self.store, &self.keys) {
            (Some(_), Some(_)) => {}
            (None, _) => warnings.push(
                "grants and tokens end with the process, and everybody has to sign in again: give \
                 LoginProvider a store and keys"
                    .to_owned(),
            ),
            (Some(_), None) => warnings.push(
                "registrations end with the process, and clients have to be added again: give \
                 LoginProvider keys"
                    .to_owned(),
            ),
        }
        warnings
    }

    /// Users and their passwords, for a server.
    fn users(&self) -> Result<Users, AuthProviderError> {
        let nobody = random::bytes().map_err(|error| AuthProviderError::new(error.to_string()))?;
        Ok(Users::new(self.users.iter().cloned(), nobody, Arc::clone(&self.clock)))
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
        let clock = Arc::clone(&self.clock);
        let keys = match &self.keys {
            Some(keys) => keys.clone(),
            None => {
                KeyRing::ephemeral().map_err(|error| AuthProviderError::new(error.to_string()))?
            }
        };
        let store = self.store.clone();
        let store = store.unwrap_or_else(|| Arc::new(MemoryStore::new(Arc::clone(&clock))));
        let (issuer, resource) = (url.origin().to_owned(), url.resource());
        let access_tokens = AccessTokenKeys::new(
            issuer.as_str(),
            resource.as_str(),
            Arc::clone(&store),
            Arc::clone(&clock),
        );
        let access_tokens =
            access_tokens.map_err(|error| AuthProviderError::new(error.to_string()))?;
        let verifier = AccessTokenVerifier::new(access_tokens.clone());
        let clients = Clients::new(keys.clone(), issuer.clone(), Arc::clone(&clock));
        let grants = Grants {
            issuer: issuer.clone(),
            resource,
            store,
            access_tokens,
            keys: keys.clone(),
            clock: Arc::clone(&clock),
        };
        let server = AuthorizationServer {
            name: self.name.clone().unwrap_or_else(|| authority(&issuer).to_owned()),
            scopes: self.scopes.clone(),
            users: self.users()?,
            issuer: issuer.clone(),
            keys,
            clock,
            clients,
            grants,
        };
        let mut protected = ProtectedResource::new(Arc::new(verifier));
        protected.authorization_servers = vec![issuer];
        protected.warnings = self.warnings();
        protected.scopes_supported = self.scopes.clone();
        protected.endpoints = Some(Arc::new(server));
        Ok(protected)
    }
}

/// The host and port of an origin.
fn authority(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, authority)| authority)
}

/// Without passwords.
impl fmt::Debug for LoginProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users: Vec<_> = self.users.iter().map(|(name, _)| name).collect();
        f.debug_struct("LoginProvider")
            .field("users", &users)
            .field("scopes", &self.scopes)
            .field("name", &self.name)
            .field("store", &self.store)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use portcullis_auth::EndpointPath;

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
