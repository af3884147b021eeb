//! Opaque tokens of vendors that do not introspect (RFC 7662), bound to one application.

mod date;
mod github;
mod google;
#[cfg(test)]
mod tests;

pub use self::github::{GitHubVerifier, GitHubVerifierBuilder};
pub use self::google::{GoogleVerifier, GoogleVerifierBuilder};
use super::config_error::{VerifierProblem, VerifierProblemKind};
use super::inquiry::MAX_LIFETIME;
use crate::Scopes;

/// The most values, and the depth, of an answer.
const BOUNDS: portcullis_guard::json::Bounds =
    portcullis_guard::json::Bounds { values: 1_024, depth: 16 };

/// What every vendor's verifier is asked.
fn check(
    required: &Scopes,
    cache_lifetime: std::time::Duration,
    problems: &mut Vec<VerifierProblem>,
) {
    if let Some(scope) = required.malformed().map(portcullis_guard::text::quoted) {
        let text = format!("the required scope {scope} is not a valid scope");
        problems.push(VerifierProblem::new(VerifierProblemKind::InvalidScope, text));
    }
    if cache_lifetime > MAX_LIFETIME {
        let text = "a cache lifetime of more than 5 minutes is refused: revoked tokens would be \
                    accepted for as long";
        problems.push(VerifierProblem::new(VerifierProblemKind::CacheTooLong, text));
    }
}
