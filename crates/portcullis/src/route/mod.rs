//! HTTP routes beside the protocol.
//!
//! Adding one means saying who may use it: everybody, and why
//! ([`public`](UndecidedRoute::public)), or whom a check lets in
//! ([`require`](UndecidedRoute::require)). Each is behind the same Host and Origin checks and
//! limits as everything else, but for [`any_host`](Route::any_host) and
//! [`rate_limit`](Route::rate_limit).
//!
//! What a route with a check decides, in this order:
//!
//! 1. Who is calling: the same bearer token as for the protocol, or 401 with the same challenge.
//!    A server without authentication has no such route: 404.
//! 2. Whether the caller is within the rate limit, its own or the server's: 429.
//! 3. Whether the check allows: 403, with `insufficient_scope` and the missing scopes where
//!    nothing else is missing. The path of a route is not a secret.
//!
//! Handlers are those of axum 0.8, which is to be among the dependencies of whoever reads a query
//! or a body, or answers JSON. That of a route with a check can take an
//! [`Extension<Caller>`](Extension); a bare `Caller`, as tools take it, is refused by the compiler.
//! Each request to a route, a public one too, is in the audit trail.
//!
//! [`alive`] and [`ready`] are routes for probes. [`ready`] answers 503 until tokens can be verified, while the
//! store is away, and as soon as the server is to stop, and [`Limits::drain_delay`](crate::server::Limits::drain_delay) gives the probes time
//! to notice.
//!
//! **Deployment caveat.** A public route is for everybody who reaches the server: only its handler
//! checks anything.
//!
//! ```
//! use portcullis::prelude::*;
//! use portcullis::route::{Extension, get, post};
//!
//! async fn health() -> &'static str {
//!     "ok"
//! }
//!
//! async fn reset(Extension(caller): Extension<Caller>) -> String {
//!     format!("reset by {}", caller.subject().unwrap_or_default())
//! }
//!
//! # let tokens = danger::StaticTokenVerifier::new();
//! let builder = Server::builder("example")
//!     .auth(tokens)
//!     .route(get("/health", health).public("liveness, reveals nothing"))
//!     .route(post("/admin/reset", reset).require(require_scopes(["admin"])));
//! ```
//!
//! One whose access was not decided cannot be added:
//!
//! ```compile_fail,E0277
//! # use portcullis::prelude::*;
//! # use portcullis::route::get;
//! # async fn health() -> &'static str { "ok" }
//! let builder = Server::builder("example").no_auth().route(get("/health", health));
//! ```

mod elicitation;
pub(crate) mod guard;
pub(crate) mod sign_in;

use std::fmt;
use std::sync::Arc;

pub use axum::Extension;
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::routing::MethodRouter;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_auth::access::compiler::Compiler;
use portcullis_auth::{Check, IntoCheck};
use portcullis_guard::LogThrottle;
use portcullis_protocol::http::HostOriginGuard;

pub use self::elicitation::{ElicitationRefused, UrlElicitation};
use crate::error::{Problem, ProblemKind};
use crate::middleware::rate_limit::{RateLimit, Sharing};
use crate::route::guard::{NotReady, Readiness};

/// What a path has only as `%` and two digits (RFC 3986 §3.3).
const NOT_IN_PATHS: AsciiSet = {
    let unreserved = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let delimiters = unreserved.remove(b'!').remove(b'$').remove(b'&').remove(b'\'').remove(b'(');
    let delimiters = delimiters.remove(b')').remove(b'*').remove(b'+').remove(b',').remove(b';');
    delimiters.remove(b'=').remove(b':').remove(b'@').remove(b'/').remove(b'%')
};

/// A route for `GET` (and `HEAD`) requests at `path`.
pub fn get<H: Handler<T, ()>, T: 'static>(path: impl Into<String>, handler: H) -> UndecidedRoute {
    UndecidedRoute::new("GET", path, axum::routing::get(handler))
}

/// A route for `POST` requests at `path`.
pub fn post<H: Handler<T, ()>, T: 'static>(path: impl Into<String>, handler: H) -> UndecidedRoute {
    UndecidedRoute::new("POST", path, axum::routing::post(handler))
}

/// A route for `PUT` requests at `path`.
pub fn put<H: Handler<T, ()>, T: 'static>(path: impl Into<String>, handler: H) -> UndecidedRoute {
    UndecidedRoute::new("PUT", path, axum::routing::put(handler))
}

/// A route for `PATCH` requests at `path`.
pub fn patch<H: Handler<T, ()>, T: 'static>(path: impl Into<String>, handler: H) -> UndecidedRoute {
    UndecidedRoute::new("PATCH", path, axum::routing::patch(handler))
}

