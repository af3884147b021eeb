//! Why a sign-in at the identity provider does not go on.

use portcullis_guard::{ErrorChain, FetchError};

/// Why a sign-in, or what stands behind it, does not go on. The texts are for the log, and hold no
/// secret.
#[derive(Debug)]
pub(crate) enum UpstreamError {
    /// The provider does not let the user in, or ended what it gave: the user signs in again.
    Refused(String),
    /// The operator has to change something, here or at the provider.
    Misconfigured(String),
    /// It may go better later.
    Unavailable(String),
}

impl UpstreamError {
    /// That of a request to `what` that had no answer.
    pub(super) fn unanswered(what: &str, error: &FetchError) -> Self {
        let text = format!("{what} does not answer: {}", ErrorChain::new(error));
        match error {
            FetchError::TimedOut | FetchError::Failed(_) => Self::Unavailable(text),
            _ => Self::Misconfigured(text),
        }
    }

    #[cfg(test)]
    pub(super) fn cause(&self) -> &str {
        match self {
            Self::Refused(cause) | Self::Misconfigured(cause) | Self::Unavailable(cause) => cause,
        }
    }
}
