//! A server: built, checked before it starts, and served.

pub(crate) mod about;
pub(crate) mod builder;
#[cfg(feature = "http")]
mod certificate;
mod check;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod listen;
#[cfg(feature = "http")]
pub(crate) mod listening;
mod run;
pub(crate) mod run_options;
mod startup;
mod stop;
mod validate;

pub use portcullis_protocol::{ClientInfo, Limits, ProtocolVersion, Transport};

pub use crate::component::resource_updates::ResourceUpdates;
pub use crate::operation::credentials::CredentialsInResults;

pub use self::builder::{AuthSet, AuthState, AuthUnset};
#[cfg(feature = "http")]
pub use self::listening::Listening;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use portcullis_auth::{AuthProvider, AuthSummary, Principal};

use crate::access::explain::{Explaining, Explanation};
use crate::access::table::AccessTable;
use crate::component::selector::everything;
use crate::component::visibility::Visibility;
use crate::error::SelectionError;
use crate::operation::Engine;
#[cfg(feature = "http")]
use crate::server::http::HttpConfig;
use crate::visibility::{Rule, ServerRules};

/// A server that has been built: its components fit together, and it can be served.
///
/// # Example
///
/// ```no_run
/// use portcullis::prelude::*;
///
/// # #[tool] async fn ping() -> &'static str { "pong" }
/// # #[tokio::main] async fn main() -> Result<(), portcullis::Error> {
/// let server = Server::builder("example").no_auth().components(components![ping]).build()?;
/// server.run().await
/// # }
/// ```
pub struct Server {
    pub(crate) engine: Arc<Engine>,
    pub(crate) auth: Option<Authentication>,
    #[cfg(feature = "http")]
    pub(crate) http: HttpConfig,
}

/// Who decides who gets in over HTTP, and what is known of that without a URL.
#[derive(Debug)]
pub(crate) struct Authentication {
    /// Over stdio nobody is asked for a token.
    #[cfg(feature = "http")]
    pub(crate) provider: Arc<dyn AuthProvider>,
    pub(crate) summary: AuthSummary,
}

impl Authentication {
    pub(crate) fn new(provider: &Arc<dyn AuthProvider>) -> Self {
        Self {
            summary: provider.summary(),
            #[cfg(feature = "http")]
            provider: Arc::clone(provider),
        }
    }
}

impl Server {
    /// Who may see and use what, as a table.
    #[must_use]
    pub fn access_table(&self) -> AccessTable {
        let Engine { catalogue, facilities, .. } = &*self.engine;
        let authenticated = self.auth.is_some();
        AccessTable::new(catalogue, &self.shown(), authenticated, facilities.trusts_stdio)
    }

    /// What the server's own rules show.
    pub(crate) fn shown(&self) -> ServerRules {
        // Behind a broken lock nothing is shown, to anybody.
        let nothing = || ServerRules::new(Rule::disable(everything()), &self.engine.catalogue);
        self.engine.visibility.server().map_or_else(|_| nothing(), |rules| (*rules).clone())
    }

    /// Why `principal` may, or may not, see and use a component over HTTP, rule by rule.
    ///
    /// `component` is its name or URI, or where that is not enough its key, such as
    /// `prompt:report`. What a session or principal unlocked is not looked at.
    ///
    /// # Errors
    ///
    /// [`NoComponent`](crate::error::SelectionErrorKind::NoComponent) or
    /// [`Ambiguous`](crate::error::SelectionErrorKind::Ambiguous) when no component, or several, are
    /// meant.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    /// use portcullis::auth::Principal;
    ///
    /// # #[tool(auth = require_scopes(["admin"]))] async fn reset() -> &'static str { "done" }
    /// # #[tokio::main] async fn main() -> Result<(), portcullis::Error> {
    /// # let tokens = danger::StaticTokenVerifier::new().token("t", danger::user("dev"));
    /// let server = Server::builder("example").auth(tokens).components(components![reset]).build()?;
    /// let bob = Principal::new("bob");
    /// let why = server.explain(Some(&bob), "reset").await?;
    /// assert!(!why.allowed);
    /// assert_eq!(why.rules[1].reason.as_deref(), Some("missing scopes: admin"));
    /// # Ok(()) }
    /// ```
    pub async fn explain(
        &self,
        principal: Option<&Principal>,
        component: &str,
    ) -> Result<Explanation, SelectionError> {
        self.explained(principal, component).await
    }

    /// Boxed, so that it is compiled here, and not by each program.
    fn explained<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        component: &'a str,
    ) -> BoxFuture<'a, Result<Explanation, SelectionError>> {
        let Engine { catalogue, visibility, facilities, limits, .. } = &*self.engine;
        let explaining = Explaining {
            catalogue,
            visibility,
            hierarchy: &facilities.hierarchy,
            states: &facilities.states,
            decision_timeout: limits.decision_timeout,
        };
        Box::pin(async move { explaining.explain(principal, component).await })
    }

    /// Shows and hides components while the server runs.
    #[must_use]
    pub fn visibility(&self) -> Visibility {
        Visibility::new(Arc::clone(&self.engine.facilities.visibility))
    }

    /// Tells clients that resources were updated, while the server runs.
    #[must_use]
    pub fn resource_updates(&self) -> ResourceUpdates {
        ResourceUpdates::new(Arc::clone(&self.engine.facilities.resource_updates))
    }

    /// How many audit records were lost, because a sink did not take them.
    #[must_use]
    pub fn lost_audit_records(&self) -> u64 {
        self.engine.audit.failures()
    }

    /// What authentication is in force over HTTP, in a few words.
    #[must_use]
    pub fn authentication(&self) -> String {
        self.auth
            .as_ref()
            .map_or_else(|| "none".to_owned(), |auth| auth.summary.description.clone())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.engine.limits
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.engine.identity.name()).finish_non_exhaustive()
    }
}
