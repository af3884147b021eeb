use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use futures_util::FutureExt;
use http::{Request, StatusCode};
use http_body_util::Limited;
use portcullis_auth::{Authenticator, LastBearer, ProtectedResourceMetadata};
use portcullis_guard::Clock;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::body::RequestBody;
use super::caller::Asked;
use super::cors;
use super::endpoint::Endpoint;
use super::front::Front;
use super::media;
use super::metadata::Metadata;
use super::peer::Peer;
use super::refusal::{self, Refusal, Rule};
use super::session::Sessions;

use crate::{Limits, Service};

/// What an [`App`] is made of.
#[derive(Debug)]
pub struct AppConfig {
    /// The path of the MCP endpoint, without a slash at its end.
    pub path: String,
    /// Which hosts and origins are the server's own.
    pub front: Front,
    /// Who is let in; without one, everybody.
    pub authenticator: Option<Arc<Authenticator>>,
    /// The protected-resource metadata, where tokens are asked for.
    pub metadata: Option<ProtectedResourceMetadata>,
    /// What may be taken of the server.
    pub limits: Limits,
    /// By which sessions are idle, and streams end with their tokens.
    pub clock: Arc<dyn Clock>,
    /// Routes beside the endpoint.
    pub routes: Router,
}

/// Everything that answers HTTP requests: the endpoint, its metadata, the custom routes.
///
/// Each request passes the front first, whatever its path.
pub struct App<S> {
    endpoint: Endpoint<S>,
    path: String,
    front: Front,
    metadata: Option<Metadata>,
    routes: Router,
    running: Semaphore,
    routing: Semaphore,
}

impl<S: Service> App<S> {
    /// An app that serves `service`.
    ///
    /// # Errors
    ///
    /// When the metadata document cannot be written as JSON.
    pub fn new(service: Arc<S>, config: AppConfig) -> Result<Self, serde_json::Error> {
        let AppConfig { path, front, authenticator, metadata, limits, clock, routes } = config;
        let metadata = metadata.map(|document| Metadata::new(&path, &document)).transpose()?;
        let running = Semaphore::new(limits.concurrent_requests);
        let routing = Semaphore::new(limits.concurrent_requests);
        let routes = routes.fallback(async || refusal::outside(StatusCode::NOT_FOUND, None));
        let on_end = {
            let service = Arc::clone(&service);
            move |session| service.session_ended(session)
        };
        let sessions = Arc::new(Sessions::new(&limits, clock, on_end));
        let endpoint = Endpoint { service, sessions, authenticator, limits };
        Ok(Self { endpoint, path, front, metadata, routes, running, routing })
    }

    /// Ends what has no end of its own: the streams of sessions.
    pub(super) fn stop(&self) {
        self.endpoint.sessions.stop();
    }

    #[cfg(test)]
    pub(super) fn sessions(&self) -> &Sessions {
        &self.endpoint.sessions
    }

    /// Answers one request, which came over the connection of `peer`.
    pub async fn answer(&self, request: Request<impl RequestBody>, peer: &Peer) -> Response {
        let path = request.uri().path();
        let is_endpoint = path.strip_suffix('/').unwrap_or(path) == self.path;
        let path = is_endpoint.then_some(&*self.path);
        let asked = Asked::new(request.method(), path, peer.remote);
        // Lent from here on: to hand it on would copy it, time and again. Who wants the body
        // takes it.
        let mut request = request.map(Some);
        let answer = self.admitted(&mut request, asked, &peer.last_bearer).await;
        answer.unwrap_or_else(|refusal| self.refuse(refusal, asked))
    }

    /// Notes that a connection was turned away, because there are too many.
    pub(super) fn refuse_connection(&self, remote: SocketAddr) {
        let asked = Asked { http_method: None, path: None, remote: Some(remote) };
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let refused = asked.refused(Rule::Limits, "too many connections", status, None);
        self.endpoint.service.refused(&refused);
    }

    /// The one place where requests are refused, noted and answered.
    fn refuse(&self, refusal: Refusal, asked: Asked<'_>) -> Response {
        self.endpoint.service.refused(&refusal.record(asked));
        match asked.path {
            Some(_) => refusal.into_response(),
            None => refusal.into_response_outside(),
        }
    }

    async fn admitted(
        &self,
        request: &mut Request<Option<impl RequestBody>>,
        asked: Asked<'_>,
        last: &LastBearer,
    ) -> Result<Response, Refusal> {
        self.front.check_host(request.method(), request.uri(), request.headers())?;
        media::check_framing(request.headers())?;
        if let Some(metadata) = &self.metadata
            && metadata.is_at(request.uri().path())
        {
            return Ok(metadata.answer(request.method()));
        }
        let origin = self.front.check_origin(request.headers())?.cloned();
        let answer = match asked.path {
            Some(_) => self.endpoint(request, asked, last).await,
            None => {
                let request = mem::take(request);
                self.route(request.map(|body| body.map_or_else(Body::empty, Body::new)), asked)
                    .await
            }
        };
        let mut response = answer.unwrap_or_else(|refusal| self.refuse(refusal, asked));
        if let Some(origin) = origin {
            cors::allow(&mut response, origin);
        }
        Ok(response)
    }

    async fn endpoint(
        &self,
        request: &mut Request<Option<impl RequestBody>>,
        asked: Asked<'_>,
        last: &LastBearer,
    ) -> Result<Response, Refusal> {
        if cors::is_preflight(request.method(), request.headers()) {
            return Ok(cors::preflight());
        }
        let _permit = self.running.try_acquire().map_err(|_| Refusal::busy())?;
        self.endpoint.answer(request, asked, last).await
    }

