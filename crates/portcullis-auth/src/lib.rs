//! Who is calling, and may they.
//!
//! Tokens come in at [`Authenticator`], which reads the `Authorization` header, asks the
//! server's [`TokenVerifier`] and answers with a [`Principal`] or a [`Refusal`]. What the
//! principal may see and use is decided by [`Check`]s, which answer with a [`Decision`].

pub mod access;
mod authenticator;
mod bearer;
pub mod challenge;
pub mod danger;
mod jwt;
mod metadata;
mod principal;
mod scopes;
mod verifier;

pub use access::{AuthContext, Check, Decision, Denial, IntoCheck, RequireScopes, require_scopes};
pub use authenticator::{Authenticator, Refusal};
pub use bearer::{BearerToken, MAX_TOKEN_BYTES};
#[cfg(fuzzing)]
#[doc(hidden)]
pub use jwt::fuzzing;
pub use jwt::{Algorithm, JwtConfigError, JwtVerifier, JwtVerifierBuilder};
pub use metadata::ProtectedResourceMetadata;
pub use portcullis_guard::Answer;
pub use principal::{Claims, Principal};
pub use scopes::{IntoScopes, Scopes};
pub use verifier::{TokenVerifier, VerifyError};
