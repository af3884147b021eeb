//! A client for tests, without a network.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use portcullis_auth::challenge::{INSUFFICIENT_SCOPE, INVALID_TOKEN};
use portcullis_auth::{Claims, Granted, OneOrMany, Principal, Scopes};
#[cfg(feature = "http")]
use portcullis_auth::{EndpointPath, PublicUrl};
#[cfg(feature = "http")]
use portcullis_protocol::http::HostOriginGuard;
use portcullis_protocol::in_process::Answered;
use portcullis_protocol::{
    Changed, ClientCapabilities, ClientInfo, Exchange, ProtocolVersion, ResourceSubscriptions,
    SessionKey, Transport, in_process,
};
use serde_json::{Value, json};

use crate::operation::{Engine, EngineService, changes, updates};
#[cfg(feature = "http")]
use crate::route::Route;
use crate::server::Server;
use crate::testing::stream::TestStream;

/// Where pages are, which users are asked to open.
#[cfg(feature = "http")]
pub(super) const ORIGIN: &str = "http://localhost";

/// Asks a server without a network or a token: for tests.
///
/// Its requests pass the same stages as those of a client, once the caller is known: rate limits,
/// the decision, middleware, arguments, the function, masking and audit. It speaks 2026-07-28 over
/// HTTP as somebody who is not authenticated, unless told otherwise. Each of its methods gives a
/// client of its own, so that one can be made from another.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
/// use portcullis::testing::TestClient;
/// use serde_json::json;
///
/// /// Delete a user.
/// #[tool(auth = require_scopes(["admin"]))]
/// async fn delete_user(user_id: String) -> String {
///     format!("Deleted user {user_id}")
/// }
///
/// # #[tokio::main] async fn main() -> Result<(), portcullis::Error> {
/// # let tokens = danger::StaticTokenVerifier::new().token("t", danger::user("dev"));
/// let server = Server::builder("users").auth(tokens).components(components![delete_user]).build()?;
/// let bob = TestClient::new(&server).as_user("bob").scopes(["read"]);
/// assert!(bob.call("delete_user", json!({"user_id": "u1"})).await.is_not_found());
/// assert_eq!(bob.tools().await, Vec::<String>::new());
///
/// let alice = bob.as_user("alice").scopes(["admin"]);
/// let answer = alice.call("delete_user", json!({"user_id": "u1"})).await;
/// assert_eq!(answer.text(), Some("Deleted user u1"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct TestClient {
    pub(crate) engine: Arc<Engine>,
    /// None for a server without authentication.
    pub(crate) required: Option<Scopes>,
    pub(crate) principal: Option<Principal>,
    #[cfg(feature = "http")]
    pub(crate) path: EndpointPath,
    #[cfg(feature = "http")]
    pub(crate) routes: Arc<[Route]>,
    /// None where no URL makes one.
    #[cfg(feature = "http")]
    pub(crate) guard: Option<HostOriginGuard>,
    transport: Transport,
    version: ProtocolVersion,
    capabilities: ClientCapabilities,
    session: Option<SessionKey>,
    subscriptions: Option<Arc<ResourceSubscriptions>>,
}

impl TestClient {
    /// A client of `server` that is not authenticated.
    #[must_use]
    pub fn new(server: &Server) -> Self {
        #[cfg(feature = "http")]
        server.engine.pages.serve_tests_at(ORIGIN);
        #[cfg(feature = "http")]
        let url = match &server.http.public_url {
            Some(url) => Some(url.clone()),
            None => PublicUrl::parse(ORIGIN, server.http.path.clone()).ok(),
        };
        Self {
            engine: Arc::clone(&server.engine),
            required: server.auth.as_ref().map(|auth| auth.summary.required_scopes.clone()),
            principal: None,
            #[cfg(feature = "http")]
            path: server.http.path.clone(),
            #[cfg(feature = "http")]
            routes: server.http.routes.clone().into(),
            #[cfg(feature = "http")]
            guard: url.map(|url| server.http.guard(&url, true)),
            transport: Transport::Http,
            version: ProtocolVersion::V2026_07_28,
            capabilities: ClientCapabilities::NONE,
            session: None,
            subscriptions: None,
        }
    }

