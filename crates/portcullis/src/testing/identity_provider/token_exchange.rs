//! Tokens for other services (RFC 8693).

use serde_json::{Map, Value, json};

use super::request::{CLIENT_ID, Parameters};
use super::{State, TestToken};

pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What was asked, and what is answered in place of what would be.
#[derive(Default)]
pub(super) struct Exchanges {
    pub(super) count: usize,
    pub(super) changes: Map<String, Value>,
}

impl State {
    /// An opaque token for the one audience, with the scopes that were asked for, of whom the subject
    /// token is.
    pub(super) fn exchange(&self, form: &Parameters) -> Result<Value, &'static str> {
        let now = self.now();
        let (claims, changes) = {
            let mut issued = self.issued();
            issued.exchanges.count += 1;
            let claims = form.value("subject_token").and_then(|token| issued.tokens.get(token));
            (claims.cloned(), issued.exchanges.changes.clone())
        };
        let claims = claims.ok_or("invalid_grant")?;
        let is_good = claims.get("exp").and_then(Value::as_u64).is_some_and(|end| now < end);
        let of_type = form.value("subject_token_type") == Some(ACCESS_TOKEN);
        let subject = claims.get("sub").and_then(Value::as_str).ok_or("invalid_grant")?;
        let audience = form.value("audience").or_else(|| form.value("resource"));
        let audience = audience.ok_or("invalid_target")?;
        if !is_good || !of_type {
            return Err("invalid_request");
        }
        let scope = form.value("scope").unwrap_or_default();
        let token = TestToken::new(self, subject, audience).client_id(CLIENT_ID);
        let mut answer = super::token::members(json!({
            "access_token": token.claim("scope", scope).opaque(), "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer", "expires_in": super::token::LIFETIME, "scope": scope,
        }));
        for (name, value) in changes {
            match value {
                Value::Null => drop(answer.remove(&name)),
                value => drop(answer.insert(name, value)),
            }
        }
        Ok(Value::Object(answer))
    }
}
