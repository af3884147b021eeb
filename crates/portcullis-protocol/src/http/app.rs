//! Everything that answers HTTP requests, in the order of its checks.

use std::fmt;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use http_body_util::Limited;
use portcullis_auth::{Authenticator, EndpointPath};
use portcullis_guard::Clock;
use portcullis_store::Store;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::http::budget::places::Places;
use crate::http::budget::{Budget, Held, Party, Whose};
use crate::http::connect_page::ConnectPage;
use crate::http::endpoint::Endpoint;
use crate::http::fields::Fields;
use crate::http::guard::TrustedProxies;
use crate::http::guard::body::{Counted, RequestBody, RouteBody};
use crate::http::guard::client_address::Client;
use crate::http::guard::cors::{self, Readers};
use crate::http::guard::host_origin::HostOriginGuard;
use crate::http::guard::media_type;
use crate::http::mount::{Mount, MountError, Mounts, Serves};
use crate::http::peer::{Peer, Sender};
use crate::http::rejection::{self, ErrorFormat, Rejection};
use crate::http::request_info::RequestInfo;
use crate::http::route::RouteVisitor;
use crate::http::session::Sessions;
use crate::{Limits, Service};

/// The most fields that a connection keeps room for between two requests.
const MOST_LENT: usize = 32;

/// The parts of an [`App`].
#[derive(Debug)]
pub struct AppConfig {
    /// The path of the MCP endpoint.
    pub path: EndpointPath,
    /// Which hosts and origins are the server's own.
    pub guard: HostOriginGuard,
    /// Decides who may call; without one, everybody may.
    pub authenticator: Option<Arc<Authenticator>>,
    /// The same, for requests whose path has a slash at its end: its challenges name the metadata of
    /// that form. Without one, challenges are the same for both.
    pub authenticator_with_slash: Option<Arc<Authenticator>>,
    /// Whether operations see the access token of their caller, while they are served: for a service
    /// that exchanges it. Otherwise it ends with its verification.
    pub keeps_access_tokens: bool,
    /// What a browser is shown at the path of the endpoint; without it, what programs are.
    pub connect_page: Option<ConnectPage>,
    /// What is served beside the endpoint.
    pub mounts: Vec<Mount>,
    /// The limits of the server.
    pub limits: Limits,
    /// The clock by which sessions are idle, and streams end with their tokens.
    pub clock: Arc<dyn Clock>,
    /// Where sessions are kept for the server's replicas, if they share it. They are known by the
    /// name of the server, and replicas have the same.
    pub store: Arc<dyn Store>,
}

/// Everything that answers HTTP requests: the endpoint, and what is mounted beside it.
///
/// Each request passes the guard first, whatever its path.
pub struct App<S> {
    endpoint: Endpoint<S>,
    connect_page: Option<ConnectPage>,
    mounts: Mounts,
    guard: HostOriginGuard,
    proxies: TrustedProxies,
    routing: Semaphore,
}

impl<S: Service> App<S> {
    /// An app that serves `service`.
    ///
    /// # Errors
    ///
    /// When two mounts have the same path.
    pub fn new(service: Arc<S>, config: AppConfig) -> Result<Self, MountError> {
        let AppConfig { path, guard, connect_page, mounts, limits, clock, store, .. } = config;
        let AppConfig { authenticator, authenticator_with_slash, keeps_access_tokens, .. } = config;
        let mounts = Mounts::new(&path, mounts)?;
        let routing = Semaphore::new(limits.concurrent_requests);
        let on_end = {
            let service = Arc::clone(&service);
            move |session| service.session_ended(session)
        };
        let sessions = Sessions::new(&limits, clock, on_end);
        let sessions = Arc::new(sessions.kept_in(&store, service.identity().name()));
        let budget = Budget::new(&limits);
        let places = Arc::new(Places::new(&limits, &budget));
        let endpoint = Endpoint {
            service,
            sessions,
            authenticator,
            authenticator_with_slash,
            keeps_access_tokens,
            limits,
            budget,
            places,
            prefix: EndpointPath::default(),
            stopping: AtomicBool::new(false),
        };
        let proxies = TrustedProxies::default();
        Ok(Self { endpoint, connect_page, mounts, guard, proxies, routing })
    }