/// A route for `DELETE` requests at `path`.
pub fn delete<H: Handler<T, ()>, T: 'static>(
    path: impl Into<String>,
    handler: H,
) -> UndecidedRoute {
    UndecidedRoute::new("DELETE", path, axum::routing::delete(handler))
}

/// A public route for probes of liveness at `path`, `/healthz` most often: 200 as long as the process
/// answers. It asks for nothing: to start the server again would bring back neither a store nor keys. Nor does
/// it fail where an audit sink does ([`AuditFailure::Stop`](crate::audit::AuditFailure::Stop)): whoever stops
/// the server for that loses the records that wait in it.
///
/// It answers to [any host](Route::any_host): probes call a server by its address.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
/// use portcullis::route::{alive, ready};
///
/// # let tokens = danger::StaticTokenVerifier::new();
/// let builder = Server::builder("example")
///     .auth(tokens)
///     .route(alive("/healthz"))
///     .route(ready("/readyz"));
/// ```
pub fn alive(path: impl Into<String>) -> Route {
    let mut route = get(path, async || "alive").public("liveness, reveals nothing").any_host();
    route.answers_unrecorded = true;
    route
}

/// A public route for probes of readiness at `path`, `/readyz` most often: 200 while the server
/// serves; 503 until it can verify tokens, while its store is away, and once it is to stop. The log says
/// why.
///
/// Whether tokens can be verified is asked until they can be, once: an issuer whose keys cannot be had
/// at a later time makes no server less ready, since the known ones go on verifying.
///
/// It is no probe of liveness: that is [`alive`].
///
/// It answers to [any host](Route::any_host): probes call a server by its address.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
/// use portcullis::route::ready;
/// use std::time::Duration;
///
/// # #[tool] async fn ping() -> &'static str { "pong" }
/// # fn main() -> Result<(), portcullis::Error> {
/// Server::builder("example")
///     .no_auth()
///     .components(components![ping])
///     .route(ready("/readyz"))
///     .limits(|limits| limits.drain_delay = Duration::from_secs(15))
///     .build()?;
/// # Ok(()) }
/// ```
pub fn ready(path: impl Into<String>) -> Route {
    // Everybody may ask.
    let log = Arc::new(LogThrottle::new());
    get(path, async move |Extension(readiness): Extension<Readiness>| {
        match readiness.check().await {
            Ok(()) => (StatusCode::OK, "ready"),
            Err(NotReady::Stopping) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            Err(NotReady::Waiting(reason)) => {
                if log.pass().is_some() {
                    tracing::warn!(reason, "not ready");
                }
                (StatusCode::SERVICE_UNAVAILABLE, "not ready")
            }
        }
    })
    .public("readiness, reveals nothing else")
    .any_host()
}

/// A route without an access rule yet.
#[must_use = "say who may use the route: .public(\"why\") or .require(check)"]
pub struct UndecidedRoute {
    path: String,
    method: &'static str,
    router: MethodRouter,
}

impl UndecidedRoute {
    fn new(method: &'static str, path: impl Into<String>, router: MethodRouter) -> Self {
        Self { path: path.into(), method, router }
    }

    /// Everybody may use the route; the server says `why` when it starts.
    pub fn public(self, why: impl Into<String>) -> Route {
        self.decided(Access::Public(why.into()))
    }

    /// Callers with a good token may use the route if `check` allows.
    pub fn require<M>(self, check: impl IntoCheck<M>) -> Route {
        self.decided(Access::Required(check.into_check()))
    }

    fn decided(self, access: Access) -> Route {
        let Self { path, method, router } = self;
        let (any_host, is_page, answers_unrecorded, limit) = (false, false, false, None);
        Route { path, method, router, access, any_host, is_page, answers_unrecorded, limit }
    }
}

/// A route and who may use it.
#[derive(Clone)]
#[must_use = "add the route with .route(…)"]
pub struct Route {
    pub(crate) path: String,
    pub(crate) method: &'static str,
    pub(crate) router: MethodRouter,
    pub(crate) access: Access,
    any_host: bool,
    is_page: bool,
    /// Whether it answers also where a request is not recorded, and the server is to stop for that.
    answers_unrecorded: bool,
    limit: Option<Arc<RateLimit>>,
}

/// What [`route`](crate::ServerBuilder::route) takes: a [`Route`].
#[diagnostic::on_unimplemented(
    message = "the route has no access rule",
    label = "`{Self}` is not a complete route",
    note = "call `.public(\"why\")` to open it to everybody, or `.require(check)`"
)]
pub trait IntoRoute {
    /// The route.
    fn into_route(self) -> Route;
}

impl IntoRoute for Route {
    fn into_route(self) -> Route {
        self
    }
}

