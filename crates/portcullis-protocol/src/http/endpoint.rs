//! The MCP endpoint: authentication, method, media types, and which era a message is of.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use axum::response::Response;
use futures_util::FutureExt;
use http::{Method, Request, Uri};
use portcullis_auth::{Authenticator, EndpointPath};

use crate::http::bearer::{self, Visitor};
use crate::http::budget::places::Places;
use crate::http::budget::{Budget, Of, Whose};
use crate::http::fields::Fields;
use crate::http::guard::body::{Counts, RequestBody, Whole};
use crate::http::guard::media_type;
use crate::http::peer::{Peer, Sender};
use crate::http::rejection::Rejection;
use crate::http::request::EndpointRequest;
use crate::http::request_info::RequestInfo;
use crate::http::session::legacy::{self, EventStreams};
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
    /// What stands before the paths of the server for its clients, as in the
    /// [`PublicUrl`](portcullis_auth::PublicUrl).
    pub(super) prefix: EndpointPath,
    /// Whether requests are refused, because the server stops.
    pub(super) stopping: AtomicBool,
}

impl<S: Service> Endpoint<S> {
    /// The answer is boxed: whoever hands it on would copy it.
    pub(super) async fn answer(
        &self,
        request: &mut Request<Option<impl RequestBody>>,
        fields: &Fields<'_>,
        info: RequestInfo<'_>,
        sender: Sender<'_>,
    ) -> Result<Box<Response>, Rejection> {
        let body = request.body_mut().take();
        let with_slash = match request.uri().path().ends_with('/') {
            true => self.authenticator_with_slash.as_deref(),
            false => None,
        };
        let authenticator = with_slash.or(self.authenticator.as_deref());
        let (method, uri) = (request.method(), request.uri());
        let caller = self.caller(authenticator, (fields, uri), info, sender).await?;
        let received = self.receive(&caller, method, body).await;
        received.map_err(|refusal| refusal.of(caller.principal.as_ref()))
    }

    /// Who sent a request, once that is known.
    async fn caller<'a>(
        &'a self,
        authenticator: Option<&'a Authenticator>,
        (fields, uri): (&'a Fields<'a>, &'a Uri),
        info: RequestInfo<'a>,
        Sender { peer, address }: Sender<'a>,
    ) -> Result<EndpointRequest<'a>, Rejection> {
        let principal = match authenticator {
            Some(authenticator) => {
                let Peer { standing, last_bearer, .. } = peer;
                let visitor = Visitor { budget: &self.budget, address, standing };
                let answer = bearer::authenticate(
                    authenticator,
                    &self.limits,
                    fields.headers,
                    uri,
                    last_bearer,
                    visitor,
                );
                Some(answer.await?)
            }
            None => None,
        };
        let party = |principal| peer.shown.party(principal, &self.budget);
        let whose = Whose { address: address.cloned(), principal: principal.as_deref().map(party) };
        let kept = authenticator.filter(|_| self.keeps_access_tokens);
        let access_token = kept.and_then(|kept| kept.access_token(fields.headers)).map(Arc::new);
        let (places, shown) = (&self.places, &peer.shown);
        Ok(EndpointRequest {
            places,
            whose,
            authenticator,
            principal,
            access_token,
            info,
            fields,
            shown,
        })
    }

    async fn receive(
        &self,
        caller: &EndpointRequest<'_>,
        method: &Method,
        body: Option<impl RequestBody>,
    ) -> Result<Box<Response>, Rejection> {
        let place = self.places.enter()?;
        let (service, sessions, fields) = (&self.service, &self.sessions, caller.fields);
        let stateless = mcp_headers::name_stateless(fields);
        // GET, DELETE and batches are boxed: merged into this, they would make the code and the stack of
        // each message larger.
        match *method {
            Method::POST => {}
            Method::GET if !stateless => {
                drop(place);
                let stream = session::open_stream(service, sessions, caller).boxed().await;
                return stream.map(Box::new);
            }
            Method::DELETE if !stateless => {
                drop(place);
                return session::end(&**service, sessions, caller).boxed().await.map(Box::new);
            }
            _ => return Err(Rejection::method_not_allowed(stateless)),
        }
        media_type::check_content(fields)?;
        media_type::check_accept(fields)?;
        let whole = self.read(caller, body).await?;
        // What it runs has a place of its own.
        drop(place);
        let body = &whole.bytes;
        let stopping = self.stopping.load(Ordering::SeqCst);
        if stopping && envelope::is_batch(body) {
            return Err(Rejection::stopping());
        }
        if !stateless && envelope::is_batch(body) {
            let batch = session::receive_batch(service, sessions, caller, body).boxed().await;
            return batch.map(Box::new);
        }
        let known = |meta: &str| caller.shown.meta(meta);
        let message = Message::parse_knowing(body, known).map_err(|Malformed { id, error }| {
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

    /// Reads a body, for which a request has its place.
    async fn read(
        &self,
        caller: &EndpointRequest<'_>,
        body: Option<impl RequestBody>,
    ) -> Result<Whole, Rejection> {
        let Limits { body_bytes, body_timeout, .. } = self.limits;
        let counts = Counts { budget: &self.budget, whose: &caller.whose };
        let read = Whole::read(counts, caller.fields, body, body_bytes, body_timeout);
        let mut read = pin!(read);
        match poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await {
            Poll::Ready(whole) => whole,
            Poll::Pending => {
                let reads = self.budget.take(Of::Reading, caller.whose.clone(), 1);
                let _reads = reads.ok_or_else(Rejection::busy)?;
                read.as_mut().await
            }
        }
    }

    /// Answers a request of HTTP+SSE, after the same decisions.
    pub(super) async fn event_stream(
        &self,
        (request, fields): (&mut Request<Option<impl RequestBody>>, &Fields<'_>),
        paths: &EventStreams,
        info: RequestInfo<'_>,
        sender: Sender<'_>,
    ) -> Result<Response, Rejection> {
        let body = request.body_mut().take();
        let (method, uri) = (request.method(), request.uri());
        let authenticator = self.authenticator.as_deref();
        let caller = self.caller(authenticator, (fields, uri), info, sender).await?;
        let answered = async {
            let place = self.places.enter()?;
            let (service, sessions) = (&self.service, &self.sessions);
            if let Some(messages) = paths.messages_of(uri.path()) {
                if method != Method::GET {
                    return Err(Rejection::only(&Method::GET));
                }
                drop(place);
                let messages = format!("{}{messages}", self.prefix.as_str());
                return legacy::open(service, sessions, &caller, &messages).await;
            }
            if method != Method::POST {
                return Err(Rejection::only(&Method::POST));
            }
            media_type::check_content(fields)?;
            let whole = self.read(&caller, body).await?;
            drop(place);
            let taken = (&*whole.bytes, self.stopping.load(Ordering::SeqCst));
            legacy::receive(service, sessions, &caller, uri.query(), taken).await
        };
        answered.await.map_err(|refusal| refusal.of(caller.principal.as_ref()))
    }
}
