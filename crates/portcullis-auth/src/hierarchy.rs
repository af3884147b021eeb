//! Scopes that imply other scopes.

use std::collections::{BTreeMap, BTreeSet};

use crate::scopes::is_scope_token;
use crate::{OneOrMany, Scopes};

/// Which scopes imply which others (MCP authorization §Scope Challenge Handling).
///
/// Implication is transitive: with `admin` for `write` and `write` for `read`, `admin` stands for
/// both. Nothing is implied by the spelling of a scope.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::{Granted, ScopeHierarchy, Scopes};
///
/// let hierarchy = ScopeHierarchy::default().implies("admin", ["write"]).implies("write", "read");
/// let admin = Scopes::from_iter(["admin"]);
/// assert!(Granted::new(&admin, &hierarchy).has("read"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeHierarchy {
    /// Each scope with all those that stand for it, however far away.
    implied_by: BTreeMap<String, BTreeSet<String>>,
}

impl ScopeHierarchy {
    /// Says that `scope` implies the scopes `implied`.
    #[must_use]
    pub fn implies(mut self, scope: impl Into<String>, implied: impl OneOrMany) -> Self {
        let scope = scope.into();
        let mut stand_for_it = self.implied_by.get(&scope).cloned().unwrap_or_default();
        stand_for_it.insert(scope);
        for implied in Scopes::from_iter(implied.into_many()).iter() {
            self.implied_by.entry(implied.to_owned()).or_default().extend(stand_for_it.clone());
            for by in self.implied_by.values_mut().filter(|by| by.contains(implied)) {
                by.extend(stand_for_it.clone());
            }
        }
        self
    }

    /// One of its scopes that is not a scope (RFC 6749 §3.3), if there is one.
    #[must_use]
    pub fn malformed(&self) -> Option<&str> {
        let mut all = self.implied_by.iter().flat_map(|(scope, by)| by.iter().chain([scope]));
        all.find(|scope| !is_scope_token(scope)).map(String::as_str)
    }

    /// Whether no scope implies another.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.implied_by.is_empty()
    }

    /// The scopes that others stand for.
    pub fn implied(&self) -> impl Iterator<Item = &str> {
        self.implied_by.keys().map(String::as_str)
    }

    /// Whether one of `granted` stands for `scope`.
    fn stands_for(&self, scope: &str, granted: &Scopes) -> bool {
        let by = self.implied_by.get(scope);
        by.is_some_and(|by| granted.iter().any(|own| by.contains(own)))
    }
}

/// The scopes that a token grants, and those that they imply.
#[derive(Clone, Copy, Debug)]
pub struct Granted<'a> {
    scopes: &'a Scopes,
    hierarchy: &'a ScopeHierarchy,
}

impl<'a> Granted<'a> {
    /// The scopes of a token, and what they imply.
    #[must_use]
    pub fn new(scopes: &'a Scopes, hierarchy: &'a ScopeHierarchy) -> Self {
        Self { scopes, hierarchy }
    }

    /// Whether `scope` is granted, or implied by one that is.
    #[must_use]
    pub fn has(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
            || (!self.hierarchy.is_empty() && self.hierarchy.stands_for(scope, self.scopes))
    }

    /// Whether all of `required` are granted.
    #[must_use]
    pub fn has_all(&self, required: &Scopes) -> bool {
        required.iter().all(|scope| self.has(scope))
    }

    /// The scopes in `required` that are not granted.
    #[must_use]
    pub fn missing(&self, required: &Scopes) -> Scopes {
        required.iter().filter(|scope| !self.has(scope)).collect()
    }

    /// The scopes that a challenge names to a caller that [lacks](crate::Decision::lacking)
    /// `required`: those that are not granted. If all are granted, it is all of `required`: the
    /// check had its own reason to deny, and an empty challenge would not tell the client anything.
    #[must_use]
    pub fn lacking(&self, required: &Scopes) -> Scopes {
        let missing = self.missing(required);
        if missing.is_empty() { required.clone() } else { missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(hierarchy: &ScopeHierarchy, own: &str, scope: &str) -> bool {
        Granted::new(&Scopes::from_iter([own]), hierarchy).has(scope)
    }

    #[test]
    fn what_is_implied_implies_further_in_whatever_order_it_was_said() {
        let down = ScopeHierarchy::default().implies("a", "b").implies("b", "c").implies("c", "d");
        let up = ScopeHierarchy::default().implies("c", "d").implies("b", "c").implies("a", "b");
        for hierarchy in [down, up] {
            for (index, scope) in ["a", "b", "c", "d"].into_iter().enumerate() {
                for (other_index, other) in ["a", "b", "c", "d"].into_iter().enumerate() {
                    let stands = other_index >= index;
                    assert_eq!(has(&hierarchy, scope, other), stands, "{scope} {other}");
                }
            }
        }
    }

    #[test]
    fn c16_nothing_is_implied_by_spelling() {
        let hierarchy = ScopeHierarchy::default().implies("admin", "write");
        for other in ["admin:write", "adm", "Admin", "administrator"] {
            assert!(!has(&hierarchy, other, "write"), "{other}");
        }
        assert!(!has(&hierarchy, "write", "admin"));
    }

    #[test]
    fn scopes_that_imply_each_other_are_the_same() {
        let hierarchy = ScopeHierarchy::default().implies("a", "b").implies("b", "a");
        assert!(has(&hierarchy, "a", "b") && has(&hierarchy, "b", "a"));
    }
}
