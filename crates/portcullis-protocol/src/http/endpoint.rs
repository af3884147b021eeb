use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::response::Response;
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use portcullis_auth::{Authenticator, LastBearer, Principal};

use crate::http::budget::places::Places;
use crate::http::budget::{Budget, Of, Party, Whose};
use crate::http::connection::peer::{Peer, Standing};
use crate::http::guard::body::RequestBody;
use crate::http::guard::{body, media_type};
use crate::http::rejection::Refusal;
use crate::http::request::{Asked, Caller};
use crate::http::session::{self, Sessions};
use crate::http::{mcp_headers, stateless};
use crate::message::envelope::{self, Malformed, Message};
use crate::{Limits, Service};

/// The MCP endpoint.
///
/// What it decides, in this order: who is calling (401, 403, 503), the method (405), the
/// media types (415, 406), the size and time of the body (413, 408), whether there is a
/// message, and whether it is of the stateless version: its `MCP-Protocol-Version` or its
/// `_meta` says so. What neither says it of belongs to a session. A request without a token
/// learns nothing but that.
pub(super) struct Endpoint<S> {
    pub(super) service: Arc<S>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) authenticator: Option<Arc<Authenticator>>,
    pub(super) limits: Limits,
    pub(super) budget: Arc<Budget>,
    /// Places of requests. One is taken once it is known who is calling: an unverified token
    /// that the verifier waits for takes none.
    pub(super) places: Places,
}

impl<S: Service> Endpoint<S> {
    pub(super) async fn answer(
        &self,
        request: &mut Request<Option<impl RequestBody>>,
        asked: Asked<'_>,
        peer: &Peer,
    ) -> Result<Response, Refusal> {
        let body = request.body_mut().take();
        let authenticator = self.authenticator.as_deref();
        let principal = match authenticator {
            Some(authenticator) => {
                let (headers, uri) = (request.headers(), request.uri());
                let Peer { address, standing, last_bearer, .. } = peer;
                let visitor = Visitor { budget: &self.budget, address: address.as_ref(), standing };
                let answer =
                    verified(authenticator, &self.limits, headers, uri, last_bearer, visitor);
                Some(answer.await?)
            }
            None => None,
        };
        let whose = Whose {
            address: peer.address.clone(),
            principal: principal.as_deref().map(|principal| self.budget.principal(principal)),
        };
        let (sessions, places, headers) = (&self.sessions, &self.places, request.headers());
        let caller = Caller { sessions, places, whose, authenticator, principal, asked, headers };
        let received = self.receive(&caller, request.method(), body).await;
        received.map_err(|refusal| refusal.of(caller.principal.as_ref()))
    }

    async fn receive(
        &self,
        caller: &Caller<'_>,
        method: &Method,
        body: Option<impl RequestBody>,
    ) -> Result<Response, Refusal> {
        let place = self.places.enter()?;
        let headers = caller.headers;
        let stateless = mcp_headers::name_stateless(headers);
        match *method {
            Method::POST => {}
            Method::GET if !stateless => return session::open_stream(&self.service, caller),
            Method::DELETE if !stateless => return session::end(&*self.service, caller),
            _ => return Err(Refusal::method_not_allowed(stateless)),
        }
        media_type::check_content(headers)?;
        media_type::check_accept(headers)?;
        let Limits { body_bytes, body_read, .. } = self.limits;
        let whole = body::Whole::new(&self.budget, caller.whose.clone());
        let mut read = pin!(whole.read(headers, body, body_bytes, body_read));
        let whole = match poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await {
            Poll::Ready(whole) => whole?,
            Poll::Pending => {
                let reads = self.budget.take(Of::Reading, caller.whose.clone(), 1);
                let _reads = reads.ok_or_else(Refusal::busy)?;
                read.as_mut().await?
            }
        };
        // What it runs has a place of its own.
        drop(place);
        let (body, service) = (&whole.bytes, &self.service);
        if !stateless && envelope::is_batch(body) {
            return session::receive_batch(&**service, caller, body).await;
        }
        let message = Message::parse(body).map_err(|Malformed { id, error }| {
            Refusal::message(error.status(), id.as_ref(), None, &error)
        })?;
        let id = match &message {
            Message::Request { id, .. } => Some(id.clone()),
            Message::Notification { .. } | Message::Response => None,
        };
        let received = match stateless || message.names_version() {
            true => stateless::receive(service, caller, message).await,
            false => session::receive(&**service, caller, message).await,
        };
        received.map_err(|refusal| refusal.under(id))
    }
}

/// Over what a token comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor<'a> {
    pub(super) budget: &'a Arc<Budget>,
    pub(super) address: Option<&'a Arc<Party>>,
    pub(super) standing: &'a Standing,
}

/// Asks the authenticator. A verifier that panics or takes too long lets nobody in. One that has
/// to wait, for keys perhaps, does so in places of its own: what it knows waits for nothing.
pub(super) async fn verified(
    authenticator: &Authenticator,
    limits: &Limits,
    headers: &HeaderMap,
    uri: &Uri,
    last: &LastBearer,
    visitor: Visitor<'_>,
) -> Result<Arc<Principal>, portcullis_auth::Refusal> {
    let answer = authenticator.authenticate(headers, uri.query(), last);
    let mut answer = pin!(AssertUnwindSafe(answer).catch_unwind());
    let answer = match poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await {
        Poll::Ready(answer) => Ok(answer),
        Poll::Pending => {
            let place = visitor.budget.take(Of::Verifications, Whose::address(visitor.address), 1);
            let Some(_place) = place else {
                let reason = "too many tokens have to be waited for";
                tracing::warn!(reason, "request refused: 503");
                return Err(portcullis_auth::Refusal::unavailable(reason));
            };
            tokio::time::timeout(limits.decision, answer).await
        }
    };
    match answer {
        Ok(Ok(answer)) => {
            match &answer {
                Err(refusal) if refusal.status == StatusCode::UNAUTHORIZED => {
                    visitor.standing.refuse();
                }
                // One without enough scopes is known all the same.
                Ok(_) => visitor.standing.accept(),
                Err(refusal) if refusal.principal.is_some() => visitor.standing.accept(),
                Err(_) => {}
            }
            answer
        }
        Ok(Err(_)) => {
            tracing::error!("request refused: 503, the token verifier panicked");
            Err(portcullis_auth::Refusal::unavailable("the token verifier panicked"))
        }
        Err(_) => {
            tracing::error!("request refused: 503, the token verifier took too long");
            Err(portcullis_auth::Refusal::unavailable("the token verifier took too long"))
        }
    }
}
