//! HTTP+SSE, the transport of 2024-11-05, which is deprecated: for clients that know no other.
//!
//! A GET opens the stream of a session, whose first event names the URI at which its messages are
//! taken. Each POST there is one message, is answered with 202, and has its answer on the stream.
//! All versions with sessions are spoken; the session, and what runs in it, ends with the stream.
//!
//! A session is its principal's, as over Streamable HTTP, and each message comes with a token of its
//! own: what it asks for is decided for that token. The stream ends with the last token that the
//! principal has shown.
//!
//! Source: MCP 2024-11-05, Transports §HTTP with SSE.

mod events;
mod link;
mod paths;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use axum::response::Response;
use http::StatusCode;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use self::events::Events;
use self::link::later;
pub(super) use self::link::{AT_ONCE, Delivery, Link};
pub(in crate::http) use self::paths::EventStreams;
use super::post::{Exchanges, Reply};
use super::sessions::Linked;
use super::{SessionId, Sessions};
use crate::answer::{json_rpc, response};
use crate::http::budget::{Held, Of};
use crate::http::guard::media_type;
use crate::http::rejection::{self, Rejection, Rule};
use crate::http::request::EndpointRequest;
use crate::http::streamed::Addressee;
use crate::http::{answer, mcp_headers};
use crate::message::envelope::{Malformed, Message, RequestId};
use crate::message::initialize::Initialize;
use crate::message::meta::Meta;
use crate::message::params::Params;
use crate::service::news;
use crate::{ClientInfo, Exchange, ProtocolVersion, RpcError, Service};

/// What a message counts for beside its bytes, until its answer is on the stream.
const BESIDES_BYTES: usize = 4 * 1024;

/// Opens a stream, with a session of its own, whose messages are taken at the path `messages`.
pub(in crate::http) async fn open<S: Service>(
    service: &Arc<S>,
    sessions: &Arc<Sessions>,
    caller: &EndpointRequest<'_>,
    messages: &str,
) -> Result<Response, Rejection> {
    media_type::check_accept_stream(caller.fields)?;
    let (id, _) = SessionId::mint()?;
    let ends = expiry(caller);
    let (link, delivered) = Link::new(ends);
    let (session, end) = sessions.begin_linked(id, caller.owner(), link)?;
    let place = sessions.stream(&session)?;
    let exchange = session.exchange(caller);
    if let Err(error) = caller.entering(service.admit("stream", &exchange)).await? {
        // The service knows.
        return Ok(Rejection::unadmitted(&error).into_response());
    }
    sessions.stays(&session, caller.owner());
    place.begin()?;
    let uri = format!("{messages}?session_id={}", id.text());
    let begins_within = sessions.limits().body_timeout;
    Ok(Events::new(&uri, (delivered, ends), begins_within, (place, end)).into_response())
}

/// Takes one message, for the session that the query names. While the server stops, what is no request
/// is still taken: it is for those that run.
pub(in crate::http) async fn receive<S: Service>(
    service: &Arc<S>,
    sessions: &Arc<Sessions>,
    caller: &EndpointRequest<'_>,
    query: Option<&str>,
    (body, is_stopping): (&[u8], bool),
) -> Result<Response, Rejection> {
    let session = sessions.linked(SessionId::read_query(query)?, caller.owner())?;
    let message = Message::parse(body).map_err(|Malformed { id, error }| {
        Rejection::message(error.status(), id.as_ref(), None, &error)
    })?;
    let Linked { own, has_begun, ends, deliveries } = session;
    let id = match &message {
        Message::Request { id, .. } => Some(id.clone()),
        Message::Notification { .. } | Message::Response { .. } => None,
    };
    if is_stopping && id.is_some() {
        return Err(Rejection::stopping().under(id));
    }
    let exchanges = Exchanges { service, sessions, caller, session: own, has_one_stream: true };
    let taken = match &id {
        Some(id) => {
            let bytes = body.len().saturating_add(BESIDES_BYTES);
            let post = Post { exchanges: &exchanges, id, has_begun, ends, deliveries: &deliveries };
            post.take(message, bytes).await
        }
        None => match exchanges.take(message) {
            Reply::Refused(id, error) => Err(exchanges.refused(id.as_ref(), &error)),
            Reply::Response(id, answer) => caller.entering(exchanges.settle(&id, answer)).await,
            _ => Ok(()),
        },
    };
    taken.map(|()| answer::accepted()).map_err(|refusal| refusal.under(id))
}

/// A request to a session.
struct Post<'a, S> {
    exchanges: &'a Exchanges<'a, S>,
    id: &'a RequestId,
    has_begun: bool,
    ends: Option<SystemTime>,
    deliveries: &'a Sender<Delivery>,
}