/// Who may use a route.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// Everybody, and why.
    Public(String),
    /// Callers whom the check allows.
    Required(Arc<dyn Check>),
}

impl Route {
    /// Answers requests for any host: probes of Kubernetes and of load balancers request a pod by
    /// its address. For public routes only: with it on another route, the server does not build.
    ///
    /// **Deployment caveat.** DNS rebinding lets any web page read the answers of the route as if
    /// they were its own: use it for public information only.
    ///
    /// ```
    /// # use portcullis::prelude::*;
    /// use portcullis::route::get;
    /// # let tokens = danger::StaticTokenVerifier::new();
    /// let health = get("/health", async || "ok").public("liveness, reveals nothing").any_host();
    /// let builder = Server::builder("example").auth(tokens).route(health);
    /// ```
    pub fn any_host(mut self) -> Self {
        self.any_host = true;
        self
    }

    /// Serves a page that people open: by a link of another site too, which a browser follows in a tab of its
    /// own. For routes for `GET`, as one that users are sent to by
    /// [`Context::elicit_url`](crate::Context::elicit_url). What is refused to a person is said in a page.
    ///
    /// Requests of another site's frames, forms and scripts are refused as elsewhere (CSRF), by other methods
    /// at the same path too.
    pub fn page(mut self) -> Self {
        self.is_page = true;
        self
    }

    /// Its path, if it is a page that a browser can be sent to.
    pub(crate) fn page_path(&self) -> Option<String> {
        (self.is_page && self.method == "GET").then(|| self.path.clone())
    }

    /// Gives the route a limit of its own: for each address where it is public, and else for
    /// each principal.
    ///
    /// Without one a public route has none, since behind a proxy all clients and probes have one
    /// address; and another counts as requests to the protocol do, for its principal.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.limit = Some(Arc::new(limit));
        self
    }

    pub(crate) fn answers_unrecorded(&self) -> bool {
        self.answers_unrecorded
    }

    /// The rate limit of this route alone.
    pub(crate) fn limit(&self) -> Option<Arc<RateLimit>> {
        self.limit.clone()
    }

    /// Shares the rate limit of this route with the replicas of the server.
    pub(crate) fn share(&self, sharing: &Sharing) {
        if let Some(limit) = &self.limit {
            limit.share(sharing, &self.name());
        }
    }

    /// Lets requests for any host pass the guard, if the route takes them.
    pub(crate) fn through(&self, guard: HostOriginGuard) -> HostOriginGuard {
        match (&self.access, Method::from_bytes(self.method.as_bytes())) {
            (Access::Public(_), Ok(method)) if self.any_host => {
                guard.any_host(method, self.path.clone())
            }
            _ => guard,
        }
    }

    /// The check that stands before it, if it is not public.
    pub(crate) fn check(&self) -> Option<Arc<dyn Check>> {
        match &self.access {
            Access::Public(_) => None,
            Access::Required(check) => Some(Arc::clone(check)),
        }
    }

    /// The line that start-up says about it to the operator.
    pub(crate) fn described(&self, authenticated: bool) -> String {
        let Self { method, path, access, .. } = self;
        match access {
            Access::Required(_) if !authenticated => format!(
                "route: {method} {path}, hidden from everybody: the server has no authentication, \
                 so set .auth(…), or make the route public"
            ),
            Access::Public(why) => {
                let any_host = if self.any_host { ", for any Host" } else { "" };
                format!("public route: {method} {path}{any_host} ({why})")
            }
            Access::Required(check) => {
                format!("route: {method} {path}, needs {}", check.requirement())
            }
        }
    }

    /// Whether nobody can use it.
    pub(crate) fn is_unreachable(&self, authenticated: bool) -> bool {
        self.check().is_some() && !authenticated
    }

    /// What is wrong with the route, if anything.
    pub(crate) fn problem(&self, endpoint: &str) -> Option<Problem> {
        self.flaw(endpoint).map(|problem| problem.within(self.name()))
    }

    /// As the operator reads it.
    pub(crate) fn name(&self) -> String {
        format!("route {} {}", self.method, self.path)
    }

    fn flaw(&self, endpoint: &str) -> Option<Problem> {
        let flaw = |kind, text: &str| Some(Problem::new(kind, text));
        if !self.path.starts_with('/') || self.path.contains(['{', '}', '*', '?', '#', ':']) {
            return flaw(ProblemKind::InvalidPath, "a path is plain text that begins with `/`");
        }
        if let Some(text) = unmatched(&self.path) {
            return flaw(ProblemKind::InvalidPath, &text);
        }
        let path = self.path.trim_end_matches('/');
        if path == endpoint || path.starts_with("/.well-known/") {
            let text = "the protocol uses this path: choose another";
            return flaw(ProblemKind::ReservedPath, text);
        }
        if self.any_host && self.check().is_some() {
            return flaw(ProblemKind::InvalidRoute, "any_host() works on public routes only");
        }
        if self.is_page && self.method != "GET" {
            return flaw(ProblemKind::InvalidRoute, "page() works on routes for GET only");
        }
        if let Some(limit) = &self.limit {
            if limit.is_per_component() {
                let text = "a route is not a component: use RateLimit::per_principal(…)";
                return flaw(ProblemKind::InvalidRateLimit, text);
            }
            if let Some(problem) = limit.problem() {
                return Some(problem);
            }
        }
        match &self.access {
            Access::Public(why) if why.trim().is_empty() => {
                flaw(ProblemKind::InvalidRoute, ".public(\"\"): say why the route is public")
            }
            Access::Required(check) if check.reads_arguments() => {
                flaw(ProblemKind::InvalidCheck, "the check reads arguments, but a route has none")
            }
            Access::Required(check) if !check.tags(Compiler).is_empty() => {
                flaw(ProblemKind::InvalidCheck, "the check asks for a tag, but a route has none")
            }
            Access::Required(check) => {
                check.validate().err().map(|text| Problem::new(ProblemKind::InvalidCheck, text))
            }
            Access::Public(_) => None,
        }
    }
}

