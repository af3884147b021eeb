//! HTTP routes beside the protocol.
//!
//! A route has no bearer check of its own, so adding one means saying that it is public,
//! and why. It is behind the same Host and Origin checks and limits as everything else.
//!
//! ```
//! use portcullis::prelude::*;
//!
//! async fn health() -> &'static str {
//!     "ok"
//! }
//!
//! let builder = Server::builder("example")
//!     .no_auth()
//!     .route(get("/health", health).public("liveness, reveals nothing"));
//! ```
//!
//! One whose access was not decided cannot be added:
//!
//! ```compile_fail
//! # use portcullis::prelude::*;
//! # async fn health() -> &'static str { "ok" }
//! let builder = Server::builder("example").no_auth().route(get("/health", health));
//! ```

use std::fmt;

use axum::handler::Handler;
use axum::routing::MethodRouter;

/// A route for `GET` (and `HEAD`) requests at `path`.
pub fn get<H, T>(path: &str, handler: H) -> UndecidedRoute
where
    H: Handler<T, ()>,
    T: 'static,
{
    UndecidedRoute { path: path.to_owned(), method: "GET", router: axum::routing::get(handler) }
}

/// A route for `POST` requests at `path`.
pub fn post<H, T>(path: &str, handler: H) -> UndecidedRoute
where
    H: Handler<T, ()>,
    T: 'static,
{
    UndecidedRoute { path: path.to_owned(), method: "POST", router: axum::routing::post(handler) }
}

/// A route of which it was not said yet who may use it.
#[must_use = "say who may use the route: .public(\"why\")"]
pub struct UndecidedRoute {
    path: String,
    method: &'static str,
    router: MethodRouter,
}

impl UndecidedRoute {
    /// Everybody may use the route; `why` is said at start.
    pub fn public(self, why: &str) -> Route {
        Route { path: self.path, method: self.method, router: self.router, why: why.to_owned() }
    }
}

/// A route and who may use it.
#[must_use = "add the route with .route(…)"]
pub struct Route {
    pub(crate) path: String,
    pub(crate) method: &'static str,
    pub(crate) router: MethodRouter,
    pub(crate) why: String,
}

impl Route {
    /// What is wrong with the route, if anything.
    pub(crate) fn problem(&self, endpoint: &str) -> Option<String> {
        let named = |problem: &str| Some(format!("route {} {}: {problem}", self.method, self.path));
        if !self.path.starts_with('/') || self.path.contains(['{', '}', '*', '?', '#', ':']) {
            return named("a path is plain text that begins with `/`");
        }
        let path = self.path.trim_end_matches('/');
        if path == endpoint || path.starts_with("/.well-known/") {
            return named("the path belongs to the protocol");
        }
        if self.why.trim().is_empty() {
            return named("say why it is public");
        }
        None
    }
}

impl fmt::Debug for UndecidedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UndecidedRoute({} {})", self.method, self.path)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({} {}, public: {})", self.method, self.path, self.why)
    }
}
