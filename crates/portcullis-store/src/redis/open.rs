//! What a Redis has to be, and how it is found out.

use std::fmt;
use std::time::Duration;

use portcullis_guard::random;
use redis::{ErrorKind, RedisError};

use super::connection::{Connection, EVICTS, Effect, Failure, Request};
use super::{Expected, RedisStore, answer};
use crate::{CasOutcome, RecordKey, RecordValue, Store, StoreError};

/// The first version whose scripts answer with the code of what failed in them.
const OLDEST: u32 = 7;

/// Why a Redis cannot be a store: a kind, and a text that says what to do. Neither has a password
/// or what was sent in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisOpenError {
    kind: RedisOpenErrorKind,
    text: String,
}

/// What keeps a Redis from being a store.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisOpenErrorKind {
    /// The URL does not name a Redis.
    Address,
    /// An option of the builder is out of its bounds.
    Option,
    /// Nobody answers there, or TLS fails.
    Unreachable,
    /// A name or password is missing or wrong.
    Authentication,
    /// The user may not run a command that the store needs.
    Permission,
    /// The database does not exist, or a cluster has none but number 0.
    Database,
    /// The server is older than 7.0.
    Version,
    /// The server is a replica, or no server of data.
    Replica,
    /// The server is one of several nodes of a cluster.
    Cluster,
    /// The server removes live records when its memory is full.
    Eviction,
    /// The server answers otherwise than Redis does, or refuses to write.
    Unusable,
}

impl RedisOpenError {
    pub(super) fn new(kind: RedisOpenErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(super) fn of_redis(error: RedisError, database: i64) -> Self {
        Self::of_failure(&Failure::Redis(error), database)
    }

    fn of_failure(failure: &Failure, database: i64) -> Self {
        use RedisOpenErrorKind as Kind;
        if failure.is_authentication() {
            return Self::new(
                Kind::Authentication,
                "Redis refuses the name or password: write redis://NAME:PASSWORD@HOST, or \
                 redis://:PASSWORD@HOST, with signs other than letters and digits percent-encoded",
            );
        }
        let (kind, advice) = match (failure.code(), failure) {
            (Some("NOPERM"), _) => (
                Kind::Permission,
                "give its user `~PREFIX* +info +cluster|info +eval +evalsha +script|load +get +set \
                 +del +mget +zadd +zrem +zscan +zrangebyscore +pttl +pexpire`",
            ),
            (Some("READONLY"), _) => (Kind::Replica, "name the primary"),
            (Some("MOVED" | "ASK" | "CLUSTERDOWN" | "CROSSSLOT"), _) => {
                (Kind::Cluster, "name a Redis that is no node of a cluster, or a proxy of one")
            }
            (Some("ERR"), _) if database != 0 => {
                (Kind::Database, "leave the number out of the URL, and set a prefix instead")
            }
            (_, Failure::Redis(error)) if error.kind() == ErrorKind::RESP3NotSupported => {
                (Kind::Version, "Redis 7.0 is the oldest that works")
            }
            (_, Failure::Redis(error)) if error.is_io_error() => {
                (Kind::Unreachable, "is it running, and is the address right?")
            }
            (_, Failure::Late(_)) => {
                (Kind::Unreachable, "is it running, and is the address right?")
            }
            _ => (Kind::Unusable, "see the log of Redis"),
        };
        Self::new(kind, format!("{failure}: {advice}"))
    }

    /// Says what else may be wrong where nobody answers: a port without TLS is silent when it is
    /// greeted in TLS.
    pub(super) fn of_connection(mut self, is_tls: bool) -> Self {
        if self.kind == RedisOpenErrorKind::Unreachable {
            self.text.push_str(match is_tls {
                true => " And does this port speak TLS? Without it the URL begins with redis://",
                false => " And does it want TLS? Then the URL begins with rediss://",
            });
        }
        self
    }

    /// What keeps this Redis from being a store.
    #[must_use]
    pub fn kind(&self) -> RedisOpenErrorKind {
        self.kind
    }
}

impl fmt::Display for RedisOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for RedisOpenError {}

/// Asks the server what it is, and sees that it keeps a record.
pub(super) async fn check(store: &RedisStore, database: i64) -> Result<(), RedisOpenError> {
    let connection = store.watch.connection();
    let failed = |failure: Failure| RedisOpenError::of_failure(&failure, database);
    let info = info(connection).await.map_err(failed)?;
    judge(&info, store.watch.accepts_eviction())?;
    if field(&info, "cluster_enabled") == Some("1") {
        let cluster = read(connection, &["CLUSTER", "INFO"]).await.map_err(failed)?;
        if field(&cluster, "cluster_size") != Some("1") {
            return Err(RedisOpenError::new(
                RedisOpenErrorKind::Cluster,
                "Redis is one of several nodes of a cluster, and one connection reaches its own \
                 part alone: name a Redis that is no node of a cluster, or a proxy of one",
            ));
        }
    }
    if field(&info, "aof_enabled") == Some("0") {
        tracing::warn!(
            "Redis keeps no append-only file: records are lost when it ends (`appendonly yes`)"
        );
    }
    probe(store, database).await
}

/// What Redis says of itself.
pub(super) async fn info(connection: &Connection) -> Result<String, Failure> {
    read(connection, &["INFO"]).await
}

async fn read(connection: &Connection, words: &[&str]) -> Result<String, Failure> {
    let mut command = redis::Cmd::new();
    command.arg(words);
    answer::text(connection.ask(Effect::Nothing, &Request::Command(command)).await?)
}

/// The value of a field of `INFO`.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// What can be seen from `INFO`. What it does not say is not assumed.
pub(super) fn judge(info: &str, accepts_eviction: bool) -> Result<(), RedisOpenError> {
    use RedisOpenErrorKind as Kind;
    let version = field(info, "redis_version").unwrap_or("of an unknown version");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < OLDEST) {
        let version = portcullis_guard::text::escaped(version, 32);
        let text = format!("this is Redis {version}, and 7.0 is the oldest that works: update it");
        return Err(RedisOpenError::new(Kind::Version, text));
    }
    if field(info, "role") != Some("master") {
        let text = "this Redis is a replica, which loses what is written to it: name the primary";
        return Err(RedisOpenError::new(Kind::Replica, text));
    }
    if !accepts_eviction && field(info, "maxmemory_policy") != Some("noeviction") {
        return Err(RedisOpenError::new(Kind::Eviction, EVICTS));
    }
    Ok(())
}

