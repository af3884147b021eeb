//! The endpoints at which clients sign in, as routes beside the protocol.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::Method;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use portcullis_auth::{
    Audience, AuthorizationEndpoint, AuthorizationEndpoints, EndpointNotes, EndpointRequest,
    MAX_ENDPOINT_BODY,
};
use portcullis_protocol::http::{Mount, RouteRejection};

use crate::operation::Engine;
use crate::route::guard::noted_mount;
use crate::route::{Route, UndecidedRoute};

/// What answers at the endpoints, with a record of each request, as custom routes have it: a mount
/// for each kind of caller.
///
/// # Errors
///
/// Names an endpoint that cannot be served.
pub(crate) fn mounts(
    endpoints: &Arc<dyn AuthorizationEndpoints>,
    engine: &Arc<Engine>,
) -> Result<Vec<Mount>, String> {
    let all = endpoints.endpoints();
    let audiences = [Audience::Client, Audience::Visitor, Audience::Form];
    let mount_of = |audience| {
        let own = all.iter().filter(|endpoint| endpoint.audience == audience);
        let routes: Result<Vec<_>, _> = own.map(|endpoint| route(endpoint, endpoints)).collect();
        Ok(noted_mount(&routes?, engine).for_audience(audience))
    };
    audiences.into_iter().map(mount_of).collect()
}

fn route(
    endpoint: &AuthorizationEndpoint,
    endpoints: &Arc<dyn AuthorizationEndpoints>,
) -> Result<Route, String> {
    let AuthorizationEndpoint { path, method, .. } = endpoint;
    let (name, filter) = match *method {
        Method::GET => ("GET", MethodFilter::GET),
        Method::POST => ("POST", MethodFilter::POST),
        _ => return Err(format!("{method} {path}: an endpoint is for GET or POST")),
    };
    let endpoints = Arc::clone(endpoints);
    let router: MethodRouter = on(filter, move |request: Request| answer(endpoints, request));
    Ok(UndecidedRoute::new(name, path.as_str(), router).public("to sign in"))
}

async fn answer(endpoints: Arc<dyn AuthorizationEndpoints>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_ENDPOINT_BODY).await else {
        return RouteRejection::TooLarge.into_response();
    };
    let peer = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let notes = head.extensions.get::<EndpointNotes>().cloned().unwrap_or_default();
    let request = EndpointRequest::new(head, body.into(), peer).with_notes(notes);
    endpoints.answer(request).await.map(Body::from)
}
