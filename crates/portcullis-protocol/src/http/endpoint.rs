use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use axum::response::Response;
use http::{Method, Request};
use portcullis_auth::Authenticator;

use crate::http::bearer::{self, Visitor};
use crate::http::budget::places::Places;
use crate::http::budget::{Budget, Of, Whose};
use crate::http::guard::body::RequestBody;
use crate::http::guard::{body, media_type};
use crate::http::peer::{Peer, Sender};
use crate::http::rejection::Rejection;
use crate::http::request::EndpointRequest;
use crate::http::request_info::RequestInfo;
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
    /// As [`AppConfig::authenticator_with_slash`](crate::http::AppConfig::authenticator_with_slash).
    pub(super) authenticator_with_slash: Option<Arc<Authenticator>>,
    /// As [`AppConfig::keeps_access_tokens`](crate::http::AppConfig::keeps_access_tokens).
    pub(super) keeps_access_tokens: bool,
    pub(super) limits: Limits,
    pub(super) budget: Arc<Budget>,
    /// Places of requests. One is taken once it is known who is calling: an unverified token
    /// that the verifier waits for takes none.
    pub(super) places: Arc<Places>,
    /// Whether requests are refused, because the server stops.
    pub(super) stopping: AtomicBool,
}

impl<S: Service> Endpoint<S> {
    pub(super) async fn answer(
        &self,
        request: &mut Request<Option<impl RequestBody>>,
        info: RequestInfo<'_>,
        Sender { peer, address }: Sender<'_>,
    ) -> Result<Response, Rejection> {
        let body = request.body_mut().take();
        let with_slash = match request.uri().path().ends_with('/') {
            true => self.authenticator_with_slash.as_deref(),
            false => None,
        };
        let authenticator = with_slash.or(self.authenticator.as_deref());
        let principal = match authenticator {
            Some(authenticator) => {
                let (headers, uri) = (request.headers(), request.uri());
                let Peer { standing, last_bearer, .. } = peer;
                let visitor = Visitor { budget: &self.budget, address, standing };
                let answer = bearer::authenticate(
                    authenticator,
                    &self.limits,
                    headers,
                    uri,
                    last_bearer,
                    visitor,
                );
                Some(answer.await?)
            }
            None => None,
        };
        let whose = Whose {
            address: address.cloned(),
            principal: principal.as_deref().map(|principal| self.budget.principal(principal)),
        };
        let (places, headers) = (&self.places, request.headers());
        let kept = authenticator.filter(|_| self.keeps_access_tokens);
        let access_token = kept.and_then(|kept| kept.access_token(headers)).map(Arc::new);
        let caller = EndpointRequest {
            places,
            whose,
            authenticator,
            principal,
            access_token,
            info,
            headers,
        };
        let received = self.receive(&caller, request.method(), body).await;
        received.map_err(|refusal| refusal.of(caller.principal.as_ref()))
    }

    async fn receive(
        &self,
        caller: &EndpointRequest<'_>,
        method: &Method,
        body: Option<impl RequestBody>,
    ) -> Result<Response, Rejection> {
        let place = self.places.enter()?;
        let (service, sessions, headers) = (&self.service, &self.sessions, caller.headers);
        let stateless = mcp_headers::name_stateless(headers);
        match *method {
            Method::POST => {}
            Method::GET if !stateless => {
                return session::open_stream(service, sessions, caller).await;
            }
            Method::DELETE if !stateless => {
                return session::end(&**service, sessions, caller).await;
            }
            _ => return Err(Rejection::method_not_allowed(stateless)),
        }
        media_type::check_content(headers)?;
        media_type::check_accept(headers)?;
        let Limits { body_bytes, body_timeout, .. } = self.limits;
        let whole = body::Whole::new(&self.budget, caller.whose.clone());
        let mut read = pin!(whole.read(headers, body, body_bytes, body_timeout));
        let whole = match poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await {
            Poll::Ready(whole) => whole?,
            Poll::Pending => {
                let reads = self.budget.take(Of::Reading, caller.whose.clone(), 1);
                let _reads = reads.ok_or_else(Rejection::busy)?;
                read.as_mut().await?
            }
        };
        // What it runs has a place of its own.
        drop(place);
        let body = &whole.bytes;
        let stopping = self.stopping.load(Ordering::SeqCst);
        if stopping && envelope::is_batch(body) {
            return Err(Rejection::stopping());
        }
        if !stateless && envelope::is_batch(body) {
            return session::receive_batch(service, sessions, caller, body).await;
        }
        let message = Message::parse(body).map_err(|Malformed { id, error }| {
            Rejection::message(error.status(), id.as_ref(), None, &error)
        })?;
        let id = match &message {
            Message::Request { id, .. } => Some(id.clone()),
            Message::Notification { .. } | Message::Response { .. } => None,
        };
        if stopping && id.is_some() {
            return Err(Rejection::stopping().under(id));
        }
        let received = match stateless || message.names_version() {
            true => stateless::receive(service, sessions, caller, message).await,
            false => session::receive(service, sessions, caller, message).await,
        };
        received.map_err(|refusal| refusal.under(id))
    }
}
