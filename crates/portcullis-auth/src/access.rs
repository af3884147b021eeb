//! Checks and the decisions they give.

use std::fmt;
use std::sync::Arc;

use crate::scopes::is_scope_token;
use crate::{Answer, IntoScopes, Principal, Scopes};

/// Yes, or no with a reason. Never a truthy value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a decision that is not looked at decides nothing"]
pub enum Decision {
    /// Yes.
    Allow,
    /// No.
    Deny(Denial),
}

impl Decision {
    /// A denial whose `reason` goes to the log.
    pub fn deny(reason: impl Into<Arc<str>>) -> Self {
        Self::Deny(Denial { reason: reason.into() })
    }
}

/// Why something was denied: for the log, never for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    reason: Arc<str>,
}

impl Denial {
    /// The reason, for the log.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// What a check may look at.
#[derive(Clone, Copy, Debug)]
pub struct AuthContext<'a> {
    principal: Option<&'a Principal>,
    component: &'a str,
}

impl<'a> AuthContext<'a> {
    /// The context of one decision about the component named `component`.
    #[must_use]
    pub fn new(principal: Option<&'a Principal>, component: &'a str) -> Self {
        Self { principal, component }
    }

    /// Who is calling; none over HTTP without authentication.
    #[must_use]
    pub fn principal(&self) -> Option<&'a Principal> {
        self.principal
    }

    /// The name of the tool or prompt, or the URI (template) of the resource.
    #[must_use]
    pub fn component(&self) -> &'a str {
        self.component
    }
}

/// One condition for seeing and using a component.
///
/// Several on one component must all allow. A check that panics denies. Checks are skipped
/// over stdio, where there is no token.
///
/// # Example
///
/// ```
/// # extern crate portcullis_auth as portcullis;
/// use portcullis::{Answer, AuthContext, Check, Decision, Principal};
///
/// #[derive(Debug)]
/// struct Premium;
///
/// impl Check for Premium {
///     fn check<'a>(&'a self, context: AuthContext<'a>) -> Answer<'a, Decision> {
///         let premium = context.principal().and_then(|p| p.claims().get("premium"));
///         Answer::ready(match premium {
///             Some(value) if value == true => Decision::Allow,
///             _ => Decision::deny("not a premium user"),
///         })
///     }
///
///     fn requirement(&self) -> String {
///         "a premium user".to_owned()
///     }
/// }
/// ```
pub trait Check: fmt::Debug + Send + Sync + 'static {
    /// Decides.
    fn check<'a>(&'a self, context: AuthContext<'a>) -> Answer<'a, Decision>;

    /// What is required, in a few words for the access table.
    fn requirement(&self) -> String;

    /// What is wrong with the check itself, if anything: the server then does not build.
    ///
    /// # Errors
    ///
    /// Says what is wrong and what would be right.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

/// What `auth = …` accepts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an access check",
    label = "not a check",
    note = "write `auth = require_scopes([\"read\"])`, or a list of checks that must all allow, or implement `Check` for your type"
)]
pub trait IntoCheck {
    /// The check.
    fn into_check(self) -> Arc<dyn Check>;
}

impl<C: Check> IntoCheck for C {
    fn into_check(self) -> Arc<dyn Check> {
        Arc::new(self)
    }
}

/// Requires every one of `scopes`.
///
/// Accepts: a principal whose token grants all of them. Refuses: every other one, and
/// calls without a principal. An empty list does not build: it would mean nothing.
///
/// # Example
///
/// ```
/// # extern crate portcullis_auth as portcullis;
/// use portcullis::require_scopes;
///
/// let one = require_scopes("read");
/// let both = require_scopes(["admin", "write"]);
/// ```
#[must_use]
pub fn require_scopes(scopes: impl IntoScopes) -> RequireScopes {
    let scopes = scopes.into_scopes();
    let none = Decision::deny(format!("missing scopes: {scopes}"));
    RequireScopes { scopes, none }
}

/// See [`require_scopes`].
#[derive(Clone, Debug)]
pub struct RequireScopes {
    scopes: Scopes,
    /// For whoever has none of them: a list asks once for each component, so it is written
    /// once.
    none: Decision,
}

impl Check for RequireScopes {
    fn check<'a>(&'a self, context: AuthContext<'a>) -> Answer<'a, Decision> {
        let Some(principal) = context.principal() else {
            return Answer::ready(Decision::deny("no principal"));
        };
        if self.scopes.is_empty() {
            return Answer::ready(Decision::deny("a scope check without scopes"));
        }
        let granted = principal.scopes();
        let has = |scope: &str| granted.contains(scope);
        Answer::ready(if self.scopes.iter().all(has) {
            Decision::Allow
        } else if !self.scopes.iter().any(has) {
            self.none.clone()
        } else {
            Decision::deny(format!("missing scopes: {}", granted.missing(&self.scopes)))
        })
    }

    fn requirement(&self) -> String {
        format!("scopes {}", self.scopes)
    }

    fn validate(&self) -> Result<(), String> {
        if self.scopes.is_empty() {
            return Err("require_scopes([]) requires nothing: name a scope, or leave it out".into());
        }
        match self.scopes.iter().find(|scope| !is_scope_token(scope)) {
            Some(bad) => Err(format!("{bad:?} is not one scope: name each scope by itself")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn decide(granted: &[&str], required: &[&str]) -> Decision {
        let scopes = granted.iter().copied().collect();
        let principal = Principal::new("alice").with_scopes(scopes);
        let check = require_scopes(required.to_vec());
        check.check(AuthContext::new(Some(&principal), "tool")).await
    }

    #[tokio::test]
    async fn all_scopes_are_needed() {
        assert_eq!(decide(&["read", "admin"], &["read", "admin"]).await, Decision::Allow);
        assert_eq!(
            decide(&["admin"], &["read", "admin"]).await,
            Decision::deny("missing scopes: read")
        );
        assert_eq!(decide(&[], &["read"]).await, Decision::deny("missing scopes: read"));
    }

    #[tokio::test]
    async fn a07_a_check_without_scopes_or_principal_denies() {
        assert!(matches!(decide(&["read"], &[]).await, Decision::Deny(_)));
        let check = require_scopes(["read"]);
        let decision = check.check(AuthContext::new(None, "tool")).await;
        assert_eq!(decision, Decision::deny("no principal"));
    }

    #[test]
    fn scopes_that_can_never_be_granted_do_not_build() {
        assert!(require_scopes(["read"]).validate().is_ok());
        assert!(require_scopes(Vec::<&str>::new()).validate().is_err());
        assert!(require_scopes(["read write"]).validate().is_err());
        assert!(require_scopes([""]).validate().is_err());
    }
}
