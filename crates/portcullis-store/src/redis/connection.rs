//! One connection to Redis: a deadline round each request, and what may be asked twice.

use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use portcullis_guard::text::escaped;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, ErrorKind, RedisError, RedisResult, ScriptInvocation, Value};

use super::script::NO_RECORD;
use crate::StoreError;

/// The longest rest between two attempts to connect.
const MAX_DELAY: Duration = Duration::from_millis(200);

/// The connection that all requests of a store share. It is made again when it breaks.
pub(super) struct Connection {
    client: Client,
    timeout: Duration,
    current: RwLock<Current>,
}

struct Current {
    manager: ConnectionManager,
    /// How many there were before.
    number: u64,
}

/// What a request leaves behind, if it is carried out and nobody hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It reads: asked again, it does no harm.
    Nothing,
    /// It writes: it is asked again only where Redis cannot have carried it out.
    Change,
}

/// What is asked of Redis.
pub(super) enum Request<'a> {
    Command(Cmd),
    Script(&'a ScriptInvocation<'a>),
}

impl Connection {
    /// A connection that is made with the first request.
    pub(super) fn new(client: Client, timeout: Duration) -> RedisResult<Self> {
        let manager = manager(&client, timeout)?;
        let current = RwLock::new(Current { manager, number: 0 });
        Ok(Self { client, timeout, current })
    }

    /// Asks, and asks a second time where that is safe and the cause may be gone.
    pub(super) async fn ask(
        &self,
        effect: Effect,
        request: &Request<'_>,
    ) -> Result<Value, Failure> {
        let (manager, number) = self.current();
        let asked = async {
            let error = match request.send(manager).await {
                Err(error) if may_be_repeated(effect, &error) => error,
                answer => return answer,
            };
            // A primary that has become a replica keeps its connections: elsewhere is the new one.
            if error.code() == Some("READONLY") {
                self.replace(number)?;
            }
            request.send(self.current().0).await
        };
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(answer) => answer.map_err(Failure::Redis),
            Err(_) => {
                // A connection that is silent for good would keep all that follow waiting too.
                self.replace(number).map_err(Failure::Redis)?;
                Err(Failure::Late(self.timeout))
            }
        }
    }

    /// Which connection it is now, for [`replace`](Self::replace).
    pub(super) fn number(&self) -> u64 {
        self.current().1
    }

    /// A lock that a panic has poisoned denies nothing here. Which connection it is decides about nobody:
    /// each leads to the same Redis, with the same name and password. And it is a whole one, the one before
    /// or the one after. What is noted of that Redis does decide, and [`Watch`](super::watch::Watch) refuses
    /// where its lock is poisoned.
    fn current(&self) -> (ConnectionManager, u64) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        (current.manager.clone(), current.number)
    }

    /// Begins a new connection, unless another request has done so already.
    pub(super) fn replace(&self, number: u64) -> RedisResult<()> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.number == number {
            let manager = manager(&self.client, self.timeout)?;
            *current = Current { manager, number: number.wrapping_add(1) };
        }
        Ok(())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.client.get_connection_info().addr();
        f.debug_struct("Connection")
            .field("address", &format_args!("{address}"))
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Request<'_> {
    async fn send(&self, mut manager: ConnectionManager) -> RedisResult<Value> {
        match self {
            // Sent by the manager itself, an error of Redis would be an `Ok`.
            Self::Command(command) => command.query_async(&mut manager).await,
            Self::Script(script) => script.invoke_async(&mut manager).await,
        }
    }
}

/// Reconnects by itself, and gives up soon: the defaults wait for ten seconds.
fn manager(client: &Client, timeout: Duration) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(1)
        .set_max_delay(MAX_DELAY)
        .set_connection_timeout(Some(timeout))
        // The deadline is ours: with another one here, a late answer and a connection that was
        // never made would look alike.
        .set_response_timeout(None);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

/// Whether a second attempt is safe: nothing was sent, it was refused before it ran, or it only
/// reads.
fn may_be_repeated(effect: Effect, error: &RedisError) -> bool {
    let is_refused = error.code() == Some("READONLY");
    let is_unsent = error.is_connection_refusal();
    let is_lost = error.is_connection_dropped() && effect == Effect::Nothing;
    is_refused || is_unsent || is_lost
}

/// What is wrong with a Redis that evicts, and what to do.
pub(super) const EVICTS: &str = "this Redis removes live records when its memory is full, replay \
                                 marks and revocations too: set `maxmemory-policy noeviction` in it";