    /// Answers below `prefix`, too: a proxy may pass on the path that clients send, or take away what
    /// stands before that of the server. The paths of mounts are without it, but for those that begin
    /// with a well-known segment.
    #[must_use]
    pub fn below(mut self, prefix: EndpointPath) -> Self {
        self.endpoint.prefix = prefix;
        self
    }

    /// Takes the address of a client from these proxies, for records and for the budgets of addresses.
    /// Without it no forwarded address is read.
    #[must_use]
    pub fn behind(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Counts a connection from `remote`, until what this gives is dropped; none if there are too
    /// many. That of a trusted proxy has everybody's requests, and counts for no address: they do.
    pub(super) fn enter(&self, remote: Option<SocketAddr>) -> Option<(Option<Arc<Party>>, Held)> {
        let remote = remote.map(|remote| remote.ip());
        self.budget().enter(remote.filter(|remote| !self.proxies.trusts(Some(*remote))))
    }

    /// Where the client of a request is, and behind a trusted proxy whose budget the request takes
    /// from. The port of a forwarded address is not known: it is 0.
    fn client(&self, peer: &Peer, headers: &HeaderMap) -> (Option<SocketAddr>, Option<Whose>) {
        let own = peer.remote.map(|remote| remote.ip());
        match self.proxies.client(own, headers) {
            Client::Peer => (peer.remote, None),
            Client::Forwarded(ip) => {
                let address = self.budget().remote_address(ip);
                (Some(SocketAddr::new(ip, 0)), Some(Whose::address(address.as_ref())))
            }
            // It has a budget also on this machine: no client gets out of its own by junk. A Unix
            // socket has no address, and 0.0.0.0 is nobody else's.
            Client::Unclear => {
                let address = self.budget().address(own.unwrap_or(Ipv4Addr::UNSPECIFIED.into()));
                (peer.remote, Some(Whose::address(Some(&address))))
            }
        }
    }

    /// Refuses what is asked from here on, and ends the streams of sessions, which have no end of
    /// their own. What runs goes on, and is told what its client answers or cancels.
    pub(super) fn stop(&self) {
        self.endpoint.stopping.store(true, Ordering::SeqCst);
        self.endpoint.sessions.stop();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.endpoint.stopping.load(Ordering::SeqCst)
    }

    /// Whether a server that stops reads the request: one of a probe, or one in a session, which may
    /// be for what runs there.
    fn is_read_to_the_end<B>(
        &self,
        request: &Request<B>,
        fields: &Fields<'_>,
        mount: &Mount,
    ) -> bool {
        let method = request.method();
        let in_session = match mount.serves {
            Serves::Endpoint => !fields.session_id.is_none(),
            Serves::EventStreams(_) => true,
            Serves::Document(_) | Serves::JwkSet(_) | Serves::Routes(_) => false,
        };
        self.guard.takes_any_host(method, request.uri()) || method == Method::POST && in_session
    }

    /// The budget for requests, bodies and answers.
    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.endpoint.budget
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.endpoint.limits
    }

    /// Whether anybody has to show a token.
    pub(super) fn authenticates(&self) -> bool {
        self.endpoint.authenticator.is_some()
    }

    #[cfg(test)]
    pub(super) fn sessions(&self) -> &Sessions {
        &self.endpoint.sessions
    }

    /// Answers one request, which came over the connection of `peer`.
    pub async fn answer(&self, request: Request<impl RequestBody>, peer: &Peer) -> Response {
        self.answer_lent(&mut request.map(Some), peer).await
    }

    /// As [`answer`](Self::answer). The request is lent: to hand it on would copy it, time and again. Who
    /// wants the body takes it.
    pub(super) async fn answer_lent(
        &self,
        request: &mut Request<Option<impl RequestBody>>,
        peer: &Peer,
    ) -> Response {
        if let Some(local) = without_prefix(request.uri(), self.endpoint.prefix.as_str()) {
            *request.uri_mut() = local;
        }
        let (mount, path) = self.mounts.find(request.uri().path());
        // Apart from the request, which is lent to those who take its body.
        let headers = mem::take(request.headers_mut());
        let fields = Fields::of(&headers);
        let (remote, behind) = self.client(peer, &headers);
        let address = behind.as_ref().map_or(peer.address.as_ref(), |whose| whose.address.as_ref());
        let sender = Sender { peer, address };
        let info = RequestInfo::new(request.method(), &fields, path, remote);
        let format = self.error_format(request.method(), &fields, mount);
        let answer = self.admitted((request, &fields), (mount, format), info, sender).await;
        let refused = |refusal| Box::new(self.refuse(refusal, info, format));
        let mut answer = answer.unwrap_or_else(refused);
        if let Some(whose) = behind {
            answer.extensions_mut().insert(whose);
        }
        if request.version() <= Version::HTTP_11 {
            lend(&mut answer, headers);
        }
        *answer
    }

