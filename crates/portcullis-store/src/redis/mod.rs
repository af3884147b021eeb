//! Records in Redis, for servers that share them.

mod answer;
mod builder;
mod connection;
mod layout;
mod open;
mod script;
mod watch;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use portcullis_guard::{Clock, MaybeFuture};
use redis::{ScriptInvocation, cmd};

pub use self::builder::RedisStoreBuilder;
use self::connection::{Effect, Failure, Request};
use self::layout::{MARGIN, Moment, Prefix};
pub use self::open::{RedisOpenError, RedisOpenErrorKind};
use self::script::Scripts;
use self::watch::Watch;
use crate::{CasOutcome, RecordKey, RecordOwner, RecordValue, Store, StoreError};

/// How many entries of an owner's index are asked for at once.
const ENTRIES_AT_ONCE: usize = 256;

/// How many records are asked for at once: 4 MiB at most.
const RECORDS_AT_ONCE: usize = 64;

/// Records in Redis (7.0 or newer, or Valkey), which all servers with its address share.
///
/// **What is asked twice.** A request that reads is asked once more when its connection breaks. One
/// that writes is asked once more only where Redis cannot have carried it out: no connection was
/// made, or a replica refused it. So nothing is taken or swapped twice. Where an answer is lost,
/// the error is [`StoreError::unavailable`], and what was to be taken may be gone: the next
/// [`take`](Store::take) of it answers that nothing is there. A caller that asks for a swap again
/// learns from [`CasOutcome::Conflict`] that the value is another, perhaps its own.
///
/// **Clocks.** Each server judges expiry by its own clock, and Redis by none: it keeps a record
/// five minutes longer than its writer's clock says. Where clocks differ by a second, a record ends
/// for one server a second before it does for another. Beyond five minutes, records are absent
/// too early for those that are behind: keep the clocks of all servers synchronised (NTP).
///
/// **What it becomes.** While it is used, the store looks every five seconds what Redis says of
/// itself, and [`ready`](Store::ready) looks too. One that begins to evict records is asked for
/// nothing until it no longer does; what it has removed by then is gone.
///
/// **Room.** A Redis at its `maxmemory` refuses writes: [`StoreError::full`]. Reading and taking
/// goes on.
///
/// **Deployment caveat.** An acknowledged record is as safe as Redis keeps it: `appendonly yes`
/// with `appendfsync everysec` loses up to a second of writes when the machine dies, and so does a
/// failover to a replica that is behind. A code that was taken in that second can then be taken
/// again. With `appendfsync always` and `min-replicas-to-write 1` the risk is smaller. Values are
/// written as they are, and a server does not build with a store that nothing seals: `Sealed` around it
/// does (feature `sealed`), or [`dangerously_unsealed`](RedisStoreBuilder::dangerously_unsealed) allows
/// it.
///
/// # Example
///
/// ```no_run
/// use std::time::Duration;
/// use portcullis_store::RedisStore;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = RedisStore::builder("rediss://:s3cret@redis.example.com")
///     .prefix("billing:")
///     .timeout(Duration::from_secs(1))
///     .open()
///     .await?;
/// # Ok::<(), portcullis_store::RedisOpenError>(())
/// # }).unwrap();
/// ```
pub struct RedisStore {
    watch: Arc<Watch>,
    settings: Settings,
}

struct Settings {
    prefix: Prefix,
    clock: Arc<dyn Clock>,
    scripts: Scripts,
    /// Whether values that are not sealed may be written.
    may_be_unsealed: bool,
}

/// What has to be there for a swap to be made.
#[derive(Clone, Copy)]
enum Expected<'a> {
    Anything,
    Absence,
    Value(&'a RecordValue),
}

