//! The rules of sessions and principals, in the store.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_guard::Clock;
use portcullis_protocol::{Exchange, SessionKey};
use portcullis_store::{CasOutcome, MemoryStore, RecordKey, RecordValue, Store, StoreError};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::Unknown;
use super::absences::{Absences, Knowledge};
use super::rules::Rule;
use super::scope::Scope;

/// How long the rules of a principal hold at most; they end with the token, too.
const PRINCIPAL: Duration = Duration::from_secs(30 * 60);
/// How long the rules of a session rest when it is not used. They end with the session, too.
const SESSION: Duration = Duration::from_secs(24 * 60 * 60);
/// Rules of one scope: more would be a leak in a handler.
const MAX_RULES: usize = 64;
/// How often a change is tried while other requests keep changing the same record.
const ATTEMPTS: usize = 32;
/// How soon somebody who listens is told what another replica has changed.
const LOOKS: Duration = Duration::from_secs(2);

/// The rules of sessions and principals, in the store.
#[derive(Debug)]
pub(crate) struct ScopedRules {
    store: Arc<dyn Store>,
    /// The rules of what ends with this process.
    process: MemoryStore,
    /// The name of the server, which its replicas have in common.
    server: String,
    clock: Arc<dyn Clock>,
    /// What need not be asked for, of a store that other replicas write too.
    absences: Option<Absences>,
    /// Whether anything of this server can change rules: otherwise none are asked for.
    pub(crate) can_change: bool,
    /// How long the store may take to answer.
    pub(crate) patience: Duration,
}

/// Why rules were not changed.
#[derive(Debug)]
pub(crate) enum NotChanged {
    /// The store returned an error.
    Store(StoreError),
    /// There would be too many.
    TooMany,
}

/// The rules of one scope, as they are stored.
#[derive(Default, Serialize, Deserialize)]
struct Record {
    rules: Vec<Resting>,
    /// In seconds since 1970.
    written: u64,
}

#[derive(Serialize, Deserialize)]
struct Resting {
    #[serde(flatten)]
    rule: Rule,
    /// In seconds since 1970.
    until: u64,
    /// Until when it may be renewed, where its handler said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latest: Option<u64>,
}

impl ScopedRules {
    pub(crate) fn new(store: Arc<dyn Store>, server: &str, clock: Arc<dyn Clock>) -> Self {
        Self {
            process: MemoryStore::new(Arc::clone(&clock)),
            server: server.to_owned(),
            absences: store.is_shared().then(Absences::default),
            can_change: true,
            patience: Duration::from_secs(10),
            store,
            clock,
        }
    }

    /// How often somebody who listens has to look for what other replicas have changed.
    pub(crate) fn look_interval(&self) -> Option<Duration> {
        (self.absences.is_some() && self.can_change).then_some(LOOKS)
    }

    /// The rules of `scope` that hold now, and how long it is until one of them ends.
    pub(super) async fn rules(
        &self,
        scope: Scope,
    ) -> Result<(Vec<Rule>, Option<Duration>), Unknown> {
        // Most servers unlock nothing, and need no key for it.
        let store = self.store_of(scope);
        if !self.can_change || store.is_empty() {
            return Ok((Vec::new(), None));
        }
        let question = match self.absences.as_ref().map(|absences| absences.look(scope)) {
            Some(Knowledge::Absent) => return Ok((Vec::new(), None)),
            Some(Knowledge::Unknown(question)) => Some(question),
            None => None,
        };
        let key = scope.key(&self.server);
        let found = self.asked(store.get(&key)).await.map_err(|error| {
            tracing::error!(reason = error.reason(), "cannot read the visibility rules");
            Unknown
        })?;
        let Some(value) = found else {
            if let (Some(absences), Some(question)) = (&self.absences, question) {
                absences.note(scope, question);
            }
            return Ok((Vec::new(), None));
        };
        let record: Record = serde_json::from_slice(value.as_bytes()).map_err(|_| {
            tracing::error!("the stored visibility rules are malformed");
            Unknown
        })?;
        let now = self.now()?;
        if matches!(scope, Scope::Session(_)) && now > record.written + SESSION.as_secs() / 2 {
            self.refresh(store, &key, &value, &record, now).await;
        }
        let holding: Vec<Resting> =
            record.rules.into_iter().filter(|resting| resting.until > now).collect();
        let ends = holding.iter().map(|resting| Duration::from_secs(resting.until - now)).min();
        Ok((holding.into_iter().map(|resting| resting.rule).collect(), ends))
    }

