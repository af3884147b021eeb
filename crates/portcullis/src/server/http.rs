//! What a server is told about HTTP: the builder's methods, and what is checked of them.

use std::collections::HashSet;

#[cfg(feature = "jwt")]
use portcullis_auth::SigningKeys;
use portcullis_auth::{
    EndpointPath, OneOrMany, PublicUrl, PublicUrlError, PublicUrlErrorKind, Scopes,
};
use portcullis_protocol::http::{
    Authority, HostOriginGuard, Origin, Origins, TrustedProxies, TrustedProxiesError,
};

use crate::error::{Problem, ProblemKind};
use crate::route::{IntoRoute, Route};
use crate::server::builder::ServerBuilder;

/// The path of an endpoint that has no other.
const DEFAULT_PATH: &str = "/mcp";

/// As it was given.
pub(crate) struct HttpOptions {
    public_url: Option<String>,
    path: Option<String>,
    hosts: Vec<String>,
    origins: Vec<String>,
    proxies: Vec<String>,
    routes: Vec<Route>,
    scopes_supported: Scopes,
    connect_page: bool,
    legacy_sse: bool,
    unauthenticated_beyond_loopback: bool,
    #[cfg(feature = "jwt")]
    signing_keys: Option<SigningKeys>,
}

/// As it was checked.
pub(crate) struct HttpConfig {
    pub(crate) public_url: Option<PublicUrl>,
    pub(crate) path: EndpointPath,
    /// Whether nobody named that path.
    pub(crate) has_default_path: bool,
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<Origin>,
    pub(crate) proxies: TrustedProxies,
    pub(crate) routes: Vec<Route>,
    pub(crate) scopes_supported: Scopes,
    pub(crate) connect_page: bool,
    pub(crate) legacy_sse: bool,
    pub(crate) unauthenticated_beyond_loopback: bool,
    #[cfg(feature = "jwt")]
    pub(crate) signing_keys: Option<SigningKeys>,
}

