//! The server: what all endpoints know.

use std::sync::Arc;

use portcullis_auth::Scopes;
use portcullis_guard::Clock;
use portcullis_guard::keys::KeyRing;

use crate::client::Clients;
use crate::grant::Grants;
use crate::users::Users;

/// An authorization server for one MCP server, on its origin.
#[derive(Debug)]
pub(crate) struct AuthorizationServer {
    /// The issuer identifier, an origin without a final slash: the same bytes in every document,
    /// response and token (RFC 8414 §2, RFC 9207 §2).
    pub(crate) issuer: String,
    /// The MCP server's name, for people.
    pub(crate) name: String,
    /// The scopes that clients may ask for. One that names none of them asks for all.
    pub(crate) scopes: Scopes,
    /// Seal what clients and browsers keep for the server.
    pub(crate) keys: KeyRing,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) users: Users,
    pub(crate) clients: Clients,
    pub(crate) grants: Grants,
}
