use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use portcullis_auth::TokenVerifier;
use portcullis_guard::{Clock, SystemClock};
use portcullis_protocol::{Identity, Limits};
use url::{Host, Url};

use crate::catalogue::Catalogue;
use crate::component::{Component, Components, Declare};
use crate::context::States;
use crate::error::Error;
use crate::route::Route;
use crate::server::Server;
use crate::service::Core;

/// Lists are answered in pages of this many entries, unless said otherwise.
const PAGE_SIZE: usize = 1_000;

/// Describes a server. [`build`](Self::build) exists once it was said who is let in:
/// [`auth`](Self::auth) or [`no_auth`](Self::no_auth).
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
/// let server = Server::builder("example").build(); // who is let in was not said
/// ```
#[must_use = "a server is built by .build()"]
pub struct ServerBuilder<A> {
    parts: Parts,
    auth: A,
}

/// It was not said yet who is let in.
#[derive(Clone, Copy, Debug)]
pub struct Undecided(());

/// It was said who is let in.
#[derive(Clone, Debug)]
pub struct Decided(Option<Arc<dyn TokenVerifier>>);

struct Parts {
    name: String,
    version: String,
    instructions: Option<String>,
    public_url: Option<String>,
    path: String,
    hosts: Vec<String>,
    origins: Vec<String>,
    components: Vec<Component>,
    states: States,
    routes: Vec<Route>,
    limits: Limits,
    page_size: usize,
    clock: Arc<dyn Clock>,
    show_internal_errors: bool,
    unauthenticated_beyond_loopback: bool,
}

impl ServerBuilder<Undecided> {
    pub(crate) fn new(name: &str) -> Self {
        let parts = Parts {
            name: name.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instructions: None,
            public_url: None,
            path: "/mcp".to_owned(),
            hosts: Vec::new(),
            origins: Vec::new(),
            components: Vec::new(),
            states: States::default(),
            routes: Vec::new(),
            limits: Limits::default(),
            page_size: PAGE_SIZE,
            clock: Arc::new(SystemClock),
            show_internal_errors: false,
            unauthenticated_beyond_loopback: false,
        };
        Self { parts, auth: Undecided(()) }
    }

    /// Over HTTP, lets in whoever has a token that `verifier` accepts.
    pub fn auth(self, verifier: impl TokenVerifier) -> ServerBuilder<Decided> {
        ServerBuilder { parts: self.parts, auth: Decided(Some(Arc::new(verifier))) }
    }

    /// Lets everybody in. Over HTTP, components that require anything are then hidden, and
    /// the server listens on loopback only.
    pub fn no_auth(self) -> ServerBuilder<Decided> {
        ServerBuilder { parts: self.parts, auth: Decided(None) }
    }
}

impl<A> ServerBuilder<A> {
    /// The server's own version, as clients see it. Default: that of Portcullis.
    pub fn version(mut self, version: &str) -> Self {
        self.parts.version = version.to_owned();
        self
    }

    /// Says how to use the server, to the model. Everybody sees it.
    pub fn instructions(mut self, text: &str) -> Self {
        self.parts.instructions = Some(text.to_owned());
        self
    }

    /// The origin under which clients reach the server, such as `https://mcp.example.com`.
    ///
    /// It is the one source of the resource identifier, the metadata's URL and the accepted
    /// Host and Origin. Default: the bound address, which is right on loopback only. It has
    /// to be https beyond loopback (RFC 9728 §1.2), and has no path: see [`path`](Self::path).
    pub fn public_url(mut self, url: &str) -> Self {
        self.parts.public_url = Some(url.to_owned());
        self
    }

    /// The path of the MCP endpoint. Default: `/mcp`.
    pub fn path(mut self, path: &str) -> Self {
        self.parts.path = path.to_owned();
        self
    }

    /// Accepts requests for one more host, or `host:port`: the internal name that a proxy
    /// sends, for instance.
    pub fn allow_host(mut self, host: &str) -> Self {
        self.parts.hosts.push(host.to_owned());
        self
    }

    /// Lets pages of one more origin use the server.
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.parts.origins.push(origin.to_owned());
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

    /// Gives functions that take a [`State<T>`](crate::State) this one.
    pub fn state<T: Any + Send + Sync>(mut self, state: T) -> Self {
        self.parts.states.insert(state);
        self
    }

    /// Adds a route beside the protocol.
    pub fn route(mut self, route: Route) -> Self {
        self.parts.routes.push(route);
        self
    }

    /// Changes what one client may take.
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

    /// Shows callers what went wrong inside: text that may hold secrets. For development.
    pub fn dangerously_show_internal_errors(mut self) -> Self {
        self.parts.show_internal_errors = true;
        self
    }

    /// Lets a server without authentication listen beyond loopback: whoever reaches it may
    /// use all that requires nothing.
    pub fn dangerously_serve_unauthenticated(mut self) -> Self {
        self.parts.unauthenticated_beyond_loopback = true;
        self
    }
}