impl<A> ServerBuilder<A> {
    /// The URL below which clients reach the server, such as `https://mcp.example.com`, or
    /// `https://example.com/tools` where a proxy serves others on that host as well.
    ///
    /// It is the one source of the resource identifier, the metadata's URL, the issuer of a server at
    /// which clients sign in, with its endpoints and links, and the accepted Host and Origin.
    /// Default: the bound address, which is right on loopback only. It has to be https beyond
    /// loopback (RFC 9728 §1.2). A path in it stands before all paths: that of the endpoint
    /// ([`path`](Self::path)), and those of routes. The proxy may pass it on, or take it away. It is
    /// not the URL of the endpoint: `https://mcp.example.com/mcp` does not build, unless `path` is named.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.parts.http.public_url = Some(url.into());
        self
    }

    /// The path of the MCP endpoint, after that of the [`public_url`](Self::public_url), if it has one.
    /// Default: `/mcp`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.parts.http.path = Some(path.into());
        self
    }

    /// Accepts requests for one more host, or `host:port`: the internal name that a proxy
    /// sends, for instance. A host beyond loopback makes the server reachable for
    /// others, as a [`public_url`](Self::public_url) does.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.parts.http.hosts.push(host.into());
        self
    }

    /// Lets pages of one more origin use the server: `https://app.example.com`, or that of an
    /// extension or an app, such as `chrome-extension://…` or `app://obsidian.md`, which is
    /// compared as it is written. Their preflights are answered (CORS). Default: the server's own origin,
    /// and loopback ones on loopback.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.parts.http.origins.push(origin.into());
        self
    }

    /// Takes the address of a client from `X-Forwarded-For` or `Forwarded` (RFC 7239) where the
    /// request comes from one of these proxies: addresses, or networks in CIDR notation.
    ///
    /// It is what audit records and the log say, and what the limits of addresses count, and nothing
    /// else: neither scheme nor host nor an identity is taken from a header. [`TrustedProxies`] says
    /// what counts. Default: no header is read, and all clients of a proxy have its address.
    ///
    /// **Deployment caveat.** Each proxy has to append to the header, or to write it: see the manual
    /// on [deploying](crate::manual::deploying).
    ///
    /// # Example
    ///
    /// ```
    /// # use portcullis::prelude::*;
    /// # #[tool] async fn ping() -> &'static str { "pong" }
    /// # fn main() -> Result<(), portcullis::Error> {
    /// # let tokens = danger::StaticTokenVerifier::new().token("t", danger::user("dev"));
    /// Server::builder("example")
    ///     .auth(tokens)
    ///     .components(components![ping])
    ///     .trusted_proxies(["127.0.0.1", "10.1.0.0/16"])
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn trusted_proxies(mut self, proxies: impl OneOrMany) -> Self {
        self.parts.http.proxies.extend(proxies.into_many());
        self
    }

    /// Names scopes that clients may ask for, in the protected-resource metadata (RFC 9728 §2).
    ///
    /// The metadata has the scopes that every request needs, and those of components that are
    /// not hidden from whoever lacks them (`deny = challenge`). A client that follows it never
    /// learns of the others unless they are named here; what they are for stays hidden.
    /// Challenges name what the operation needs, and nothing more. `offline_access` is refused:
    /// clients ask for it by themselves.
    ///
    /// # Example
    ///
    /// ```
    /// # use portcullis::prelude::*;
    /// # #[tool(auth = require_scopes(["refund"]))] async fn refund() -> &'static str { "done" }
    /// # fn main() -> Result<(), portcullis::Error> {
    /// # let tokens = danger::StaticTokenVerifier::new().token("t", danger::user("dev"));
    /// Server::builder("support")
    ///     .auth(tokens)
    ///     .components(components![refund])
    ///     .scopes_supported(["read", "refund"])
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn scopes_supported(mut self, scopes: impl OneOrMany) -> Self {
        self.parts.http.scopes_supported =
            self.parts.http.scopes_supported.union(&Scopes::from_iter(scopes.into_many()));
        self
    }

    /// Shows browsers no page at the URL of the endpoint: they are refused, as programs are.
    ///
    /// The page is for people who follow a link to that URL, or paste it into a browser. It has the
    /// name of the server, its URL and how to connect common clients, and nothing of its components;
    /// no token is needed. Default: shown.
    pub fn without_connect_page(mut self) -> Self {
        self.parts.http.connect_page = false;
        self
    }

    /// Serves HTTP+SSE as well, the transport of 2024-11-05, for clients that know no other. **It is
    /// deprecated**, and the server says so when it starts.
    ///
    /// Streams are opened with GET at `/sse`, and messages are sent with POST to `/messages`, both in the
    /// folder of the [`path`](Self::path): `/team/sse` for an endpoint at `/team/mcp`. They are below the
    /// endpoint too, at `/team/mcp/sse`, for clients that sign in by themselves. Tokens, Host, Origin, limits and records are as at the endpoint. A session ends with its stream: nothing is
    /// resumed, and replicas do not share it. See the manual on [transports](crate::manual::transports).
    ///
    /// # Example
    ///
    /// ```
    /// # use portcullis::prelude::*;
    /// # #[tool] async fn ping() -> &'static str { "pong" }
    /// # fn main() -> Result<(), portcullis::Error> {
    /// # let tokens = danger::StaticTokenVerifier::new().token("t", danger::user("dev"));
    /// Server::builder("example")
    ///     .auth(tokens)
    ///     .components(components![ping])
    ///     .with_legacy_sse()
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn with_legacy_sse(mut self) -> Self {
        self.parts.http.legacy_sse = true;
        self
    }

    /// Adds a route beside the protocol.
    pub fn route(mut self, route: impl IntoRoute) -> Self {
        self.parts.http.routes.push(route.into_route());
        self
    }

    /// Publishes the public halves of `keys` at `/.well-known/jwks.json`, for whoever verifies the
    /// tokens that the server signs with them. Nobody needs a token to read them.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::auth::{NewJwt, SigningKeys};
    /// use portcullis::prelude::*;
    /// # use portcullis::guard::SystemClock;
    /// # use portcullis::store::MemoryStore;
    /// # use std::sync::Arc;
    ///
    /// /// A link to the caller's own report.
    /// #[tool(auth = require_scopes(["read"]))]
    /// async fn report_link(caller: Caller, keys: State<SigningKeys>) -> Result<String, ToolError> {
    ///     let link = NewJwt::new("report-link+jwt", "https://reports.example.com");
    ///     let token = keys.sign(link.subject(caller.subject().unwrap_or_default())).await?;
    ///     Ok(format!("https://reports.example.com/?link={}", token.expose()))
    /// }
    ///
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tokens = danger::StaticTokenVerifier::new().token("t", danger::user("dev"));
    /// # let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
    /// let keys = SigningKeys::builder("https://mcp.example.com", store).open().await?;
    /// Server::builder("reports")
    ///     .auth(tokens)
    ///     .components(components![report_link])
    ///     .publish_keys(keys.clone())
    ///     .state(keys)
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "jwt")]
    pub fn publish_keys(mut self, keys: SigningKeys) -> Self {
        self.parts.http.signing_keys = Some(keys);
        self
    }

    /// Lets a server without authentication listen beyond loopback, or have a `public_url` or
    /// an `allow_host` there: whoever reaches it may use all that requires nothing.
    pub fn dangerously_serve_unauthenticated(mut self) -> Self {
        self.parts.http.unauthenticated_beyond_loopback = true;
        self
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            public_url: None,
            path: None,
            hosts: Vec::new(),
            origins: Vec::new(),
            proxies: Vec::new(),
            routes: Vec::new(),
            scopes_supported: Scopes::default(),
            connect_page: true,
            legacy_sse: false,
            unauthenticated_beyond_loopback: false,
            #[cfg(feature = "jwt")]
            signing_keys: None,
        }
    }
}

