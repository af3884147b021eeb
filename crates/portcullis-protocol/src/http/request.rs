use std::sync::Arc;

use http::HeaderMap;
use portcullis_auth::{Authenticator, Principal, PrincipalId};

use crate::http::budget::Whose;
use crate::http::budget::places::Places;
use crate::http::request_info::RequestInfo;
use crate::{ClientInfo, Exchange, ProtocolVersion, SessionKey, Transport};

/// Who sent a request to the endpoint, and what it is answered with the help of.
pub(crate) struct EndpointRequest<'a> {
    pub(crate) places: &'a Places,
    pub(crate) whose: Whose,
    pub(crate) authenticator: Option<&'a Authenticator>,
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) info: RequestInfo<'a>,
    pub(crate) headers: &'a HeaderMap,
}

impl EndpointRequest<'_> {
    /// The exchange that a request of the caller's is served in.
    pub(crate) fn exchange(
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
            remote: self.info.remote,
            session,
            trace: self.info.trace,
        }
    }

    pub(crate) fn owner(&self) -> Option<PrincipalId> {
        self.principal.as_deref().map(Principal::id)
    }
}
