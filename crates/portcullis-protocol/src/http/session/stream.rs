use std::sync::Arc;

use axum::response::Response;

use super::Sessions;
use crate::Service;
use crate::http::guard::media_type;
use crate::http::rejection::Rejection;
use crate::http::request::EndpointRequest;
use crate::http::sse::{self, Events};

/// Opens the stream of the session that a GET names (MCP Streamable HTTP §Listening for
/// Messages from the Server).
///
/// It ends with the session, with the token that opened it, when the server stops, and when a
/// newer one of the session takes over.
/// `Last-Event-ID` is not looked at: events here have no ids and none is kept, so there is
/// nothing that could be sent again, to its owner or to anybody else.
pub(in crate::http) async fn open_stream<S: Service>(
    service: &Arc<S>,
    sessions: &Arc<Sessions>,
    caller: &EndpointRequest<'_>,
) -> Result<Response, Rejection> {
    media_type::check_accept_stream(caller.headers)?;
    let session = sessions.named(caller).await?;
    let place = sessions.stream(&session)?;
    let exchange = caller.exchange(session.version, session.client, Some(session.key));
    if let Err(error) = service.admit("stream", &exchange).await {
        // The service knows.
        return Ok(Rejection::unadmitted(&error).into_response());
    }
    place.begin()?;
    let events = Events::of_session(service, &exchange, place);
    Ok(sse::response(events.into_stream()))
}
