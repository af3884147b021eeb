//! What a client has set in its session: the log level, and its subscriptions.

use std::collections::BTreeMap;

use crate::LogLevel;

/// What the client of a session has set in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The least severe messages of the log that it wants.
    pub(super) log: LogLevel,
    /// The resources that it has subscribed to: the URIs that it wrote, by their canonical forms.
    pub(super) subscriptions: BTreeMap<String, String>,
}

impl Default for State {
    fn default() -> Self {
        Self { log: LogLevel::UNASKED, subscriptions: BTreeMap::new() }
    }
}

impl State {
    /// Makes in `theirs` the changes that `own` has made since `before`: two replicas may change a session
    /// at once, and neither change is lost.
    pub(super) fn merged(before: &Self, own: &Self, theirs: &Self) -> Self {
        let log = if own.log == before.log { theirs.log } else { own.log };
        let mut subscriptions = theirs.subscriptions.clone();
        subscriptions.retain(|canonical, _| {
            own.subscriptions.contains_key(canonical)
                || !before.subscriptions.contains_key(canonical)
        });
        for (canonical, uri) in &own.subscriptions {
            if before.subscriptions.get(canonical) != Some(uri) {
                subscriptions.insert(canonical.clone(), uri.clone());
            }
        }
        Self { log, subscriptions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(log: LogLevel, subscriptions: &[&str]) -> State {
        let subscriptions = subscriptions.iter().map(|uri| ((*uri).to_owned(), (*uri).to_owned()));
        State { log, subscriptions: subscriptions.collect() }
    }

    #[test]
    fn of_two_changes_at_once_neither_is_lost() {
        let before = state(LogLevel::Info, &["x://a", "x://b"]);
        let own = state(LogLevel::Error, &["x://b", "x://c"]);
        let theirs = state(LogLevel::Info, &["x://a", "x://d"]);
        let merged = state(LogLevel::Error, &["x://c", "x://d"]);
        assert_eq!(State::merged(&before, &own, &theirs), merged);
        assert_eq!(State::merged(&before, &theirs, &own), merged);
        assert_eq!(State::merged(&before, &before, &own), own);
        assert_eq!(State::merged(&before, &own, &before), own);
    }
}
