//! The page for a person who cannot go on.

use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use portcullis_guard::Reference;
use portcullis_guard::html::problem;
use portcullis_guard::text::quoted;

use crate::server::AuthorizationServer;

/// Why a person cannot go on here, where no client can be told (RFC 6749 §4.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The client is not known.
    UnknownClient,
    /// The redirect URI is not one of the client's.
    UnknownRedirectUri,
    /// The request is not one that a client sends.
    Malformed,
    /// The page is too old, or was made for another browser.
    Expired,
    /// The page of connections is too old, or was made for another browser or user.
    Stale,
    /// The identity provider signed nobody in.
    NotSignedIn,
    /// The form came from somewhere else.
    Foreign,
    /// There were too many from one address.
    TooMany,
    /// The server itself fails.
    Unavailable,
}

impl Problem {
    fn status(self) -> StatusCode {
        match self {
            // FastMCP registers again at a 400 alone, so that an unknown client is no 401 here.
            Self::UnknownClient
            | Self::UnknownRedirectUri
            | Self::Malformed
            | Self::Expired
            | Self::Stale => StatusCode::BAD_REQUEST,
            Self::Foreign | Self::NotSignedIn => StatusCode::FORBIDDEN,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The word for it, in the audit trail.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::UnknownClient => "unknown_client",
            Self::UnknownRedirectUri => "unknown_redirect_uri",
            Self::Malformed => "malformed",
            Self::Expired | Self::Stale => "expired",
            Self::NotSignedIn => "not_signed_in",
            Self::Foreign => "foreign",
            Self::TooMany => "too_many",
            Self::Unavailable => "unavailable",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::UnknownClient => "This server does not know your program",
            Self::UnknownRedirectUri => "This sign-in leads somewhere else",
            Self::Malformed => "This sign-in is not complete",
            Self::Expired | Self::Stale => "This page is too old",
            Self::NotSignedIn => "You are not signed in",
            Self::Foreign => "This came from another page",
            Self::TooMany => "There were too many sign-ins",
            Self::Unavailable => "Signing in does not work at the moment",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::UnknownClient => {
                "The program that sent you here is not registered at this server. Remove the server \
                 from that program and add it again."
            }
            Self::UnknownRedirectUri => {
                "The program that sent you here wants the answer at an address that it did not \
                 register, so nothing is sent there. If you know the program, remove the server \
                 from it and add it again. If somebody sent you a link, close this page."
            }
            Self::Malformed => {
                "The program that sent you here sent a request that this server does not \
                 understand. Begin again in that program; if it does not help, tell its makers."
            }
            Self::Expired => {
                "A sign-in is good for ten minutes, in the browser in which it began, and needs \
                 cookies. Go back to your program and begin again."
            }
            Self::Stale => {
                "Nothing was done. The page of your connections is good for ten minutes, in the \
                 browser in which you signed in, and needs cookies. Open it again."
            }
            Self::NotSignedIn => {
                "Nothing was done, since you did not sign in, or may not. To try once more, open the \
                 page of your connections again."
            }
            Self::Foreign => {
                "The form was not sent by a page of this server, so nothing was done. Go back to \
                 your program and begin again."
            }
            Self::TooMany => {
                "Too many sign-ins began at your network in the last minute. Nothing was done. Try \
                 again in a minute."
            }
            Self::Unavailable => "Nothing was done. Try again in a minute.",
        }
    }

    /// The page for people; the log has `cause` with the same reference.
    pub(crate) fn into_response(
        self,
        server: &AuthorizationServer,
        cause: &str,
    ) -> Response<Vec<u8>> {
        let reference = Reference::new();
        tracing::info!(%reference, problem = ?self, cause = quoted(cause), "sign-in refused");
        let body = problem(self.title(), self.advice(), &reference);
        let mut response = server.page(self.title(), &body).into_response(self.status());
        // For the audit record.
        response.extensions_mut().insert(reference);
        if matches!(self, Self::TooMany | Self::Unavailable) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}
