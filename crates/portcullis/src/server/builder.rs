//! The description of a server.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

#[cfg(feature = "jwt")]
use portcullis_auth::TokenExchange;
#[cfg(feature = "fetch")]
use portcullis_auth::audit::OtlpTraces;
use portcullis_auth::{AuditFailure, AuditSink, AuthProvider, OneOrMany, ScopeHierarchy, States};
#[cfg(feature = "fetch")]
use portcullis_guard::Fetch;
use portcullis_guard::{Clock, SystemClock};
use portcullis_protocol::Limits;
use portcullis_store::Store;

use crate::catalogue::Everywhere;
#[cfg(feature = "fetch")]
use crate::component::credential::Credentials;
use crate::component::selector::Selector;
use crate::component::{Component, Components, Declare, Deny};
use crate::middleware::{IntoMiddleware, Layers};
use crate::operation::credentials::CredentialsInResults;
use crate::server::Server;
use crate::server::about::About;
#[cfg(feature = "http")]
use crate::server::http::HttpOptions;
use crate::visibility::Rule;

/// Lists are answered in pages of this many entries by default.
const PAGE_SIZE: usize = 1_000;

/// Describes a server. [`build`](Self::build) becomes available after [`auth`](Self::auth) or
/// [`no_auth`](Self::no_auth).
///
/// `A` says whether that was decided. A function that adds the same to several servers keeps it
/// open, as `fn add<A>(server: ServerBuilder<A>) -> ServerBuilder<A>`.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// # #[tool] async fn ping() -> &'static str { "pong" }
/// let tokens = danger::StaticTokenVerifier::new().token("dev-token", danger::user("dev"));
/// let server = Server::builder("example").auth(tokens).components(components![ping]).build()?;
/// # Ok::<(), portcullis::Error>(())
/// ```
///
/// ```compile_fail
/// # use portcullis::prelude::*;
/// let server = Server::builder("example").build(); // neither `auth` nor `no_auth`
/// ```
#[must_use = "a server is built by .build()"]
pub struct ServerBuilder<A> {
    pub(crate) parts: Parts,
    pub(crate) auth: A,
}

/// Authentication is not decided yet: neither `auth` nor `no_auth` was called.
#[derive(Clone, Copy, Debug)]
pub struct AuthUnset(());

/// Authentication is decided: `auth` or `no_auth` was called.
#[derive(Clone, Debug)]
pub struct AuthSet(Option<Arc<dyn AuthProvider>>);

pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) instructions: Option<String>,
    pub(crate) about: About,
    #[cfg(feature = "http")]
    pub(crate) http: HttpOptions,
    pub(crate) components: Vec<Component>,
    pub(crate) everywhere: Everywhere,
    pub(crate) layers: Layers,
    pub(crate) rules: Vec<(Selector, Vec<Rule>)>,
    pub(crate) hierarchy: ScopeHierarchy,
    pub(crate) sinks: Vec<Arc<dyn AuditSink>>,
    pub(crate) audit_failure: AuditFailure,
    #[cfg(feature = "fetch")]
    pub(crate) traces: Option<OtlpTraces>,
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) states: States,
    #[cfg(feature = "fetch")]
    pub(crate) fetch: Option<Fetch>,
    /// By origin.
    #[cfg(feature = "fetch")]
    pub(crate) credentials: Vec<(String, Arc<dyn Credentials>)>,
    #[cfg(feature = "jwt")]
    pub(crate) token_exchange: Option<TokenExchange>,
    pub(crate) limits: Limits,
    pub(crate) page_size: usize,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) show_internal_errors: bool,
    pub(crate) credentials_in_results: CredentialsInResults,
    /// Whether the local user may use what requires anything.
    pub(crate) trusts_stdio: bool,
}

impl Server {
    /// Begins to describe the server called `name`. Then say `auth(…)` or `no_auth()`.
    pub fn builder(name: impl Into<String>) -> ServerBuilder<AuthUnset> {
        ServerBuilder::new(name)
    }
}