    /// Adds `rules` to those of `scope`, for at most so long.
    pub(crate) async fn add(
        &self,
        scope: Scope,
        exchange: &Exchange,
        rules: &[Rule],
        at_most: Option<Duration>,
    ) -> Result<(), NotChanged> {
        let (store, key) = (self.store_of(scope), scope.key(&self.server));
        let _changing = self.absences.as_ref().map(|absences| absences.changing(scope));
        for _ in 0..ATTEMPTS {
            let before = self.asked(store.get(&key)).await.map_err(NotChanged::Store)?;
            let now = self.now().map_err(|Unknown| {
                NotChanged::Store(StoreError::unavailable("the clock is before 1970"))
            })?;
            let latest = at_most.map(|time| now.saturating_add(time.as_secs()));
            let until = self.until(scope, exchange).min(latest.unwrap_or(u64::MAX));
            // A record that cannot be read makes requests fail closed; it is replaced here.
            let mut record: Record = before
                .as_ref()
                .and_then(|value| serde_json::from_slice(value.as_bytes()).ok())
                .unwrap_or_default();
            record.written = now;
            // A repeated rule moves to the end.
            record.rules.retain(|resting| resting.until > now && !rules.contains(&resting.rule));
            let added = rules.iter().map(|rule| Resting { rule: rule.clone(), until, latest });
            record.rules.extend(added);
            if record.rules.len() > MAX_RULES {
                return Err(NotChanged::TooMany);
            }
            let ends = record.rules.iter().map(|resting| resting.until).max().unwrap_or(now);
            let value = written(&record).map_err(NotChanged::Store)?;
            let ends = UNIX_EPOCH + Duration::from_secs(ends);
            let swap = store.compare_and_swap(&key, before.as_ref(), Some(value), ends);
            match self.asked(swap).await.map_err(NotChanged::Store)? {
                CasOutcome::Done => return Ok(()),
                CasOutcome::Conflict => {}
            }
        }
        Err(NotChanged::Store(StoreError::unavailable(
            "other requests keep changing the same record",
        )))
    }

    /// Forgets the rules of `scope`.
    pub(crate) async fn forget(&self, scope: Scope) -> Result<(), NotChanged> {
        let _changing = self.absences.as_ref().map(|absences| absences.changing(scope));
        let taken = self.asked(self.store_of(scope).take(&scope.key(&self.server))).await;
        taken.map(drop).map_err(NotChanged::Store)
    }

