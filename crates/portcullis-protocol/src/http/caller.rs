use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use portcullis_auth::{Authenticator, Principal};

use super::session::{Owner, Sessions};
use crate::{ClientInfo, Exchange, ProtocolVersion, SessionKey, Transport};

/// Who sent a request to the endpoint, and what it is answered with the help of.
pub(super) struct Caller<'a> {
    pub(super) sessions: &'a Arc<Sessions>,
    pub(super) authenticator: Option<&'a Authenticator>,
    pub(super) principal: Option<Arc<Principal>>,
    pub(super) remote: Option<SocketAddr>,
    pub(super) headers: &'a HeaderMap,
}

impl Caller<'_> {
    /// The exchange that a request of the caller's is served in.
    pub(super) fn exchange(
        &self,
        version: ProtocolVersion,
        client: Option<ClientInfo>,
        session: Option<SessionKey>,
    ) -> Exchange {
        Exchange {
            transport: Transport::Http,
            version,
            principal: self.principal.clone(),
            client,
            remote: self.remote,
            session,
        }
    }

    pub(super) fn owner(&self) -> Option<Owner> {
        self.principal.as_deref().map(Owner::of)
    }
}
