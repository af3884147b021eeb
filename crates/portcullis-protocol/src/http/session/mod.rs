//! The versions with sessions (2025-03-26 to 2025-11-25) on the endpoint that also serves
//! the stateless one.
//!
//! `initialize` makes a session and names it in `Mcp-Session-Id`; every other request has
//! to name it. What a request that does so is answered with, in this order:
//!
//! 1. 400 without exactly one `Mcp-Session-Id`. Without any, and with an `MCP-Protocol-Version` that
//!    is not served, the answer names the versions that are.
//! 2. 404 for a session that does not exist, has ended, has been idle too long, or
//!    belongs to another principal. They all read the same, on every method.
//! 3. 400 for an `MCP-Protocol-Version` of no version with sessions. It need not be there, and may be another
//!    than the session's, which rules all the same.
//!
//! A session belongs to its [`Principal`](portcullis_auth::Principal), not to the token that
//! made it: with a new token the same principal goes on. Without authentication the session
//! id is all that there is.
//!
//! Where records outlive the process, a session goes on after a restart, for the same principal; where
//! replicas share them, at each of them, and one that another has ended is at an end here within a
//! second.
//!
//! Source: MCP 2025-11-25, Streamable HTTP §Session Management.

mod id;
mod initialize;
mod kept;
pub(super) mod legacy;
mod misses;
mod post;
mod record;
mod resumable;
mod sessions;
mod state;
mod stream;
mod streams;
mod table;

use axum::response::Response;
use futures_util::FutureExt;
use http::StatusCode;

use self::id::SessionId;
use self::misses::Caller;
pub(super) use self::post::{receive, receive_batch};
pub(super) use self::sessions::Sessions;
pub(super) use self::stream::open_stream;
use self::table::Own;
use crate::Service;
use crate::http::mcp_headers;
use crate::http::rejection::Rejection;
use crate::http::request::EndpointRequest;

impl Sessions {
    /// The session that a request names, once it was found to be its caller's own.
    async fn named(&self, caller: &EndpointRequest<'_>) -> Result<Own, Rejection> {
        if caller.fields.session_id.is_none() {
            // A client of a version that is not served knows no session, and is told the versions.
            mcp_headers::check_sessionless(caller.fields)
                .map_err(|error| Rejection::message(error.status(), None, None, &error))?;
        }
        let id = SessionId::read(caller.fields)?;
        let owner = caller.owner();
        let session = match self.at_hand(id, owner)? {
            Some(session) => session,
            None => {
                let remote = caller.info.remote.map(|peer| peer.ip());
                // Boxed: what has to ask the store makes no request larger that has not.
                caller.entering(self.find(id, Caller { owner, remote })).boxed().await??
            }
        };
        mcp_headers::check_session(caller.fields)?;
        Ok(session)
    }
}

/// Ends the session that a DELETE names. What runs in it is dropped, and its stream ends.
pub(super) async fn end<S: Service>(
    service: &S,
    sessions: &Sessions,
    caller: &EndpointRequest<'_>,
) -> Result<Response, Rejection> {
    let session = sessions.named(caller).await?;
    let exchange = session.exchange(caller);
    if let Err(error) = caller.entering(service.admit("session_end", &exchange)).await? {
        // The service knows.
        return Ok(Rejection::unadmitted(&error).into_response());
    }
    caller.entering(sessions.end(&session)).await??;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

#[cfg(test)]
mod dropped;
#[cfg(test)]
mod entering;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod restored;
#[cfg(test)]
mod stopping;
#[cfg(test)]
mod tests;
