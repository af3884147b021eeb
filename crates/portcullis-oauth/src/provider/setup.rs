//! What every provider of this crate is given, whoever its users are.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_auth::{
    AccessTokenKeys, AccessTokenVerifier, AuthProviderError, ProtectedResource, PublicUrl, Scopes,
};
use portcullis_guard::keys::KeyRing;
use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, SystemClock};
use portcullis_store::{MemoryStore, Store};

use crate::branding::Branding;
use crate::client::{Arrivals, ClientPolicy, Clients, Shared};
use crate::connection::Connections;
use crate::consent::Consent;
use crate::grant::{Arriving, Grants};
use crate::server::{
    AuthorizationServer, MOST_ASSERTIONS, MOST_ASSERTIONS_OF_ONE, MOST_DEPARTURES,
    MOST_LONG_DEPARTURES, MOST_LONG_DEPARTURES_OF_ONE, Users,
};
use crate::upstream::Upstream;

/// The parts of an authorization server that do not depend on who its users are.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// What the page calls the server. Default: its host and port.
    pub(crate) name: Option<String>,
    pub(crate) branding: Branding,
    pub(crate) scopes: Scopes,
    /// By scope.
    pub(crate) descriptions: BTreeMap<String, String>,
    /// Default: memory.
    pub(crate) store: Option<Arc<dyn Store>>,
    /// Default: a new one for each process.
    pub(crate) keys: Option<KeyRing>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) consent: Consent,
    pub(crate) clients: ClientPolicy,
}

impl Default for Setup {
    fn default() -> Self {
        let clock = Arc::new(SystemClock);
        Self {
            name: None,
            branding: Branding::default(),
            scopes: Scopes::default(),
            descriptions: BTreeMap::new(),
            store: None,
            keys: None,
            clock,
            consent: Consent::default(),
            clients: ClientPolicy::default(),
        }
    }
}

impl Setup {
    /// # Errors
    ///
    /// When a server would not be safe with it.
    pub(crate) fn check(&self) -> Result<(), AuthProviderError> {
        self.branding.look()?;
        if let Some(scope) = self.scopes.malformed() {
            let text = format!("{} is no scope: use visible ASCII", quoted(scope));
            return Err(AuthProviderError::new(text));
        }
        for (scope, text) in &self.descriptions {
            let (scope, known) = (quoted(scope), self.scopes.contains(scope));
            if !known || text.trim().is_empty() {
                let why = if known { "the text is empty" } else { "it is not one of scopes(…)" };
                let text = format!("scope_description({scope}, …): {why}");
                return Err(AuthProviderError::new(text));
            }
        }
        if self.consent == Consent::External && self.clients.takes_strangers() {
            return Err(AuthProviderError::new(
                "with Consent::External no page asks, so that whoever signed in once would sign in for \
                 any client that sends them here: name the clients (Registration::Known, documents_from, \
                 allowed_client_redirect_uris)",
            ));
        }
        if self.store.as_ref().is_some_and(|store| store.is_unsealed()) {
            return Err(AuthProviderError::new(
                "the store writes values as they are, and with them the keys of tokens: use \
                 Sealed::new(store, keys), with keys that `portcullis keys new` makes",
            ));
        }
        Ok(())
    }

    /// What start-up says of what ends with the process; `provider` is its name.
    pub(crate) fn warning(&self, provider: &str) -> Option<String> {
        match (&self.store, &self.keys) {
            (Some(_), Some(_)) => None,
            (None, _) => Some(format!(
                "grants and tokens end with the process, and everybody has to sign in again: give \
                 {provider} a store and keys"
            )),
            (Some(_), None) => Some(format!(
                "registrations end with the process, and clients have to be added again: give \
                 {provider} keys"
            )),
        }
    }