    /// As the holder of a good token for `subject`, with no scopes and no claims.
    #[must_use]
    pub fn as_user(&self, subject: impl Into<String>) -> Self {
        Self { principal: Some(Principal::new(Into::<String>::into(subject))), ..self.clone() }
    }

    /// Without authentication.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { principal: None, ..self.clone() }
    }

    /// Over stdio, as the local user.
    #[must_use]
    pub fn local(&self) -> Self {
        let (transport, session) = (Transport::Stdio, Some(SessionKey::LOCAL));
        let subscriptions = self.new_subscriptions();
        Self { principal: None, transport, session, subscriptions, ..self.clone() }
    }

    /// Sets these scopes, in place of those before.
    #[must_use]
    pub fn scopes(&self, scopes: impl OneOrMany) -> Self {
        self.with(|principal| principal.with_scopes(Scopes::from_iter(scopes.into_many())))
    }

    /// With one more claim.
    #[must_use]
    pub fn claim(&self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with(|principal| {
            let mut claims: Claims = principal.claims().clone();
            claims.insert(name.into(), value.into());
            principal.with_claims(claims)
        })
    }

    /// Sets these claims, in place of those before.
    #[must_use]
    pub fn claims(&self, claims: Claims) -> Self {
        self.with(|principal| principal.with_claims(claims))
    }

    /// With a token that was issued by `issuer`.
    #[must_use]
    pub fn issuer(&self, issuer: impl Into<String>) -> Self {
        self.with(|principal| principal.with_issuer(Into::<String>::into(issuer)))
    }

    /// With a token that was issued to the OAuth client `client_id`.
    #[must_use]
    pub fn client_id(&self, client_id: impl Into<String>) -> Self {
        self.with(|principal| principal.with_client_id(Into::<String>::into(client_id)))
    }

    /// With a token that ends at `end`.
    #[must_use]
    pub fn expires_at(&self, end: SystemTime) -> Self {
        self.with(|principal| principal.with_expiry(end))
    }

    /// In a new session of 2025-11-25.
    #[must_use]
    pub fn in_session(&self) -> Self {
        static SESSIONS: AtomicU64 = AtomicU64::new(0);

        let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
        let session = Some(SessionKey::of(&format!("test session {number}")));
        let subscriptions = self.new_subscriptions();
        Self { version: ProtocolVersion::V2025_11_25, session, subscriptions, ..self.clone() }
    }

    fn new_subscriptions(&self) -> Option<Arc<ResourceSubscriptions>> {
        let most = self.engine.limits.resource_subscriptions;
        Some(Arc::new(ResourceSubscriptions::new(most)))
    }

    /// With the capabilities that the specification's object declares, such as `{"elicitation": {}}`, in
    /// place of those before. Default: none.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    /// use portcullis::testing::TestClient;
    /// use serde_json::json;
    ///
    /// /// Asks for a name.
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct UserName {
    ///     name: String,
    /// }
    ///
    /// /// Greets you.
    /// #[tool]
    /// async fn greet(ctx: Context) -> Result<String, ToolError> {
    ///     let asked = ctx.elicit::<UserName>("What is your name?").await?;
    ///     Ok(format!("Hello {}!", asked.accepted().map_or("you".into(), |asked| asked.name)))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let server = Server::builder("shop").no_auth().components(components![greet]).build()?;
    /// let client = TestClient::new(&server).capabilities(&json!({"elicitation": {}}));
    /// let asked = client.call("greet", json!({})).await;
    /// let asked = &asked.json()["result"];
    /// assert_eq!(asked["inputRequests"]["user_name"]["method"], "elicitation/create");
    ///
    /// let answer = json!({"user_name": {"action": "accept", "content": {"name": "Ann"}}});
    /// let again = json!({
    ///     "name": "greet",
    ///     "inputResponses": answer,
    ///     "requestState": asked["requestState"],
    /// });
    /// assert_eq!(client.ask("tools/call", again).await.text(), Some("Hello Ann!"));
    /// # Ok::<(), portcullis::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn capabilities(&self, declared: &Value) -> Self {
        let capabilities = ClientCapabilities::read(&declared.to_string());
        Self { capabilities, ..self.clone() }
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &str, arguments: Value) -> TestAnswer {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// Reads a resource.
    pub async fn read(&self, uri: &str) -> TestAnswer {
        self.ask("resources/read", json!({"uri": uri})).await
    }

    /// Asks for a prompt. Its arguments are strings.
    pub async fn prompt(&self, name: &str, arguments: Value) -> TestAnswer {
        self.ask("prompts/get", json!({"name": name, "arguments": arguments})).await
    }

    /// What an argument of a prompt may become after what is written of it.
    pub async fn complete_prompt(&self, name: &str, argument: &str, written: &str) -> TestAnswer {
        self.complete(json!({"type": "ref/prompt", "name": name}), argument, written).await
    }

    /// What a variable of a resource template may become after what is written of it.
    pub async fn complete_template(
        &self,
        uri_template: &str,
        variable: &str,
        written: &str,
    ) -> TestAnswer {
        self.complete(json!({"type": "ref/resource", "uri": uri_template}), variable, written).await
    }

    async fn complete(&self, reference: Value, argument: &str, written: &str) -> TestAnswer {
        let argument = json!({"name": argument, "value": written});
        self.ask("completion/complete", json!({"ref": reference, "argument": argument})).await
    }

    /// The names of the tools that are listed, over all pages.
    pub async fn tools(&self) -> Vec<String> {
        self.list("tools/list", "tools", "name").await
    }

    /// The URIs of the resources that are listed.
    pub async fn resources(&self) -> Vec<String> {
        self.list("resources/list", "resources", "uri").await
    }

    /// The URI templates that are listed.
    pub async fn templates(&self) -> Vec<String> {
        self.list("resources/templates/list", "resourceTemplates", "uriTemplate").await
    }

    /// The names of the prompts that are listed.
    pub async fn prompts(&self) -> Vec<String> {
        self.list("prompts/list", "prompts", "name").await
    }

    /// The changes of these lists from now on, as `list_changed` notifications report them.
    pub fn changes(&self) -> TestStream<Changed> {
        TestStream::new(changes(&self.engine, &self.exchange()))
    }

    /// The URIs of resources that are updated from now on: in a [session](Self::in_session) of those that
    /// it subscribes to, and otherwise of `resources`.
    pub fn updates(&self, resources: &[&str]) -> TestStream<String> {
        let resources = resources.iter().map(|&uri| uri.to_owned()).collect();
        TestStream::new(updates(&self.engine, &self.exchange(), resources))
    }

    /// Sends any request.
    pub async fn ask(&self, method: &str, params: Value) -> TestAnswer {
        self.answered(method, params).await
    }

    /// Boxed, so that it is compiled here, and not by each test.
    fn answered<'a>(&'a self, method: &'a str, params: Value) -> BoxFuture<'a, TestAnswer> {
        Box::pin(async move {
            if let Some(refused) = self.refused() {
                return refused;
            }
            let served = EngineService(Arc::clone(&self.engine));
            let answer = in_process::answer(&served, self.exchange(), method, &params);
            let Answered { status, told, answer: json, .. } = answer.await;
            TestAnswer { status: status.as_u16(), told, json }
        })
    }

    /// The answer that a server with authentication gives before it looks at a message.
    fn refused(&self) -> Option<TestAnswer> {
        let required = self.required.as_ref().filter(|_| self.transport == Transport::Http)?;
        let (status, message) = match &self.principal {
            None => (401, INVALID_TOKEN),
            Some(principal) => {
                let granted = Granted::new(principal.scopes(), &self.engine.facilities.hierarchy);
                if granted.has_all(required) {
                    return None;
                }
                (403, INSUFFICIENT_SCOPE)
            }
        };
        let json =
            json!({"jsonrpc": "2.0", "id": null, "error": {"code": status, "message": message}});
        Some(TestAnswer { status, told: Vec::new(), json })
    }

    async fn list(&self, method: &str, member: &str, key: &str) -> Vec<String> {
        let (mut names, mut params) = (Vec::new(), json!({}));
        loop {
            let answer = self.ask(method, params).await;
            let entries = answer.json.pointer(&format!("/result/{member}"));
            let entries = entries.and_then(Value::as_array).into_iter().flatten();
            let own = entries.filter_map(|entry| entry.get(key)?.as_str().map(str::to_owned));
            names.extend(own);
            match answer.json.pointer("/result/nextCursor") {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => return names,
            }
        }
    }

    fn with(&self, change: impl FnOnce(Principal) -> Principal) -> Self {
        let principal = self.principal.clone().unwrap_or_else(|| Principal::new("test"));
        Self { principal: Some(change(principal)), ..self.clone() }
    }

    pub(crate) fn exchange(&self) -> Exchange {
        Exchange {
            transport: self.transport,
            version: self.version,
            principal: self.principal.clone().map(Arc::new),
            access_token: Weak::new(),
            client: Some(Arc::new(ClientInfo {
                name: "TestClient".to_owned(),
                version: "1".to_owned(),
            })),
            capabilities: self.capabilities,
            remote: None,
            session: self.session,
            subscriptions: self.subscriptions.clone(),
            trace: None,
            outgoing: Default::default(),
        }
    }
}

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("principal", &self.principal.as_ref().map(Principal::subject))
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The answer to a [`TestClient`].
#[derive(Clone, Debug, PartialEq)]
pub struct TestAnswer {
    status: u16,
    told: Vec<Value>,
    json: Value,
}

