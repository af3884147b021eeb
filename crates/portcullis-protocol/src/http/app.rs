use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::FutureExt;
use http::{Request, StatusCode};
use http_body_util::Limited;
use portcullis_auth::{Authenticator, ProtectedResourceMetadata};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::front::Front;
use super::metadata::Metadata;
use super::refusal::Refusal;
use super::{cors, endpoint};
use crate::{Limits, Service};

/// What an [`App`] is made of.
#[derive(Debug)]
pub struct AppConfig {
    /// The path of the MCP endpoint, without a slash at its end.
    pub path: String,
    /// Which hosts and origins are the server's own.
    pub front: Front,
    /// Who is let in; without one, everybody.
    pub authenticator: Option<Authenticator>,
    /// The protected-resource metadata, where tokens are asked for.
    pub metadata: Option<ProtectedResourceMetadata>,
    /// What one client may take.
    pub limits: Limits,
    /// Routes beside the endpoint.
    pub routes: Router,
}

/// Everything that answers HTTP requests: the endpoint, its metadata, the custom routes.
///
/// Each request passes the front first, whatever its path.
pub struct App<S> {
    service: Arc<S>,
    path: String,
    front: Front,
    authenticator: Option<Authenticator>,
    metadata: Option<Metadata>,
    limits: Limits,
    routes: Router,
    running: Semaphore,
}

impl<S: Service> App<S> {
    /// An app that serves `service`.
    ///
    /// # Errors
    ///
    /// When the metadata document cannot be written as JSON.
    pub fn new(service: Arc<S>, config: AppConfig) -> Result<Self, serde_json::Error> {
        let AppConfig { path, front, authenticator, metadata, limits, routes } = config;
        let metadata = metadata.map(|document| Metadata::new(&path, &document)).transpose()?;
        let running = Semaphore::new(limits.concurrent_requests);
        let routes = routes.fallback(async || Refusal::not_found().into_response());
        Ok(Self { service, path, front, authenticator, metadata, limits, routes, running })
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Body>) -> Response {
        self.admitted(request).await.unwrap_or_else(Refusal::into_response)
    }

    async fn admitted(&self, request: Request<Body>) -> Result<Response, Refusal> {
        self.front.check_host(request.uri(), request.headers())?;
        let path = request.uri().path();
        if let Some(metadata) = self.metadata.as_ref().filter(|metadata| metadata.is_at(path)) {
            return Ok(metadata.answer(request.method()));
        }
        let origin = self.front.check_origin(request.headers())?.cloned();
        let Ok(_permit) = self.running.try_acquire() else { return Err(Refusal::busy()) };
        let mut response = if path.strip_suffix('/').unwrap_or(path) == self.path {
            self.endpoint(request).await
        } else {
            self.route(request).await
        };
        if let Some(origin) = origin {
            cors::allow(&mut response, origin);
        }
        Ok(response)
    }

    async fn endpoint(&self, request: Request<Body>) -> Response {
        if cors::is_preflight(request.method(), request.headers()) {
            return cors::preflight();
        }
        let authenticator = self.authenticator.as_ref();
        endpoint::answer(&*self.service, authenticator, &self.limits, request)
            .await
            .unwrap_or_else(Refusal::into_response)
    }

    async fn route(&self, request: Request<Body>) -> Response {
        let request = request.map(|body| Body::new(Limited::new(body, self.limits.body_bytes)));
        let path = request.uri().path().to_owned();
        let answer = AssertUnwindSafe(self.routes.clone().oneshot(request)).catch_unwind();
        match tokio::time::timeout(self.limits.handler, answer).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_)) => {
                tracing::error!(path = %path.escape_debug(), "the handler of a route panicked");
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error").into_response()
            }
            Err(_) => {
                tracing::error!(path = %path.escape_debug(), "the handler of a route took too long");
                Refusal::new(StatusCode::GATEWAY_TIMEOUT, "The handler took too long")
                    .into_response()
            }
        }
    }
}

impl<S> fmt::Debug for App<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("path", &self.path).finish_non_exhaustive()
    }
}
