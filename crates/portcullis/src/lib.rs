//! MCP servers that are safe to put on the internet.
//!
//! Write plain async functions; Portcullis speaks the protocol over stdio and HTTP, knows who is
//! calling, decides once what they may see and do, validates what they send, and masks what went
//! wrong. What a caller may not use does not exist for them.
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
//! # The walk of a request
//!
//! ```text
//!  request ─► limits ─► Host, Origin ─► bearer token ─► rate limit ─► ONE decision ─► arguments ─► your function
//!             503, 408  421, 403        401             429           not found, 403   isError      │
//!  answer  ◄───────────────────── shape for the protocol version ◄── masked errors ◄── audit record ◄┘
//! ```
//!
//! | stage | what decides | page of the manual |
//! |---|---|---|
//! | limits | [`Limits`](server::Limits) | [Limits](manual::limits) |
//! | Host, Origin: DNS rebinding, CSRF | [`public_url`](ServerBuilder::public_url), [`allow_host`](ServerBuilder::allow_host), [`allow_origin`](ServerBuilder::allow_origin) | [Host and Origin](manual::host_and_origin) |
//! | bearer token | [`JwtVerifier`](auth::JwtVerifier), [`IntrospectionVerifier`](auth::IntrospectionVerifier), [`TokenVerifier`](auth::TokenVerifier), [`RemoteAuthProvider`](auth::RemoteAuthProvider) | [Tokens](manual::tokens), [Authorization servers](manual::authorization_servers), [Opaque tokens](manual::opaque_tokens), [API keys](manual::api_keys) |
//! | rate limit | [`RateLimit`](middleware::RateLimit), token buckets | [Limits](manual::limits) |
//! | the decision, which fails closed | [`require_scopes`](access::require_scopes), [`require_roles`](access::require_roles), [`claim`](access::claim), [`by_arguments`](access::by_arguments), [`Check`](access::Check); [`AuthMiddleware`](middleware::AuthMiddleware), [`restrict_tag`](access::restrict_tag) | [Access](manual::access) |
//! | and what is shown at all | [`Visibility`](visibility::Visibility), [`Context::enable_components`] | [Visibility](manual::visibility) |
//! | arguments | [`Parameter`](component::Parameter), [`Argument`](component::Argument) | [Arguments](manual::arguments) |
//! | your function | [`tool`], [`resource`], [`prompt`], or [`Tool`], [`Resource`], [`Prompt`]; [`Middleware`](middleware::Middleware), [`Timeout`](middleware::Timeout), [`ResponseLimit`](middleware::ResponseLimit) around it | [Files](manual::files), [Outbound requests](manual::outbound) |
//! | masked errors | [`ToolError`] | [Errors](manual::errors) |
//! | audit record | [`AuditSink`](audit::AuditSink) | [Audit](manual::audit) |
//!
//! What is denied is absent: it is in no list, and its use is answered exactly as for a name that
//! does not exist, over HTTP as late too (against the timing side channel). [`Server::builder`] is
//! where all of it is configured, [`TestClient`](testing::TestClient) asks a server without a network, and
//! [`route`](mod@route) is for HTTP routes beside the protocol. What must never serve the internet
//! is in [`danger`].
//!
//! # Feature flags
//!
//! Features only add: none changes a default or a decision.
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `http` | yes | Streamable HTTP, [`route`](mod@route), `public_url`, [`Listening`](server::Listening): hyper and axum |
//! | `jwt` | yes | [`JwtVerifier`](auth::JwtVerifier), [`IntrospectionVerifier`](auth::IntrospectionVerifier) and the other verifiers, and `fetch`: aws-lc-rs |
//! | `fetch` | with `jwt` | [`Fetch`](guard::Fetch): reqwest and rustls |
//! | `files` | yes | [`Workspace`](guard::Workspace): cap-std |
//! | `commands` | yes | [`Command`](guard::Command), on Unix; no further crate |
//! | `keys` | yes | [`Sealed`](store::Sealed), [`guard::keys`] and [`guard::seal`]: aws-lc-rs |
//! | `oauth` | yes | [`OAuthProxy`](auth::OAuthProxy) and the providers, [`LoginProvider`](danger::LoginProvider), `http`, `jwt` and `keys`; no further crate |
//! | `metrics` | no | `metrics`, with a route for Prometheus with `http`: the `metrics` facade |
//! | `redb` | no | `store::FileStore`, and `keys`: redb |
//! | `redis` | no | `store::RedisStore`, and `keys`: redis and rustls |
//! | `tls` | no | [`RunOptions::tls`]: TLS with a certificate of the server's own, `http` and `keys`: tokio-rustls |
//! | `testing` | yes | [`TestClient`](testing::TestClient), `IdentityProvider` with `http` and `jwt`; no further crate |
//!
//! A server over stdio alone, with tools, resources and prompts, needs none of them:
//! `default-features = false`. Asked for HTTP, it does not start
//! ([`TransportNotBuilt`](error::StartErrorKind::TransportNotBuilt)).
//!
//! # The brief, section by section
//!
//! | section | page |
//! |---|---|
//! | 1 transports, 17 dual mode | [Transports](manual::transports) |
//! | 2 environment, 15 secrets | [Secrets](manual::secrets), [Keys](manual::keys), [Errors](manual::errors) |
//! | 3 OAuth 2.1, 5 built-in providers | [Signing in](manual::sign_in), [Identity providers](manual::identity_providers), [Clients](manual::clients), [Upstream tokens](manual::upstream_tokens) |
//! | 4 token verification | [Tokens](manual::tokens) |
//! | 6 remote authorization servers | [Authorization servers](manual::authorization_servers) |
//! | 7 component auth, 8 custom checks, 9 server-level checks | [Access](manual::access) |
//! | 10 session visibility | [Visibility](manual::visibility) |
//! | 11 custom routes | [Routes](manual::routes) |
//! | 12 input validation | [Arguments](manual::arguments), [Files](manual::files), [Commands](manual::commands), [SQL](manual::sql) |
//! | 13 SSRF | [Outbound requests](manual::outbound) |
//! | 14 DNS rebinding | [Host and Origin](manual::host_and_origin) |
//! | 16 development helpers | [Testing](manual::testing) |
//! | 18 rules | [Rules](manual::rules) |
//!
//! Then there are every [default](manual::defaults) and its reason, recipes for
//! [deploying](manual::deploying), [metrics](manual::metrics), the [threats](manual::threats) with their tests, and what is
//! [not done](manual::not_done).

