//! Scopes of visibility that are known to have no rules, for a second.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::scope::Scope;

/// Scopes that were found to have no rules in a store that other replicas write too.
///
/// Each is believed for a second after it was asked for, so a principal that has unlocked nothing
/// costs a round trip a second, and the first rule of a scope, made by another replica, is seen
/// within one. Rules that were found are never kept: the end of an unlock is seen at once.
#[derive(Default)]
pub(super) struct Absences(Mutex<Known>);

#[derive(Default)]
struct Known {
    asked: HashMap<Scope, Instant>,
    /// The same, the oldest first; and what was asked again, or was forgotten since.
    queue: VecDeque<(Instant, Scope)>,
    /// How often this process has changed rules.
    changes: u64,
}

/// What is known of a scope.
#[derive(Debug)]
pub(super) enum Knowledge {
    /// It has no rules.
    Absent,
    /// The store has to be asked.
    Unknown(Question),
}

/// When a scope was asked for, and after how many changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    at: Instant,
    changes: u64,
}

impl Absences {
    pub(super) fn look(&self, scope: Scope) -> Knowledge {
        let at = Instant::now();
        // With a poisoned lock, the store is asked each time.
        let Ok(known) = self.0.lock() else {
            return Knowledge::Unknown(Question { at, changes: u64::MAX });
        };
        match known.asked.get(&scope) {
            Some(asked) if at.saturating_duration_since(*asked) < BELIEVED => Knowledge::Absent,
            _ => Knowledge::Unknown(Question { at, changes: known.changes }),
        }
    }

    /// Notes that a scope has no rules. An answer that a change of ours may have overtaken is not
    /// believed.
    pub(super) fn note(&self, scope: Scope, question: Question) {
        let Ok(mut known) = self.0.lock() else { return };
        if known.changes != question.changes {
            return;
        }
        while let Some((asked, oldest)) = known.queue.front().copied() {
            let over = question.at.saturating_duration_since(asked) >= BELIEVED;
            if !over && known.queue.len() < SCOPES {
                break;
            }
            known.queue.pop_front();
            if known.asked.get(&oldest) == Some(&asked) {
                known.asked.remove(&oldest);
            }
        }
        known.queue.push_back((question.at, scope));
        known.asked.insert(scope, question.at);
    }

    /// Forgets what is known of `scope` when the change is over: made, failed or dropped.
    pub(super) fn changing(&self, scope: Scope) -> Changing<'_> {
        Changing { absences: self, scope }
    }
}

/// A change of a scope's rules, until this is dropped.
pub(super) struct Changing<'a> {
    absences: &'a Absences,
    scope: Scope,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        if let Ok(mut known) = self.absences.0.lock() {
            known.changes += 1;
            known.asked.remove(&self.scope);
        }
    }
}

impl fmt::Debug for Absences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Absences")
    }
}

const BELIEVED: Duration = Duration::from_secs(1);
const SCOPES: usize = 10_000;

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn scope(number: u32) -> Scope {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_be_bytes());
        Scope::Principal(digest)
    }

    fn is_known(absences: &Absences, number: u32) -> bool {
        matches!(absences.look(scope(number)), Knowledge::Absent)
    }

    fn ask(absences: &Absences, number: u32) -> Question {
        match absences.look(scope(number)) {
            Knowledge::Unknown(question) => question,
            Knowledge::Absent => panic!("known"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_absence_is_believed_for_a_second_after_it_was_asked_for() {
        let absences = Absences::default();
        let question = ask(&absences, 1);
        advance(Duration::from_millis(400)).await;
        absences.note(scope(1), question);
        advance(Duration::from_millis(599)).await;
        assert!(is_known(&absences, 1));
        assert!(!is_known(&absences, 2));
        advance(Duration::from_millis(1)).await;
        assert!(!is_known(&absences, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_a_change_overtook_is_not_believed() {
        let absences = Absences::default();
        let question = ask(&absences, 1);
        drop(absences.changing(scope(1)));
        absences.note(scope(1), question);
        assert!(!is_known(&absences, 1));
        absences.note(scope(1), ask(&absences, 1));
        assert!(is_known(&absences, 1));
        drop(absences.changing(scope(1)));
        assert!(!is_known(&absences, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_10_000_are_kept_and_the_newest_are() {
        let absences = Absences::default();
        for number in 0..20_000 {
            absences.note(scope(number), ask(&absences, number));
        }
        assert!(is_known(&absences, 10_000) && is_known(&absences, 19_999));
        assert!(!is_known(&absences, 9_999));
        for round in 0..3 {
            advance(BELIEVED).await;
            absences.note(scope(round), ask(&absences, round));
            let known = absences.0.lock().unwrap();
            assert_eq!((known.asked.len(), known.queue.len()), (1, 1));
        }
    }
}
