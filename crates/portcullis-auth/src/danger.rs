//! Options and verifiers that must never serve the internet.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use portcullis_guard::digest;
use serde_json::Value;

use crate::{
    BearerToken, Claims, MaybeFuture, OneOrMany, Principal, Scopes, TokenVerifier, VerifyError,
};

/// Accepts a fixed list of tokens, for development and tests.
///
/// It proves nothing about who sends them, so a server that uses it warns at start, and
/// refuses to listen beyond the loopback interface, and to have a `public_url` or an
/// `allow_host` there.
///
/// # Example
///
/// ```
/// # mod portcullis { pub use portcullis_auth::danger; }
/// use portcullis::danger::{StaticTokenVerifier, user};
///
/// let verifier = StaticTokenVerifier::new()
///     .token("dev-token-alice", user("alice").scopes(["read", "write", "admin"]))
///     .token("dev-token-bob", user("bob").scopes(["read"]))
///     .required_scopes(["read"]);
/// ```
#[derive(Default)]
pub struct StaticTokenVerifier {
    // Found by digest: how long a look-up takes says nothing about the tokens.
    principals: HashMap<[u8; 32], Arc<Principal>>,
    required: Scopes,
}

impl StaticTokenVerifier {
    /// A verifier that accepts no token yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts `token` as `user`.
    #[must_use]
    pub fn token(mut self, token: &str, user: User) -> Self {
        self.principals.insert(digest::sha256(token.as_bytes()), Arc::new(user.0));
        self
    }

    /// Sets the scopes without which no request is served.
    #[must_use]
    pub fn required_scopes(mut self, scopes: impl OneOrMany) -> Self {
        self.required = Scopes::from_iter(scopes.into_many());
        self
    }
}

impl TokenVerifier for StaticTokenVerifier {
    fn verify<'a>(
        &'a self,
        token: &'a BearerToken,
    ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
        let found = self.principals.get(&digest::sha256(token.expose().as_bytes()));
        MaybeFuture::ready(
            found.cloned().ok_or_else(|| VerifyError::invalid("not a listed static token")),
        )
    }

    /// The list does not change.
    fn generation(&self) -> Option<u64> {
        Some(0)
    }

    fn required_scopes(&self) -> Scopes {
        self.required.clone()
    }

    fn description(&self) -> String {
        match self.principals.len() {
            1 => "1 static development token".to_owned(),
            tokens => format!("{tokens} static development tokens"),
        }
    }

    fn loopback_only(&self) -> bool {
        true
    }
}

impl fmt::Debug for StaticTokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticTokenVerifier({} tokens)", self.principals.len())
    }
}

/// A user of a [`StaticTokenVerifier`].
#[derive(Clone, Debug)]
pub struct User(Principal);

/// A user known by `subject`, with no scopes.
#[must_use]
pub fn user(subject: impl Into<String>) -> User {
    User(Principal::new(Into::<String>::into(subject)))
}

impl User {
    /// Grants `scopes`.
    #[must_use]
    pub fn scopes(self, scopes: impl OneOrMany) -> Self {
        Self(self.0.with_scopes(Scopes::from_iter(scopes.into_many())))
    }

    /// Sets the OAuth client.
    #[must_use]
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        Self(self.0.with_client_id(Into::<String>::into(client_id)))
    }

    /// Adds the claim `name`.
    #[must_use]
    pub fn claim(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let mut claims: Claims = self.0.claims().clone();
        claims.insert(name.into(), value.into());
        Self(self.0.with_claims(claims))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_listed_token_is_accepted_whole() {
        let verifier = StaticTokenVerifier::new().token(
            "dev-token-alice",
            user("alice").client_id("a@dev.local").scopes(["read"]).claim("level", 5),
        );
        let alice = verifier.verify(&"dev-token-alice".into()).await.unwrap();
        assert_eq!((alice.subject(), alice.client_id()), ("alice", Some("a@dev.local")));
        assert!(alice.scopes().contains("read"));
        assert_eq!(alice.claims()["level"], 5);
        for other in ["dev-token-alic", "dev-token-alicex", "DEV-TOKEN-ALICE", ""] {
            assert!(verifier.verify(&other.into()).await.is_err(), "{other:?}");
        }
    }

    #[test]
    fn n28_it_is_for_loopback_only_and_shows_no_token() {
        let verifier = StaticTokenVerifier::new().token("hunter2", user("alice"));
        assert!(verifier.loopback_only());
        assert!(!format!("{verifier:?}").contains("hunter2"));
    }
}