impl TestAnswer {
    /// The HTTP status: 200, except for statuses that HTTP clients act upon, such as 403.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The whole JSON-RPC message.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// The notifications before the answer: progress, and messages for the client's log of every level.
    #[must_use]
    pub fn told(&self) -> &[Value] {
        &self.told
    }

    /// The first text of a tool's answer, of a resource or of a prompt.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        const TEXTS: [&str; 3] = [
            "/result/content/0/text",
            "/result/contents/0/text",
            "/result/messages/0/content/text",
        ];
        TEXTS.into_iter().find_map(|text| self.json.pointer(text)?.as_str())
    }

    /// The structured answer of a tool.
    #[must_use]
    pub fn structured(&self) -> Option<&Value> {
        self.json.pointer("/result/structuredContent")
    }

    /// The values that an argument may become; `None` where the answer is no completion.
    #[must_use]
    pub fn completion(&self) -> Option<Vec<&str>> {
        let values = self.json.pointer("/result/completion/values")?.as_array()?;
        Some(values.iter().filter_map(Value::as_str).collect())
    }

    /// Whether it is an error: of the protocol, or of the tool.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.json.get("error").is_some()
            || self.json.pointer("/result/isError") == Some(&Value::Bool(true))
    }

    /// The code of a JSON-RPC error.
    #[must_use]
    pub fn error_code(&self) -> Option<i64> {
        self.json.pointer("/error/code")?.as_i64()
    }

    /// The message of a JSON-RPC error, or the text of a tool's.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        let protocol = self.json.pointer("/error/message").and_then(Value::as_str);
        protocol.or_else(|| self.text().filter(|_| self.is_error()))
    }

    /// Whether it is the answer for a component that does not exist, or is hidden from the caller.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        let unknown = self.error().is_some_and(|message| {
            message.starts_with("Unknown ") || message.starts_with("Resource not found")
        });
        unknown && matches!(self.error_code(), Some(-32602 | -32002))
    }
}
