//! What people see of grants: which clients may use the server in whose name, and how that ends.

mod error;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_auth::{AccessTokenKeys, PublicUrl, Scopes};
use portcullis_guard::keys::KeyRing;
use portcullis_guard::{Clock, SystemClock};
use portcullis_store::Store;
use url::Url;

pub use self::error::{ConnectionsError, ConnectionsErrorKind};
use crate::grant::{Grants, Listed, MOST_OF_USER, scopes_of};
use crate::record::grant::GrantRecord;
use crate::record::grant_index::GrantOwner;

/// The connections of one server: what its users allowed clients, to list and to revoke.
///
/// [`LoginProvider::connections`] gives them where the server is built, and [`new`](Self::new) to any
/// other program that opens the same store with the same keys.
///
/// 1. What is revoked ends with all its tokens: refresh tokens at once, and access tokens within five
///    seconds, at every replica.
/// 2. Whoever revokes something is asked again by every client: what they allowed before is no longer
///    remembered, in any browser, a code that no client has redeemed yet is good for nothing, and whoever
///    is on their way at the identity provider is asked once they come back. All that a client was given
///    is revoked in the same way, for all its users.
/// 3. Nothing that was revoked, or that has ended by itself, is listed.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub mod auth { pub use portcullis_auth::*; pub use portcullis_oauth::*; }
/// #     pub use portcullis_store as store;
/// # }
/// use std::sync::Arc;
///
/// use portcullis::auth::{Connections, ConnectionsError, EndpointPath, PublicUrl};
/// use portcullis::store::Store;
///
/// /// Somebody has left.
/// async fn leave(store: Arc<dyn Store>, subject: &str) -> Result<usize, Box<dyn std::error::Error>> {
///     let url = PublicUrl::parse("https://mcp.example.com", EndpointPath::parse("/mcp")?)?;
///     Ok(Connections::new(&url, store)?.revoke_all_of(subject).await?)
/// }
/// # use portcullis_guard::SystemClock;
/// # let store = Arc::new(portcullis_store::MemoryStore::new(Arc::new(SystemClock)));
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # assert_eq!(runtime.block_on(leave(store, "alice")).unwrap(), 0);
/// ```
///
/// [`LoginProvider::connections`]: crate::LoginProvider::connections
#[derive(Clone)]
pub struct Connections(pub(crate) Grants);

/// What a user allowed one client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// What tells it from all others.
    pub id: String,
    /// The user.
    pub subject: String,
    /// The client.
    pub client_id: String,
    /// What the client called itself when the user allowed it. Unless its operator says so, nobody has
    /// checked that.
    pub client_name: Option<String>,
    /// What it may do.
    pub scopes: Scopes,
    /// Who got the code: the host of the redirect URI with its port, or the scheme of an app with a
    /// colon.
    pub leads_to: String,
    /// When the user allowed it.
    pub allowed_at: SystemTime,
    /// When the client got tokens last. A client that is in use gets new ones every hour; calls in
    /// between are not noted, since each would cost a write.
    pub refreshed_at: SystemTime,
    /// When it ends, as long as nobody uses it.
    pub expires_at: SystemTime,
}

/// Connections, the ones that were used last first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionList {
    /// At most [`Connections::MOST_LISTED`].
    pub connections: Vec<Connection>,
    /// Whether there are more. Which ones are left out is not said.
    pub more: bool,
}

impl Connections {
    /// How many are listed at once.
    pub const MOST_LISTED: usize = MOST_OF_USER;

    /// Those of the server at `url`, whose store `store` is: sealed with the same keys, unless it is
    /// memory.
    ///
    /// What an identity provider gave for the users is removed with a connection, and not revoked at
    /// the provider, which is not known here.
    ///
    /// # Errors
    ///
    /// When the URL is no safe issuer, or the store writes values as they are.
    pub fn new(url: &PublicUrl, store: Arc<dyn Store>) -> Result<Self, ConnectionsError> {
        let misconfigured = |error: &dyn fmt::Display| ConnectionsError::misconfigured(error);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (issuer, resource) = (url.base(), url.resource());
        let (of, by) = (Arc::clone(&store), Arc::clone(&clock));
        let access_tokens = AccessTokenKeys::new(&*issuer, &*resource, of, by);
        let access_tokens = access_tokens.map_err(|error| misconfigured(&error))?;
        // They seal tokens, and none is made here.
        let keys = KeyRing::ephemeral().map_err(|error| misconfigured(&error))?;
        Ok(Self(Grants {
            issuer,
            resource,
            store,
            access_tokens,
            keys,
            clock,
            upstream: None,
            pending: Arc::default(),
        }))
    }

