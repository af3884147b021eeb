//! Visibility rules, apart from access checks: those of the server, and after them those of a
//! session or principal. The last matching rule wins.
//!
//! Rules can only hide what checks would allow; they never grant access.

mod absences;
mod changes;
mod rules;
mod scope;
mod scoped_rules;

pub use portcullis_protocol::Changed;

pub use crate::component::selector::{Selector, everything, keys, kinds, names, tags};
pub use crate::component::visibility::{Visibility, VisibilityChange};

use std::ops::Deref;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use portcullis_protocol::{Exchange, SessionKey};

pub(crate) use self::changes::{Changes, View, Watch};
pub(crate) use self::rules::{Rule, ServerRules, last_word};
pub(crate) use self::scope::Scope;
pub(crate) use self::scoped_rules::{NotChanged, ScopedRules};
use crate::catalogue::{Catalogue, Entry};
use crate::component::ComponentKind;

/// All rules, and the watchers of their changes.
pub(crate) struct VisibilityState {
    catalogue: Arc<Catalogue>,
    /// The server's own rules, as they were at its start.
    first: ServerRules,
    /// Those that took their place, on a server that has changed them: few do, and the others need no lock.
    changed: OnceLock<RwLock<Arc<ServerRules>>>,
    own: ScopedRules,
    pub(crate) changes: Changes,
}

/// The rules that one exchange sees by.
#[derive(Debug)]
pub(crate) struct EffectiveRules<'a> {
    server: Current<'a>,
    pub(crate) own: Vec<Rule>,
    /// How long it is until an own rule ends.
    pub(crate) ends: Option<Duration>,
}

/// The server's own rules of this moment.
#[derive(Debug)]
pub(crate) enum Current<'a> {
    First(&'a ServerRules),
    Changed(Arc<ServerRules>),
}

/// The rules that apply are unknown, so nothing is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown;

impl VisibilityState {
    pub(crate) fn new(rules: Vec<Rule>, catalogue: Arc<Catalogue>, own: ScopedRules) -> Self {
        Self {
            first: ServerRules::new(rules, &catalogue),
            changed: OnceLock::new(),
            catalogue,
            own,
            changes: Changes::default(),
        }
    }

    /// The rules that hold for `exchange`.
    pub(crate) async fn effective(
        &self,
        exchange: &Exchange,
    ) -> Result<EffectiveRules<'_>, Unknown> {
        let server = self.server()?;
        let (own, ends) = match Scope::of(exchange) {
            Some(scope) => self.own.rules(scope).await?,
            None => (Vec::new(), None),
        };
        Ok(EffectiveRules { server, own, ends })
    }

    /// Drops the rules of a session that has ended.
    pub(crate) fn session_ended(&self, session: SessionKey) {
        self.own.forget_session(session);
    }

    pub(crate) fn own(&self) -> &ScopedRules {
        &self.own
    }

    pub(crate) fn server(&self) -> Result<Current<'_>, Unknown> {
        let Some(changed) = self.changed.get() else { return Ok(Current::First(&self.first)) };
        let changed = changed.read().map_err(|_| {
            tracing::error!("the lock on the visibility rules is poisoned");
            Unknown
        })?;
        Ok(Current::Changed(Arc::clone(&changed)))
    }

    /// Adds `added` to the server's own rules, and wakes all watchers.
    pub(crate) fn add(&self, added: &[Rule]) -> Result<(), Unknown> {
        let first = || RwLock::new(Arc::new(self.first.clone()));
        let mut server = self.changed.get_or_init(first).write().map_err(|_| Unknown)?;
        let mut rules = server.rules.clone();
        // A repeated rule moves to the end.
        rules.retain(|rule| !added.contains(rule));
        rules.extend_from_slice(added);
        *server = Arc::new(ServerRules::new(rules, &self.catalogue));
        drop(server);
        self.changes.tell_all();
        Ok(())
    }

    /// One problem for each value in `selector` that matches no component.
    pub(crate) fn unmet(&self, selector: &Selector) -> Vec<String> {
        let unmet = selector.unmet(|| self.catalogue.entries().map(|entry| entry.selected()));
        unmet.iter().map(ToString::to_string).collect()
    }
}

impl Deref for Current<'_> {
    type Target = ServerRules;

    fn deref(&self) -> &ServerRules {
        match self {
            Self::First(rules) => rules,
            Self::Changed(rules) => rules,
        }
    }
}

impl EffectiveRules<'_> {
    /// Whether the rules show `entry`.
    pub(crate) fn shows(&self, entry: &Entry) -> bool {
        let own = match self.own.is_empty() {
            true => None,
            false => last_word(self.own.iter(), entry.selected()),
        };
        let server = || self.server.shown(entry.kind).get(entry.index).copied();
        own.or_else(server).unwrap_or(false)
    }

    /// Which components of `kind` the rules show, in the order of their section; none where
    /// own rules have a say.
    pub(crate) fn by_server(&self, kind: ComponentKind) -> Option<&[bool]> {
        self.own.is_empty().then(|| self.server.shown(kind))
    }
}

#[cfg(test)]
mod tests;
