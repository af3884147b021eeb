//! How a request came in, and from whom.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use portcullis_auth::{BearerToken, Principal};
use portcullis_guard::TraceParent;

use crate::{
    ClientCapabilities, ClientInfo, Outgoing, ProtocolVersion, ResourceSubscriptions, SessionKey,
};

/// How a request came in, and from whom.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The transport.
    pub transport: Transport,
    /// The protocol version of the request.
    pub version: ProtocolVersion,
    /// The principal of the verified token; none over stdio or without authentication.
    pub principal: Option<Arc<Principal>>,
    /// The principal's access token, while the request is served; nothing but where tokens are
    /// exchanged.
    pub access_token: Weak<BearerToken>,
    /// The name and version that the client claims.
    pub client: Option<Arc<ClientInfo>>,
    /// What the client can be asked for in the middle of the request.
    pub capabilities: ClientCapabilities,
    /// The peer of the connection, which may be a proxy; none over stdio.
    pub remote: Option<SocketAddr>,
    /// The session that the request belongs to; none in the stateless version over HTTP.
    pub session: Option<SessionKey>,
    /// What the session has subscribed to; none in the stateless version, and over HTTP none
    /// where a component is used.
    pub subscriptions: Option<Arc<ResourceSubscriptions>>,
    /// The trace that the request belongs to, as its sender says: for logs and traces alone.
    pub trace: Option<TraceParent>,
    /// What the client may be told before its answer.
    pub outgoing: Outgoing,
}

/// The transport of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// Standard input and output of a child process, whose parent is the local user.
    Stdio,
    /// Streamable HTTP, or HTTP+SSE beside it.
    Http,
}

impl Transport {
    /// `stdio` or `http`, as audit records name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
        }
    }
}
