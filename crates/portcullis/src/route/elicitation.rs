//! The pages that users are asked to open, and the one user whom each is for.

use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use portcullis_auth::audit::Verdict;
use portcullis_auth::{EndpointNotes, EndpointRecord, Principal};
use portcullis_store::StoreError;

use crate::operation::Engine;
use crate::operation::pages::Standing;

/// What a user was asked to open a page for ([`Context::elicit_url`](crate::Context::elicit_url)), as the
/// handler of the page takes it from the request's query.
///
/// **A link can be sent to anybody.** An attacker who is asked to open a page may lure another user to it
/// (phishing), and have them enter their credentials for the attacker's own call. So the page has to know
/// its user by a sign-in of its own, such as its session's cookie, and say who that is: with the issuer and
/// the subject of their access tokens. For anybody but the user who was asked, the elicitation does not
/// exist. Confirm before the page shows anything, and complete once everything was kept under the same
/// user's name.
///
/// The URL lets nobody in: it is no sign-in.
///
/// Source: MCP 2025-11-25 elicitation §Phishing.
///
/// # Example
///
/// ```
/// use axum::http::HeaderMap;
/// use portcullis::auth::Principal;
/// use portcullis::prelude::*;
/// use portcullis::route::{ElicitationRefused, UrlElicitation, get, post};
///
/// /// The user whom the cookie of the site proves.
/// fn signed_in(headers: &HeaderMap) -> Principal {
///     # let _ = headers;
///     // … found by the session of the site
///     Principal::new("alice").with_issuer("https://id.example.com")
/// }
///
/// async fn show(page: UrlElicitation, headers: HeaderMap) -> Result<String, ElicitationRefused> {
///     page.confirm(&signed_in(&headers)).await?;
///     Ok("<form method=post>…".to_owned())
/// }
///
/// async fn take(page: UrlElicitation, headers: HeaderMap) -> Result<String, ElicitationRefused> {
///     let user = signed_in(&headers);
///     page.confirm(&user).await?;
///     // … keeps what was entered, for this user
///     page.complete(&user).await?;
///     Ok("Go back to your client.".to_owned())
/// }
///
/// # let tokens = danger::StaticTokenVerifier::new();
/// let server = Server::builder("calendar")
///     .auth(tokens)
///     .route(get("/calendar", show).public("the site's own sign-in").page())
///     .route(post("/calendar", take).public("the site's own sign-in"));
/// ```
#[must_use = "the page has to find out who opens it: `confirm`"]
pub struct UrlElicitation {
    number: String,
    engine: Arc<Engine>,
    notes: EndpointNotes,
}

impl UrlElicitation {
    /// Whether `user`, as the page's own sign-in proves them, was asked to open it, and is not done yet.
    ///
    /// Only issuer and subject count: a browser is not the client that the user was asked by.
    ///
    /// # Errors
    ///
    /// For anybody else, for what has expired and what is completed, all alike; and when the store is away.
    /// The audit record of the route says so.
    pub async fn confirm(&self, user: &Principal) -> Result<(), ElicitationRefused> {
        let standing = self.engine.pages.standing(user, &self.number).await;
        let asked = standing.map(|standing| standing == Standing::Asked);
        self.told(user, asked, "elicitation_confirmed")
    }

    /// Says that `user` is done, so that the function that asked them goes on: once, and for the user who
    /// was asked alone.
    ///
    /// # Errors
    ///
    /// As [`confirm`](Self::confirm).
    pub async fn complete(&self, user: &Principal) -> Result<(), ElicitationRefused> {
        let done = self.engine.pages.complete(user, &self.number).await;
        self.told(user, done, "elicitation_completed")
    }

    fn told(
        &self,
        user: &Principal,
        asked: Result<bool, StoreError>,
        outcome: &'static str,
    ) -> Result<(), ElicitationRefused> {
        let refused = match asked {
            Ok(true) => None,
            Ok(false) => {
                let reason = "another user, or nothing that they are asked any more";
                Some((reason.to_owned(), Why::NotAsked))
            }
            Err(error) => Some((error.reason().to_owned(), Why::Away)),
        };
        let why = refused.as_ref().map(|(_, why)| *why);
        self.notes.note(|noted: &mut EndpointRecord| {
            noted.issuer = user.issuer().map(str::to_owned);
            noted.subject = Some(user.subject().to_owned());
            noted.outcome = Some(outcome);
            if let Some((reason, _)) = refused {
                noted.outcome = Some("elicitation_refused");
                noted.verdict = Some(Verdict::Denied);
                noted.rule = Some("elicitation");
                noted.reason = Some(reason);
            }
        });
        why.map_or(Ok(()), |why| Err(ElicitationRefused(why)))
    }
}

/// What the guard of a route gives to a [`UrlElicitation`].
#[derive(Clone)]
pub(super) struct Elicitations {
    pub(super) engine: Arc<Engine>,
    pub(super) notes: EndpointNotes,
}

impl<S: Send + Sync> FromRequestParts<S> for UrlElicitation {
    type Rejection = ElicitationRefused;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, ElicitationRefused> {
        let not_asked = ElicitationRefused(Why::NotAsked);
        let Elicitations { engine, notes } = head.extensions.get().cloned().ok_or(not_asked)?;
        let number = head.uri.query().and_then(number_of).ok_or(not_asked)?.to_owned();
        Ok(Self { number, engine, notes })
    }
}

/// The one number of a query, as it is written in the URLs that users are given.
fn number_of(query: &str) -> Option<&str> {
    let mut numbers = query.split('&').filter_map(|pair| pair.strip_prefix("elicitation="));
    let (number, other) = (numbers.next()?, numbers.next());
    let digits = number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (other.is_none() && digits && number.len() == 32).then_some(number)
}

impl fmt::Debug for UrlElicitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlElicitation")
    }
}

/// The page is not for whoever opened it: 403, or 503 where the store cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElicitationRefused(Why);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    NotAsked,
    Away,
}

impl ElicitationRefused {
    /// The status of its response.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self.0 {
            Why::NotAsked => StatusCode::FORBIDDEN,
            Why::Away => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl fmt::Display for ElicitationRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Why::NotAsked => {
                "This page is not for you, or it is too late for it. Enter nothing that somebody else \
                 asks you for; if you were asked yourself, ask your client to begin again."
            }
            Why::Away => "The server cannot tell at the moment who was asked. Try again.",
        })
    }
}

impl std::error::Error for ElicitationRefused {}

impl IntoResponse for ElicitationRefused {
    fn into_response(self) -> Response {
        let no_store = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        (self.status(), no_store, self.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a16_a_query_has_one_number_in_one_spelling() {
        let number = "0123456789abcdef0123456789abcdef";
        for query in [format!("elicitation={number}"), format!("a=b&elicitation={number}&c")] {
            assert_eq!(number_of(&query), Some(number), "{query}");
        }
        for query in [
            String::new(),
            "elicitation=".to_owned(),
            format!("elicitation={number}&elicitation={number}"),
            format!("elicitation={number}0"),
            format!("elicitation={}", &number[1..]),
            format!("elicitation={}", number.to_uppercase()),
            format!("elicitation=%30{}", &number[1..]),
            format!("Elicitation={number}"),
            format!("xelicitation={number}"),
        ] {
            assert_eq!(number_of(&query), None, "{query}");
        }
    }
}
