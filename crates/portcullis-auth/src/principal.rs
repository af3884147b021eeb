use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use crate::Scopes;

/// What a token says, member by member, as it was verified.
pub type Claims = serde_json::Map<String, Value>;

/// Who a verified token speaks for.
///
/// Only a [`TokenVerifier`](crate::TokenVerifier) makes one: nothing that a client says
/// elsewhere (a header, an argument, `_meta`) ever becomes a part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    issuer: Option<Arc<str>>,
    subject: Arc<str>,
    client_id: Option<Arc<str>>,
    scopes: Scopes,
    claims: Claims,
    expires_at: Option<SystemTime>,
}

impl Principal {
    /// A principal known by `subject`, with no scopes.
    #[must_use]
    pub fn new(subject: impl Into<Arc<str>>) -> Self {
        Self {
            issuer: None,
            subject: subject.into(),
            client_id: None,
            scopes: Scopes::default(),
            claims: Claims::new(),
            expires_at: None,
        }
    }

    /// Sets who issued the token. Subjects are unique for one issuer only (RFC 7519 §4.1.2).
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<Arc<str>>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Sets the OAuth client that the token was issued to.
    #[must_use]
    pub fn with_client_id(mut self, client_id: impl Into<Arc<str>>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Sets what the token grants.
    #[must_use]
    pub fn with_scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// Sets what the token says.
    #[must_use]
    pub fn with_claims(mut self, claims: Claims) -> Self {
        self.claims = claims;
        self
    }

    /// Sets when the token ends.
    #[must_use]
    pub fn with_expiry(mut self, expires_at: SystemTime) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// Who issued the token, where the verifier knows.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The subject, unique for its issuer.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The OAuth client that the token was issued to, where the token says.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// What the token grants.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// What the token says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// When the token ends, where it does.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }
}
