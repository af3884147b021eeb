//! Who is woken when visibility changes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use portcullis_protocol::Changed;
use tokio::sync::Notify;

use super::scope::Scope;
use crate::component::ComponentKind;

/// Wakes the watchers of a scope when its rules change, and all watchers when the server's rules
/// change.
///
/// It only says that something may have changed: each watcher finds out what has changed for it.
#[derive(Clone, Default)]
pub(crate) struct Changes(Arc<Mutex<Watchers>>);

#[derive(Default)]
struct Watchers {
    next: u64,
    by_scope: HashMap<Option<Scope>, HashMap<u64, Arc<Notify>>>,
}

/// One watcher's place among the others, until it is dropped.
pub(crate) struct Watch {
    changes: Changes,
    scope: Option<Scope>,
    id: u64,
    wake: Arc<Notify>,
}

impl Changes {
    /// Watches `scope`, or with `None` only the changes for everybody.
    pub(crate) fn watch(&self, scope: Option<Scope>) -> Watch {
        let wake = Arc::new(Notify::new());
        let mut id = 0;
        // With a poisoned lock, no watcher is woken.
        if let Ok(mut watchers) = self.0.lock() {
            id = watchers.next;
            watchers.next += 1;
            watchers.by_scope.entry(scope).or_default().insert(id, Arc::clone(&wake));
        }
        Watch { changes: self.clone(), scope, id, wake }
    }

    /// The rules of `scope` have changed.
    pub(crate) fn tell(&self, scope: Scope) {
        if let Ok(watchers) = self.0.lock() {
            let concerned = watchers.by_scope.get(&Some(scope)).into_iter().flatten();
            concerned.for_each(|(_, wake)| wake.notify_one());
        }
    }

    /// The server's own rules have changed.
    pub(super) fn tell_all(&self) {
        if let Ok(watchers) = self.0.lock() {
            watchers.by_scope.values().flatten().for_each(|(_, wake)| wake.notify_one());
        }
    }
}

impl Watch {
    /// Waits for the next change. Several changes since the last one count as one.
    pub(crate) async fn changed(&self) {
        self.wake.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Ok(mut watchers) = self.changes.0.lock()
            && let Some(of_scope) = watchers.by_scope.get_mut(&self.scope)
        {
            of_scope.remove(&self.id);
            if of_scope.is_empty() {
                watchers.by_scope.remove(&self.scope);
            }
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes")
    }
}

/// What one exchange sees of each kind, one bit for each component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View([Vec<u64>; 4]);

impl View {
    /// Notes that the component at `index` of its kind is seen.
    pub(crate) fn note(&mut self, kind: ComponentKind, index: usize) {
        let Self([tools, resources, templates, prompts]) = self;
        let bits = match kind {
            ComponentKind::Tool => tools,
            ComponentKind::Resource => resources,
            ComponentKind::ResourceTemplate => templates,
            ComponentKind::Prompt => prompts,
        };
        let word = index / 64;
        if bits.len() <= word {
            bits.resize(word + 1, 0);
        }
        if let Some(word) = bits.get_mut(word) {
            *word |= 1 << (index % 64);
        }
    }

    /// The differences from `before`.
    pub(crate) fn since(&self, before: &Self) -> Changed {
        let Self([tools, resources, templates, prompts]) = self;
        let Self([old_tools, old_resources, old_templates, old_prompts]) = before;
        Changed {
            tools: tools != old_tools,
            resources: resources != old_resources || templates != old_templates,
            prompts: prompts != old_prompts,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use portcullis_protocol::SessionKey;

    use super::*;

    #[tokio::test]
    async fn those_who_are_concerned_are_woken_and_nobody_else() {
        let changes = Changes::default();
        let (alice, bob) = (Scope::Principal([1; 32]), Scope::Principal([2; 32]));
        let session = Scope::Session(SessionKey::LOCAL);
        let watches = [Some(alice), Some(alice), Some(bob), Some(session), None]
            .map(|scope| changes.watch(scope));
        let woken = || watches.each_ref().map(|watch| watch.changed().now_or_never().is_some());
        changes.tell(alice);
        changes.tell(alice);
        assert_eq!(woken(), [true, true, false, false, false]);
        assert_eq!(woken(), [false; 5], "several changes are one");
        changes.tell_all();
        assert_eq!(woken(), [true; 5]);
    }

    #[test]
    fn a_watch_that_is_dropped_leaves_nothing() {
        let changes = Changes::default();
        for number in 0..100 {
            drop(changes.watch(Some(Scope::Principal([number; 32]))));
        }
        assert!(changes.0.lock().unwrap().by_scope.is_empty());
    }

    #[test]
    fn a_view_tells_what_is_different() {
        let mut before = View::default();
        before.note(ComponentKind::Tool, 3);
        before.note(ComponentKind::Prompt, 100);
        let mut after = before.clone();
        assert_eq!(after.since(&before), Changed::default());
        after.note(ComponentKind::ResourceTemplate, 64);
        let changed = after.since(&before);
        assert!(changed.resources && !changed.tools && !changed.prompts);
    }
}