    /// What the store answers, if it does in time.
    async fn asked<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let late = || StoreError::unavailable("the store takes too long");
        timeout(self.patience, answer).await.unwrap_or_else(|_| Err(late()))
    }

    /// Forgets the rules of a session that has ended. If the store has to be waited for, a task of
    /// its own does so; if removal fails, the rules stay until they expire, and no request reaches
    /// them.
    pub(crate) fn forget_session(&self, session: SessionKey) {
        if !self.can_change {
            return;
        }
        let key = Scope::Session(session).key(&self.server);
        match self.store.take(&key).now() {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => {
                tracing::warn!(
                    reason = error.reason(),
                    "cannot remove the visibility rules of a session"
                );
                return;
            }
            Err(_) => {}
        }
        let store = Arc::clone(&self.store);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = store.take(&key).await {
                    let reason = error.reason();
                    tracing::warn!(reason, "cannot remove the visibility rules of a session");
                }
            });
        }
    }

    fn store_of(&self, scope: Scope) -> &dyn Store {
        match scope.is_of_process() {
            true => &self.process,
            false => &*self.store,
        }
    }

    /// The time that rules end by. By a clock that cannot be right, none of them would.
    fn now(&self) -> Result<u64, Unknown> {
        match seconds(self.clock.now()) {
            0 => Err(Unknown),
            now => Ok(now),
        }
    }

    /// When a rule that is made now ends.
    fn until(&self, scope: Scope, exchange: &Exchange) -> u64 {
        let now = self.clock.now();
        match scope {
            Scope::Session(_) => seconds(now + SESSION),
            Scope::Principal(_) => {
                let token =
                    exchange.principal.as_ref().and_then(|principal| principal.expires_at());
                seconds(token.map_or(now + PRINCIPAL, |end| end.min(now + PRINCIPAL)))
            }
        }
    }

    /// Lets the rules of a session that is in use rest for another while.
    async fn refresh(
        &self,
        store: &dyn Store,
        key: &RecordKey,
        value: &RecordValue,
        record: &Record,
        now: u64,
    ) {
        let until = now + SESSION.as_secs();
        let rules = record.rules.iter().filter(|resting| resting.until > now);
        let rules = rules.map(|resting| Resting {
            rule: resting.rule.clone(),
            until: until.min(resting.latest.unwrap_or(until)),
            latest: resting.latest,
        });
        let rules = rules.collect();
        let ends = UNIX_EPOCH + Duration::from_secs(until);
        let refreshed = match written(&Record { rules, written: now }) {
            Ok(new) => self.asked(store.compare_and_swap(key, Some(value), Some(new), ends)).await,
            Err(error) => Err(error),
        };
        // They hold for some hours more, and the next request tries again.
        if let Err(error) = refreshed {
            tracing::warn!(reason = error.reason(), "cannot renew the visibility rules");
        }
    }
}

fn written(record: &Record) -> Result<RecordValue, StoreError> {
    let json = serde_json::to_vec(record);
    RecordValue::new(json.map_err(|error| StoreError::unavailable(error.to_string()))?)
}

