//! Requests of the test client to custom routes.

use std::fmt;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use futures_util::future::BoxFuture;
use portcullis_auth::{
    Authenticator, BearerToken, MaybeFuture, Principal, PublicUrl, Scopes, TokenVerifier,
    VerifyError,
};
use portcullis_protocol::http::{App, AppConfig, Peer};
use serde_json::Value;

use crate::operation::EngineService;
use crate::route::guard::mounts;
use crate::testing::client::{ORIGIN, TestClient};

impl TestClient {
    /// Asks a [custom route](mod@crate::route) with `GET`. See [`send`](Self::send).
    pub async fn get(&self, path: &str) -> TestResponse {
        match Request::get(path).body(Vec::new()) {
            Ok(request) => self.send(request).await,
            Err(_) => TestResponse::empty(StatusCode::BAD_REQUEST),
        }
    }

    /// Sends a request of HTTP to a [custom route](mod@crate::route), as this client's user:
    /// through the guards for Host, size and time, the bearer token, rate limits, the route's
    /// check, and audit. Host and Origin are compared as by this server on loopback, with its
    /// `public_url`, `allow_host` and `allow_origin`; `Host` is `localhost` unless the request has
    /// one. A user's token need not be given. What answers with an endless stream is waited for as
    /// long.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::http::Request;
    /// use portcullis::prelude::*;
    /// use portcullis::testing::TestClient;
    /// use portcullis::route::{get, post};
    ///
    /// # #[tokio::main] async fn main() -> Result<(), portcullis::Error> {
    /// # let tokens = danger::StaticTokenVerifier::new().token("t", danger::user("dev"));
    /// let server = Server::builder("example")
    ///     .auth(tokens)
    ///     .route(get("/health", async || "ok").public("liveness, reveals nothing"))
    ///     .route(post("/admin/reset", async || "done").require(require_scopes(["admin"])))
    ///     .build()?;
    /// let anybody = TestClient::new(&server);
    /// assert_eq!(anybody.get("/health").await.text(), Some("ok"));
    ///
    /// let reset = || Request::post("/admin/reset").body(Vec::new()).unwrap();
    /// assert_eq!(anybody.send(reset()).await.status(), 401);
    /// assert_eq!(anybody.as_user("bob").send(reset()).await.status(), 403);
    /// let alice = anybody.as_user("alice").scopes(["admin"]);
    /// assert_eq!(alice.send(reset()).await.text(), Some("done"));
    /// # Ok(()) }
    /// ```
    pub async fn send(&self, request: Request<Vec<u8>>) -> TestResponse {
        self.sent(request).await
    }

    /// Boxed, so that it is compiled here, and not by each test.
    fn sent(&self, request: Request<Vec<u8>>) -> BoxFuture<'_, TestResponse> {
        let mut request = request.map(Body::from);
        let headers = request.headers_mut();
        headers.entry(HOST).or_insert(HeaderValue::from_static("localhost"));
        if self.principal.is_some() {
            headers.entry(AUTHORIZATION).or_insert(HeaderValue::from_static("Bearer test"));
        }
        Box::pin(async move {
            let Some(app) = self.app() else {
                return TestResponse::empty(StatusCode::INTERNAL_SERVER_ERROR);
            };
            let (head, body) = app.answer(request, &Peer::default()).await.into_parts();
            let body = to_bytes(body, usize::MAX).await.ok();
            TestResponse { status: head.status, headers: head.headers, body }
        })
    }

    /// The server over HTTP, for whom any token is one of this client's user.
    fn app(&self) -> Option<App<EngineService>> {
        let engine = &self.engine;
        let url = PublicUrl::parse(ORIGIN, self.path.clone()).ok()?;
        let authenticator = self.required.clone().map(|required| {
            let user = User { principal: self.principal.clone().map(Arc::new), required };
            let (url, clock) = (url.metadata_url(), Arc::clone(&engine.clock));
            let authenticator = Authenticator::new(Arc::new(user), url, clock);
            Arc::new(authenticator.with_hierarchy(Arc::clone(&engine.facilities.hierarchy)))
        });
        let mounts = mounts(&self.routes, engine, authenticator.as_ref());
        let config = AppConfig {
            path: self.path.clone(),
            guard: self.guard.clone()?,
            authenticator,
            authenticator_with_slash: None,
            keeps_access_tokens: false,
            connect_page: None,
            mounts,
            limits: engine.limits.clone(),
            clock: Arc::clone(&engine.clock),
            store: Arc::clone(&engine.store),
        };
        App::new(Arc::new(EngineService(Arc::clone(engine))), config).ok()
    }
}

/// Takes every token for one of the same user's.
#[derive(Debug)]
struct User {
    principal: Option<Arc<Principal>>,
    required: Scopes,
}

impl TokenVerifier for User {
    fn verify<'a>(
        &'a self,
        _: &'a BearerToken,
    ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
        let principal = self.principal.clone();
        MaybeFuture::ready(
            principal.ok_or_else(|| VerifyError::invalid("the test client is nobody")),
        )
    }

    fn required_scopes(&self) -> Scopes {
        self.required.clone()
    }
}

/// What a route answered a [`TestClient`].
#[derive(Clone)]
pub struct TestResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Option<Bytes>,
}

impl TestResponse {
    fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: None }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The first value of the header `name`, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, if it is text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        str::from_utf8(self.body.as_deref()?).ok()
    }

    /// The body, if it is JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body.as_deref()?).ok()
    }
}

impl fmt::Debug for TestResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestResponse")
            .field("status", &self.status())
            .field("text", &self.text())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::ORIGIN as FROM;

    use super::*;
    use crate::Server;
    use crate::route::get;

    #[tokio::test]
    async fn hosts_and_origins_are_those_of_the_server() {
        let local = || {
            let health = get("/health", async || "ok").public("liveness, reveals nothing");
            Server::builder("test").no_auth().route(health)
        };
        let public = || local().public_url("https://mcp.example.com");
        let allowing = local().allow_host("inside.example").allow_origin("https://app.example");
        let [local, public, allowing] =
            [local(), public(), allowing].map(|server| TestClient::new(&server.build().unwrap()));
        for (client, host, origin, status) in [
            (&local, "localhost", None, 200),
            (&local, "inside.example", None, 421),
            (&local, "localhost", Some("http://localhost:3000"), 200),
            (&local, "localhost", Some("https://app.example"), 403),
            (&public, "mcp.example.com", Some("https://mcp.example.com"), 200),
            (&public, "localhost", Some("http://localhost:3000"), 403),
            (&allowing, "inside.example", None, 200),
            (&allowing, "outside.example", None, 421),
            (&allowing, "localhost", Some("https://app.example"), 200),
            (&allowing, "localhost", Some("https://app.example.evil"), 403),
        ] {
            let request = Request::get("/health").header(HOST, host);
            let request = match origin {
                Some(origin) => request.header(FROM, origin),
                None => request,
            };
            let answer = client.send(request.body(Vec::new()).unwrap()).await;
            assert_eq!(answer.status(), status, "{host} {origin:?}");
            let read_by = answer.header("access-control-allow-origin");
            assert_eq!(read_by, origin.filter(|_| status == 200));
        }
    }
}