/// Writes, reads and takes a record that no one else has. A full Redis passes: what is there can
/// be read and taken.
async fn probe(store: &RedisStore, database: i64) -> Result<(), RedisOpenError> {
    let unusable = |cause: &dyn fmt::Display| {
        RedisOpenError::new(RedisOpenErrorKind::Unusable, cause.to_string())
    };
    let id = random::bytes::<16>().map_err(|error| unusable(&error))?;
    let key = RecordKey::new("probe", [&id]);
    let value = RecordValue::new(id).map_err(|error| unusable(&error))?;
    let in_a_minute = store.settings.clock.now() + Duration::from_secs(60);
    let failed = |failure: Failure| RedisOpenError::of_failure(&failure, database);
    let written = store.write(&key, Expected::Anything, Some(&value), in_a_minute).await;
    if written.as_ref().is_err_and(|failure| failure.code() == Some("OOM")) {
        tracing::warn!("Redis is full: records can be read and taken, and none can be added");
        return Ok(());
    }
    let written = written.map_err(failed)?;
    let (read, taken) = (store.get(&key).await, store.take(&key).await);
    let gone = store.get(&key).await;
    let cause = |error: StoreError| unusable(&error);
    let answers = [read.map_err(cause)?, taken.map_err(cause)?, gone.map_err(cause)?];
    if written != CasOutcome::Done || answers != [Some(value.clone()), Some(value), None] {
        return Err(unusable(&"Redis does not give back what was written"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\
                        # Memory\r\nmaxmemory_policy:noeviction\r\n\
                        # Replication\r\nrole:master\r\n";

    fn judged(info: &str) -> Option<RedisOpenErrorKind> {
        judge(info, false).err().map(|error| error.kind())
    }

    #[test]
    fn a_primary_of_a_known_version_that_evicts_nothing_is_a_store() {
        use RedisOpenErrorKind as Kind;
        assert_eq!(judged(INFO), None);
        for (from, to, kind) in [
            ("7.0.15", "6.2.14", Kind::Version),
            ("7.0.15", "x\u{202e}", Kind::Version),
            ("redis_version:7.0.15\r\n", "", Kind::Version),
            ("role:master", "role:slave", Kind::Replica),
            ("role:master", "", Kind::Replica),
            ("noeviction", "volatile-lru", Kind::Eviction),
            ("noeviction", "noeviction-not", Kind::Eviction),
            ("maxmemory_policy:noeviction", "", Kind::Eviction),
        ] {
            assert_eq!(judged(&INFO.replace(from, to)), Some(kind), "{to:?}");
        }
        assert_eq!(judged(&INFO.replace("7.0.15", "10.1")), None);
        assert_eq!(judge(&INFO.replace("noeviction", "allkeys-lru"), true), Ok(()));
    }
}