impl ServerBuilder<AuthUnset> {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        let parts = Parts {
            name: name.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instructions: None,
            about: About::default(),
            #[cfg(feature = "http")]
            http: HttpOptions::default(),
            components: Vec::new(),
            everywhere: Everywhere::default(),
            layers: Layers::default(),
            rules: Vec::new(),
            hierarchy: ScopeHierarchy::default(),
            sinks: Vec::new(),
            audit_failure: AuditFailure::Continue,
            #[cfg(feature = "fetch")]
            traces: None,
            store: None,
            states: States::default(),
            #[cfg(feature = "fetch")]
            fetch: None,
            #[cfg(feature = "fetch")]
            credentials: Vec::new(),
            #[cfg(feature = "jwt")]
            token_exchange: None,
            limits: Limits::default(),
            page_size: PAGE_SIZE,
            clock: Arc::new(SystemClock),
            show_internal_errors: false,
            credentials_in_results: CredentialsInResults::default(),
            trusts_stdio: true,
        };
        Self { parts, auth: AuthUnset(()) }
    }

    /// Over HTTP, lets callers in who have a token that `provider` accepts: a
    /// [`TokenVerifier`](crate::auth::TokenVerifier), or an authorization server, such as a
    /// [`RemoteAuthProvider`](crate::auth::RemoteAuthProvider).
    pub fn auth(self, provider: impl AuthProvider) -> ServerBuilder<AuthSet> {
        ServerBuilder { parts: self.parts, auth: AuthSet(Some(Arc::new(provider))) }
    }

    /// Serves clients without authentication. Over HTTP, components that need it are then hidden,
    /// and the server is reached over loopback only, under no other name, unless it says
    /// [`dangerously_serve_unauthenticated`](ServerBuilder::dangerously_serve_unauthenticated).
    pub fn no_auth(self) -> ServerBuilder<AuthSet> {
        ServerBuilder { parts: self.parts, auth: AuthSet(None) }
    }
}

