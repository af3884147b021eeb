//! What a server sets for all of its components.

use std::sync::Arc;

use portcullis_auth::Check;

use crate::component::Deny;

/// What the server says for all of its components.
#[derive(Debug, Default)]
pub(crate) struct Everywhere {
    /// Asked before a component's own checks.
    pub(crate) checks: Vec<Arc<dyn Check>>,
    /// What a denied caller is told of components with a tag.
    pub(crate) deny_tagged: Vec<(String, Deny)>,
    /// What a denied caller is told of all others.
    pub(crate) deny: Deny,
}

impl Everywhere {
    /// What is said for the tags of a component: where they disagree, the strictest.
    pub(super) fn deny_of(&self, tags: &[String]) -> Deny {
        let said = self.deny_tagged.iter().filter(|(tag, _)| tags.contains(tag));
        let said: Vec<Deny> = said.map(|(_, deny)| *deny).collect();
        match said.as_slice() {
            [] => self.deny,
            said if said.contains(&Deny::Hide) => Deny::Hide,
            _ => Deny::Challenge,
        }
    }
}
