//! MCP servers that are safe to put on the internet.
//!
//! Write plain async functions; Portcullis speaks the protocol, knows who is calling,
//! decides once what they may see and do, checks what they send, and shows outside only
//! what was meant for outside.
//!
//! ```no_run
//! use portcullis::prelude::*;
//!
//! /// The caller's own profile.
//! #[tool(auth = require_scopes(["read"]))]
//! async fn get_profile(caller: Caller) -> Result<String, ToolError> {
//!     Ok(format!("You are {}.", caller.subject().unwrap_or("the local user")))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), portcullis::Error> {
//!     let tokens = danger::StaticTokenVerifier::new()
//!         .token("dev-token-alice", danger::user("alice").scopes(["read"]));
//!     let server = Server::builder("profiles").auth(tokens).components(components![get_profile]);
//!     server.build()?.run().await
//! }
//! ```
//!
//! # Where things are
//!
//! - [`Server`] and its [builder](ServerBuilder): what is served, to whom, under which URL.
//! - [`tool`], [`resource`], [`prompt`]: attributes for functions; [`Tool`], [`Resource`] and
//!   [`Prompt`] are the same without macros.
//! - [`Parameter`]: what such a function may take; [`Argument`] holds its constraints.
//! - [`ToolError`]: the two faces of an error.
//! - [`JwtVerifier`]: the access tokens of an identity provider.
//! - [`require_scopes`], [`require_roles`], [`claim`] and [`Check`]: who may see and use a
//!   component; [`AuthMiddleware`] and [`restrict_tag`] for many at once.
//! - [`Visibility`] and [`Context::enable_components`]: what is shown at all.
//! - [`Middleware`], [`RateLimit`] (token buckets), [`Timeout`], [`ResponseLimit`]: what stands
//!   around.
//! - [`AuditSink`]: the trail that every operation leaves.
//! - [`TestClient`]: a server's tests, without a network.
//! - [`route`](mod@route): HTTP routes beside the protocol.
//! - [`Limits`]: how much and how long anything may be taken of the server.
//! - [`danger`]: what must never serve the internet.
//!
//! # What a request goes through
//!
//! Timeouts and limits, Host and Origin against allow-lists (DNS rebinding, CSRF), the bearer
//! token, the envelope, **one decision** about the component, the arguments, and then your
//! function. The decision fails closed: an error, a panic or a timeout denies. What is denied is
//! absent: it is in no list, and using it answers exactly as for a name that does not exist, and
//! over HTTP as late ([`Limits::absence`], against the timing side channel). [`Workspace`] reads
//! untrusted paths (against path traversal), and [`Fetch`] untrusted URLs (against SSRF).

mod access;
mod catalogue;
mod component;
mod error;
#[cfg(doc)]
pub mod manual;
mod middleware;
mod operation;
#[cfg(test)]
mod reference;
pub mod route;
mod server;
mod testing;
mod visibility;

