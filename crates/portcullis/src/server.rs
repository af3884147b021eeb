use std::fmt;
use std::sync::Arc;

use portcullis_auth::TokenVerifier;
use portcullis_guard::Clock;
use portcullis_protocol::Limits;
use url::Url;

use crate::access_table::AccessTable;
use crate::builder::{ServerBuilder, Undecided};
use crate::route::Route;
use crate::service::Core;

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
    pub(crate) origins: Vec<Url>,
    pub(crate) routes: Vec<Route>,
    pub(crate) clock: Arc<dyn Clock>,
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
        AccessTable::of(&self.core.catalogue, self.verifier.is_some())
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
