//! A server without a socket, for tests: what answers, whom it lets in, and what time it is.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::response::Response;
use http::header::{AUTHORIZATION, HOST};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use portcullis_auth::{
    Authenticator, BearerToken, EndpointPath, MaybeFuture, Principal, TokenVerifier, VerifyError,
};
use portcullis_guard::{Clock, ManualClock};
use portcullis_store::{Distant, FileStore, MemoryStore, Store};
use serde_json::{Value, json};

use crate::Limits;
use crate::http::{App, AppConfig, HostOriginGuard, Mount, Origins, Peer};
use crate::test_support::{Fake, REMOTE};

/// `alice` is a token of Alice's, and so is `alice.2000`, which ends at that second.
#[derive(Debug)]
pub(crate) struct Names;

impl TokenVerifier for Names {
    fn verify<'a>(
        &'a self,
        token: &'a BearerToken,
    ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
        let (name, end) = token.expose().split_once('.').unwrap_or((token.expose(), ""));
        let principal = match name.split_once('/') {
            Some((name, client)) => Principal::new(name).with_client_id(client),
            None => Principal::new(name),
        };
        MaybeFuture::ready(Ok(Arc::new(match end.parse() {
            Ok(end) => principal.with_expiry(UNIX_EPOCH + Duration::from_secs(end)),
            Err(_) => principal,
        })))
    }
}

pub(crate) const METADATA: &str = "https://h/.well-known/oauth-protected-resource/mcp";

/// A server, what moves its time, and requests to it.
pub(crate) struct Edge {
    pub(crate) app: Arc<App<Fake>>,
    pub(crate) service: Arc<Fake>,
    pub(crate) store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    authenticates: bool,
}

impl Edge {
    pub(crate) fn with(authenticates: bool, change: impl FnOnce(&mut Limits)) -> Self {
        let clock = Arc::new(ManualClock::at(1_000));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        Self::on(Fake::new(), authenticates, change, clock, store)
    }

    /// Two replicas of a server, with one clock, and their store.
    pub(crate) fn replicas(authenticates: bool) -> ([Self; 2], Distant<MemoryStore>) {
        let clock = Arc::new(ManualClock::at(1_000));
        let store = Distant::new(MemoryStore::new(clock.clone()));
        let replica =
            || Self::on(Fake::new(), authenticates, |_| {}, clock.clone(), Arc::new(store.clone()));
        ([replica(), replica()], store)
    }

    /// Two more, with the store and the clock of `like`.
    pub(crate) fn replicas_on(
        authenticates: bool,
        store: &Distant<MemoryStore>,
        like: &Self,
    ) -> [Self; 2] {
        let replica = || Self::named("fake", authenticates, store, like);
        [replica(), replica()]
    }

    /// A server of this name, with the store and the clock of `like`.
    pub(crate) fn named(
        name: &str,
        authenticates: bool,
        store: &Distant<MemoryStore>,
        like: &Self,
    ) -> Self {
        let (service, clock) = (Fake::named(name), like.clock.clone());
        Self::on(service, authenticates, |_| {}, clock, Arc::new(store.clone()))
    }

    /// A server by itself, which keeps its records in `file`.
    pub(crate) fn on_file(file: &Path, clock: &Arc<ManualClock>) -> Self {
        let store = Arc::new(FileStore::open(file, clock.clone()).unwrap());
        Self::on(Fake::new(), true, |_| {}, clock.clone(), store)
    }

    /// A process of a server that keeps its records in `store`.
    pub(crate) fn on_store(store: &Distant<MemoryStore>, clock: &Arc<ManualClock>) -> Self {
        Self::on(Fake::new(), true, |_| {}, clock.clone(), Arc::new(store.clone()))
    }

    fn on(
        service: Arc<Fake>,
        authenticates: bool,
        change: impl FnOnce(&mut Limits),
        clock: Arc<ManualClock>,
        store: Arc<dyn Store>,
    ) -> Self {
        let mut limits = Limits {
            sessions: 5,
            sessions_per_principal: 2,
            streams_per_principal: 1,
            connections: 4,
            ..Limits::default()
        };
        change(&mut limits);
        let authenticator = authenticates.then(|| {
            Authenticator::new(Arc::new(Names), METADATA.to_owned(), clock.clone()).into()
        });
        let path = EndpointPath::parse("/mcp").unwrap();
        let config = AppConfig {
            mounts: vec![Mount::event_streams(&path)],
            path,
            guard: HostOriginGuard::new(Vec::new(), Origins::default(), true),
            authenticator,
            authenticator_with_slash: None,
            keeps_access_tokens: false,
            connect_page: None,
            limits,
            clock: clock.clone(),
            store: Arc::clone(&store),
        };
        let app = Arc::new(App::new(Arc::clone(&service), config).unwrap());
        Self { app, service, store, clock, authenticates }
    }

    pub(crate) fn new() -> Self {
        Self::with(true, |_| {})
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        token: &str,
        id: Option<&str>,
        body: &Value,
    ) -> Response {
        let mut request = self.request(method, token);
        if let Some(id) = id {
            request = request.header("mcp-session-id", id);
        }
        self.answer(request, body).await
    }

    /// Sends a request of the stateless version, with the headers that it needs.
    pub(crate) async fn ask(&self, token: &str, method: &str, mut params: Value) -> Response {
        let mut meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        if let Some(more) = params["_meta"].as_object() {
            meta.as_object_mut().unwrap().extend(more.clone());
        }
        params["_meta"] = meta;
        let mut request = self.request("POST", token).header("mcp-method", method);
        request = request.header("mcp-protocol-version", "2026-07-28");
        if let Some(name) = params["name"].as_str() {
            request = request.header("mcp-name", name);
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.answer(request, &body).await
    }

    pub(crate) fn request(&self, method: &str, token: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri("/mcp").header(HOST, "localhost");
        let request = request.header("content-type", "application/json");
        match self.authenticates {
            true => request.header(AUTHORIZATION, format!("Bearer {token}")),
            false => request,
        }
    }

    pub(crate) async fn answer(&self, request: http::request::Builder, body: &Value) -> Response {
        self.app
            .answer(request.body(Body::from(body.to_string())).unwrap(), &Peer::new(REMOTE))
            .await
    }

    pub(crate) async fn initialize(&self, token: &str) -> Response {
        self.initialize_in("2025-11-25", token).await
    }

    async fn initialize_in(&self, version: &str, token: &str) -> Response {
        let params = json!({"protocolVersion": version, "capabilities": {"roots": {}}});
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        self.send("POST", token, None, &body).await
    }

    pub(crate) async fn begin(&self, token: &str) -> String {
        self.begin_in("2025-11-25", token).await
    }

    pub(crate) async fn begin_in(&self, version: &str, token: &str) -> String {
        let response = self.initialize_in(version, token).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.headers()["mcp-session-id"].to_str().unwrap().to_owned()
    }

    pub(crate) async fn ping(&self, token: &str, id: &str) -> StatusCode {
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        self.send("POST", token, Some(id), &ping).await.status()
    }

    pub(crate) async fn stream(&self, token: &str, id: &str) -> Response {
        self.send("GET", token, Some(id), &Value::Null).await
    }

    /// A time that is not over soon.
    pub(crate) fn end(&self) -> SystemTime {
        self.clock.now() + Duration::from_secs(60)
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// A call of a tool that takes ten seconds.
pub(crate) fn call() -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "wait"}})
}

/// The status and the body of an answer.
pub(crate) async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}
