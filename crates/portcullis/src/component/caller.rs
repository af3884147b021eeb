//! Who is calling, as a function is told.

use std::sync::Arc;

use portcullis_auth::{Claims, Granted, Principal, ScopeHierarchy};

/// Who is calling: a verified principal over HTTP, the local user over stdio.
///
/// Over stdio there is no token: [`authenticated`](Self::authenticated) is false and there
/// are neither scopes nor claims. Over HTTP without a principal, and over stdio with
/// [`hide_protected_over_stdio`](crate::ServerBuilder::hide_protected_over_stdio), a component
/// that asks for a `Caller` is hidden, so a handler never sees an anonymous one.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    principal: Option<Arc<Principal>>,
    hierarchy: Arc<ScopeHierarchy>,
}

impl Caller {
    /// The user who started the server as a child process.
    #[must_use]
    pub fn local() -> Self {
        Self { principal: None, hierarchy: Arc::default() }
    }

    /// A principal, whose scopes imply others.
    pub(crate) fn of(principal: Arc<Principal>, hierarchy: Arc<ScopeHierarchy>) -> Self {
        Self { principal: Some(principal), hierarchy }
    }

    /// Whether a token was verified for this call.
    #[must_use]
    pub fn authenticated(&self) -> bool {
        self.principal.is_some()
    }

    /// The principal, unless this is the local user.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_deref()
    }

    /// The token's subject.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.principal().map(Principal::subject)
    }

    /// The OAuth client that the token was issued to.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.principal().and_then(Principal::client_id)
    }

    /// The granted scopes; none for the local user.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.principal().into_iter().flat_map(|principal| principal.scopes().iter())
    }

    /// Whether `scope` was granted, or is implied by one that was; never for the local user.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.principal()
            .is_some_and(|principal| Granted::new(principal.scopes(), &self.hierarchy).has(scope))
    }

    /// What the token says.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        self.principal().map(Principal::claims)
    }
}

impl From<Arc<Principal>> for Caller {
    fn from(principal: Arc<Principal>) -> Self {
        Self { principal: Some(principal), hierarchy: Arc::default() }
    }
}

/// Who is calling, for functions that also serve callers without a token.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// #[tool]
/// async fn greet(caller: MaybeCaller) -> String {
///     match caller.0 {
///         Some(caller) => format!("Hello, {}.", caller.subject().unwrap_or_default()),
///         None => "Hello, guest.".to_owned(),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MaybeCaller(pub Option<Caller>);
