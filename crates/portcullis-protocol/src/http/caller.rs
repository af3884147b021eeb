use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use portcullis_auth::{Authenticator, Principal, PrincipalId};

use super::budget::Whose;
use super::places::Places;
use super::refusal::Rule;
use super::session::Sessions;
use crate::{ClientInfo, Exchange, ProtocolVersion, Refused, SessionKey, Transport};

/// Who sent a request to the endpoint, and what it is answered with the help of.
pub(super) struct Caller<'a> {
    pub(super) sessions: &'a Arc<Sessions>,
    pub(super) places: &'a Places,
    pub(super) whose: Whose,
    pub(super) authenticator: Option<&'a Authenticator>,
    pub(super) principal: Option<Arc<Principal>>,
    pub(super) asked: Asked<'a>,
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
            remote: self.asked.remote,
            session,
        }
    }

    pub(super) fn owner(&self) -> Option<PrincipalId> {
        self.principal.as_deref().map(Principal::id)
    }
}

/// What is known of a request from the first, and is not its sender's own words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) http_method: Option<&'static str>,
    pub(super) path: Option<&'a str>,
    pub(super) remote: Option<SocketAddr>,
}

impl<'a> Asked<'a> {
    /// A request of the method `method`, for `path` if that is the endpoint's.
    pub(super) fn new(method: &Method, path: Option<&'a str>, remote: Option<SocketAddr>) -> Self {
        let names = ["POST", "GET", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH"];
        Self { http_method: names.into_iter().find(|name| method == name), path, remote }
    }

    /// The record of a refusal.
    pub(super) fn refused(
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