    /// What users see of their grants at the server at `url`, where they sign in at `upstream` or here.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check), and without a store: nobody else sees what is in the memory
    /// of the server.
    pub(crate) fn connections(
        &self,
        url: &PublicUrl,
        upstream: Option<Arc<Upstream>>,
    ) -> Result<Connections, AuthProviderError> {
        self.check()?;
        let Some(store) = &self.store else {
            return Err(AuthProviderError::new(
                "grants are in the memory of the server: give the provider a store",
            ));
        };
        let unusable = |error: &dyn std::fmt::Display| AuthProviderError::new(error.to_string());
        let (issuer, resource) = (url.base(), url.resource());
        let (of, by) = (Arc::clone(store), Arc::clone(&self.clock));
        let access_tokens = AccessTokenKeys::new(&*issuer, &*resource, of, by);
        let keys = match &self.keys {
            Some(keys) => keys.clone(),
            None => KeyRing::ephemeral().map_err(|error| unusable(&error))?,
        };
        Ok(Connections::of(Grants {
            issuer,
            resource,
            store: Arc::clone(store),
            access_tokens: access_tokens.map_err(|error| unusable(&error))?,
            keys,
            clock: Arc::clone(&self.clock),
            upstream,
            pending: Arc::default(),
        }))
    }

    /// The server at `url` for `users`.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check), and when there are no random bytes.
    pub(crate) fn at(
        &self,
        url: &PublicUrl,
        users: Users,
    ) -> Result<ProtectedResource, AuthProviderError> {
        self.check()?;
        let unusable = |error: &dyn std::fmt::Display| AuthProviderError::new(error.to_string());
        let clock = Arc::clone(&self.clock);
        let keys = match &self.keys {
            Some(keys) => keys.clone(),
            None => KeyRing::ephemeral().map_err(|error| unusable(&error))?,
        };
        let store = self.store.clone();
        let store = store.unwrap_or_else(|| Arc::new(MemoryStore::new(Arc::clone(&clock))));
        #[cfg(feature = "metrics")]
        let store = portcullis_store::measured(store);
        let (issuer, resource) = (url.base(), url.resource());
        let access_tokens = AccessTokenKeys::new(
            issuer.as_str(),
            resource.as_str(),
            Arc::clone(&store),
            Arc::clone(&clock),
        );
        let access_tokens = access_tokens.map_err(|error| unusable(&error))?;
        let verifier = AccessTokenVerifier::new(access_tokens.clone());
        let shared = Shared {
            issuer: issuer.clone(),
            keys: keys.clone(),
            clock: Arc::clone(&clock),
            store: Arc::clone(&store),
        };
        let clients = Clients::new(&self.clients, shared).map_err(|why| unusable(&why))?;
        let grants = Grants {
            issuer: issuer.clone(),
            resource,
            store,
            access_tokens,
            keys: keys.clone(),
            clock: Arc::clone(&clock),
            upstream: users.upstream().cloned(),
            pending: Arc::default(),
        };
        let mut protected = ProtectedResource::new(Arc::new(verifier));
        protected.authorization_servers = vec![issuer.clone()];
        protected.scopes_supported = self.scopes.clone();
        if users.upstream().is_some() {
            protected.upstream_tokens = Some(Arc::new(grants.clone()));
        }
        protected.endpoints = Some(Arc::new(AuthorizationServer {
            name: self.name.clone().unwrap_or_else(|| authority(url.origin()).to_owned()),
            look: self.branding.look()?,
            scopes: self.scopes.clone(),
            descriptions: self.descriptions.clone(),
            users,
            consent: self.consent,
            origin: url.origin().to_owned(),
            prefix: url.prefix().as_str().to_owned(),
            issuer,
            keys,
            clock,
            clients,
            grants,
            departures: Arrivals::of(MOST_DEPARTURES),
            returns: Arrivals::of(MOST_DEPARTURES),
            long_departures_of_one: Arrivals::of(MOST_LONG_DEPARTURES_OF_ONE),
            long_departures: Arrivals::of(MOST_LONG_DEPARTURES),
            assertions_of_one: Arrivals::of(MOST_ASSERTIONS_OF_ONE),
            assertions: Arrivals::of(MOST_ASSERTIONS),
            arriving: Arriving::default(),
        }));
        Ok(protected)
    }
}