/// Whole seconds since 1970: a rule ends with the second before its token, never after it.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use portcullis_auth::Principal;
    use portcullis_guard::ManualClock;
    use portcullis_protocol::{ProtocolVersion, Transport};

    use super::*;
    use crate::component::selector::tags;

    const NOW: u64 = 1_000_000;

    fn own_rules() -> (ScopedRules, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(NOW));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        (ScopedRules::new(store, "test", clock.clone()), clock)
    }

    fn exchange(expires: Option<u64>) -> Exchange {
        let mut alice = Principal::new("alice");
        if let Some(seconds) = expires {
            alice = alice.with_expiry(UNIX_EPOCH + Duration::from_secs(seconds));
        }
        Exchange {
            transport: Transport::Http,
            version: ProtocolVersion::V2026_07_28,
            principal: Some(Arc::new(alice)),
            access_token: std::sync::Weak::new(),
            client: None,
            capabilities: Default::default(),
            remote: None,
            session: None,
            subscriptions: None,
            trace: None,
            outgoing: Default::default(),
        }
    }

    async fn held(own: &ScopedRules, scope: Scope) -> usize {
        own.rules(scope).await.unwrap().0.len()
    }

    #[tokio::test]
    async fn rules_of_a_principal_end_with_the_token_and_after_half_an_hour() {
        for (expires, lasts) in [(None, 1_800), (Some(NOW + 9_999), 1_800), (Some(NOW + 60), 60)] {
            let (own, clock) = own_rules();
            let exchange = exchange(expires);
            let scope = Scope::of(&exchange).unwrap();
            own.add(scope, &exchange, &Rule::enable(tags(["admin"])), None).await.unwrap();
            clock.set(NOW + lasts - 1);
            assert_eq!(held(&own, scope).await, 1, "{expires:?}");
            clock.set(NOW + lasts);
            assert_eq!(held(&own, scope).await, 0, "{expires:?}");
        }
    }

    #[tokio::test]
    async fn e25_by_a_clock_that_cannot_be_right_it_is_unknown_what_holds() {
        let (own, clock) = own_rules();
        let exchange = exchange(Some(NOW + 60));
        let scope = Scope::of(&exchange).unwrap();
        let rules = Rule::enable(tags(["admin"]));
        own.add(scope, &exchange, &rules, None).await.unwrap();
        clock.set(0);
        assert_eq!(own.rules(scope).await, Err(Unknown));
        assert!(own.add(scope, &exchange, &rules, None).await.is_err());
    }

    #[tokio::test]
    async fn trial_d6_an_unlock_ends_when_its_handler_says_so_however_much_it_is_used() {
        let minute = Some(Duration::from_secs(60));
        let rules = Rule::enable(tags(["admin"]));
        for session in [None, Some(SessionKey::LOCAL)] {
            let (own, clock) = own_rules();
            let exchange = Exchange { session, ..exchange(None) };
            let scope = Scope::of(&exchange).unwrap();
            own.add(scope, &exchange, &rules, minute).await.unwrap();
            own.add(scope, &exchange, &Rule::enable(tags(["other"])), None).await.unwrap();
            clock.set(NOW + 59);
            assert_eq!(held(&own, scope).await, 2, "{session:?}");
            assert_eq!(own.rules(scope).await.unwrap().1, Some(Duration::from_secs(1)));
            clock.set(NOW + 60);
            assert_eq!(held(&own, scope).await, 1, "{session:?}");
        }
        // A session's rules are renewed while it is used: this one ends all the same.
        let (own, clock) = own_rules();
        let exchange = Exchange { session: Some(SessionKey::LOCAL), ..exchange(None) };
        let scope = Scope::of(&exchange).unwrap();
        let days = Some(Duration::from_secs(2 * 24 * 3_600));
        own.add(scope, &exchange, &rules, days).await.unwrap();
        for (hours, held_then) in [(20, 1), (40, 1), (47, 1), (48, 0)] {
            clock.set(NOW + hours * 3_600);
            assert_eq!(held(&own, scope).await, held_then, "after {hours} hours");
        }
    }

    #[tokio::test]
    async fn rules_of_a_session_last_while_it_is_used() {
        let (own, clock) = own_rules();
        let exchange = Exchange { session: Some(SessionKey::LOCAL), ..exchange(Some(NOW + 1)) };
        let scope = Scope::of(&exchange).unwrap();
        own.add(scope, &exchange, &Rule::enable(tags(["admin"])), None).await.unwrap();
        for hours in (20..200).step_by(20) {
            clock.set(NOW + hours * 3_600);
            assert_eq!(held(&own, scope).await, 1, "after {hours} hours");
        }
        clock.advance(SESSION);
        assert_eq!(held(&own, scope).await, 0);
    }

    #[tokio::test]
    async fn a_rule_that_is_said_again_is_the_last_word_and_takes_no_more_room() {
        let (own, _) = own_rules();
        let exchange = exchange(None);
        let scope = Scope::of(&exchange).unwrap();
        let (on, off) = (Rule::enable(tags(["admin"])), Rule::disable(tags(["admin"])));
        for rules in [&on, &off, &on, &off, &on] {
            own.add(scope, &exchange, rules, None).await.unwrap();
        }
        assert_eq!(own.rules(scope).await.unwrap().0, [off, on].concat());
        own.forget(scope).await.unwrap();
        assert_eq!(held(&own, scope).await, 0);
    }

    #[tokio::test]
    async fn there_are_so_many_rules_and_no_more() {
        let (own, _) = own_rules();
        let exchange = exchange(None);
        let scope = Scope::of(&exchange).unwrap();
        for number in 0..MAX_RULES {
            let rules = Rule::enable(tags([number.to_string()]));
            own.add(scope, &exchange, &rules, None).await.unwrap();
        }
        let one_more = own.add(scope, &exchange, &Rule::enable(tags(["more"])), None).await;
        assert!(matches!(one_more, Err(NotChanged::TooMany)), "{one_more:?}");
        assert_eq!(held(&own, scope).await, MAX_RULES);
    }
}
