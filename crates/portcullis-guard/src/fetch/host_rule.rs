//! Hosts that requests may go to, as an operator names them.

use url::Host;

use super::destination::is_same;

/// A host, or all names below one, that requests may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostRule {
    /// This host alone.
    Exactly(Host<String>),
    /// Every name that ends in this, which begins with a dot.
    Below(String),
}

impl HostRule {
    /// Reads `example.com`, `203.0.113.7`, `[2001:db8::1]` or `*.example.com`; nothing else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("*.") {
            // One that is written elsewhere means nothing.
            _ if text.trim_start_matches("*.").contains('*') => None,
            None => Host::parse(text).ok().map(Self::Exactly),
            Some(parent) => match Host::parse(parent) {
                Ok(Host::Domain(parent)) => Some(Self::Below(format!(".{parent}"))),
                _ => None,
            },
        }
    }

    /// Whether the rule names `host`, which is in the same normal form.
    pub(super) fn matches(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Exactly(own), host) => is_same(own, host),
            (Self::Below(parent), Host::Domain(name)) => {
                name.len() > parent.len() && name.ends_with(parent)
            }
            (Self::Below(_), _) => false,
        }
    }
}
