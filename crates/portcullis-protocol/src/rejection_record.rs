//! What an audit record says of a request that was refused early.

use std::net::SocketAddr;

use portcullis_auth::Principal;
use portcullis_guard::TraceParent;

use crate::Transport;

/// A request that was refused before the [`Service`](crate::Service) was asked:
/// what an audit record says of it.
///
/// Nothing in it is text that its sender chose, but for what a verified token says of the
/// principal, and the numbers of a trace: no token, no header and no part of a body.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RejectionRecord<'a> {
    /// What the request came over.
    pub transport: Transport,
    /// Which stage refused it:
    ///
    /// | rule | what it is about |
    /// |---|---|
    /// | `limits` | too many connections, requests or streams at once |
    /// | `host` | the `Host` header |
    /// | `origin` | the `Origin` header |
    /// | `bearer` | the token, and the scopes that the whole server requires |
    /// | `method` | the HTTP method |
    /// | `media` | `Content-Type`, `Content-Encoding`, `Accept` |
    /// | `body` | the size, the time and the framing of the body, or the size of a line |
    /// | `envelope` | the JSON-RPC message, and the headers that repeat parts of it |
    /// | `session` | the session, and the number of sessions |
    pub rule: &'static str,
    /// The exact reason: more than the sender was told.
    pub reason: &'a str,
    /// The HTTP status of the answer: 200 where a session is answered with an error; none over
    /// stdio.
    pub status: Option<u16>,
    /// The HTTP method, if it is a standard one; none for a connection, and over
    /// stdio.
    pub http_method: Option<&'static str>,
    /// The path of the endpoint, if that was asked for; none for a connection, and over
    /// stdio.
    pub path: Option<&'a str>,
    /// The peer of the connection.
    pub remote: Option<SocketAddr>,
    /// Whom the token speaks for, if it was verified.
    pub principal: Option<&'a Principal>,
    /// The trace that its headers name.
    pub trace: Option<TraceParent>,
}
