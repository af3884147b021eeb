//! How a server is run, over HTTP or stdio.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use portcullis_guard::Environment;
use portcullis_protocol::{Transport, stdio};

use crate::error::{Error, StartError, StartErrorKind};
use crate::operation::EngineService;
use crate::server::Server;
use crate::server::check;
use crate::server::run_options::RunOptions;
use crate::server::startup;
use crate::server::stop::stop_signal;

impl Server {
    /// Serves until SIGTERM or Ctrl-C, as the environment says; see
    /// [`RunOptions::from_env`].
    ///
    /// With no transport named it is HTTP for a server with authentication, and stdio for
    /// one without, which is refused where an option of HTTP is set.
    ///
    /// With `PORTCULLIS_CHECK` in the environment, which `portcullis check` sets, it does what a start
    /// does, prints one line for that command, and returns without serving.
    ///
    /// # Errors
    ///
    /// As [`run_with`](Self::run_with).
    pub async fn run(self) -> Result<(), Error> {
        let options = RunOptions::from_env(&Environment::process()).map_err(Error::from);
        let options = check::told(self.engine.identity.name(), options)?;
        self.run_with(options).await
    }

    /// Serves until SIGTERM or Ctrl-C, then waits for running requests to finish, unless there
    /// is a second signal.
    ///
    /// # Errors
    ///
    /// [`Error::Start`] for what is not safe and for an address that cannot be bound, each with its
    /// [`StartErrorKind`]; [`Error::Io`] when the operating system refuses something else.
    pub async fn run_with(self, options: RunOptions) -> Result<(), Error> {
        let default = if self.auth.is_some() { Transport::Http } else { Transport::Stdio };
        #[cfg(feature = "http")]
        if options.transport.is_none()
            && default == Transport::Stdio
            && let Some(named) = options.names_of_http()
        {
            let text = format!(
                "{named} is for HTTP, and a server without authentication serves stdio where no transport is \
                 named: set PORTCULLIS_TRANSPORT=http (`RunOptions::http`), or leave it out"
            );
            let refused = StartError::new(StartErrorKind::InvalidTransport, text);
            return check::told(self.engine.identity.name(), Err(refused.into()));
        }
        match options.transport.unwrap_or(default) {
            Transport::Stdio => self.serve_stdio().await,
            #[cfg(feature = "http")]
            _ => self.listen(&options).await?.run().await,
            #[cfg(not(feature = "http"))]
            _ => {
                let text = "HTTP is not built in: turn on the feature `http` of portcullis, or set \
                            PORTCULLIS_TRANSPORT=stdio, where nobody has to authenticate";
                let refused = StartError::new(StartErrorKind::TransportNotBuilt, text);
                check::told(self.engine.identity.name(), Err(refused.into()))
            }
        }
    }

    /// Serves standard input and output until the input ends, SIGTERM or Ctrl-C.
    ///
    /// Standard output belongs to the protocol: what else the process writes there, `println!`
    /// above all, goes to standard error from here on. As [`run_with`](Self::run_with), it ends
    /// at once at a second signal.
    ///
    /// # Errors
    ///
    /// When standard output is closed, signals cannot be received, or the server's keys are not those
    /// of its store.
    pub async fn run_stdio(self) -> Result<(), Error> {
        self.serve_stdio().await
    }

    /// Boxed, so that it is compiled here: each program would compile what it awaits otherwise.
    fn serve_stdio(self) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            check::told(self.engine.identity.name(), self.open_store().await.map_err(Error::from))?;
            if check::is_asked() {
                return Ok(check::write(&check::report(&self, None))?);
            }
            startup::warn(&match self.engine.facilities.trusts_stdio {
                true => "serving stdio: no authentication, the local user may use every component"
                    .to_owned(),
                false => format!("serving stdio, {}", self.without_authentication()),
            });
            self.warn_of_components();
            startup::warn_without_log();
            startup::log_panics();
            let (stop, line) = stop_signal().await?;
            let served = Arc::new(EngineService(Arc::clone(&self.engine)));
            let served = stdio::serve(served, self.limits(), stop).await;
            // Their caller is gone, and finds out later that they were interrupted, if anything is kept.
            self.engine.tasks.drain(Duration::ZERO).await;
            startup::flush_audit(&self.engine.audit).await;
            startup::drain_log(&line);
            Ok(served?)
        })
    }

    /// Refuses a store whose records the server could not open.
    pub(crate) async fn open_store(&self) -> Result<(), StartError> {
        self.engine.store.opens().await.map_err(|error| {
            StartError::new(StartErrorKind::UnusableStore, format!("the store: {}", error.reason()))
        })
    }

    /// Says what of the components works, and hardly as it was meant.
    pub(crate) fn warn_of_components(&self) {
        startup::warnings(&self.engine.catalogue).iter().for_each(|line| startup::warn(line));
    }

    /// What it means that nobody is authenticated, where nobody is trusted.
    pub(crate) fn without_authentication(&self) -> String {
        let hidden = self.engine.catalogue.entries().filter(|entry| entry.is_protected());
        let hidden: Vec<&str> = hidden.map(|entry| entry.key.as_str()).collect();
        match hidden.is_empty() {
            true => "no authentication: whoever reaches the server may use all of it".to_owned(),
            false => format!(
                "no authentication: components that need authentication are hidden: {hidden:?}"
            ),
        }
    }
}