impl HttpOptions {
    pub(crate) fn check(self, problems: &mut Vec<Problem>) -> HttpConfig {
        let (written, has_default_path) = match self.path.as_deref() {
            Some(path) => (path, false),
            None => (DEFAULT_PATH, true),
        };
        let path = EndpointPath::parse(written)
            .map_err(|error| problem_with_url(&error).within(format_args!("path {written:?}")));
        // What is wrong with the path says nothing of the origin.
        let path = keep(path, problems).unwrap_or_default();
        let public_url = self.public_url.as_deref().and_then(|text| {
            let url =
                PublicUrl::parse(text, path.clone()).map_err(|error| problem_with_url(&error));
            let url = url.and_then(|url| match doubled_path(&url, has_default_path) {
                Some(text) => Err(Problem::new(ProblemKind::InvalidPublicUrl, text)),
                None => Ok(url),
            });
            let url = url.map_err(|problem| problem.within(format_args!("public_url {text:?}")));
            keep(url, problems)
        });
        let origins = self.origins.iter().filter_map(|url| keep(origin(url), problems)).collect();
        let proxies = match &*self.proxies {
            [] => TrustedProxies::default(),
            proxies => {
                let proxies = proxies.join(",").parse().map_err(|error: TrustedProxiesError| {
                    let problem = Problem::new(ProblemKind::InvalidTrustedProxy, error.to_string());
                    problem.within("trusted_proxies")
                });
                keep(proxies, problems).unwrap_or_default()
            }
        };
        for host in &self.hosts {
            if Authority::parse(host).is_none() {
                let problem = Problem::new(ProblemKind::InvalidHost, "write `host` or `host:port`");
                problems.push(problem.within(format_args!("allow_host({host:?})")));
            }
        }
        let endpoint = written.trim_end_matches('/');
        problems.extend(self.routes.iter().filter_map(|route| route.problem(endpoint)));
        let mut routes = HashSet::new();
        for route in &self.routes {
            if !routes.insert((route.method, &route.path)) {
                let problem = Problem::new(ProblemKind::DuplicateRoute, "duplicate route");
                problems.push(problem.within(route.name()));
            }
        }
        problems.extend(problem_with_scopes(&self.scopes_supported));
        HttpConfig {
            public_url,
            path,
            has_default_path,
            hosts: self.hosts,
            origins,
            proxies,
            routes: self.routes,
            scopes_supported: self.scopes_supported,
            connect_page: self.connect_page,
            legacy_sse: self.legacy_sse,
            unauthenticated_beyond_loopback: self.unauthenticated_beyond_loopback,
            #[cfg(feature = "jwt")]
            signing_keys: self.signing_keys,
        }
    }
}