    pub(crate) fn of(grants: Grants) -> Self {
        Self(grants)
    }

    /// What the user with this subject allowed.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub async fn of_subject(&self, subject: &str) -> Result<ConnectionList, ConnectionsError> {
        self.list(GrantOwner::Subject(subject)).await
    }

    /// What users allowed the client with this id.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub async fn of_client(&self, client_id: &str) -> Result<ConnectionList, ConnectionsError> {
        self.list(GrantOwner::Client(client_id)).await
    }

    /// Revokes the one with this id, and gives what it was: nothing, if it has ended already.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub async fn revoke(&self, id: &str) -> Result<Option<Connection>, ConnectionsError> {
        let ended = self.0.take_back(id, None, OPERATOR).await?;
        Ok(ended.map(|record| Connection::new(id.to_owned(), record)))
    }

    /// Revokes one of a user's own; nothing happens to somebody else's.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub(crate) async fn revoke_own(
        &self,
        subject: &str,
        id: &str,
    ) -> Result<Option<Connection>, ConnectionsError> {
        let ended = self.0.take_back(id, Some(GrantOwner::Subject(subject)), USER).await?;
        Ok(ended.map(|record| Connection::new(id.to_owned(), record)))
    }

    /// Revokes all of the user with this subject, and says how many there were.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, and when there are more than 10,000. Some are revoked.
    pub async fn revoke_all_of(&self, subject: &str) -> Result<usize, ConnectionsError> {
        Ok(self.0.take_back_all(GrantOwner::Subject(subject), OPERATOR).await?)
    }

    /// As [`revoke_all_of`](Self::revoke_all_of), by the user.
    pub(crate) async fn revoke_all_own(&self, subject: &str) -> Result<usize, ConnectionsError> {
        Ok(self.0.take_back_all(GrantOwner::Subject(subject), USER).await?)
    }

    /// Revokes all that the client with this id was given, by whomever, and says how many there were.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, and when there are more than 10,000. Some are revoked.
    pub async fn revoke_all_to(&self, client_id: &str) -> Result<usize, ConnectionsError> {
        Ok(self.0.take_back_all(GrantOwner::Client(client_id), OPERATOR).await?)
    }

    async fn list(&self, owner: GrantOwner<'_>) -> Result<ConnectionList, ConnectionsError> {
        let Listed { grants, more } = self.0.list(owner, Self::MOST_LISTED).await?;
        let connections = grants.into_iter().map(|(id, record)| Connection::new(id, record));
        let mut connections: Vec<_> = connections.collect();
        connections
            .sort_by(|a, b| b.refreshed_at.cmp(&a.refreshed_at).then_with(|| a.id.cmp(&b.id)));
        Ok(ConnectionList { connections, more })
    }
}

/// Who took something back, for the log.
const OPERATOR: &str = "its operator revoked it";
const USER: &str = "its user revoked it";

impl Connection {
    fn new(id: String, record: GrantRecord) -> Self {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        Self {
            id,
            scopes: scopes_of(&record.scope),
            leads_to: leads_to(&record.redirect_uri),
            allowed_at: at(record.allowed_at),
            refreshed_at: at(record.rotated_at),
            expires_at: record.kept_until(),
            subject: record.subject,
            client_id: record.client_id,
            client_name: record.client_name,
        }
    }
}

/// Where a redirect URI leads: its host and port, or the scheme of an app.
fn leads_to(uri: &str) -> String {
    let url = Url::parse(uri).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    match url.as_ref().and_then(|url| Some((url.host()?, url.port()))) {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host.to_string(),
        None => format!("{}:", uri.split(':').next().unwrap_or_default()),
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connections({})", self.0.resource)
    }
}
