//! The check that a token grants scopes.

use super::compiler::{Compiler, Reduced};
use super::{AuthContext, Check, Decision, Target};
use crate::scopes::is_scope_token;
use crate::{MaybeFuture, OneOrMany, Scopes};

/// Requires every one of `scopes`.
///
/// Accepts: a principal whose token grants all of them, or scopes that imply them
/// ([`ScopeHierarchy`](crate::ScopeHierarchy)). Refuses: every other one, and calls without a
/// principal. An empty list does not build: it would mean nothing.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::require_scopes;
///
/// let one = require_scopes("read");
/// let both = require_scopes(["admin", "write"]);
/// ```
#[must_use]
pub fn require_scopes(scopes: impl OneOrMany) -> RequireScopes {
    RequireScopes { scopes: Scopes::from_iter(scopes.into_many()) }
}

/// See [`require_scopes`].
#[derive(Clone, Debug)]
pub struct RequireScopes {
    scopes: Scopes,
}

impl RequireScopes {
    /// What the decision would be without a chain around it.
    pub(super) fn decide(&self, context: AuthContext<'_>) -> Decision {
        let Some(granted) = context.granted() else { return Decision::failed("no principal") };
        if self.scopes.is_empty() {
            return Decision::failed("a scope check without scopes");
        }
        match granted.has_all(&self.scopes) {
            true => Decision::Allow,
            false => Decision::lacking(self.scopes.clone()),
        }
    }

    pub(super) fn scopes(&self) -> &Scopes {
        &self.scopes
    }
}

impl Check for RequireScopes {
    fn check<'a>(&'a self, context: AuthContext<'a>) -> MaybeFuture<'a, Decision> {
        MaybeFuture::ready(self.decide(context))
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

    fn reduce(&self, _: Target<'_>, _: Compiler) -> Reduced {
        match self.scopes.is_empty() {
            true => Reduced::Dynamic,
            false => Reduced::Scopes(self.scopes.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Principal, ScopeHierarchy};

    const TARGET: Target<'static> = Target { kind: "tool", name: "tool", tags: &[] };

    fn decide(granted: &[&str], required: &[&str], hierarchy: &ScopeHierarchy) -> Decision {
        let principal = Principal::new("alice").with_scopes(granted.iter().copied().collect());
        let check = require_scopes(required.to_vec());
        check.decide(AuthContext::new(Some(&principal), hierarchy, TARGET))
    }

    #[test]
    fn all_scopes_are_needed() {
        let none = ScopeHierarchy::default();
        assert_eq!(decide(&["read", "admin"], &["read", "admin"], &none), Decision::Allow);
        let required = Scopes::from_iter(["read", "admin"]);
        assert_eq!(decide(&["admin"], &["read", "admin"], &none), Decision::lacking(required));
        assert!(!decide(&[], &["read"], &none).is_allow());
    }

    #[test]
    fn the_reason_names_what_is_missing() {
        let none = ScopeHierarchy::default();
        let Decision::Deny(denial) = decide(&["admin"], &["read", "admin"], &none) else {
            panic!("allowed")
        };
        let granted = Scopes::from_iter(["admin"]);
        let granted = crate::Granted::new(&granted, &none);
        assert_eq!(denial.reason_given(Some(granted)), "missing scopes: read");
    }

    #[test]
    fn a_scope_that_implies_another_stands_for_it() {
        let hierarchy = ScopeHierarchy::default().implies("admin", ["write"]);
        assert!(decide(&["admin"], &["write"], &hierarchy).is_allow());
        assert!(!decide(&["write"], &["admin"], &hierarchy).is_allow());
    }

    #[test]
    fn a07_a_check_without_scopes_or_principal_denies() {
        let none = ScopeHierarchy::default();
        assert!(!decide(&["read"], &[], &none).is_allow());
        let check = require_scopes(["read"]);
        let decision = check.decide(AuthContext::new(None, &none, TARGET));
        assert_eq!(decision, Decision::failed("no principal"));
    }

    #[test]
    fn scopes_that_can_never_be_granted_do_not_build() {
        assert!(require_scopes(["read"]).validate().is_ok());
        assert!(require_scopes(Vec::<&str>::new()).validate().is_err());
        assert!(require_scopes(["read write"]).validate().is_err());
        assert!(require_scopes([""]).validate().is_err());
    }
}