pub mod access;
mod catalogue;
pub mod component;
pub mod error;
#[cfg(doc)]
pub mod manual;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod middleware;
mod operation;
#[cfg(test)]
mod reference;
#[cfg(feature = "http")]
pub mod route;
pub mod server;
#[cfg(feature = "testing")]
pub mod testing;
pub mod visibility;

pub use portcullis_auth::audit;
pub use portcullis_guard::stderr;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use self::catalogue::fuzzing;
pub use self::component::attributes::{prompt, resource, tool};
pub use self::component::caller::{Caller, MaybeCaller};
pub use self::component::content::Content;
pub use self::component::context::Context;
pub use self::component::declaration::Components;
pub use self::component::prompt::Prompt;
pub use self::component::resource::Resource;
pub use self::component::result::Json;
pub use self::component::state::State;
pub use self::component::tool::Tool;
pub use self::component::tool_error::ToolError;
pub use self::error::server::Error;
pub use self::server::Server;
pub use self::server::builder::ServerBuilder;
pub use self::server::run_options::RunOptions;

/// Options, verifiers and providers that must never serve the internet.
pub mod danger {
    pub use portcullis_auth::danger::{StaticTokenVerifier, User, user};
    #[cfg(feature = "oauth")]
    pub use portcullis_oauth::LoginProvider;
}

