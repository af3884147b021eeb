//! Whether this Redis is still one that keeps what it is given: it can be changed while it runs.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use redis::Value;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::connection::{Connection, Effect, Failure, Request};
use super::open::{RedisOpenErrorKind, field, info, judge};
use crate::StoreError;

/// A connection, and what was last seen of the Redis at its other end.
#[derive(Debug)]
pub(super) struct Watch {
    connection: Connection,
    accepts_eviction: bool,
    seen: RwLock<Seen>,
    /// Held by the one who looks.
    looking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    ready: Result<(), StoreError>,
    /// It removes live records, so that nothing that it says is to be believed.
    evicts: bool,
}

impl Watch {
    /// To be asked once this Redis was found to be a store.
    pub(super) fn new(connection: Connection, accepts_eviction: bool) -> Self {
        let seen = Seen { at: Instant::now(), ready: Ok(()), evicts: false };
        Self { connection, accepts_eviction, seen: RwLock::new(seen), looking: Arc::default() }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn accepts_eviction(&self) -> bool {
        self.accepts_eviction
    }

    /// Asks Redis. Every few seconds a look at it is begun, for which no request waits.
    pub(super) async fn ask(
        self: &Arc<Self>,
        effect: Effect,
        request: &Request<'_>,
    ) -> Result<Value, Failure> {
        let (age, evicts) = {
            let seen = self.seen.read().map_err(|_| Failure::Poisoned)?;
            (seen.at.elapsed(), seen.evicts)
        };
        if age >= LOOKS
            && let Ok(looking) = Arc::clone(&self.looking).try_lock_owned()
        {
            let watch = Arc::clone(self);
            tokio::spawn(async move { watch.look(&looking).await });
        }
        match evicts {
            true => Err(Failure::Evicts),
            false => self.connection.ask(effect, request).await,
        }
    }

    /// What was seen within this second, or is seen now.
    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        let looking = Arc::clone(&self.looking).lock_owned().await;
        {
            let seen = self.seen.read().map_err(|_| Failure::Poisoned)?;
            if seen.at.elapsed() < FRESH {
                return seen.ready.clone();
            }
        }
        self.look(&looking).await
    }

    async fn look(&self, _looking: &OwnedMutexGuard<()>) -> Result<(), StoreError> {
        let (ready, evicts) = self.judge().await;
        let mut seen = self.seen.write().map_err(|_| Failure::Poisoned)?;
        let is_news = evicts == Some(true) && !seen.evicts;
        let evicts = evicts.unwrap_or(seen.evicts);
        *seen = Seen { at: Instant::now(), ready: ready.clone(), evicts };
        // A subscriber may panic.
        drop(seen);
        if is_news {
            tracing::error!("{}", Failure::Evicts);
        }
        ready
    }

    /// Whether it is ready, and whether it evicts, if it says so.
    async fn judge(&self) -> (Result<(), StoreError>, Option<bool>) {
        let number = self.connection.number();
        let info = match info(&self.connection).await {
            Ok(info) => info,
            Err(failure) => return (Err(failure.into()), None),
        };
        if let Err(error) = judge(&info, self.accepts_eviction) {
            if error.kind() == RedisOpenErrorKind::Replica {
                // It was the primary: the address may lead to the new one.
                let _ = self.connection.replace(number);
            }
            let evicts = error.kind() == RedisOpenErrorKind::Eviction;
            return (Err(StoreError::unavailable(error.to_string())), Some(evicts));
        }
        match field(&info, "loading") {
            Some("1") => (Err(StoreError::unavailable("Redis still reads its files")), Some(false)),
            _ => (Ok(()), Some(false)),
        }
    }
}

/// How long after a look a request begins another one.
const LOOKS: Duration = Duration::from_secs(5);
/// How long a look answers for readiness: probes may come from anybody.
const FRESH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_poisoned_lock_refuses() {
        let client = redis::Client::open("redis://127.0.0.1:1").unwrap();
        let connection = Connection::new(client, Duration::from_secs(60)).unwrap();
        let watch = Arc::new(Watch::new(connection, false));
        assert_eq!(watch.ready().await, Ok(()));
        let broken = std::panic::AssertUnwindSafe(|| {
            let _seen = watch.seen.write();
            panic!("broken");
        });
        std::panic::catch_unwind(broken).unwrap_err();

        assert!(watch.ready().await.unwrap_err().is_unavailable());
        let looking = Arc::clone(&watch.looking).lock_owned().await;
        assert!(watch.look(&looking).await.unwrap_err().is_unavailable());
        let asked = watch.ask(Effect::Nothing, &Request::Command(redis::cmd("PING"))).await;
        assert!(matches!(asked, Err(Failure::Poisoned)), "{asked:?}");
    }
}