/// The host and port of an origin.
fn authority(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, authority)| authority)
}

/// The options that every provider has.
macro_rules! setup_methods {
    () => {
        /// The scopes that clients may ask for; one that names none of them asks for all. Default:
        /// none.
        pub fn scopes(mut self, scopes: impl OneOrMany) -> Self {
            self.setup.scopes = Scopes::from_iter(scopes.into_many());
            self
        }

        /// What people read where a client asks for `scope`, in words: such as "Read your notes". Without
        /// it they read the name of the scope, which stands beside the words, too.
        ///
        /// One that is not among [`scopes`](Self::scopes) is refused at start.
        pub fn scope_description(
            mut self,
            scope: impl Into<String>,
            words: impl Into<String>,
        ) -> Self {
            self.setup.descriptions.insert(scope.into(), words.into());
            self
        }

        /// What the page calls the server. Default: its host and port.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.setup.name = Some(name.into());
            self
        }

        /// How the pages look on which users sign in. Default: nobody's name and logo, and a blue button.
        pub fn branding(mut self, branding: $crate::branding::Branding) -> Self {
            self.setup.branding = branding;
            self
        }

        /// Which clients are known, and where answers may go. Default: any program may register.
        pub fn clients(mut self, policy: impl Into<$crate::client::ClientPolicy>) -> Self {
            self.setup.clients = policy.into();
            self
        }

        /// Where grants and the keys of tokens are kept. Default: memory.
        pub fn store(mut self, store: Arc<dyn Store>) -> Self {
            self.setup.store = Some(store);
            self
        }

        /// The keys that seal registrations. Clients keep these, and have to register again without
        /// the key that sealed theirs. Default: a new one for each process.
        pub fn keys(mut self, keys: KeyRing) -> Self {
            self.setup.keys = Some(keys);
            self
        }

        /// The clock by which codes and tokens expire. Default: the system's.
        pub fn clock(mut self, clock: impl Clock) -> Self {
            self.setup.clock = Arc::new(clock);
            self
        }
    };
}
pub(crate) use setup_methods;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Registration;

    #[test]
    fn words_are_for_scopes_that_there_are() {
        let of = |scope: &str, words: &str| {
            let descriptions = BTreeMap::from([(scope.to_owned(), words.to_owned())]);
            let scopes = Scopes::from_iter(["read"]);
            Setup { scopes, descriptions, ..Setup::default() }.check()
        };
        assert!(of("read", "Read your notes").is_ok());
        for (scope, words) in [("reed", "Read your notes"), ("read", " "), ("read", "")] {
            let error = of(scope, words).unwrap_err();
            assert!(error.problems()[0].text().contains(scope), "{error}");
        }
    }

    #[test]
    fn o10_without_a_page_no_stranger_is_a_client() {
        let of = |clients| {
            let setup = Setup { consent: Consent::External, clients, ..Setup::default() };
            setup.check().is_ok()
        };
        let new = ClientPolicy::new;
        for refused in [
            ClientPolicy::default(),
            new(Registration::Documents),
            new(Registration::Known).documents_from_everywhere(),
        ] {
            assert!(!of(refused.clone()), "{refused:?}");
            assert!(of(refused.allowed_client_redirect_uris(["https://a.example.com/cb"])));
        }
        for taken in [
            new(Registration::Known),
            new(Registration::Off),
            new(Registration::Documents).documents_from(["claude.ai"]),
        ] {
            assert!(of(taken.clone()), "{taken:?}");
        }
        let asked = Setup { consent: Consent::EachTime, ..Setup::default() };
        assert!(asked.check().is_ok());
    }
}
