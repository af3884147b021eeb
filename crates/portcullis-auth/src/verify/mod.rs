//! Verifiers of tokens that say nothing by themselves, and of several sources at once.

mod access_token;
mod api_key;
mod config_error;
mod inquiry;
mod introspection;
mod multi;
#[cfg(test)]
mod provider;
mod vendor;

pub use self::access_token::AccessTokenVerifier;
pub use self::api_key::{
    ApiKeyError, ApiKeyErrorKind, ApiKeyFile, ApiKeyList, ApiKeyRecord, ApiKeys, ApiKeysBuilder,
    NewApiKey,
};
pub use self::config_error::{VerifierConfigError, VerifierProblem, VerifierProblemKind};
pub use self::introspection::{IntrospectionVerifier, IntrospectionVerifierBuilder};
pub use self::multi::{MultiVerifier, MultiVerifierBuilder};
pub use self::vendor::{
    GitHubVerifier, GitHubVerifierBuilder, GoogleVerifier, GoogleVerifierBuilder,
};
