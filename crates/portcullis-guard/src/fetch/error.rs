//! Why nothing was fetched, in words that a caller may read.

use std::error::Error;
use std::{fmt, io};

use super::Refusal;
use crate::ErrorChain;

/// Why nothing was fetched.
///
/// Its text may be shown to callers: it holds no URL, address, name or header. What else is known is
/// its [`source`](Error::source), for the log.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchError {
    /// The destination is not one that an untrusted URL may name.
    Refused(Refusal),
    /// The request cannot be sent: the text says what is wrong with it.
    Malformed(&'static str),
    /// The client cannot be set up: the text says what is wrong with its description.
    Misconfigured(&'static str),
    /// The request timed out.
    TimedOut,
    /// The body of the answer is over the limit.
    TooLarge,
    /// The body of the answer cannot be read as what it should be: the text says why.
    Unreadable(&'static str),
    /// The exchange failed. The cause holds no URL; it may hold names of the network, as those that
    /// a certificate is for.
    Failed(Box<dyn Error + Send + Sync>),
}

impl FetchError {
    /// Whether the destination was refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    pub(super) fn from_reqwest(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let refusal = ErrorChain::new(&error).causes().find_map(|cause| cause.downcast_ref());
        if let Some(refusal) = refusal {
            return Self::Refused(*refusal);
        }
        if error.is_timeout() { Self::TimedOut } else { Self::Failed(error.into()) }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "the destination is refused: {refusal}"),
            Self::Malformed(problem) => write!(f, "the request is malformed: {problem}"),
            Self::Misconfigured(problem) => write!(f, "the client cannot be set up: {problem}"),
            Self::TimedOut => f.write_str("the request timed out"),
            Self::TooLarge => f.write_str("the body is too large"),
            Self::Unreadable(problem) => write!(f, "the body cannot be read: {problem}"),
            Self::Failed(cause) => write!(f, "the exchange failed: {}", public(&**cause)),
        }
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(cause) => Some(&**cause),
            _ => None,
        }
    }
}

/// As much of the cause as says nothing about a network.
fn public(cause: &(dyn Error + Send + Sync + 'static)) -> &'static str {
    let io = ErrorChain::new(cause).causes().find_map(|cause| cause.downcast_ref::<io::Error>());
    match (io.map(io::Error::kind), cause.downcast_ref::<reqwest::Error>()) {
        (Some(io::ErrorKind::ConnectionRefused), _) => "the connection was refused",
        (_, Some(error)) if error.is_connect() => "no connection could be made",
        (_, Some(error)) if error.is_body() || error.is_decode() => "the answer broke off",
        _ => "the connection broke",
    }
}