/// Whether it was said who is let in.
#[diagnostic::on_unimplemented(
    message = "it was not said who is let in",
    label = "not decided",
    note = "say `.auth(verifier)`, or `.no_auth()`, before `.build()`"
)]
pub trait SaysWhoIsLetIn: sealed::Sealed {
    #[doc(hidden)]
    fn verifier(self) -> Option<Arc<dyn TokenVerifier>>;
}

impl SaysWhoIsLetIn for Decided {
    fn verifier(self) -> Option<Arc<dyn TokenVerifier>> {
        self.0
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Decided {}
}

impl<A> ServerBuilder<A> {
    /// Builds the server.
    ///
    /// # Errors
    ///
    /// [`Error::Build`] lists everything that can never be right: components of the same
    /// name, a default that its own rules refuse, a state that is missing, a check that
    /// requires nothing, a URL that is none.
    pub fn build(self) -> Result<Server, Error>
    where
        A: SaysWhoIsLetIn,
    {
        let Self { parts, auth } = self;
        let verifier = auth.verifier();
        let identity = Identity::new(&parts.name, &parts.version, parts.instructions.clone());
        let mut problems = Vec::new();
        let path = parts.path.trim_end_matches('/').to_owned();
        if !is_plain_path(&parts.path) {
            problems.push(format!(
                "path {:?}: it begins with `/`, has letters, digits and `-._~`, and is none that belongs to the protocol",
                parts.path
            ));
        }
        if parts.name.trim().is_empty() {
            problems.push("the server needs a name".to_owned());
        }
        problems.extend(problem_with_limits(&parts.limits));
        if parts.page_size == 0 {
            problems.push("page_size(0): a page has at least one entry".to_owned());
        }
        let public_url =
            parts.public_url.as_deref().and_then(|url| keep(public_url(url), &mut problems));
        let origins =
            parts.origins.iter().filter_map(|url| keep(origin(url), &mut problems)).collect();
        for host in &parts.hosts {
            if portcullis_protocol::http::Authority::parse(host).is_none() {
                problems.push(format!("allow_host({host:?}): it is `host` or `host:port`"));
            }
        }
        problems.extend(parts.routes.iter().filter_map(|route| route.problem(&path)));
        let mut routes = HashSet::new();
        for route in &parts.routes {
            if !routes.insert((route.method, &route.path)) {
                problems.push(format!("route {} {}: it is there twice", route.method, route.path));
            }
        }
        let catalogue = match Catalogue::compile(parts.components, &parts.states) {
            Ok(catalogue) => catalogue,
            Err(found) => return Err(Error::Build([problems, found].concat())),
        };
        if !problems.is_empty() {
            return Err(Error::Build(problems));
        }
        if parts.show_internal_errors {
            tracing::warn!(
                "internal errors are shown to callers: dangerously_show_internal_errors()"
            );
        }
        let core = Core {
            identity,
            catalogue,
            states: Arc::new(parts.states),
            limits: parts.limits,
            page_size: parts.page_size,
            show_internal_errors: parts.show_internal_errors,
        };
        Ok(Server {
            core: Arc::new(core),
            verifier,
            public_url,
            path,
            hosts: parts.hosts,
            origins,
            routes: parts.routes,
            clock: parts.clock,
            unauthenticated_beyond_loopback: parts.unauthenticated_beyond_loopback,
        })
    }
}

impl<A> fmt::Debug for ServerBuilder<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder").field("name", &self.parts.name).finish_non_exhaustive()
    }
}

fn keep<T>(result: Result<T, String>, problems: &mut Vec<String>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

/// The public URL, checked: an https origin, or an http one on loopback.
pub(crate) fn public_url(text: &str) -> Result<Url, String> {
    let wrong = |what: &str| Err(format!("public_url {text:?}: {what}"));
    let Ok(url) = Url::parse(text) else {
        return wrong("it is no URL, such as https://mcp.example.com");
    };
    let loopback = is_loopback(&url);
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return wrong("it has to be https: tokens travel over it"),
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return wrong("it has neither user, query nor fragment");
    }
    if url.path() != "/" {
        return wrong("it must not have a path: that of the endpoint is set apart, by path");
    }
    Ok(url)
}

/// Whether a URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn origin(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url)
            if url.origin().is_tuple()
                && url.origin().ascii_serialization() == text.trim_end_matches('/') =>
        {
            Ok(url)
        }
        _ => {
            Err(format!("allow_origin({text:?}): an origin is a scheme, a host and perhaps a port"))
        }
    }
}

fn problem_with_limits(limits: &Limits) -> Option<String> {
    if limits.header_bytes < 8 * 1024 {
        return Some("limits: header_bytes is at least 8 KiB".to_owned());
    }
    let some = limits.connections > 0 && limits.concurrent_requests > 0 && limits.body_bytes > 0;
    (!some).then(|| {
        "limits: connections, concurrent_requests and body_bytes are at least 1".to_owned()
    })
}

fn is_plain_path(path: &str) -> bool {
    path.starts_with('/')
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b))
        && !path.contains("//")
        && !path.split('/').any(|segment| matches!(segment, "." | ".." | ".well-known"))
}
