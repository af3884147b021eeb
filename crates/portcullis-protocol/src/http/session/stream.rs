//! The GET stream of a session, or the rest of an interrupted answer.

use std::sync::Arc;

use axum::response::Response;

use super::Sessions;
use super::resumable::LastEvent;
use crate::http::guard::media_type;
use crate::http::rejection::Rejection;
use crate::http::request::EndpointRequest;
use crate::http::sse::{self, Events};
use crate::{Exchange, Service};

/// Opens the stream of the session that a GET names (MCP Streamable HTTP §Listening for
/// Messages from the Server), or goes on with the answer that its `Last-Event-ID` names
/// (§Resumability and Redelivery).
///
/// The stream of a session ends with the session, with the token that opened it, when the server stops,
/// and when a newer one of the session takes over. Its events have no ids: they say which lists have
/// changed, and whoever opens it again asks for the lists.
///
/// An answer is its session's, as the session is its principal's: another session goes on with none of
/// it. What is not kept any more is refused with 400, and so is the answer of what the caller may use no
/// longer.
pub(in crate::http) async fn open_stream<S: Service>(
    service: &Arc<S>,
    sessions: &Arc<Sessions>,
    caller: &EndpointRequest<'_>,
) -> Result<Response, Rejection> {
    media_type::check_accept_stream(caller.fields)?;
    let session = sessions.named(caller).await?;
    let last = caller.fields.headers.get("last-event-id");
    if let Some(last) = last.and_then(|last| LastEvent::parse(last.to_str().ok()?)) {
        let exchange = session.exchange(caller);
        if let Err(error) = caller.entering(service.admit("stream", &exchange)).await? {
            return Ok(Rejection::unadmitted(&error).into_response());
        }
        let reader = sessions.resume(&**service, &session, last, &exchange);
        let reader = caller.entering(reader).await??;
        return Ok(reader.into_response());
    }
    let place = sessions.stream(&session)?;
    let exchange = session.exchange(caller);
    let exchange =
        Exchange { subscriptions: Some(Arc::clone(&session.agreed.subscriptions)), ..exchange };
    if let Err(error) = caller.entering(service.admit("stream", &exchange)).await? {
        // The service knows.
        return Ok(Rejection::unadmitted(&error).into_response());
    }
    place.begin()?;
    let events = Events::of_session(service, &exchange, place);
    Ok(sse::lasting_response(events.into_stream()))
}