/// Who is calling: access tokens, and the principals that they prove.
pub mod auth {
    #[cfg(feature = "jwt")]
    pub use crate::component::credential::ExchangedCredentials;
    #[cfg(feature = "fetch")]
    pub use crate::component::credential::{Credential, Credentials, UpstreamCredentials};
    #[cfg(feature = "jwt")]
    pub use portcullis_auth::{
        Algorithm, ApiKeyError, ApiKeyErrorKind, ApiKeyFile, ApiKeyList, ApiKeyRecord, ApiKeys,
        ApiKeysBuilder, ExchangedToken, GitHubVerifier, GitHubVerifierBuilder, GoogleVerifier,
        GoogleVerifierBuilder, IntrospectionVerifier, IntrospectionVerifierBuilder, JwtConfigError,
        JwtProblem, JwtProblemKind, JwtVerifier, JwtVerifierBuilder, MultiVerifier,
        MultiVerifierBuilder, NewApiKey, NewJwt, SigningKeyError, SigningKeyErrorKind, SigningKeys,
        SigningKeysBuilder, TokenExchange, TokenExchangeBuilder, TokenExchangeConfigError,
        TokenExchangeError, TokenExchangeErrorKind, TokenExchangeProblem, TokenExchangeProblemKind,
        VerifierConfigError, VerifierProblem, VerifierProblemKind,
    };
    pub use portcullis_auth::{
        Audience, AuthProvider, AuthProviderError, AuthProviderProblem, AuthProviderProblemKind,
        AuthSummary, AuthorizationEndpoint, AuthorizationEndpoints, BearerToken, Claims,
        EndpointNotes, EndpointPath, EndpointRecord, EndpointRequest, Principal, PrincipalId,
        ProtectedResource, PublicUrl, PublicUrlError, PublicUrlErrorKind, RemoteAuthProvider,
        RemoteAuthProviderBuilder, TokenVerifier, UpstreamToken, UpstreamTokenError,
        UpstreamTokenErrorKind, UpstreamTokens, VerifyError, short_client_id,
    };
    #[cfg(feature = "oauth")]
    pub use portcullis_oauth::{
        Admit, Auth0Provider, Branding, ClerkProvider, ClientPolicy, CognitoProvider, Connection,
        ConnectionList, Connections, ConnectionsError, ConnectionsErrorKind, Consent,
        DiscordProvider, EntraProvider, GitHubProvider, GoogleProvider, HuggingFaceProvider,
        KeycloakProvider, KnownClient, OAuthProvider, OAuthProxy, OidcProxy, OktaProvider,
        PreRegisteredClient, Registration, SignInPage, SignInRefused, TokenEndpointAuth,
        UserIdentity, WorkOsProvider, vendor,
    };
}

/// The safe doors outwards: files, requests, the environment, the clock, secrets, keys.
pub mod guard {
    #[doc(hidden)]
    pub use portcullis_guard::environment::{Variable, Variables};
    pub use portcullis_guard::{
        AppendedFile, Clock, Environment, EnvironmentError, EnvironmentErrorKind, ErrorChain,
        FromEnv, LogWriter, ManualClock, MaybeFuture, OperationId, PrivateFile, PrivateFileError,
        PrivateFileErrorKind, Reference, Secret, SecretFile, SystemClock, WatchedFile,
        WatchedFileError, WatchedFileErrorKind, redaction, secret_source,
    };
    #[cfg(all(unix, feature = "commands"))]
    pub use portcullis_guard::{
        Command, CommandError, CommandErrorKind, CommandOutput, Invocation,
    };
    #[cfg(feature = "files")]
    pub use portcullis_guard::{
        Entry, EntryKind, FileMetadata, Lines, Quota, Workspace, WorkspaceError,
        WorkspaceErrorKind, WritableWorkspace,
    };
    #[cfg(feature = "fetch")]
    pub use portcullis_guard::{
        Fetch, FetchBuilder, FetchError, FetchRequest, FetchStream, Fetched, Refusal,
    };
    #[cfg(feature = "keys")]
    pub use portcullis_guard::{keys, seal};
    #[cfg(feature = "fetch")]
    pub use url::Url;

    pub use crate::component::attributes::FromEnv;
}

/// What is kept between requests, and what a backend of your own implements.
pub mod store {
    #[cfg(feature = "keys")]
    pub use portcullis_store::Sealed;
    pub use portcullis_store::{
        CasOutcome, MemoryStore, RecordKey, RecordOwner, RecordValue, Store, StoreError,
    };
    #[cfg(feature = "redb")]
    pub use portcullis_store::{FileStore, StoreOpenError, StoreOpenErrorKind};
    #[cfg(feature = "redis")]
    pub use portcullis_store::{RedisOpenError, RedisOpenErrorKind, RedisStore, RedisStoreBuilder};
}

/// What nearly every server needs, without names that shadow those of std or axum.
pub mod prelude {
    pub use crate::access::{
        AuthContext, AuthorizationError, CheckError, Decision, all_of, any_of, by_arguments, claim,
        require_roles, require_scopes, restrict_tag,
    };
    #[cfg(feature = "jwt")]
    pub use crate::auth::JwtVerifier;
    pub use crate::component::{Args, Message};
    #[cfg(feature = "files")]
    pub use crate::guard::Workspace;
    pub use crate::middleware::AuthMiddleware;
    pub use crate::visibility::tags;
    pub use crate::{
        Caller, Components, Content, Context, Json, MaybeCaller, Server, State, ToolError,
        components, danger, prompt, resource, tool,
    };
}

/// The README's program is compiled with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