/// Why no request would ever match a path, which is compared as clients send it.
fn unmatched(path: &str) -> Option<String> {
    let sent = utf8_percent_encode(path, &NOT_IN_PATHS).to_string();
    if sent != path {
        return Some(format!("clients escape this path: write {sent:?}, or use plain letters"));
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Some("clients resolve the segments `.` and `..`: leave them out".to_owned());
    }
    let hex = |byte: Option<u8>| byte.is_some_and(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    let escaped = |rest: &str| {
        let mut digits = rest.bytes();
        hex(digits.next()) && hex(digits.next())
    };
    if path.split('%').skip(1).any(|rest| !escaped(rest)) {
        return Some("a `%` needs two upper-case hexadecimal digits".to_owned());
    }
    None
}

impl fmt::Debug for UndecidedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UndecidedRoute({} {})", self.method, self.path)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({})", self.described(true))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_auth::require_scopes;

    use super::*;

    fn problem(route: &Route) -> Option<ProblemKind> {
        route.problem("/mcp").map(|problem| problem.kind())
    }

    fn health() -> UndecidedRoute {
        get("/health", async || "ok")
    }

    #[test]
    fn trial_b7_only_what_is_public_is_for_any_host() {
        let public = health().public("liveness").any_host();
        assert_eq!(public.described(true), "public route: GET /health, for any Host (liveness)");
        assert_eq!(problem(&public), None);
        let protected = health().require(require_scopes(["admin"])).any_host();
        assert_eq!(problem(&protected), Some(ProblemKind::InvalidRoute));
        assert_eq!(
            protected.problem("/mcp").unwrap().to_string(),
            "route GET /health: any_host() works on public routes only"
        );
        let endpoint = get("/mcp", async || "ok").public("x").any_host();
        assert_eq!(problem(&endpoint), Some(ProblemKind::ReservedPath));
    }

    #[test]
    fn a_path_that_no_request_matches_is_refused_with_the_one_that_does() {
        let text = |path: &str| {
            let problem = get(path, async || "ok").public("x").problem("/mcp")?;
            assert_eq!(problem.kind(), ProblemKind::InvalidPath, "{path}");
            Some(problem.text().to_owned())
        };
        let written =
            |path: &str| format!("clients escape this path: write {path:?}, or use plain letters");
        assert_eq!(text("/größe"), Some(written("/gr%C3%B6%C3%9Fe")));
        assert_eq!(text("/a b"), Some(written("/a%20b")));
        for never in ["/a/../b", "/.", "/gr%c3%b6%c3%9fe", "/100%", "/%2"] {
            assert!(text(never).is_some(), "{never}");
        }
        for fine in ["/gr%C3%B6%C3%9Fe", "/a%20b", "/v1.0/it's(a)~b;c=d@e,f!", "/..a/.b", "/"] {
            assert_eq!(text(fine), None, "{fine}");
        }
    }

    #[test]
    fn trial_d2_a_limit_of_a_route_makes_sense() {
        let minute = Duration::from_secs(60);
        let with = |limit: RateLimit| problem(&health().public("liveness").rate_limit(limit));
        assert_eq!(with(RateLimit::per_principal(5, minute)), None);
        let refused = Some(ProblemKind::InvalidRateLimit);
        assert_eq!(with(RateLimit::per_principal(0, minute)), refused);
        assert_eq!(with(RateLimit::per_component(5, minute)), refused);
    }
}