impl RedisStore {
    /// A store at `url`: `redis://NAME:PASSWORD@HOST:PORT`, or `rediss://` for TLS. Name, password
    /// and port may be left out.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis_store::{RedisOpenErrorKind, RedisStore};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let error = RedisStore::builder("http://redis.example.com").open().await.unwrap_err();
    /// assert_eq!(error.kind(), RedisOpenErrorKind::Address);
    /// # });
    /// ```
    pub fn builder(url: &str) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url)
    }

    /// Writes or removes a record, if what is expected is there.
    async fn write(
        &self,
        key: &RecordKey,
        expected: Expected<'_>,
        new: Option<&RecordValue>,
        expires_at: SystemTime,
    ) -> Result<CasOutcome, Failure> {
        let Settings { prefix, clock, scripts, .. } = &self.settings;
        let now = clock.now();
        let (mode, value) = match expected {
            Expected::Anything => ("any", [].as_slice()),
            Expected::Absence => ("none", [].as_slice()),
            Expected::Value(value) => ("value", value.as_bytes()),
        };
        let (time, end) = (Moment::from(now), Moment::from(expires_at));
        // What has ended already is removed.
        let record = match new {
            Some(value) if end > time => layout::encode(end, value.as_bytes()),
            _ => Vec::new(),
        };
        let swept = Moment::from(now.checked_sub(MARGIN).unwrap_or(SystemTime::UNIX_EPOCH));
        let mut script = scripts.write.prepare_invoke();
        declare(&mut script, prefix, key);
        script.arg(mode).arg(value).arg(time.seconds).arg(time.nanoseconds);
        script.arg(record).arg(layout::lifetime(now, expires_at));
        script.arg(key.digest().as_slice()).arg(end.seconds);
        script.arg(swept.seconds).arg(script::SWEPT_BY_A_WRITE);
        let answer = self.watch.ask(Effect::Change, &Request::Script(&script)).await?;
        match answer::integer(&answer)? {
            script::DONE => Ok(CasOutcome::Done),
            script::CONFLICT => Ok(CasOutcome::Conflict),
            _ => Err(Failure::Nonsense),
        }
    }

    /// The value of a record that has not ended.
    fn live(&self, record: Option<&[u8]>) -> Result<Option<RecordValue>, StoreError> {
        let Some(record) = record else { return Ok(None) };
        let no_record = |layout::NoRecord| {
            StoreError::unavailable("what Redis has there is no record of this version")
        };
        let (end, value) = layout::decode(record).map_err(no_record)?;
        if end <= Moment::from(self.settings.clock.now()) {
            return Ok(None);
        }
        RecordValue::resting(value).map(Some)
    }

    async fn list_live(
        &self,
        owner: &RecordOwner,
        limit: usize,
    ) -> Result<Vec<(RecordKey, RecordValue)>, StoreError> {
        let (mut seen, mut listed) = (HashSet::new(), Vec::new());
        let mut cursor = b"0".to_vec();
        while listed.len() < limit {
            let mut scan = cmd("ZSCAN");
            scan.arg(self.settings.prefix.index(owner.digest())).arg(cursor);
            scan.arg("COUNT").arg(ENTRIES_AT_ONCE);
            let answer = self.watch.ask(Effect::Nothing, &Request::Command(scan)).await?;
            let step = answer::step(answer)?;
            let now = Moment::from(self.settings.clock.now()).seconds as f64;
            let live = step.members.iter().filter(|(_, score)| *score >= now);
            // A step may repeat what one before it had.
            let new: Vec<_> = live.map(|(member, _)| *member).filter(|m| seen.insert(*m)).collect();
            for members in new.chunks(RECORDS_AT_ONCE) {
                self.add_live(owner, members, limit, &mut listed).await?;
            }
            match step.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        Ok(listed)
    }

    /// Adds those of the records that are there and have not ended, up to `limit` in all.
    async fn add_live(
        &self,
        owner: &RecordOwner,
        members: &[[u8; 32]],
        limit: usize,
        listed: &mut Vec<(RecordKey, RecordValue)>,
    ) -> Result<(), StoreError> {
        if listed.len() >= limit {
            return Ok(());
        }
        let mut read = cmd("MGET");
        for member in members {
            read.arg(self.settings.prefix.member(owner, member));
        }
        let answer = self.watch.ask(Effect::Nothing, &Request::Command(read)).await?;
        let records = answer::optionals(answer, members.len())?;
        for (member, record) in members.iter().zip(records) {
            if let Some(value) = self.live(record.as_deref())?
                && listed.len() < limit
            {
                listed.push((owner.key_of_digest(*member), value));
            }
        }
        Ok(())
    }
}

/// Declares what a script touches: the record, and the index of its owner.
fn declare(script: &mut ScriptInvocation<'_>, prefix: &Prefix, key: &RecordKey) {
    script.key(prefix.record(key));
    if let Some(owner) = key.owner() {
        script.key(prefix.index(owner));
    }
}

impl Store for RedisStore {
    fn put<'a>(
        &'a self,
        key: &'a RecordKey,
        value: RecordValue,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<(), StoreError>> {
        MaybeFuture::pending(async move {
            match self.write(key, Expected::Anything, Some(&value), expires_at).await? {
                CasOutcome::Done => Ok(()),
                CasOutcome::Conflict => Err(Failure::Nonsense.into()),
            }
        })
    }

    fn ready(&self) -> MaybeFuture<'_, Result<(), StoreError>> {
        MaybeFuture::pending(self.watch.ready())
    }

    fn is_unsealed(&self) -> bool {
        !self.settings.may_be_unsealed
    }

    fn get<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        MaybeFuture::pending(async move {
            let mut read = cmd("GET");
            read.arg(self.settings.prefix.record(key));
            let answer = self.watch.ask(Effect::Nothing, &Request::Command(read)).await?;
            self.live(answer::optional(answer)?.as_deref())
        })
    }

    fn take<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        MaybeFuture::pending(async move {
            let mut script = self.settings.scripts.take.prepare_invoke();
            declare(&mut script, &self.settings.prefix, key);
            script.arg(key.digest().as_slice());
            let answer = self.watch.ask(Effect::Change, &Request::Script(&script)).await?;
            self.live(answer::optional(answer)?.as_deref())
        })
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Option<&'a RecordValue>,
        new: Option<RecordValue>,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<CasOutcome, StoreError>> {
        MaybeFuture::pending(async move {
            let expected = expected.map_or(Expected::Absence, Expected::Value);
            Ok(self.write(key, expected, new.as_ref(), expires_at).await?)
        })
    }

    fn list<'a>(
        &'a self,
        owner: &'a RecordOwner,
        limit: usize,
    ) -> MaybeFuture<'a, Result<Vec<(RecordKey, RecordValue)>, StoreError>> {
        MaybeFuture::pending(self.list_live(owner, limit))
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("connection", self.watch.connection())
            .field("prefix", &self.settings.prefix)
            .finish_non_exhaustive()
    }
}
