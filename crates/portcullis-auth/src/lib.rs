//! Who is calling, and may they.
//!
//! Tokens come in at [`Authenticator`], which reads the `Authorization` header, asks the
//! server's [`TokenVerifier`] and answers with a [`Principal`] or a [`Refusal`]. What the
//! principal may see and use is decided by [`Check`]s, which answer with a [`Decision`] and fail
//! closed: an error, a panic or a timeout denies. Decisions go to the [`audit`] trail. Tokens are
//! untrusted until the verifier has accepted them.

pub mod access;
pub mod audit;
mod authenticator;
mod bearer;
pub mod challenge;
#[cfg(feature = "jwt")]
mod claims;
#[cfg(feature = "jwt")]
mod client_credentials;
pub mod danger;
mod hierarchy;
#[cfg(feature = "jwt")]
mod jwt;
mod last_bearer;
mod metadata;
mod one_or_many;
mod principal;
mod provider;
mod public_url;
#[cfg(feature = "jwt")]
mod refused_tokens;
mod resource;
mod scopes;
#[cfg(feature = "jwt")]
mod signing;
#[cfg(feature = "jwt")]
mod token_cache;
#[cfg(feature = "jwt")]
mod token_exchange;
mod verifier;
#[cfg(feature = "jwt")]
mod verify;

pub use access::{
    AllOf, AnyOf, AuthContext, AuthorizationError, ByArguments, Check, CheckError, Claim,
    ClaimCheck, ClaimError, Decision, Denial, Described, IntoCheck, IntoChecks, Not, RequireRoles,
    RequireScopes, RestrictTag, RoleExtractor, Shortfall, States, Target, all_of, any_of,
    by_arguments, claim, described, extract, not, require_roles, require_scopes, restrict_tag,
};
pub use audit::{Audit, AuditError, AuditFailure, AuditRecord, AuditSink, JsonLines};
pub use authenticator::{Authenticator, Refusal};
pub use bearer::{BearerToken, MAX_TOKEN_BYTES};
#[cfg(feature = "jwt")]
pub use client_credentials::{ClientAuthentication, ClientCredentials};
pub use hierarchy::{Granted, ScopeHierarchy};
#[cfg(all(fuzzing, feature = "jwt"))]
#[doc(hidden)]
pub use jwt::fuzzing;
#[cfg(feature = "jwt")]
pub use jwt::{
    Algorithm, AuthorizationServerMetadata, Discovery, DiscoveryError, IdTokenVerifier,
    JwtConfigError, JwtProblem, JwtProblemKind, JwtVerifier, JwtVerifierBuilder,
};
pub use last_bearer::LastBearer;
pub use metadata::ProtectedResourceMetadata;
pub use one_or_many::OneOrMany;
pub use portcullis_guard::MaybeFuture;
pub use principal::{Claims, Principal, PrincipalId, short_client_id};
pub use provider::{
    Audience, AuthProvider, AuthProviderError, AuthProviderProblem, AuthProviderProblemKind,
    AuthSummary, AuthorizationEndpoint, AuthorizationEndpoints, EndpointNotes, EndpointRecord,
    EndpointRequest, MAX_ENDPOINT_BODY, ProtectedResource, RemoteAuthProvider,
    RemoteAuthProviderBuilder, UpstreamToken, UpstreamTokenError, UpstreamTokenErrorKind,
    UpstreamTokens,
};
pub use public_url::{EndpointPath, PublicUrl, PublicUrlError, PublicUrlErrorKind};
pub use resource::is_same_resource;
pub use scopes::Scopes;
#[cfg(feature = "jwt")]
pub use signing::{
    AccessTokenKeys, NewAccessToken, NewJwt, SigningKeyError, SigningKeyErrorKind, SigningKeys,
    SigningKeysBuilder,
};
#[cfg(feature = "jwt")]
pub use token_exchange::{
    ExchangedToken, TokenExchange, TokenExchangeBuilder, TokenExchangeConfigError,
    TokenExchangeError, TokenExchangeErrorKind, TokenExchangeProblem, TokenExchangeProblemKind,
};
pub use verifier::{TokenVerifier, VerifyError};
#[cfg(feature = "jwt")]
pub use verify::{
    AccessTokenVerifier, ApiKeyError, ApiKeyErrorKind, ApiKeyFile, ApiKeyList, ApiKeyRecord,
    ApiKeys, ApiKeysBuilder, GitHubVerifier, GitHubVerifierBuilder, GoogleVerifier,
    GoogleVerifierBuilder, IntrospectionVerifier, IntrospectionVerifierBuilder, MultiVerifier,
    MultiVerifierBuilder, NewApiKey, VerifierConfigError, VerifierProblem, VerifierProblemKind,
};
