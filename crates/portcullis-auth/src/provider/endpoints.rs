//! The endpoints of an authorization server on the server's own origin.

use std::fmt;
use std::net::IpAddr;

use http::request::Parts;
use http::{Method, Response};

use super::EndpointNotes;
use crate::MaybeFuture;

/// The longest body that an [`AuthorizationEndpoints`] is given, in bytes. A longer one is refused
/// unread.
pub const MAX_ENDPOINT_BODY: usize = 64 * 1024;

/// What a server answers over HTTP, beside the MCP endpoint, so that clients can sign in: the
/// endpoints of an authorization server on the server's own origin.
///
/// Host, framing and size of a request are checked before it gets here. Where a page may have sent
/// it, [`Audience`] says what is checked of its origin.
pub trait AuthorizationEndpoints: fmt::Debug + Send + Sync + 'static {
    /// What is answered. It is asked once, when the server begins to listen; two endpoints with
    /// the same path and method do not start.
    fn endpoints(&self) -> Vec<AuthorizationEndpoint>;

    /// Answers a request for one of the [`endpoints`](Self::endpoints).
    fn answer(&self, request: EndpointRequest) -> MaybeFuture<'_, Response<Vec<u8>>>;

    /// Whether a code may go to a redirect URI that the operator did not name: that of a client which
    /// registered by itself, say. `portcullis check` asks. Default: it may.
    fn takes_unnamed_redirect_uris(&self) -> bool {
        true
    }

    /// Whether users sign in with passwords that this server checks, and not at an identity provider.
    /// `portcullis check` asks. Default: they do.
    fn checks_passwords(&self) -> bool {
        true
    }
}

/// One endpoint of an authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationEndpoint {
    /// The path, which is compared whole.
    pub path: String,
    /// The method. One for GET answers HEAD too.
    pub method: Method,
    /// Who calls it.
    pub audience: Audience,
}

impl AuthorizationEndpoint {
    /// The endpoint for `method` at `path`.
    pub fn new(method: Method, path: impl Into<String>, audience: Audience) -> Self {
        Self { path: path.into(), method, audience }
    }
}

/// Who calls an endpoint, which decides which pages may send requests to it.
///
/// Exhaustive: each is checked in its own way, and a new one has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Clients, with nothing that a browser adds by itself: neither cookies nor credentials of
    /// a user are read. Any page may call it, and read the answer.
    Client,
    /// People, whose browser was sent here by any page, with GET: nothing changes.
    Visitor,
    /// People, by a form of this server's own pages.
    Form,
}

/// A request to an [`AuthorizationEndpoints`]. `Debug` shows the method and the path alone: the rest
/// may hold passwords, codes and tokens.
#[non_exhaustive]
pub struct EndpointRequest {
    /// Method, URI and headers.
    pub head: Parts,
    /// The body, of at most [`MAX_ENDPOINT_BODY`] bytes.
    pub body: Vec<u8>,
    /// The address of the peer, which may be a proxy.
    pub remote: Option<IpAddr>,
    /// For the audit record of the request.
    pub notes: EndpointNotes,
}

impl EndpointRequest {
    /// A request whose body was read.
    #[must_use]
    pub fn new(head: Parts, body: Vec<u8>, remote: Option<IpAddr>) -> Self {
        Self { head, body, remote, notes: EndpointNotes::default() }
    }

    /// Has what is found out noted for the audit record, which others write.
    #[must_use]
    pub fn with_notes(mut self, notes: EndpointNotes) -> Self {
        self.notes = notes;
        self
    }
}

impl fmt::Debug for EndpointRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointRequest({} {:?})", self.head.method, self.head.uri.path())
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn a_request_shows_no_password_code_or_cookie() {
        let request = Request::post("/consent?code=s3cret").header("cookie", "a=s3cret");
        let (head, body) = request.body(b"password=s3cret".to_vec()).unwrap().into_parts();
        let shown = format!("{:?}", EndpointRequest::new(head, body, None));
        assert_eq!(shown, "EndpointRequest(POST \"/consent\")");
    }
}
