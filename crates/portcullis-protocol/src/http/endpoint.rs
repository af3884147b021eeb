use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::response::Response;
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request, Uri};
use portcullis_auth::{Authenticator, LastBearer, Principal};

use super::body::RequestBody;
use super::caller::{Asked, Caller};
use super::refusal::Refusal;
use super::session::{self, Sessions};
use super::{body, headers, media, stateless};
use crate::envelope::{self, Malformed, Message};
use crate::{Limits, Service, within};

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
}

impl<S: Service> Endpoint<S> {
    pub(super) async fn answer(
        &self,
        request: &mut Request<Option<impl RequestBody>>,
        asked: Asked<'_>,
        last: &LastBearer,
    ) -> Result<Response, Refusal> {
        let body = request.body_mut().take();
        let authenticator = self.authenticator.as_deref();
        let principal = match authenticator {
            Some(authenticator) => {
                let (headers, uri) = (request.headers(), request.uri());
                Some(verified(authenticator, &self.limits, headers, uri, last).await?)
            }
            None => None,
        };
        let (sessions, headers) = (&self.sessions, request.headers());
        let caller = Caller { sessions, authenticator, principal, asked, headers };
        let received = self.receive(&caller, request.method(), body).await;
        received.map_err(|refusal| refusal.of(caller.principal.as_ref()))
    }

    async fn receive(
        &self,
        caller: &Caller<'_>,
        method: &Method,
        body: Option<impl RequestBody>,
    ) -> Result<Response, Refusal> {
        let headers = caller.headers;
        let stateless = headers::name_stateless(headers);
        match *method {
            Method::POST => {}
            Method::GET if !stateless => return session::open_stream(&self.service, caller),
            Method::DELETE if !stateless => return session::end(&*self.service, caller),
            _ => return Err(Refusal::method_not_allowed(stateless)),
        }
        media::check_content(headers)?;
        media::check_accept(headers)?;
        let Limits { body_bytes, body_read, .. } = self.limits;
        let body = body::read(headers, body, body_bytes, body_read).await?;
        let service = &self.service;
        if !stateless && envelope::is_batch(&body) {
            return session::receive_batch(&**service, caller, &body).await;
        }
        let message = Message::parse(&body).map_err(|Malformed { id, error }| {
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

/// Asks the authenticator. A verifier that panics or takes too long lets nobody in.
pub(super) async fn verified(
    authenticator: &Authenticator,
    limits: &Limits,
    headers: &HeaderMap,
    uri: &Uri,
    last: &LastBearer,
) -> Result<Arc<Principal>, portcullis_auth::Refusal> {
    let answer = authenticator.authenticate(headers, uri.query(), last);
    let answer = AssertUnwindSafe(answer).catch_unwind();
    match within(limits.decision, answer).await {
        Ok(Ok(answer)) => answer,
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
