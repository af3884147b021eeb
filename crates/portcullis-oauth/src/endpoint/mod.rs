//! The endpoints, one file each: what is read of a request, and what is answered. Here, which one
//! answers what.

mod authorize;
mod callback;
mod client_authentication;
mod connections;
mod consent;
mod departure;
mod form;
mod metadata;
mod noted;
mod redirection;
mod register;
mod remembered;
mod revoke;
mod sign_in;
mod token;
mod visit;

use http::{Method, Response, StatusCode};
use portcullis_auth::{
    Audience, AuthorizationEndpoint, AuthorizationEndpoints, EndpointRequest, MaybeFuture,
};

use crate::server::AuthorizationServer;

impl AuthorizationEndpoints for AuthorizationServer {
    fn endpoints(&self) -> Vec<AuthorizationEndpoint> {
        let upstream = self.users.upstream().is_some();
        let served = PATHS.iter().filter(|(_, path, _)| upstream || *path != CALLBACK);
        let served = served.map(|(method, path, audience)| {
            AuthorizationEndpoint::new(method.clone(), *path, *audience)
        });
        let inserted = metadata::PATHS.iter().filter(|_| !self.prefix.is_empty());
        let inserted = inserted.map(|path| {
            let path = format!("{path}{}", self.prefix);
            AuthorizationEndpoint::new(Method::GET, path, Audience::Client)
        });
        served.chain(inserted).collect()
    }

    fn takes_unnamed_redirect_uris(&self) -> bool {
        self.clients.takes_strangers()
    }

    fn checks_passwords(&self) -> bool {
        self.users.upstream().is_none()
    }

    fn answer(&self, request: EndpointRequest) -> MaybeFuture<'_, Response<Vec<u8>>> {
        // GET answers HEAD too, whose body the transport leaves out.
        let method = match request.head.method {
            Method::HEAD => Method::GET,
            ref method => method.clone(),
        };
        match (method, request.head.uri.path()) {
            (Method::GET, AUTHORIZE) => {
                MaybeFuture::pending(async move { authorize::authorize(self, &request).await })
            }
            (Method::GET, CALLBACK) => {
                MaybeFuture::pending(async move { callback::callback(self, &request).await })
            }
            (Method::GET, CONNECTIONS) => {
                MaybeFuture::pending(async move { connections::connections(self, &request).await })
            }
            (Method::POST, CONNECTIONS_SIGN_IN) => {
                MaybeFuture::pending(async move { connections::sign_in(self, &request).await })
            }
            (Method::POST, CONNECTIONS_REVOKE) => {
                MaybeFuture::pending(async move { connections::revoke(self, &request).await })
            }
            (Method::POST, CONNECTIONS_SIGN_OUT) => {
                MaybeFuture::pending(async move { connections::sign_out(self, &request).await })
            }
            (Method::POST, CONSENT) => {
                MaybeFuture::pending(async move { consent::consent(self, &request).await })
            }
            (Method::GET, path) if metadata::is_at(self, path) => {
                MaybeFuture::ready(metadata::metadata(self))
            }
            (Method::POST, REGISTER) => MaybeFuture::ready(register::register(self, &request)),
            (Method::POST, TOKEN) => {
                MaybeFuture::pending(async move { token::token(self, &request).await })
            }
            (Method::POST, REVOKE) => {
                MaybeFuture::pending(async move { revoke::revoke(self, &request).await })
            }
            _ => MaybeFuture::ready(status(StatusCode::NOT_FOUND)),
        }
    }
}

const AUTHORIZE: &str = "/authorize";
pub(crate) const CALLBACK: &str = "/auth/callback";
const CONSENT: &str = "/consent";
const CONNECTIONS: &str = "/connections";
const CONNECTIONS_SIGN_IN: &str = "/connections/sign-in";
const CONNECTIONS_REVOKE: &str = "/connections/revoke";
const CONNECTIONS_SIGN_OUT: &str = "/connections/sign-out";
const REGISTER: &str = "/register";
const TOKEN: &str = "/token";
const REVOKE: &str = "/revoke";

/// Clients without metadata try `/authorize`, `/register` and `/token` by themselves.
const PATHS: [(Method, &str, Audience); 12] = [
    (Method::GET, metadata::PATHS[0], Audience::Client),
    (Method::GET, metadata::PATHS[1], Audience::Client),
    (Method::GET, AUTHORIZE, Audience::Visitor),
    (Method::GET, CALLBACK, Audience::Visitor),
    (Method::POST, CONSENT, Audience::Form),
    (Method::GET, CONNECTIONS, Audience::Visitor),
    (Method::POST, CONNECTIONS_SIGN_IN, Audience::Form),
    (Method::POST, CONNECTIONS_REVOKE, Audience::Form),
    (Method::POST, CONNECTIONS_SIGN_OUT, Audience::Form),
    (Method::POST, REGISTER, Audience::Client),
    (Method::POST, TOKEN, Audience::Client),
    (Method::POST, REVOKE, Audience::Client),
];

impl AuthorizationServer {
    /// The address that the identity provider knows: to register there.
    pub(crate) fn callback(&self) -> String {
        format!("{}{CALLBACK}", self.issuer)
    }
}

fn status(status: StatusCode) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response
}
