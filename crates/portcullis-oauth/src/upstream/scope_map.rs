//! From the scopes of this server to those of the provider, and back.

use portcullis_auth::Scopes;

/// Which scopes of the provider stand for one of this server. A scope without any is decided here
/// alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScopeMap {
    pub(crate) named: Vec<(String, Vec<String>)>,
    /// What comes before every other scope of this server at the provider, if it has them.
    pub(crate) prefix: Option<String>,
}

impl ScopeMap {
    /// Those of the provider that stand for `ours`.
    pub(super) fn theirs(&self, ours: &Scopes) -> Scopes {
        ours.iter().filter_map(|scope| self.of(scope)).flatten().collect()
    }

    /// What remains of `allowed` where the provider granted `granted`: a scope remains if all that
    /// stand for it were granted.
    pub(super) fn left(&self, allowed: &Scopes, granted: &Scopes) -> Scopes {
        let is_granted = |scope: &&str| {
            self.of(scope).is_none_or(|theirs| theirs.iter().all(|their| granted.contains(their)))
        };
        allowed.iter().filter(is_granted).collect()
    }

    fn of(&self, ours: &str) -> Option<Vec<String>> {
        let named = self.named.iter().find(|(own, _)| own == ours);
        let prefixed = || Some(vec![format!("{}{ours}", self.prefix.as_deref()?)]);
        named.map(|(_, theirs)| theirs.clone()).or_else(prefixed)
    }
}
