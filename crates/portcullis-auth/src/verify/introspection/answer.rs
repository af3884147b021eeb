//! What an introspection endpoint says of a token, and what it has to say.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use portcullis_guard::json::{self, Bounds};
use portcullis_guard::text::quoted;
use serde_json::Value;

use super::super::inquiry::{UNEXPIRING, Unverified};
use crate::claims::{self, Dates};
use crate::{Claims, Principal};

const BOUNDS: Bounds = Bounds { values: 1_024, depth: 16 };
/// Error codes that are repeated in the log (RFC 6749 §5.2, RFC 7009 §2.2.1). Any other text of an
/// answer may hold the token.
const ERRORS: [&str; 7] = [
    "invalid_client",
    "invalid_request",
    "invalid_token",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_token_type",
];

/// What the answer about a token has to say (RFC 7662 §2.2).
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) issuer: String,
    pub(super) audiences: Vec<String>,
    pub(super) clients: Vec<String>,
    pub(super) subject_claim: String,
    pub(super) scope_claims: Vec<Vec<String>>,
    pub(super) leeway: Duration,
    pub(super) unexpiring: bool,
    /// Whether the log said what else `active: false` may mean.
    pub(super) inactive_explained: AtomicBool,
}

/// The members of an answer to introspection.
///
/// # Errors
///
/// An answer with another status is no answer about the token: refused credentials above all must
/// not pass for "inactive".
pub(super) fn read(status: u16, body: &[u8]) -> Result<Claims, Unverified> {
    let members = str::from_utf8(body)
        .map_err(|_| json::Refused::Malformed)
        .and_then(|text| json::read_object(text, BOUNDS));
    if status != 200 {
        let error = members.ok().and_then(|members| match members.get("error") {
            Some(Value::String(code)) => ERRORS.into_iter().find(|known| known == code),
            _ => None,
        });
        let error = error.map(|code| format!(", {code}")).unwrap_or_default();
        let hint = match status {
            400 | 401 | 403 => {
                "; it may not know this server's client id or secret, or does not let it \
                 introspect tokens of this kind"
            }
            _ => "",
        };
        let reason = format!("introspection was answered with {status}{error}{hint}");
        return Err(Unverified::NoAnswer(reason));
    }
    members.map_err(|refused| {
        Unverified::NoAnswer(format!("the answer to introspection is refused: {refused}"))
    })
}

/// Whether the token is active.
///
/// # Errors
///
/// When the answer does not say: `"true"` and `1` are not true.
pub(super) fn is_active(answer: &Claims) -> Result<bool, Unverified> {
    match answer.get("active") {
        Some(Value::Bool(active)) => Ok(*active),
        None => Err(Unverified::NoAnswer("the introspection answer has no `active`".to_owned())),
        Some(_) => Err(Unverified::NoAnswer(
            "`active` in the introspection answer is neither true nor false".to_owned(),
        )),
    }
}

impl Expected {
    /// The principal of the token that the answer is about.
    ///
    /// # Errors
    ///
    /// Says for the log which member is not as expected.
    pub(super) fn principal(
        &self,
        answer: Claims,
        now: SystemTime,
    ) -> Result<Principal, Unverified> {
        if !is_active(&answer)? {
            self.explain_inactive();
            return Err("the token is not active".into());
        }
        match answer.get("token_type") {
            None | Some(Value::Null) => {}
            Some(Value::String(kind)) if kind.eq_ignore_ascii_case("bearer") => {}
            Some(Value::String(kind)) => {
                return Err(format!("the token has the type {}", quoted(kind)).into());
            }
            Some(_) => return Err("`token_type` is not a string".into()),
        }
        claims::check_use(&answer)?;
        // The answer comes from the issuer that was asked: it need not repeat who that is.
        if answer.contains_key("iss") {
            claims::check_issuer(&answer, &self.issuer)?;
        }
        self.check_audience(&answer)?;
        let dates = Dates { leeway: self.leeway, max_lifetime: None };
        let expires_at = match dates.check(&answer, now)? {
            Some(end) => end,
            None if self.unexpiring => now.checked_add(UNEXPIRING).unwrap_or(now),
            None => return Err("`exp` is missing; .accept_without_expiry() takes it so".into()),
        };
        let mut principal = Principal::new(claims::subject(&answer, &self.subject_claim)?)
            .with_issuer(self.issuer.as_str())
            .with_scopes(claims::scopes(&answer, &self.scope_claims))
            .with_expiry(expires_at);
        if let Some(client) = claims::client_id(&answer) {
            principal = principal.with_client_id(client);
        }
        Ok(principal.with_claims(answer))
    }

    /// The audience has to be ours, or the client one of those that were named, or both.
    fn check_audience(&self, answer: &Claims) -> Result<(), String> {
        if !self.clients.is_empty() {
            match claims::client_id(answer) {
                Some(client) if self.clients.iter().any(|own| own == client) => {}
                Some(client) => {
                    return Err(format!(
                        "the token was issued to the client {}, not to one of {:?}",
                        quoted(client),
                        self.clients
                    ));
                }
                None => return Err("the answer does not name a client".to_owned()),
            }
        }
        match (self.audiences.as_slice(), answer.get("aud")) {
            ([], None | Some(Value::Null)) => Ok(()),
            // What a provider writes there of its own accord is the client id.
            ([], Some(_)) => claims::check_audience(answer, &self.clients),
            (audiences, _) => claims::check_audience(answer, audiences),
        }
    }

    fn explain_inactive(&self) {
        if !self.inactive_explained.swap(true, Ordering::Relaxed) {
            tracing::info!(
                issuer = self.issuer,
                "a token is not active: it has expired, was revoked or made up; some providers say \
                 so too of a token that was issued to another client than the one that asks"
            );
        }
    }
}