    /// Answers a request whose connection leaves too much unread.
    pub(super) fn refuse_unread(&self, peer: &Peer) -> Response {
        let info = RequestInfo { http_method: None, path: None, remote: peer.remote, trace: None };
        self.refuse(Rejection::unread(), info, ErrorFormat::OAuth)
    }

    /// The one place where requests are refused, noted and answered.
    #[cold]
    fn refuse(&self, refusal: Rejection, info: RequestInfo<'_>, format: ErrorFormat) -> Response {
        self.endpoint.service.rejected(&refusal.record(info));
        refusal.into_response_in(format)
    }

    async fn admitted(
        &self,
        (request, fields): (&mut Request<Option<impl RequestBody>>, &Fields<'_>),
        (mount, format): (&Mount, ErrorFormat),
        info: RequestInfo<'_>,
        sender: Sender<'_>,
    ) -> Result<Box<Response>, Rejection> {
        let shown = &sender.peer.shown;
        self.guard.check_host(request.method(), request.uri(), fields, shown)?;
        media_type::check_framing(fields)?;
        if self.is_stopping() && !self.is_read_to_the_end(request, fields, mount) {
            return Err(Rejection::stopping());
        }
        if sender.peer.probes_only && info.path.is_some() {
            return Err(Rejection::too_many_connections());
        }
        if let Some(page) = self.page_for(request.method(), fields, mount) {
            return Ok(Box::new(page.answer()));
        }
        let readers = self.guard.check_origin(mount.origin, fields)?;
        let answer = match &mount.serves {
            Serves::Endpoint => self.endpoint(request, fields, info, sender).await,
            Serves::EventStreams(_) if cors::is_preflight(request.method(), fields.headers) => {
                Ok(Box::new(cors::preflight(fields.headers)))
            }
            Serves::EventStreams(paths) => {
                // Boxed: what few clients ask for makes no request of others larger.
                let request = (request, fields);
                let streams = self.endpoint.event_stream(request, paths, info, sender);
                streams.boxed().await.map(Box::new)
            }
            Serves::Document(documents) => {
                Ok(Box::new(documents.at(request.uri().path()).answer(request.method())))
            }
            Serves::JwkSet(keys) => {
                // Whoever waits for a store has a place, as in a route.
                let permit = self.routing.try_acquire().map_err(|_| Rejection::busy());
                match permit {
                    Ok(_permit) => Ok(Box::new(keys.answer(request.method()).boxed().await)),
                    Err(busy) => Err(busy),
                }
            }
            // No route has to answer them by itself.
            Serves::Routes(_)
                if mount.takes_preflights()
                    && !matches!(readers, Readers::NoPage)
                    && cors::is_preflight(request.method(), fields.headers) =>
            {
                Ok(Box::new(match readers {
                    Readers::Page(_) => cors::preflight_for_routes(fields.headers),
                    Readers::Anybody | Readers::NoPage => cors::preflight(fields.headers),
                }))
            }
            Serves::Routes(routes) => {
                let mut request = mem::take(request);
                *request.headers_mut() = fields.headers.clone();
                let request = request.map(|body| body.map_or_else(Body::empty, Body::new));
                let answer = self.route(routes, request, info, sender).boxed().await;
                let answer = match format {
                    ErrorFormat::Html => answer.map(rejection::page::in_place_of),
                    ErrorFormat::JsonRpc | ErrorFormat::OAuth => answer,
                };
                answer.map(Box::new)
            }
        };
        let refused = |refusal| Box::new(self.refuse(refusal, info, format));
        let mut response = answer.unwrap_or_else(refused);
        cors::allow(&mut response, readers);
        Ok(response)
    }

    /// The form of errors that the sender of a request reads: a page for browsers, where people come
    /// with them.
    fn error_format(&self, method: &Method, fields: &Fields<'_>, mount: &Mount) -> ErrorFormat {
        match mount.errors {
            ErrorFormat::Html if !media_type::prefers_html(fields) => ErrorFormat::OAuth,
            ErrorFormat::JsonRpc if self.page_for(method, fields, mount).is_some() => {
                ErrorFormat::Html
            }
            format => format,
        }
    }

    /// What a browser is shown that was led here, by whatever page.
    fn page_for(
        &self,
        method: &Method,
        fields: &Fields<'_>,
        mount: &Mount,
    ) -> Option<&ConnectPage> {
        let page = self.connect_page.as_ref()?;
        let asked = ConnectPage::is_asked_for(method, fields);
        (matches!(mount.serves, Serves::Endpoint) && asked).then_some(page)
    }

    async fn endpoint(
        &self,
        request: &mut Request<Option<impl RequestBody>>,
        fields: &Fields<'_>,
        info: RequestInfo<'_>,
        sender: Sender<'_>,
    ) -> Result<Box<Response>, Rejection> {
        if cors::is_preflight(request.method(), fields.headers) {
            return Ok(Box::new(cors::preflight(fields.headers)));
        }
        self.endpoint.answer(request, fields, info, sender).await
    }

    /// Routes have places of their own: a busy endpoint is no reason to look dead. Their
    /// handlers find the address of the client where axum has that of a connection.
    async fn route(
        &self,
        routes: &Router,
        request: Request<Body>,
        info: RequestInfo<'_>,
        Sender { peer, address }: Sender<'_>,
    ) -> Result<Response, Rejection> {
        let _permit = self.routing.try_acquire().map_err(|_| Rejection::busy())?;
        let Endpoint { budget, limits, .. } = &self.endpoint;
        let counts = RouteBody::new(budget, Whose::address(address));
        let counted = |body: Body| Counted::new(Limited::new(body, limits.body_bytes), &counts);
        let mut request = request.map(|body| Body::new(counted(body)));
        let (budget, standing) = (Arc::clone(budget), Arc::clone(&peer.standing));
        let visitor = RouteVisitor { budget, address: address.cloned(), standing };
        request.extensions_mut().insert(visitor);
        request.extensions_mut().insert(Arc::clone(&counts));
        if let Some(remote) = info.remote {
            request.extensions_mut().insert(ConnectInfo(remote));
        }
        let path = request.uri().path().to_owned();
        let answer = AssertUnwindSafe(routes.clone().oneshot(request)).catch_unwind();
        let answer = tokio::time::timeout(limits.handler_timeout, answer).await;
        Ok(match answer {
            Ok(Ok(Ok(_))) if counts.take_exceeded() => return Err(Rejection::busy()),
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_)) => {
                tracing::error!(path = %path.escape_debug(), "the handler of a route panicked");
                rejection::outside(StatusCode::INTERNAL_SERVER_ERROR, Some("Internal error"))
            }
            Err(_) => {
                tracing::error!(path = %path.escape_debug(), "the handler of a route took too long");
                rejection::outside(StatusCode::GATEWAY_TIMEOUT, Some("The handler took too long"))
            }
        })
    }
}