impl<S: Service> Post<'_, S> {
    /// Takes the request, which counts for so many bytes. What refuses it is told on the stream, but
    /// for what keeps it from being read or answered at all.
    async fn take(&self, message: Message<'_>, bytes: usize) -> Result<(), Rejection> {
        let Exchanges { service, caller, session, .. } = self.exchanges;
        let room = self.deliveries.try_reserve().map_err(|full| match full {
            TrySendError::Full(()) => Rejection::busy(),
            TrySendError::Closed(()) => Rejection::no_event_stream(Rejection::ENDED),
        })?;
        let held = caller.places.budget.take(Of::Bodies, caller.whose.clone(), bytes);
        let held = held.ok_or_else(Rejection::busy)?;
        if let Some(error) = self.refuses(&message) {
            room.send(Delivery::Message(self.refused(&error), held));
            return Ok(());
        }
        if let Message::Request { method, params, .. } = &message
            && method == "initialize"
        {
            room.send(self.begin(params, held).await?);
            return Ok(());
        }
        if self.has_begun {
            mcp_headers::check_session(caller.fields)?;
            self.prolong();
        }
        match self.exchanges.take(message) {
            // No request is an answer.
            Reply::Nothing | Reply::Response(..) => {}
            Reply::Answered(answer) => room.send(Delivery::Message(answer, held)),
            Reply::Refused(_, error) => {
                room.send(Delivery::Message(self.refused(&error), held));
            }
            Reply::Started(started) => {
                let addressee =
                    Addressee { id: started.id.clone(), version: session.agreed.version };
                let outgoing = started.exchange.outgoing.clone();
                let ran = self.exchanges.run(started);
                let counts = (caller.account(), held);
                let parts = request::start(service, ran, outgoing, counts, addressee);
                room.send(Delivery::Request(parts));
            }
            Reply::Ended => return Err(Rejection::no_event_stream(Rejection::ENDED)),
        }
        Ok(())
    }

    /// What the session is not asked for.
    fn refuses(&self, message: &Message<'_>) -> Option<RpcError> {
        let Message::Request { method, params, .. } = message else { return None };
        if let Ok(Some(named)) = params.meta().map(|meta| meta.and_then(Meta::version)) {
            let (requested, supported) = (named.to_owned(), &ProtocolVersion::WITH_SESSIONS[..]);
            return Some(RpcError::UnsupportedVersion { requested, supported });
        }
        match (&**method, self.has_begun) {
            ("initialize", true) => {
                Some(RpcError::invalid_request("the session is already initialized"))
            }
            ("initialize" | "ping", false) | (_, true) => None,
            (_, false) => Some(RpcError::invalid_request("`initialize` comes first")),
        }
    }

    /// Agrees on a version; from then on the client is told what changes.
    async fn begin(&self, params: &Params<'_>, held: Held) -> Result<Delivery, Rejection> {
        let Exchanges { service, sessions, session, caller, .. } = self.exchanges;
        let agreed = match Initialize::read(params, &ProtocolVersion::WITH_SESSIONS) {
            Ok(agreed) => agreed,
            Err(error) => return Ok(Delivery::Message(self.refused(&error), held)),
        };
        let (version, client) = (agreed.version, agreed.client.clone());
        let exchange = self.exchange(version, client);
        // As one: once the client has agreed, it is told what there is.
        let entered = caller.entering(async {
            service.admit("initialize", &exchange).await?;
            Ok(service.offers(&exchange).await)
        });
        let offers = match entered.await? {
            Ok(offers) => offers,
            Err(error) => {
                // The service knows.
                let message = json_rpc::error(Some(self.id), Some(version), &error);
                return Ok(Delivery::Message(message, held));
            }
        };
        if sessions.agree(session, agreed)?.is_none() {
            let error = RpcError::invalid_request("the session is already initialized");
            return Ok(Delivery::Message(self.refused(&error), held));
        }
        let answer = response::initialized(self.id, version, service.identity(), offers);
        let news = news(service, &exchange, Vec::new());
        Ok(Delivery::News { answer: Some((answer, held)), news, ends: self.expiry() })
    }

    /// Lets the stream go on until the token of this request ends, and tell what may be told for that, if
    /// it ends later than the one before.
    fn prolong(&self) {
        let Exchanges { service, sessions, session, .. } = self.exchanges;
        let ends = later(self.ends, self.expiry());
        if ends == self.ends {
            return;
        }
        let exchange = self.exchange(session.agreed.version, session.agreed.client.clone());
        let news = news(service, &exchange, Vec::new());
        // A request that comes later tries it again.
        if self.deliveries.try_send(Delivery::News { answer: None, news, ends }).is_ok() {
            sessions.prolong(session, ends);
        }
    }

    fn exchange(&self, version: ProtocolVersion, client: Option<Arc<ClientInfo>>) -> Exchange {
        let Exchanges { caller, session, .. } = self.exchanges;
        let subscriptions = Some(Arc::clone(&session.agreed.subscriptions));
        Exchange { subscriptions, ..caller.exchange(version, client, Some(session.agreed.key)) }
    }

    fn expiry(&self) -> Option<SystemTime> {
        expiry(self.exchanges.caller)
    }

    /// The answer to what the service is not asked about, which is told of it.
    fn refused(&self, error: &RpcError) -> Vec<u8> {
        let Exchanges { service, caller, session, .. } = self.exchanges;
        let rule = if *error == RpcError::Busy { Rule::Limits } else { Rule::Envelope };
        let (reason, principal) = (error.to_string(), caller.principal.as_deref());
        let status = StatusCode::ACCEPTED;
        service.rejected(&rejection::record(caller.info, rule, status, &reason, principal));
        json_rpc::error(Some(self.id), Some(session.agreed.version), error)
    }
}

/// When the token ends that a request comes with.
fn expiry(caller: &EndpointRequest<'_>) -> Option<SystemTime> {
    caller.principal.as_ref().and_then(|principal| principal.expires_at())
}
