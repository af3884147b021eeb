//! A server: built, checked before it starts, and served.

pub(crate) mod builder;
pub(crate) mod listening;
mod run;
pub(crate) mod run_options;
mod startup;
mod stop;
mod validate;

use std::fmt;
use std::sync::Arc;

use portcullis_auth::{Principal, Scopes, TokenVerifier};
use portcullis_protocol::Limits;
use portcullis_protocol::http::Origin;
use url::Url;

use crate::access::explain::Explanation;
use crate::access::table::AccessTable;
use crate::component::selector::everything;
use crate::error::Error;
use crate::operation::Core;
use crate::route::Route;
use crate::server::builder::{ServerBuilder, Undecided};
use crate::visibility::{Rule, ServerRules, Visibility};

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
    pub(crate) core: Arc<Core>,
    pub(crate) verifier: Option<Arc<dyn TokenVerifier>>,
    pub(crate) public_url: Option<Url>,
    pub(crate) path: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<Origin>,
    pub(crate) routes: Vec<Route>,
    pub(crate) scopes_supported: Scopes,
    pub(crate) unauthenticated_beyond_loopback: bool,
}

impl Server {
    /// Begins to describe the server called `name`. Then say `auth(…)` or `no_auth()`.
    pub fn builder(name: &str) -> ServerBuilder<Undecided> {
        ServerBuilder::new(name)
    }

    /// Who may see and use what, as a table.
    #[must_use]
    pub fn access_table(&self) -> AccessTable {
        AccessTable::of(&self.core, &self.shown(), self.verifier.is_some())
    }

    /// What the server's own rules show.
    pub(crate) fn shown(&self) -> ServerRules {
        // Behind a broken lock nothing is shown, to anybody.
        let nothing = || ServerRules::new(Rule::disable(everything()), &self.core.catalogue);
        self.core.shown.server().map_or_else(|_| nothing(), |rules| (*rules).clone())
    }

    /// Why `principal` may, or may not, see and use a component over HTTP, rule by rule.
    ///
    /// `component` is its name or URI, or where that is not enough its key, such as
    /// `prompt:report`. What a session or principal unlocked is not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when no component, or several, are meant.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    /// use portcullis::Principal;
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
    ) -> Result<Explanation, Error> {
        self.core.explain(principal, component).await
    }

    /// Shows and hides components while the server runs.
    #[must_use]
    pub fn visibility(&self) -> Visibility {
        Visibility(Arc::clone(&self.core))
    }

    /// How many audit records were lost, because a sink did not take them.
    #[must_use]
    pub fn lost_audit_records(&self) -> u64 {
        self.core.audit.failures()
    }

    /// What authentication is in force over HTTP, in a few words.
    #[must_use]
    pub fn authentication(&self) -> String {
        self.verifier.as_ref().map_or_else(|| "none".to_owned(), |verifier| verifier.description())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.core.limits
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.core.identity.name()).finish_non_exhaustive()
    }
}
