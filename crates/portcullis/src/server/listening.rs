//! A server that has bound its address.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use portcullis_auth::Audit;
use portcullis_protocol::http::{App, ListenAddress, Listener};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::Error;
use crate::operation::EngineService;
use crate::operation::stopping::Stopping;
use crate::operation::task::Tasks;
use crate::server::startup;
use crate::server::stop::stop_signal;

/// A server that has bound its address and serves once it is told to.
pub struct Listening {
    /// None where the server is only checked.
    pub(crate) listener: Option<Listener>,
    pub(crate) app: Arc<App<EngineService>>,
    pub(crate) stopping: Stopping,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) drain: Drain,
    pub(crate) url: String,
    pub(crate) address: ListenAddress,
}

/// The times that the end of a server takes.
pub(crate) struct Drain {
    /// How long it goes on as before.
    pub(crate) delay: Duration,
    /// How long what runs may take after that.
    pub(crate) time: Duration,
}

impl Listening {
    /// The URL of the MCP endpoint, as clients are to call it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address that is bound; under `portcullis check` the one that would be.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Serves until SIGTERM or Ctrl-C, then waits for running requests to finish, unless there
    /// is a second signal.
    ///
    /// Panics of the whole process are logged from here on, in place of the default hook.
    ///
    /// # Errors
    ///
    /// When signals cannot be received.
    pub async fn run(self) -> Result<(), Error> {
        self.serve_until_signalled().await
    }

    /// Serves until `stop` is ready, and for [`Limits::drain_delay`](crate::server::Limits::drain_delay)
    /// after that, then waits for running requests to finish.
    pub async fn run_until(self, stop: impl Future<Output = ()>) {
        let (tell, told) = oneshot::channel();
        match select(self.serve(told), pin!(stop)).await {
            Either::Left(((), _)) => {}
            Either::Right(((), serving)) => {
                drop(tell);
                serving.await;
            }
        }
    }

    /// Boxed, as [`serve`](Self::serve).
    fn serve_until_signalled(self) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            if self.listener.is_none() {
                return Ok(());
            }
            startup::log_panics();
            let (stop, line) = stop_signal().await?;
            self.run_until(stop).await;
            startup::drain_log(&line);
            Ok(())
        })
    }

    /// Serves until the sender of `stop` is gone. Boxed, so that it is compiled here: each program
    /// would compile what it awaits otherwise, all of HTTP.
    fn serve(self, stop: oneshot::Receiver<Infallible>) -> BoxFuture<'static, ()> {
        let Self { listener, app, stopping, tasks, audit, drain, .. } = self;
        Box::pin(async move {
            let Some(listener) = listener else { return };
            let until = OnceLock::new();
            let stop = async {
                let Err(_) = stop.await;
                stopping.begin();
                if !drain.delay.is_zero() {
                    tokio::time::sleep(drain.delay).await;
                }
                until.get_or_init(|| Instant::now() + drain.time);
            };
            listener.serve(app, stop).await;
            // Tasks end by the time that requests have to.
            let until =
                until.get().map_or(Duration::ZERO, |until| until.duration_since(Instant::now()));
            tasks.drain(until).await;
            startup::flush_audit(&audit).await;
        })
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening")
            .field("url", &self.url)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