impl HttpConfig {
    /// What compares Host and Origin at a server that is reached at `url`.
    pub(crate) fn guard(&self, url: &PublicUrl, is_local: bool) -> HostOriginGuard {
        let mut authorities = Authority::of(url);
        authorities.extend(self.hosts.iter().filter_map(|host| Authority::parse(host)));
        let mut origins = Origins::default();
        origins.allow(url);
        if is_local && url.is_loopback() {
            origins.allow_loopback();
        }
        self.origins.iter().for_each(|origin| origins.allow_origin(origin.clone()));
        let guard = HostOriginGuard::new(authorities, origins, is_local);
        self.routes.iter().fold(guard, |guard, route| route.through(guard))
    }
}

/// What is wrong with a URL that ends with the path of the endpoint, where nobody named that path:
/// whoever wrote it means the URL of the endpoint itself.
pub(crate) fn doubled_path(url: &PublicUrl, has_default_path: bool) -> Option<String> {
    let (base, path) = (url.base(), url.path().as_str());
    let shorter = base.strip_suffix(path).filter(|_| has_default_path)?;
    let resource = url.resource();
    Some(format!(
        "the endpoint is below it, and would be {resource}: write {shorter:?}, or .path({path:?}) as well \
         if that is meant"
    ))
}

fn keep<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

fn origin(text: &str) -> Result<Origin, Problem> {
    Origin::parse(text).map_err(|what| {
        let problem = Problem::new(ProblemKind::InvalidOrigin, what);
        problem.within(format_args!("allow_origin({text:?})"))
    })
}

fn problem_with_scopes(supported: &Scopes) -> Option<Problem> {
    if *supported != supported.offered() {
        let text = "remove offline_access: clients request it from the authorization server \
                    themselves";
        return Some(Problem::new(ProblemKind::OfflineAccess, text).within("scopes_supported"));
    }
    let odd = supported.malformed()?;
    let text = format!("{odd:?} is not a valid scope (RFC 6749 §3.3)");
    Some(Problem::new(ProblemKind::InvalidScope, text).within("scopes_supported"))
}

fn problem_with_url(error: &PublicUrlError) -> Problem {
    let kind = match error.kind() {
        PublicUrlErrorKind::InvalidPath => ProblemKind::InvalidPath,
        PublicUrlErrorKind::ReservedPath => ProblemKind::ReservedPath,
        _ => ProblemKind::InvalidPublicUrl,
    };
    Problem::new(kind, error.to_string())
}

#[cfg(test)]
mod tests {
    use crate::error::{Error, ProblemKind, StartErrorKind};
    use crate::{RunOptions, Server};

    #[tokio::test]
    async fn a_public_url_is_not_that_of_the_endpoint_unless_its_path_is_named_too() {
        let builder = || Server::builder("test").no_auth().dangerously_serve_unauthenticated();
        for (url, advice) in [
            (
                "https://mcp.example.com/mcp",
                "write \"https://mcp.example.com\", or .path(\"/mcp\")",
            ),
            ("https://example.com/a/mcp/", "write \"https://example.com/a\", or .path(\"/mcp\")"),
        ] {
            let error = builder().public_url(url).build().unwrap_err();
            let Error::Build(error) = error else { panic!("{error}") };
            let [problem] = error.problems() else { panic!("{error}") };
            assert_eq!(problem.kind(), ProblemKind::InvalidPublicUrl);
            assert!(problem.to_string().contains(advice), "{problem}");

            let options = RunOptions::new().listen("127.0.0.1:0").public_url(url);
            let error = builder().build().unwrap().listen(&options).await.unwrap_err();
            let Error::Start(error) = error else { panic!("{error}") };
            assert_eq!(error.kind(), StartErrorKind::InvalidPublicUrl);
            assert!(error.to_string().contains(advice), "{error}");

            let named = builder().path("/mcp").build().unwrap().listen(&options).await.unwrap();
            assert_eq!(named.url(), format!("{}/mcp", url.trim_end_matches('/')));
            builder().path("/mcp").public_url(url).build().unwrap();
            builder().path("/").public_url(url).build().unwrap();
        }
        for url in
            ["https://example.com/xmcp", "https://example.com/mcp/a", "https://mcp.example.com"]
        {
            builder().public_url(url).build().unwrap();
        }
    }
}