/// The URI with the path behind `prefix`, if that stands before it: as it is written, whole segments
/// alone.
fn without_prefix(uri: &Uri, prefix: &str) -> Option<Uri> {
    if prefix.is_empty() {
        return None;
    }
    let path = uri.path().strip_prefix(prefix)?;
    let path = match path {
        "" => "/",
        path if path.starts_with('/') => path,
        _ => return None,
    };
    let local = uri.query().map_or(path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(local.parse().ok()?);
    Uri::from_parts(parts).ok()
}

impl<S> fmt::Debug for App<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("mounts", &self.mounts).finish_non_exhaustive()
    }
}

/// Moves the fields of `answer` to the map that its request had: hyper reads the next head into it, and
/// would make a larger one each time.
fn lend(answer: &mut Response, mut headers: HeaderMap) {
    if headers.capacity() > MOST_LENT {
        return;
    }
    headers.clear();
    headers.extend(mem::take(answer.headers_mut()));
    *answer.headers_mut() = headers;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::{AUTHORIZATION, HOST};
    use portcullis_auth::{BearerToken, MaybeFuture, Principal, TokenVerifier, VerifyError};
    use portcullis_guard::SystemClock;
    use portcullis_store::MemoryStore;

    use super::*;
    use crate::http::budget::Of;
    use crate::http::test_server::Names;
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
        ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
            match self {
                Self::Panics => panic!("broken"),
                Self::PanicsLater => MaybeFuture::pending(async { panic!("broken later") }),
                Self::NeverEnds => MaybeFuture::pending(std::future::pending()),
            }
        }
    }

    struct Nothing(Identity);

    impl Service for Nothing {
        fn identity(&self) -> &Identity {
            &self.0
        }

        async fn serve(
            &self,
            _: &mut Operation<'_>,
            _: Arc<Exchange>,
        ) -> Result<Outcome, RpcError> {
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
        app_with(verifier.map(|verifier| Arc::new(verifier) as _), routes, |_| {})
    }

    fn app_with(
        verifier: Option<Arc<dyn TokenVerifier>>,
        routes: Router,
        change: impl FnOnce(&mut Limits),
    ) -> App<Nothing> {
        let clock = Arc::new(SystemClock);
        let authenticator =
            verifier.map(|verifier| Authenticator::new(verifier, String::new(), clock).into());
        let clock = Arc::new(SystemClock);
        let mut limits = Limits {
            decision_timeout: Duration::from_millis(20),
            handler_timeout: Duration::from_millis(20),
            body_timeout: Duration::from_millis(20),
            concurrent_requests: 1,
            ..Limits::default()
        };
        change(&mut limits);
        let guard = HostOriginGuard::new(Vec::new(), super::super::Origins::default(), true);
        let path = EndpointPath::parse("/mcp").unwrap();
        let paths = ["/panics", "/never"].map(str::to_owned);
        let mounts = vec![Mount::routes(paths, routes)];
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let connect_page = None;
        let config = AppConfig {
            path,
            guard,
            authenticator,
            authenticator_with_slash: None,
            keeps_access_tokens: false,
            connect_page,
            mounts,
            limits,
            clock,
            store,
        };
        App::new(Arc::new(Nothing(Identity::new("nothing", "1", None))), config).unwrap()
    }

    fn request(path: &str, body: Body) -> Request<Body> {
        let request =
            Request::post(path).header(HOST, "localhost").header(AUTHORIZATION, "Bearer x");
        request.header("content-type", "application/json").body(body).unwrap()
    }

    #[test]
    fn what_is_lent_has_every_value_of_the_answer_and_none_of_the_request() {
        let mut request = HeaderMap::new();
        for (name, value) in [("cookie", "a"), ("x-a", "1"), ("x-a", "2"), ("set-cookie", "never")]
        {
            request.append(name, value.parse().unwrap());
        }
        let mut answer = Response::new(Body::empty());
        for (name, value) in [("set-cookie", "b"), ("x-a", "3"), ("set-cookie", "c")] {
            answer.headers_mut().append(name, value.parse().unwrap());
        }
        let expected = answer.headers().clone();
        lend(&mut answer, request);
        assert_eq!(*answer.headers(), expected);
        assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2);
        let mut large = HeaderMap::with_capacity(MOST_LENT + 1);
        large.insert("cookie", "a".parse().unwrap());
        lend(&mut answer, large);
        assert_eq!(*answer.headers(), expected);
        assert!(answer.headers().capacity() <= MOST_LENT);
    }

    #[test]
    fn a_prefix_is_taken_away_as_it_is_written() {
        let local = |uri: &str, prefix| {
            without_prefix(&uri.parse().unwrap(), prefix).map(|uri| uri.to_string())
        };
        for (uri, expected) in [
            ("/a/b/mcp", "/mcp"),
            ("/a/b/mcp/?x=/a/b", "/mcp/?x=/a/b"),
            ("/a/b", "/"),
            ("/a/b?x", "/?x"),
            ("/a/b/a/b/mcp", "/a/b/mcp"),
            ("https://example.com/a/b/mcp", "https://example.com/mcp"),
            ("/a/b//mcp", "//mcp"),
        ] {
            assert_eq!(local(uri, "/a/b").as_deref(), Some(expected), "{uri}");
        }
        for other in ["/mcp", "/a/bc/mcp", "/A/b/mcp", "/%61/b/mcp", "/a", "/x/a/b/mcp", "*"] {
            assert_eq!(local(other, "/a/b"), None, "{other}");
        }
        assert_eq!(local("/mcp", ""), None);
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
    async fn n22_a_route_is_given_the_head_that_was_judged() {
        let seen = async |headers: HeaderMap| {
            let value = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
            let fields = ["accept", "x-a", "authorization", "host", "mcp-param-b"].iter();
            let fields = fields.flat_map(|name| headers.get_all(*name)).map(value);
            format!("{} {}", headers.len(), fields.collect::<Vec<_>>().join("|"))
        };
        let routes = Router::new().route("/panics", axum::routing::post(seen));
        let app = app(None, routes);
        let mut request = request("/panics", Body::empty());
        for (name, value) in [("x-a", "1"), ("accept", "a"), ("x-a", "2"), ("accept", "b")] {
            request.headers_mut().append(name, http::HeaderValue::from_static(value));
        }
        request.headers_mut().append("mcp-param-b", http::HeaderValue::from_static("c"));
        let answer = app.answer(request, &Peer::default()).await;
        let body = axum::body::to_bytes(answer.into_body(), 1_000).await.unwrap();
        assert_eq!(body, "8 a|b|1|2|Bearer x|localhost|c");
    }

    #[tokio::test]
    async fn n01_requests_of_one_connection_are_each_judged_by_their_own_host() {
        let routes = Router::new().route("/panics", axum::routing::post(async || "here"));
        let (app, proxy) = (app(None, routes), Peer::new("127.0.0.1:4711".parse().unwrap()));
        let ask = async |hosts: &[&'static str], target: &str| {
            let mut request = request(target, Body::empty());
            request.headers_mut().remove(HOST);
            for host in hosts {
                request.headers_mut().append(HOST, http::HeaderValue::from_static(host));
            }
            app.answer(request, &proxy).await.status().as_u16()
        };
        for _ in 0..2 {
            assert_eq!(ask(&["localhost"], "/panics").await, 200);
            assert_eq!(ask(&["evil.example"], "/panics").await, 421);
            assert_eq!(ask(&["localhost", "localhost"], "/panics").await, 400);
            assert_eq!(ask(&["localhost"], "http://evil.example/panics").await, 400);
            assert_eq!(ask(&[], "http://evil.example/panics").await, 421);
            assert_eq!(ask(&["localhost"], "http://user@localhost/panics").await, 400);
            assert_eq!(ask(&["user@localhost"], "http://user@localhost/panics").await, 400);
            assert_eq!(ask(&[], "http://localhost/panics").await, 200);
            assert_eq!(ask(&[], "/panics").await, 400);
        }
    }

    /// Knows one token, and waits for ever to learn of others.
    #[derive(Debug)]
    struct Slow;

    impl TokenVerifier for Slow {
        fn verify<'a>(
            &'a self,
            token: &'a BearerToken,
        ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
            match token.expose() {
                "known" => MaybeFuture::ready(Ok(Arc::new(Principal::new("alice")))),
                "bad" => MaybeFuture::ready(Err(VerifyError::invalid("not known"))),
                _ => MaybeFuture::pending(std::future::pending()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn q01_each_client_of_a_trusted_proxy_takes_from_a_budget_of_its_own() {
        // One address may have three quarters of the 32 verifications.
        for (forwarded, most) in
            [(Some("203.0.113.7"), 24), (Some("junk"), 24), (Some("127.0.0.2"), 32), (None, 32)]
        {
            let app = app_with(Some(Arc::new(Slow)), Router::new(), |limits| {
                limits.concurrent_requests = 128;
                limits.decision_timeout = Duration::from_secs(10);
            });
            let app = app.behind("127.0.0.1".parse().unwrap());
            let proxy = Peer::new("127.0.0.1:4711".parse().unwrap());
            let ask = |forwarded: Option<&'static str>| {
                let mut request = request("/mcp", Body::from("{}"));
                let value = forwarded.map(http::HeaderValue::from_static);
                request.headers_mut().extend(
                    value.map(|value| (http::HeaderName::from_static("x-forwarded-for"), value)),
                );
                Box::pin(app.answer(request, &proxy))
            };
            let mut waiting: Vec<_> = (0..most).map(|_| ask(forwarded)).collect();
            for request in &mut waiting {
                assert!(futures_util::poll!(request).is_pending(), "{forwarded:?}");
            }
            let refused = ask(forwarded).now_or_never().expect("it has enough");
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "{forwarded:?}");
            let mut other = ask(Some("203.0.113.8"));
            assert_eq!(futures_util::poll!(&mut other).is_pending(), most < 32, "{forwarded:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn q01_connections_of_a_trusted_proxy_count_for_no_address() {
        let limits = |limits: &mut Limits| {
            (limits.connections, limits.connections_per_address) = (8, 2);
        };
        let enters = |app: &App<Nothing>, ip: &str| {
            let remote = Some(SocketAddr::new(ip.parse().unwrap(), 1));
            let held: Vec<_> = (0..8).map_while(|_| app.enter(remote)).collect();
            held.len()
        };
        let app = app_with(None, Router::new(), limits).behind("10.0.0.0/8".parse().unwrap());
        assert_eq!((enters(&app, "10.0.0.1"), enters(&app, "11.0.0.1")), (8, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn trial_a4_what_strangers_make_the_verifier_wait_for_keeps_no_known_caller_waiting() {
        let app = Arc::new(app_with(Some(Arc::new(Slow)), Router::new(), |limits| {
            limits.concurrent_requests = 64;
            limits.decision_timeout = Duration::from_secs(10);
        }));
        let ask = |token: &str| {
            let app = Arc::clone(&app);
            let mut request = request("/mcp", Body::from("{}"));
            let token = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert(AUTHORIZATION, token);
            async move { app.answer(request, &Peer::default()).await }
        };
        let strangers: Vec<_> =
            (0..512).map(|n| tokio::spawn(ask(&format!("unknown{n}")))).collect();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let refused = strangers.iter().filter(|stranger| stranger.is_finished()).count();
        assert_eq!(refused, 512 - 64 / 4, "a quarter of the places wait");
        for _ in 0..100 {
            assert_eq!(ask("known").await.status(), StatusCode::BAD_REQUEST);
        }
        for stranger in strangers {
            let answer = stranger.await.unwrap();
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.headers().contains_key("retry-after"));
        }
        assert!(
            app.budget().take(Of::Verifications, Whose::default(), 64 / 4).is_some(),
            "given back"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn trial_a12_one_callers_slow_bodies_leave_places_for_the_requests_of_others() {
        let app = Arc::new(app_with(Some(Arc::new(Names)), Router::new(), |limits| {
            limits.concurrent_requests = 4;
            limits.body_timeout = Duration::from_secs(30);
        }));
        let ask = |name: &str, body: Body| {
            let app = Arc::clone(&app);
            let mut request = request("/mcp", body);
            let token = format!("Bearer {name}").parse().unwrap();
            request.headers_mut().insert(AUTHORIZATION, token);
            async move { app.answer(request, &Peer::default()).await.status() }
        };
        let slow = || {
            Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>())
        };
        let slow: Vec<_> = (0..4).map(|_| tokio::spawn(ask("alice", slow()))).collect();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask("bob", Body::from("{}")).await, StatusCode::BAD_REQUEST);
        let mut answers = Vec::new();
        for slow in slow {
            answers.push(slow.await.unwrap().as_u16());
        }
        answers.sort_unstable();
        assert_eq!(answers, [408, 408, 503, 503], "half are for one principal");
    }

    #[tokio::test]
    async fn trial_a6_a_connection_ends_that_shows_refused_tokens_only() {
        let app = app_with(Some(Arc::new(Slow)), Router::new(), |_| {});
        let peer = Peer::default();
        let ask = async |token: &str| {
            let mut request = request("/mcp", Body::from("{}"));
            let token = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert(AUTHORIZATION, token);
            app.answer(request, &peer).await.status().as_u16()
        };
        for _ in 0..63 {
            assert_eq!(ask("bad").await, 401);
        }
        assert_eq!(ask("known").await, 400);
        for _ in 0..64 {
            assert!(!peer.closes());
            assert_eq!(ask("bad").await, 401);
        }
        assert!(peer.closes());
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
