//! Sets of OAuth scopes.

use std::fmt;
use std::sync::Arc;

use crate::OneOrMany;

/// The scope that asks for a refresh token (OpenID Connect Core §11).
const OFFLINE_ACCESS: &str = "offline_access";

/// A set of OAuth scopes (RFC 6749 §3.3), in the order in which they were given.
///
/// Scopes are compared whole and case-sensitively: `admin` is neither `Admin` nor a part
/// of `notadmin`.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as access; }
/// use portcullis::access::Scopes;
///
/// let granted = Scopes::from_iter(["read", "write"]);
/// assert!(granted.contains("read"));
/// assert!(!granted.contains("rea"));
/// assert_eq!(granted.missing(&Scopes::from_iter(["read", "admin"])).to_string(), "admin");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Arc<[Arc<str>]>);

impl Scopes {
    /// Whether `scope` is in the set.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|own| &**own == scope)
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|scope| &**scope)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Those of `required` that are not in the set.
    #[must_use]
    pub fn missing(&self, required: &Self) -> Self {
        Self(required.0.iter().filter(|scope| !self.contains(scope)).cloned().collect())
    }

    /// Those that a server may offer clients, in challenges and metadata: all but
    /// `offline_access`. That one asks for a refresh token, which is between the client and the
    /// authorization server (MCP authorization: resource servers SHOULD NOT name it).
    #[must_use]
    pub fn offered(&self) -> Self {
        self.0.iter().filter(|scope| &***scope != OFFLINE_ACCESS).cloned().collect()
    }

    /// The first one that no token can have, because it is not a scope-token (RFC 6749 §3.3).
    #[must_use]
    pub fn malformed(&self) -> Option<&str> {
        self.iter().find(|scope| !is_scope_token(scope))
    }

    /// These, and those of `other`.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&*other.0).cloned().collect()
    }
}

impl OneOrMany for Scopes {
    fn into_many(self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }
}

impl<S: Into<Arc<str>>> FromIterator<S> for Scopes {
    fn from_iter<I: IntoIterator<Item = S>>(scopes: I) -> Self {
        let mut set: Vec<Arc<str>> = Vec::new();
        for scope in scopes {
            let scope = scope.into();
            if !set.contains(&scope) {
                set.push(scope);
            }
        }
        Self(set.into())
    }
}

/// Separated by spaces, as in a `scope` parameter.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

/// Whether `scope` is one scope-token: visible ASCII but for `"` and `\` (RFC 6749 §3.3).
pub(crate) fn is_scope_token(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c16_scopes_are_compared_whole() {
        let granted = Scopes::from_iter(["notadmin", "admin2", "read:all"]);
        assert!(!granted.contains("admin"));
        assert!(!granted.contains("read"));
        assert!(!granted.contains("ADMIN2"));
    }

    #[test]
    fn rfc6749_3_3_scope_tokens_are_visible_ascii() {
        assert!(is_scope_token("read:items"));
        for bad in ["", "a b", "a\"b", "a\\b", "ä", "a\n"] {
            assert!(!is_scope_token(bad), "{bad:?}");
        }
    }
}
