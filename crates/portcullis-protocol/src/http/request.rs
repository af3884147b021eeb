use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use portcullis_auth::{Authenticator, Principal, PrincipalId};

use crate::http::budget::Whose;
use crate::http::budget::places::Places;
use crate::http::rejection::Rule;
use crate::http::session::Sessions;
use crate::{ClientInfo, Exchange, ProtocolVersion, Refused, SessionKey, Transport};

/// Who sent a request to the endpoint, and what it is answered with the help of.
pub(crate) struct Caller<'a> {
    pub(crate) sessions: &'a Arc<Sessions>,
    pub(crate) places: &'a Places,
    pub(crate) whose: Whose,
    pub(crate) authenticator: Option<&'a Authenticator>,
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) asked: Asked<'a>,
    pub(crate) headers: &'a HeaderMap,
}

impl Caller<'_> {
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
            remote: self.asked.remote,
            session,
        }
    }

    pub(crate) fn owner(&self) -> Option<PrincipalId> {
        self.principal.as_deref().map(Principal::id)
    }
}

/// What is known of a request from the first, and is not its sender's own words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) http_method: Option<&'static str>,
    pub(crate) path: Option<&'a str>,
    pub(crate) remote: Option<SocketAddr>,
}

impl<'a> Asked<'a> {
    /// A request of the method `method`, for `path` if that is the endpoint's.
    pub(crate) fn new(method: &Method, path: Option<&'a str>, remote: Option<SocketAddr>) -> Self {
        let names = ["POST", "GET", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH"];
        Self { http_method: names.into_iter().find(|name| method == name), path, remote }
    }

    /// The record of a refusal.
    pub(crate) fn refused(
        self,
        rule: Rule,
        reason: &'a str,
        status: StatusCode,
        principal: Option<&'a Principal>,
    ) -> Refused<'a> {
        let Self { http_method, path, remote } = self;
        let (rule, status) = (rule.name(), status.as_u16());
        Refused { rule, reason, status, http_method, path, remote, principal }
    }
}
