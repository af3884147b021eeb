//! The users of the identity provider for tests.

use std::fmt;

use serde_json::{Map, Value};

/// Somebody who has an account at an [`IdentityProvider`](super::IdentityProvider).
#[derive(Clone, PartialEq)]
#[must_use = "a user signs in once the provider is given them: .sign_in_as()"]
pub struct TestUser {
    pub(super) subject: String,
    pub(super) claims: Map<String, Value>,
}

impl TestUser {
    /// The user with this `sub`, and nothing else that is known of them.
    pub fn new(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), claims: Map::new() }
    }

    /// Adds what the ID token and the userinfo endpoint say, such as `email` with `email_verified`.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }
}

impl fmt::Debug for TestUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestUser").field("subject", &self.subject).finish_non_exhaustive()
    }
}
