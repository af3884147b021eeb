//! A secret that is loaded again at intervals.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, watch};

use super::{SecretSource, SecretSourceError, SecretSourceErrorKind};
use crate::Secret;
use crate::redaction::KnownValues;
use crate::reload::{self, Cause, Progress, Reload};

/// How long a source may take, once it is asked again.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a source is asked at most.
const SHORTEST: Duration = Duration::from_secs(1);

/// A secret that is loaded again and again, and that tells its holders when it is another one.
///
/// What it decides:
///
/// 1. The source is asked at start, then whenever the interval is over, and at
///    [SIGHUP](crate::reload::now), by a task of its own.
/// 2. While it does not give a secret within a minute, or panics, the one from before stays in force, and the log says
///    why, once.
/// 3. Each value, and each of the last 16 before it, is [removed](crate::redaction) from results,
///    errors, logs and audit records.
///
/// Clones share the secret; the task ends with the last of them.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// use std::time::Duration;
/// use portcullis::guard::SecretFile;
/// use portcullis::guard::secret_source::ReloadedSecret;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("database-password");
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// std::fs::write(&path, "correct-horse-battery\n")?;
/// let password = ReloadedSecret::load(SecretFile::open(&path)?, Duration::from_secs(2)).await?;
/// assert!(password.current().matches("correct-horse-battery")); // each time that it is used
///
/// // What was made of the secret, such as a pool of connections, is made again when it changes:
/// let mut changes = password.clone();
/// tokio::spawn(async move {
///     while let Some(password) = changes.changed().await {
///         // reconnect(password.expose())
/// #       drop(password);
///     }
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct ReloadedSecret {
    current: watch::Receiver<Arc<Secret<String>>>,
    /// The task is told of SIGHUP while anybody holds the secret.
    _signal: Arc<dyn Reload>,
    name: Arc<str>,
}

impl ReloadedSecret {
    /// Asks `source`, and again whenever `interval` is over: a second at least.
    ///
    /// It has to be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the source gives no secret now.
    pub async fn load(
        source: impl SecretSource,
        interval: Duration,
    ) -> Result<Self, SecretSourceError> {
        let secret = source.load().await?;
        let known = KnownValues::default();
        let name: Arc<str> = source.name().into();
        known.add(secret.expose().as_bytes(), &name);
        let (changed, current) = watch::channel(Arc::new(secret));
        let asked = Arc::new(Notify::new());
        let signal = Signal { asked: Arc::clone(&asked), name: Arc::clone(&name) };
        let signal: Arc<dyn Reload> = Arc::new(signal);
        if let Err(error) = reload::watch(&signal) {
            tracing::error!(%error, "no thread can be started: secrets are not loaded again at SIGHUP");
        }
        let interval = interval.max(SHORTEST);
        let task = Task {
            source,
            name: Arc::clone(&name),
            changed,
            known,
            asked,
            interval,
            is_failing: false,
        };
        tokio::spawn(task.run());
        Ok(Self { current, _signal: signal, name })
    }

    /// The secret in force.
    #[must_use]
    pub fn current(&self) -> Arc<Secret<String>> {
        self.current.borrow().clone()
    }

    /// Waits until the secret is another one than when this was called last, or than when this clone
    /// was made. Nothing, once the runtime of the task is shutting down.
    ///
    /// It is safe to drop the future: the next call tells of the same change.
    pub async fn changed(&mut self) -> Option<Arc<Secret<String>>> {
        self.current.changed().await.ok()?;
        Some(self.current.borrow_and_update().clone())
    }
}

impl fmt::Debug for ReloadedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReloadedSecret({})", self.name)
    }
}

/// Tells the task of a signal, and of nothing else: it has a clock of its own.
struct Signal {
    asked: Arc<Notify>,
    name: Arc<str>,
}

impl Reload for Signal {
    fn reload(&self, cause: Cause) -> Progress {
        if cause == Cause::Signal {
            self.asked.notify_one();
        }
        Progress::Settled
    }

    fn name(&self) -> String {
        self.name.to_string()
    }
}

/// What asks the source, until nobody holds the secret.
struct Task<S> {
    source: S,
    name: Arc<str>,
    changed: watch::Sender<Arc<Secret<String>>>,
    known: KnownValues,
    asked: Arc<Notify>,
    interval: Duration,
    /// Whether the log has it already.
    is_failing: bool,
}

impl<S: SecretSource> Task<S> {
    async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.changed.closed() => return,
                () = self.asked.notified() => {}
                () = tokio::time::sleep(self.interval) => {}
            }
            // Nobody waits for a source that never answers, and it may answer the next time.
            let loaded = tokio::select! {
                () = self.changed.closed() => return,
                loaded = tokio::time::timeout(PATIENCE, self.load()) => loaded,
            };
            let late = || {
                let kind = SecretSourceErrorKind::Unreachable;
                Err(SecretSourceError::new(kind, "the source takes too long"))
            };
            self.take(loaded.unwrap_or_else(|_| late()));
        }
    }

    async fn load(&self) -> Result<Secret<String>, SecretSourceError> {
        let load = async { self.source.load().await };
        // A source has its own invariants to keep: here, it is asked again and nothing else.
        AssertUnwindSafe(load).catch_unwind().await.unwrap_or_else(|_| {
            // What it says may hold the secret.
            Err(SecretSourceError::new(SecretSourceErrorKind::Unreachable, "the source panicked"))
        })
    }

    fn take(&mut self, loaded: Result<Secret<String>, SecretSourceError>) {
        let name = &*self.name;
        match loaded {
            Err(error) if self.is_failing => {
                tracing::debug!(name, %error, "a secret is still kept")
            }
            Err(error) => {
                tracing::error!(name, %error, "a secret cannot be loaded: the one from before stays in force");
                self.is_failing = true;
            }
            Ok(secret) => {
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!(name, "a secret can be loaded again");
                }
                if !self.changed.borrow().matches(secret.expose()) {
                    self.known.add(secret.expose().as_bytes(), name);
                    self.changed.send_replace(Arc::new(secret));
                    tracing::info!(name, "a secret has changed: the new one is in force");
                }
            }
        }
    }
}