impl<A> ServerBuilder<A> {
    /// The server's own version, as clients see it. Default: that of Portcullis.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.parts.version = version.into();
        self
    }

    /// Says how to use the server, to the model. Everybody sees it.
    pub fn instructions(mut self, text: impl Into<String>) -> Self {
        self.parts.instructions = Some(text.into());
        self
    }

    /// Over stdio, hides every component that has a check, as over HTTP without authentication:
    /// for a process that untrusted callers reach, through a bridge or an unattended model.
    ///
    /// A component that takes a `Caller` is hidden too, and so is one with a check that is asked
    /// over stdio ([`Check::over_stdio`](crate::access::Check::over_stdio)): there is nobody to
    /// allow. Default: the local user, who started the process, may use everything.
    pub fn hide_protected_over_stdio(mut self) -> Self {
        self.parts.trusts_stdio = false;
        self
    }

    /// Adds components.
    pub fn components(mut self, components: Components) -> Self {
        self.parts.components.extend(components.0);
        self
    }

    /// Adds one component.
    pub fn component(mut self, component: impl Declare) -> Self {
        self.parts.components.push(component.declare());
        self
    }

    /// Adds something around every operation: an [`AuthMiddleware`](crate::middleware::AuthMiddleware), a
    /// [`RateLimit`](crate::middleware::RateLimit), or a [`Middleware`](crate::middleware::Middleware). Each kind has its
    /// fixed place, whatever the order; those of one kind are asked in the order in which they
    /// were added.
    pub fn middleware(mut self, middleware: impl IntoMiddleware) -> Self {
        self.parts.everywhere.checks.extend(self.parts.layers.add(middleware.into_layer()));
        self
    }

    /// Hides what `selector` selects, until a rule after this one shows it: in a handler, for a
    /// session or principal ([`Context::enable_components`](crate::Context::enable_components)),
    /// or for everybody ([`Server::visibility`]).
    pub fn disable(mut self, selector: Selector) -> Self {
        self.parts.rules.push((selector.clone(), Rule::disable(selector)));
        self
    }

    /// Shows what `selector` selects, though a rule before this one hides it.
    pub fn enable(mut self, selector: Selector) -> Self {
        self.parts.rules.push((selector.clone(), Rule::enable(selector)));
        self
    }

    /// Hides everything, of the kinds that `selector` names if it does, but what it selects.
    pub fn only(mut self, selector: Selector) -> Self {
        self.parts.rules.push((selector.clone(), Rule::only(selector)));
        self
    }

    /// How the server answers a denied caller, for components without a `deny` of their own.
    /// Default: [`Deny::Hide`].
    pub fn deny(mut self, deny: Deny) -> Self {
        self.parts.everywhere.deny = deny;
        self
    }

    /// As [`deny`](Self::deny), for the components with `tag`. If several tags apply, hiding wins.
    pub fn deny_tagged(mut self, tag: impl Into<String>, deny: Deny) -> Self {
        self.parts.everywhere.deny_tagged.push((tag.into(), deny));
        self
    }

    /// Lets `scope` stand for the scopes `implied`, and what those imply (MCP authorization
    /// §Scope Challenge Handling).
    ///
    /// # Example
    ///
    /// ```
    /// # use portcullis::prelude::*;
    /// # #[tool(auth = require_scopes(["write"]))] async fn save() -> &'static str { "saved" }
    /// # fn main() -> Result<(), portcullis::Error> {
    /// # let tokens = danger::StaticTokenVerifier::new().token("t", danger::user("dev"));
    /// Server::builder("notes")
    ///     .auth(tokens)
    ///     .components(components![save]) // requires `write`
    ///     .scope_implies("admin", ["write"]) // so `admin` will do
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn scope_implies(mut self, scope: impl Into<String>, implied: impl OneOrMany) -> Self {
        self.parts.hierarchy = self.parts.hierarchy.implies(scope, implied);
        self
    }

    /// Adds a sink for audit records; see [`AuditSink`]. Every record goes to the log as well.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # use portcullis::prelude::*;
    /// use portcullis::audit::{AuditFailure, JsonLines};
    ///
    /// # #[tool] async fn ping() -> &'static str { "pong" }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// Server::builder("example")
    ///     .no_auth()
    ///     .components(components![ping])
    ///     .audit(JsonLines::open("/var/log/example/audit.jsonl")?)
    ///     .audit_failure(AuditFailure::Stop) // serve nothing that would not be recorded
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn audit(mut self, sink: impl AuditSink) -> Self {
        self.parts.sinks.push(Arc::new(sink));
        self
    }

    /// Sets what the server does while an audit sink fails. Default: [`AuditFailure::Continue`].
    pub fn audit_failure(mut self, failure: AuditFailure) -> Self {
        self.parts.audit_failure = failure;
        self
    }

    /// Sends a span of each operation, and of each request to a route, to an OpenTelemetry collector.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::audit::OtlpTraces;
    /// use portcullis::guard::Fetch;
    /// use portcullis::prelude::*;
    ///
    /// # #[tool] async fn ping() -> &'static str { "pong" }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let fetch = Fetch::builder().allow_private_host("otel.example.internal");
    /// let url = "https://otel.example.internal:4318/v1/traces".parse()?;
    /// Server::builder("users")
    ///     .no_auth()
    ///     .components(components![ping])
    ///     .traces(OtlpTraces::builder(fetch, &url, "users").open()?)
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "fetch")]
    pub fn traces(mut self, traces: OtlpTraces) -> Self {
        self.parts.traces = Some(traces);
        self
    }

    /// The store for state that the next request must see. Default: memory.
    pub fn store(mut self, store: impl Store) -> Self {
        self.parts.store = Some(Arc::new(store));
        self
    }

    /// Adds the value for functions that take a [`State<T>`](crate::State).
    pub fn state<T: Any + Send + Sync>(mut self, state: T) -> Self {
        self.parts.states.insert(state);
        self
    }

    /// The HTTP client that [`Context::http`](crate::Context::http) gives to functions.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::guard::Fetch;
    /// use portcullis::prelude::*;
    ///
    /// # #[tool] async fn ping() -> &'static str { "pong" }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let orders = Fetch::builder().allow_hosts(["api.example.com"]).ports([443]).build()?;
    /// Server::builder("orders").no_auth().http(orders).components(components![ping]).build()?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "fetch")]
    pub fn http(mut self, fetch: Fetch) -> Self {
        self.parts.fetch = Some(fetch);
        self
    }

    /// The credentials that callers have at the service of `origin`, for the requests of functions
    /// ([`Context::with_credentials`](crate::Context::with_credentials)). An origin is scheme, host and
    /// port; it is https, or http on loopback.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::auth::{Credential, Principal};
    /// use portcullis::guard::Secret;
    /// use portcullis::prelude::*;
    ///
    /// # #[tool] async fn ping() -> &'static str { "pong" }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let alices = Secret::known("kQ3-alices-own-key".to_owned());
    /// let tickets = move |caller: &Principal| match (caller.issuer(), caller.subject()) {
    ///     (Some("https://idp.example.com"), "alice") => Some(Credential::bearer(&alices)),
    ///     _ => None, // nothing is sent
    /// };
    /// let issuer = "https://idp.example.com";
    /// let tokens = JwtVerifier::discover(issuer).audience("https://mcp.example.com/mcp").build()?;
    /// let server = Server::builder("tickets")
    ///     .auth(tokens)
    ///     .credentials("https://tickets.example.com", tickets)
    ///     .components(components![ping])
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "fetch")]
    pub fn credentials(mut self, origin: impl Into<String>, credentials: impl Credentials) -> Self {
        self.parts.credentials.push((origin.into(), Arc::new(credentials)));
        self
    }

    /// Exchanges the tokens of callers for those of other services, where a function asks for one
    /// ([`Context::exchange`](crate::Context::exchange)). The access token of a request is kept in memory
    /// then, until the request is answered.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::auth::TokenExchange;
    /// use portcullis::guard::Secret;
    /// use portcullis::prelude::*;
    ///
    /// # #[tool] async fn ping() -> &'static str { "pong" }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let issuer = "https://idp.example.com";
    /// let tokens = JwtVerifier::discover(issuer).audience("https://mcp.example.com/mcp").build()?;
    /// let exchange = TokenExchange::new(issuer, "https://idp.example.com/token")
    ///     .client_secret_basic("mcp-server", Secret::new("Zk3vJ0qTn8-5fXw".to_owned()))
    ///     .audience("https://orders.example.com")
    ///     .build()?;
    /// let server = Server::builder("orders").auth(tokens).token_exchange(exchange);
    /// # let server = server.components(components![ping]);
    /// # server.build()?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "jwt")]
    pub fn token_exchange(mut self, exchange: TokenExchange) -> Self {
        self.parts.token_exchange = Some(exchange);
        self
    }

    /// Changes the [`Limits`] of the server.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    /// use std::time::Duration;
    ///
    /// # let tokens = danger::StaticTokenVerifier::new();
    /// let builder = Server::builder("support").auth(tokens).limits(|limits| {
    ///     limits.handler_timeout = Duration::from_secs(10);
    ///     limits.requests_per_principal = 64;
    /// });
    /// ```
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.parts.limits);
        self
    }

    /// How many entries one page of a list has. Default: 1,000.
    pub fn page_size(mut self, entries: usize) -> Self {
        self.parts.page_size = entries;
        self
    }

    /// The clock that token expiry is judged by. Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.parts.clock = Arc::new(clock);
        self
    }

    /// Sets what happens when a result looks as if it held a credential. Default:
    /// [`CredentialsInResults::Warn`].
    ///
    /// Secrets that are [known](crate::guard::redaction) are removed from results in any case.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    /// use portcullis::server::CredentialsInResults;
    /// use portcullis::testing::TestClient;
    ///
    /// /// Show the settings.
    /// #[tool]
    /// async fn settings() -> &'static str {
    ///     "database: postgres://app:hunter2@db/app"
    /// }
    ///
    /// # #[tokio::main] async fn main() -> Result<(), portcullis::Error> {
    /// let server = Server::builder("example").no_auth().components(components![settings]);
    /// let server = server.credentials_in_results(CredentialsInResults::Block).build()?;
    /// let answer = TestClient::new(&server).local().call("settings", serde_json::json!({})).await;
    /// assert!(answer.error().unwrap().starts_with("Internal error (reference "));
    /// # Ok(()) }
    /// ```
    pub fn credentials_in_results(mut self, found: CredentialsInResults) -> Self {
        self.parts.credentials_in_results = found;
        self
    }

    /// Shows callers the text of internal errors, which may hold secrets. For development.
    pub fn dangerously_show_internal_errors(mut self) -> Self {
        self.parts.show_internal_errors = true;
        self
    }
}

/// What a [`ServerBuilder`] has to know before it builds: [`AuthSet`] has it, [`AuthUnset`] has not.
#[diagnostic::on_unimplemented(
    message = "`build` becomes available after `auth` or `no_auth`",
    label = "authentication is not decided",
    note = "call `.auth(provider)` or `.no_auth()` before `.build()`"
)]
pub trait AuthState: sealed::Sealed {
    #[doc(hidden)]
    fn provider(self) -> Option<Arc<dyn AuthProvider>>;
}

impl AuthState for AuthSet {
    fn provider(self) -> Option<Arc<dyn AuthProvider>> {
        self.0
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::AuthSet {}
}

impl<A> fmt::Debug for ServerBuilder<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder").field("name", &self.parts.name).finish_non_exhaustive()
    }
}