/// Why there is no answer. Its text names neither what was asked nor a credential: texts of
/// Redis repeat arguments, so only their first word is kept.
#[derive(Debug)]
pub(super) enum Failure {
    /// The deadline passed.
    Late(Duration),
    /// An error of Redis or of the connection.
    Redis(RedisError),
    /// An answer that makes no sense.
    Nonsense,
    /// It is not asked, since it removes live records.
    Evicts,
    /// It is not asked, since a thread panicked that noted what it is like.
    Poisoned,
}

impl Failure {
    /// The first word of an error that Redis answered.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Redis(error) => error.code(),
            Self::Late(_) | Self::Nonsense | Self::Evicts | Self::Poisoned => None,
        }
    }

    /// Whether the name and password were refused.
    pub(super) fn is_authentication(&self) -> bool {
        matches!(self.code(), Some("NOAUTH" | "WRONGPASS"))
            || matches!(self, Self::Redis(error) if error.kind() == ErrorKind::AuthenticationFailed)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(timeout) => write!(f, "Redis did not answer within {timeout:?}"),
            Self::Nonsense => f.write_str("the answer of Redis makes no sense"),
            Self::Evicts => f.write_str(EVICTS),
            Self::Poisoned => {
                f.write_str("the lock on what was seen of Redis is poisoned: restart the server")
            }
            Self::Redis(error) => match (error.code(), error.kind()) {
                (Some(NO_RECORD), _) => {
                    f.write_str("what Redis has there is no record of this version")
                }
                (Some(code), _) => write!(f, "Redis answered with the error {}", escaped(code, 32)),
                // An error of the operating system or of TLS.
                (None, ErrorKind::Io) => {
                    write!(f, "no connection to Redis: {}", escaped(&error.to_string(), 200))
                }
                (None, _) => write!(f, "no connection to Redis: {}", error.category()),
            },
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure.code() {
            Some("OOM") => Self::full(),
            _ => Self::unavailable(failure.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use redis::ServerErrorKind;

    use super::*;

    #[tokio::test]
    async fn behind_a_poisoned_lock_there_is_a_connection_and_it_is_replaced_when_it_breaks() {
        let client = redis::Client::open("redis://127.0.0.1:1").unwrap();
        let connection = Connection::new(client, Duration::from_secs(1)).unwrap();
        let broken = std::panic::AssertUnwindSafe(|| {
            let _current = connection.current.write();
            panic!("broken");
        });
        std::panic::catch_unwind(broken).unwrap_err();

        assert_eq!(connection.number(), 0);
        connection.replace(0).unwrap();
        connection.replace(0).unwrap();
        assert_eq!(connection.number(), 1);
        let asked = connection.ask(Effect::Nothing, &Request::Command(redis::cmd("PING"))).await;
        assert!(matches!(asked, Err(Failure::Redis(_) | Failure::Late(_))), "{asked:?}");
    }

    fn server(kind: ServerErrorKind) -> RedisError {
        (ErrorKind::Server(kind), "text", "hunter2".to_owned()).into()
    }

    #[test]
    fn what_may_have_been_carried_out_is_asked_again_only_if_it_reads() {
        let refused: RedisError = io::Error::from(io::ErrorKind::ConnectionRefused).into();
        for effect in [Effect::Nothing, Effect::Change] {
            assert!(may_be_repeated(effect, &refused));
            assert!(may_be_repeated(effect, &server(ServerErrorKind::ReadOnly)));
            assert!(!may_be_repeated(effect, &server(ServerErrorKind::ResponseError)));
            assert!(!may_be_repeated(effect, &server(ServerErrorKind::BusyLoading)));
        }
        for kind in [
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::UnexpectedEof,
        ] {
            let dropped: RedisError = io::Error::from(kind).into();
            assert!(may_be_repeated(Effect::Nothing, &dropped), "{kind}");
            assert!(!may_be_repeated(Effect::Change, &dropped), "{kind}");
        }
        let late: RedisError = io::Error::from(io::ErrorKind::TimedOut).into();
        assert!(!may_be_repeated(Effect::Change, &late));
    }

    #[test]
    fn a_text_of_redis_is_not_repeated() {
        for error in [
            server(ServerErrorKind::ResponseError),
            (ErrorKind::AuthenticationFailed, "text", "hunter2".to_owned()).into(),
            (ErrorKind::Parse, "text", "hunter2".to_owned()).into(),
            (ErrorKind::UnexpectedReturnType, "text", "hunter2".to_owned()).into(),
        ] {
            let failure = Failure::Redis(error);
            assert!(!failure.to_string().contains("hunter2"), "{failure}");
            let error = StoreError::from(failure);
            assert!(error.is_unavailable() && !error.reason().contains("hunter2"));
        }
    }
}
