use std::future::Future;
use std::sync::Arc;

use portcullis_auth::Principal;

use crate::{ClientInfo, Identity, Operation, Outcome, ProtocolVersion, RpcError};

/// The server behind the protocol.
pub trait Service: Send + Sync + 'static {
    /// What the server says of itself.
    fn identity(&self) -> &Identity;

    /// Does what a request asks.
    ///
    /// # Errors
    ///
    /// What the caller is told when there is no result.
    fn serve(
        &self,
        operation: Operation<'_>,
        exchange: Exchange,
    ) -> impl Future<Output = Result<Outcome, RpcError>> + Send;
}

/// How a request came in, and from whom.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The transport.
    pub transport: Transport,
    /// The protocol version that the request is of.
    pub version: ProtocolVersion,
    /// Whom a verified token speaks for; none over stdio or without authentication.
    pub principal: Option<Arc<Principal>>,
    /// What the client says it is.
    pub client: Option<ClientInfo>,
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Standard input and output of a child process, whose parent is the local user.
    Stdio,
    /// Streamable HTTP.
    Http,
}