    /// Routes have places of their own: a busy endpoint is no reason to look dead. Their
    /// handlers find the peer of the connection where axum has it.
    async fn route(&self, request: Request<Body>, asked: Asked<'_>) -> Result<Response, Refusal> {
        let _permit = self.routing.try_acquire().map_err(|_| Refusal::busy())?;
        let body_bytes = self.endpoint.limits.body_bytes;
        let mut request = request.map(|body| Body::new(Limited::new(body, body_bytes)));
        if let Some(remote) = asked.remote {
            request.extensions_mut().insert(ConnectInfo(remote));
        }
        let path = request.uri().path().to_owned();
        let answer = AssertUnwindSafe(self.routes.clone().oneshot(request)).catch_unwind();
        Ok(match tokio::time::timeout(self.endpoint.limits.handler, answer).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_)) => {
                tracing::error!(path = %path.escape_debug(), "the handler of a route panicked");
                refusal::outside(StatusCode::INTERNAL_SERVER_ERROR, Some("Internal error"))
            }
            Err(_) => {
                tracing::error!(path = %path.escape_debug(), "the handler of a route took too long");
                refusal::outside(StatusCode::GATEWAY_TIMEOUT, Some("The handler took too long"))
            }
        })
    }
}

impl<S> fmt::Debug for App<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::{AUTHORIZATION, HOST};
    use portcullis_auth::{Answer, BearerToken, Principal, TokenVerifier, VerifyError};
    use portcullis_guard::SystemClock;

    use super::*;
    use crate::{Exchange, Identity, Operation, Outcome, RpcError};

    #[derive(Debug)]
    enum Broken {
        Panics,
        PanicsLater,
        NeverEnds,
    }

    impl TokenVerifier for Broken {
        fn verify<'a>(
            &'a self,
            _: &'a BearerToken,
        ) -> Answer<'a, Result<Arc<Principal>, VerifyError>> {
            match self {
                Self::Panics => panic!("broken"),
                Self::PanicsLater => Answer::pending(async { panic!("broken later") }),
                Self::NeverEnds => Answer::pending(std::future::pending()),
            }
        }
    }

    struct Nothing(Identity);

    impl Service for Nothing {
        fn identity(&self) -> &Identity {
            &self.0
        }

        async fn serve(&self, _: Operation<'_>, _: Exchange) -> Result<Outcome, RpcError> {
            Err(RpcError::Busy)
        }

        fn changes(
            self: &Arc<Self>,
            _: &Exchange,
        ) -> impl futures_util::Stream<Item = crate::Changed> + Send + 'static {
            futures_util::stream::pending()
        }
    }

    fn app(verifier: Option<Broken>, routes: Router) -> App<Nothing> {
        let clock = Arc::new(SystemClock);
        let authenticator = verifier
            .map(|verifier| Authenticator::new(Arc::new(verifier), String::new(), clock).into());
        let clock = Arc::new(SystemClock);
        let limits = Limits {
            decision: Duration::from_millis(20),
            handler: Duration::from_millis(20),
            body_read: Duration::from_millis(20),
            concurrent_requests: 1,
            ..Limits::default()
        };
        let front = Front::new(Vec::new(), super::super::Origins::default(), true);
        let path = "/mcp".to_owned();
        let config =
            AppConfig { path, front, authenticator, metadata: None, limits, clock, routes };
        App::new(Arc::new(Nothing(Identity::new("nothing", "1", None))), config).unwrap()
    }

    fn request(path: &str, body: Body) -> Request<Body> {
        let request =
            Request::post(path).header(HOST, "localhost").header(AUTHORIZATION, "Bearer x");
        request.header("content-type", "application/json").body(body).unwrap()
    }

    #[tokio::test]
    async fn h13_a_verifier_that_breaks_lets_nobody_in() {
        for broken in [Broken::Panics, Broken::PanicsLater, Broken::NeverEnds] {
            let app = app(Some(broken), Router::new());
            let response = app.answer(request("/mcp", Body::from("{}")), &Peer::default()).await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(response.headers().contains_key("retry-after"));
        }
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_not_waited_for() {
        let endless =
            Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let response =
            app(None, Router::new()).answer(request("/mcp", endless), &Peer::default()).await;
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn routes_that_panic_or_never_end_are_answered_for() {
        let routes = Router::new()
            .route("/panics", axum::routing::post(async || -> String { panic!("hunter2") }))
            .route("/never", axum::routing::post(std::future::pending::<String>));
        let app = app(None, routes);
        for (path, status) in [("/panics", 500), ("/never", 504), ("/missing", 404)] {
            let response = app.answer(request(path, Body::empty()), &Peer::default()).await;
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.headers()["content-type"], "application/json");
        }
    }

    #[tokio::test]
    async fn one_request_too_many_is_told_when_to_come_back() {
        let app = Arc::new(app(
            None,
            Router::new().route("/never", axum::routing::post(std::future::pending::<String>)),
        ));
        for path in ["/never", "/mcp"] {
            let endless = Body::from_stream(futures_util::stream::pending::<
                Result<Vec<u8>, std::io::Error>,
            >());
            let first = tokio::spawn({
                let app = Arc::clone(&app);
                async move { app.answer(request(path, endless), &Peer::default()).await }
            });
            tokio::task::yield_now().await;
            let second = app.answer(request(path, Body::empty()), &Peer::default()).await;
            assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert_eq!(second.headers()["retry-after"], "1");
            let other = if path == "/mcp" { "/missing" } else { "/mcp" };
            let other = app.answer(request(other, Body::empty()), &Peer::default()).await;
            assert_ne!(other.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert!([408, 504].contains(&first.await.unwrap().status().as_u16()), "{path}");
        }
    }
}