pub use portcullis_auth::audit;
pub use portcullis_auth::danger;
pub use portcullis_auth::{
    Algorithm, AllOf, AnyOf, AuditError, AuditFailure, AuditRecord, AuditSink, AuthContext,
    AuthorizationError, BearerToken, ByArguments, Check, CheckError, Claim, ClaimCheck, ClaimError,
    Claims, Decision, Denial, Described, Granted, IntoCheck, IntoChecks, IntoClaimPath, IntoRoles,
    IntoScopes, JsonLines, JwtConfigError, JwtProblem, JwtProblemKind, JwtVerifier,
    JwtVerifierBuilder, MaybeFuture, Not, Principal, PrincipalId, Reduced, RequireRoles,
    RequireScopes, RestrictTag, RoleExtractor, ScopeHierarchy, Scopes, Target, TokenVerifier,
    VerifyError, all_of, any_of, by_arguments, claim, described, extract, not, require_roles,
    require_scopes, restrict_tag,
};
pub use portcullis_guard::{
    Clock, Environment, EnvironmentError, EnvironmentErrorKind, Fetch, FetchBuilder, FetchError,
    Fetched, LogWriter, ManualClock, OperationId, Reference, Secret, SystemClock, Workspace,
    WorkspaceError, WorkspaceErrorKind, stderr,
};
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// /// Financial report for a quarter.
/// #[prompt(auth = require_scopes(["analyst"]))]
/// async fn financial_report(#[arg(pattern = "^Q[1-4]$")] quarter: String) -> String {
///     format!("Generate a financial report for {quarter}.")
/// }
/// ```
pub use portcullis_macros::prompt;
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// /// A note of one's own.
/// #[resource("note://{owner}/{id}", auth = require_scopes(["read"]))]
/// async fn note(owner: String, id: u32, caller: Caller) -> Result<String, ToolError> {
///     if caller.subject() != Some(&*owner) {
///         return Err(ToolError::not_found());
///     }
///     Ok(format!("Note {id} of {owner}."))
/// }
/// ```
pub use portcullis_macros::resource;
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// struct Items(Vec<&'static str>);
///
/// /// Search for items by keyword.
/// #[tool(annotations(read_only))]
/// async fn search_items(
///     /// Search query
///     #[arg(min_length = 1)] query: String,
///     /// How many at most
///     #[arg(ge = 1, le = 100, default = 20)] limit: usize,
///     items: State<Items>,
/// ) -> Result<Json<Vec<String>>, ToolError> {
///     let found = items.0.iter().filter(|item| item.contains(&query)).take(limit);
///     Ok(Json(found.map(|item| item.to_string()).collect()))
/// }
/// ```
pub use portcullis_macros::tool;
pub use portcullis_protocol::{Changed, ClientInfo, Limits, ProtocolVersion, Transport};
pub use portcullis_store::{CasOutcome, MemoryStore, RecordKey, RecordValue, Store, StoreError};
pub use url::Url;

pub use self::access::explain::{Explained, Explanation};
pub use self::access::table::{AccessRow, AccessTable};
pub use self::component::argument::{Argument, Bound};
pub use self::component::caller::Caller;
pub use self::component::caller::MaybeCaller;
pub use self::component::content::Content;
pub use self::component::context::Context;
pub use self::component::hint::Hint;
pub use self::component::parameter::{Args, Call, Parameter, Parameters};
pub use self::component::prompt::Prompt;
pub use self::component::resource::Resource;
pub use self::component::result::{
    IntoPromptResult, IntoResourceResult, IntoToolResult, Json, Message, PromptResult,
    ResourceResult, ToolResult,
};
pub use self::component::selector::{IntoNames, Selector, everything, keys, kinds, names, tags};
pub use self::component::state::State;
pub use self::component::tool::Tool;
pub use self::component::tool_error::{InsufficientScope, ToolError};
pub use self::component::visibility::{Visibility, VisibilityChange};
pub use self::component::{Component, ComponentKind, Components, Declare, Deny};
pub use self::error::Error;
pub use self::middleware::rate_limit::RateLimit;
pub use self::middleware::{
    AuthMiddleware, IntoMiddleware, Listed, Middleware, Next, Operation, Request, Response,
    ResponseLimit, Timeout,
};
pub use self::server::Server;
pub use self::server::builder::{Decided, SaysWhoIsLetIn, ServerBuilder, Undecided};
pub use self::server::listening::Listening;
pub use self::server::run_options::RunOptions;
pub use self::testing::client::{TestAnswer, TestClient};
pub use self::testing::route::TestResponse;

/// What nearly every server needs.
pub mod prelude {
    pub use crate::route::{get, post};
    pub use crate::{
        Args, AuthContext, AuthMiddleware, AuthorizationError, Caller, CheckError, Components,
        Content, Context, Decision, Json, JwtVerifier, MaybeCaller, Message, Server, State,
        ToolError, Workspace, all_of, any_of, by_arguments, claim, components, danger, extract,
        names, not, prompt, require_roles, require_scopes, resource, restrict_tag, tags, tool,
    };
}

/// Collects components by the names of their functions, each marked with `#[tool]`,
/// `#[resource]` or `#[prompt]`: the compiler's "expected struct, found function" means that
/// one is not.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// #[tool]
/// async fn ping() -> &'static str {
///     "pong"
/// }
///
/// fn components() -> Components {
///     components![ping]
/// }
/// # assert_eq!(components().len(), 1);
/// ```
#[macro_export]
macro_rules! components {
    ($($($segment:ident)::+),* $(,)?) => {
        $crate::Components::new()$(.with($($segment)::+ {}))*
    };
}

/// The README's program is compiled with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
