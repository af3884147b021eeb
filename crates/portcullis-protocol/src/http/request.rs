//! A request to the endpoint, once its caller is known.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use portcullis_auth::{Authenticator, BearerToken, Principal, PrincipalId};

use crate::http::budget::account::Account;
use crate::http::budget::places::Places;
use crate::http::budget::{Of, Whose};
use crate::http::fields::Fields;
use crate::http::peer::Shown;
use crate::http::rejection::Rejection;
use crate::http::request_info::RequestInfo;
use crate::{
    ClientCapabilities, ClientInfo, Exchange, Outgoing, ProtocolVersion, SessionKey, Transport,
};

/// Who sent a request to the endpoint, and what it is answered with the help of.
pub(crate) struct EndpointRequest<'a> {
    pub(crate) places: &'a Arc<Places>,
    pub(crate) whose: Whose,
    pub(crate) authenticator: Option<&'a Authenticator>,
    pub(crate) principal: Option<Arc<Principal>>,
    /// Kept where tokens are exchanged: exchanges of this request see it for as long as this lives.
    pub(crate) access_token: Option<Arc<BearerToken>>,
    pub(crate) info: RequestInfo<'a>,
    pub(crate) fields: &'a Fields<'a>,
    /// What its connection has shown before.
    pub(crate) shown: &'a Shown,
}

impl EndpointRequest<'_> {
    /// The exchange that a request of the caller's is served in.
    pub(crate) fn exchange(
        &self,
        version: ProtocolVersion,
        client: Option<Arc<ClientInfo>>,
        session: Option<SessionKey>,
    ) -> Exchange {
        Exchange {
            transport: Transport::Http,
            version,
            principal: self.principal.clone(),
            access_token: self.access_token.as_ref().map(Arc::downgrade).unwrap_or_default(),
            client,
            capabilities: ClientCapabilities::NONE,
            remote: self.info.remote,
            session,
            subscriptions: None,
            trace: self.info.trace,
            outgoing: Outgoing::default(),
        }
    }

    /// What an answer of a stream counts for.
    pub(crate) fn account(&self) -> Account {
        let Places { budget, write_timeout, .. } = &**self.places;
        let (budget, whose) = (Arc::clone(budget), self.whose.clone());
        Account { budget, whose, write_timeout: *write_timeout }
    }

    /// What `answer` gives. If it has to be waited for, in no place of those that run, that takes a place
    /// among those of its sender who wait so.
    ///
    /// # Errors
    ///
    /// When that has as many already.
    pub(crate) async fn entering<T>(
        &self,
        answer: impl Future<Output = T>,
    ) -> Result<T, Rejection> {
        let (mut answer, mut place) = (pin!(answer), None);
        poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            Poll::Pending if place.is_some() => Poll::Pending,
            Poll::Pending => {
                place = self.places.budget.take(Of::Entering, self.whose.clone(), 1);
                match place {
                    Some(_) => Poll::Pending,
                    None => Poll::Ready(Err(Rejection::busy())),
                }
            }
        })
        .await
    }

    pub(crate) fn owner(&self) -> Option<PrincipalId> {
        self.principal.as_deref().map(Principal::id)
    }
}
