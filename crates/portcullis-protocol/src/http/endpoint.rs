use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use futures_util::FutureExt;
use http::request::Parts;
use http::{Method, Request};
use portcullis_auth::{Authenticator, Principal};

use super::caller::Caller;
use super::refusal::{self, Refusal};
use super::session::{self, Sessions};
use super::{body, headers, media, stateless};
use crate::envelope::{self, Malformed, Message};
use crate::meta::RequestMeta;
use crate::{Limits, Service, within};

/// The MCP endpoint.
///
/// What it decides, in this order: who is calling (401, 403, 503), the method (405), the
/// media types (415, 406), the size and time of the body (413, 408), whether there is a
/// message, and whether it is of the stateless version: its `MCP-Protocol-Version` or its
/// `_meta` says so. What neither says it of belongs to a session. A request without a token
/// learns nothing but that.
pub(super) async fn answer<S: Service>(
    service: &S,
    sessions: &Arc<Sessions>,
    authenticator: Option<&Authenticator>,
    limits: &Limits,
    request: Request<Body>,
    remote: Option<SocketAddr>,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let principal = match authenticator {
        Some(authenticator) => Some(authenticate(authenticator, limits, &head).await?),
        None => None,
    };
    let headers = &head.headers;
    let caller = Caller { sessions, authenticator, principal, remote, headers };
    let stateless = headers::name_stateless(headers);
    media::check_framing(headers)?;
    match head.method {
        Method::POST => {}
        Method::GET if !stateless => return session::open_stream(&caller),
        Method::DELETE if !stateless => return session::end(&caller),
        _ => return Err(Refusal::method_not_allowed(stateless)),
    }
    media::check_content(headers)?;
    media::check_accept(headers)?;
    let body = body::read(headers, body, limits.body_bytes, limits.body_read).await?;
    if !stateless && envelope::is_batch(&body) {
        return session::receive_batch(service, &caller, &body).await;
    }
    let message = match Message::parse(&body) {
        Ok(message) => message,
        Err(Malformed { id, error }) => {
            return Ok(refusal::refused(error.status(), id.as_ref(), None, &error));
        }
    };
    if stateless || RequestMeta::names_version(message.params()) {
        return Ok(stateless::receive(service, &caller, message).await);
    }
    session::receive(service, &caller, message).await
}

/// Asks the authenticator. A verifier that panics or takes too long lets nobody in.
async fn authenticate(
    authenticator: &Authenticator,
    limits: &Limits,
    head: &Parts,
) -> Result<Arc<Principal>, Refusal> {
    let answer = authenticator.authenticate(&head.headers, head.uri.query());
    let answer = AssertUnwindSafe(answer).catch_unwind();
    match within(limits.decision, answer).await {
        Ok(Ok(answer)) => answer.map_err(Refusal::from),
        Ok(Err(_)) => {
            tracing::error!("request refused: 503, the token verifier panicked");
            Err(portcullis_auth::Refusal::unavailable().into())
        }
        Err(_) => {
            tracing::error!("request refused: 503, the token verifier took too long");
            Err(portcullis_auth::Refusal::unavailable().into())
        }
    }
}
