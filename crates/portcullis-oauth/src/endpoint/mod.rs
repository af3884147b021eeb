//! The endpoints, one file each: what is read of a request, and what is answered. Here, which one
//! answers what.

mod authorize;
mod client_authentication;
mod consent;
mod form;
mod metadata;
mod redirection;
mod register;
mod revoke;
mod sign_in;
mod token;

use http::{Method, Response, StatusCode};
use portcullis_auth::{
    Audience, AuthorizationEndpoint, AuthorizationEndpoints, EndpointRequest, MaybeFuture,
};

use crate::server::AuthorizationServer;

impl AuthorizationEndpoints for AuthorizationServer {
    fn endpoints(&self) -> Vec<AuthorizationEndpoint> {
        PATHS
            .iter()
            .map(|(method, path, audience)| {
                AuthorizationEndpoint::new(method.clone(), *path, *audience)
            })
            .collect()
    }

    fn answer(&self, request: EndpointRequest) -> MaybeFuture<'_, Response<Vec<u8>>> {
        // GET answers HEAD too, whose body the transport leaves out.
        let method = match request.head.method {
            Method::HEAD => Method::GET,
            ref method => method.clone(),
        };
        match (method, request.head.uri.path()) {
            (Method::GET, AUTHORIZE) => MaybeFuture::ready(authorize::authorize(self, &request)),
            (Method::POST, CONSENT) => {
                MaybeFuture::pending(async move { consent::consent(self, &request).await })
            }
            (Method::GET, path) if metadata::PATHS.contains(&path) => {
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
const CONSENT: &str = "/consent";
const REGISTER: &str = "/register";
const TOKEN: &str = "/token";
const REVOKE: &str = "/revoke";

/// Clients without metadata try `/authorize`, `/register` and `/token` by themselves.
const PATHS: [(Method, &str, Audience); 7] = [
    (Method::GET, metadata::PATHS[0], Audience::Client),
    (Method::GET, metadata::PATHS[1], Audience::Client),
    (Method::GET, AUTHORIZE, Audience::Visitor),
    (Method::POST, CONSENT, Audience::Form),
    (Method::POST, REGISTER, Audience::Client),
    (Method::POST, TOKEN, Audience::Client),
    (Method::POST, REVOKE, Audience::Client),
];

fn status(status: StatusCode) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response
}
