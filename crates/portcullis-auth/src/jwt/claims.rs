use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::quote::quoted;
use crate::scopes::is_scope_token;
use crate::{Claims, Principal, Scopes};

/// The longest subject, in bytes (OpenID Connect Core §2).
const MAX_SUBJECT: usize = 255;
/// The largest date that every JSON reader agrees on: 2^53.
const MAX_DATE: u64 = 1 << 53;
/// Where identity providers name the client, in the order in which they are believed
/// (RFC 9068 §2.2, OpenID Connect Core §2, Okta, Entra ID).
const CLIENT_ID: [&str; 4] = ["client_id", "azp", "cid", "appid"];
/// What a token may say of itself that is not for us.
const OTHER_USES: [&str; 4] = ["id", "refresh", "offline", "logout"];

/// What a token's claims have to be.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) issuer: String,
    pub(super) audiences: Vec<String>,
    pub(super) leeway: Duration,
    pub(super) access_tokens_only: bool,
}

impl Expected {
    /// Whom the claims speak for at the time `now`.
    ///
    /// # Errors
    ///
    /// Says for the log which claim is not as expected.
    pub(super) fn principal(
        &self,
        claims: Claims,
        media_type: Option<&str>,
        now: SystemTime,
    ) -> Result<Principal, String> {
        self.check_purpose(&claims, media_type)?;
        self.check_issuer(&claims)?;
        self.check_audience(&claims)?;
        let expires_at = self.check_dates(&claims, now)?;
        let subject = match claims.get("sub") {
            Some(Value::String(subject)) if !subject.is_empty() && subject.len() <= MAX_SUBJECT => {
                subject.clone()
            }
            None => return Err("there is no `sub`".to_owned()),
            Some(_) => return Err("`sub` is no text of 1 to 255 bytes".to_owned()),
        };
        if claims.get("jti").is_some_and(|id| !id.is_string()) {
            return Err("`jti` is no text".to_owned());
        }
        let mut principal = Principal::new(subject)
            .with_issuer(self.issuer.as_str())
            .with_scopes(scopes(&claims))
            .with_expiry(expires_at);
        let text = |name: &&str| claims.get(*name).and_then(Value::as_str);
        if let Some(client) = CLIENT_ID.iter().find_map(text) {
            principal = principal.with_client_id(client);
        }
        Ok(principal.with_claims(claims))
    }

    /// Refuses what says of itself that it is no access token for plain bearers.
    fn check_purpose(&self, claims: &Claims, media_type: Option<&str>) -> Result<(), String> {
        match media_type {
            Some("at+jwt") => {}
            None | Some("jwt") if !self.access_tokens_only => {}
            None => return Err("there is no `typ`, and at+jwt is required".to_owned()),
            Some(other) => return Err(format!("the token is of the type {}", quoted(other))),
        }
        // A sender-constrained token is worth nothing without its proof (RFC 7800 §3.1).
        // The rest is in ID tokens and logout tokens alone (OpenID Connect Core §3.1.3.6,
        // §3.3.2.11, Back-Channel Logout §2.4).
        for mark in ["cnf", "at_hash", "c_hash", "s_hash", "events"] {
            if claims.contains_key(mark) {
                return Err(format!("the token has `{mark}`"));
            }
        }
        if self.access_tokens_only && claims.contains_key("nonce") {
            return Err("the token has `nonce`".to_owned());
        }
        // Amazon Cognito and Keycloak say in a claim what a token is.
        for claim in ["token_use", "typ"] {
            let used = match claims.get(claim) {
                None => continue,
                Some(used) => used.as_str().ok_or_else(|| format!("`{claim}` is no text"))?,
            };
            if OTHER_USES.iter().any(|other| used.eq_ignore_ascii_case(other)) {
                return Err(format!("`{claim}` is {used:?}"));
            }
        }
        Ok(())
    }

    /// Issuers are compared as strings (RFC 9207 §2.4): no normalisation, no prefixes.
    fn check_issuer(&self, claims: &Claims) -> Result<(), String> {
        match claims.get("iss") {
            Some(Value::String(issuer)) if *issuer == self.issuer => Ok(()),
            Some(Value::String(issuer)) => {
                Err(format!("the issuer is {}, not {:?}", quoted(issuer), self.issuer))
            }
            None => Err("there is no `iss`".to_owned()),
            Some(_) => Err("`iss` is no text".to_owned()),
        }
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), String> {
        let ours = |audience: &str| self.audiences.iter().any(|own| own == audience);
        let named = match claims.get("aud") {
            Some(Value::String(audience)) => vec![audience.as_str()],
            Some(Value::Array(list)) => {
                let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
                texts.ok_or("`aud` holds something that is no text")?
            }
            None => return Err("there is no `aud`".to_owned()),
            Some(_) => return Err("`aud` is neither text nor list".to_owned()),
        };
        match named.iter().any(|audience| ours(audience)) {
            true => Ok(()),
            false => {
                let first = named.first().map(|audience| quoted(audience)).unwrap_or_default();
                Err(format!("the audience is {first}, not {:?}", self.audiences))
            }
        }
    }

    /// Gives the time from which on the token is refused, leeway included.
    fn check_dates(&self, claims: &Claims, now: SystemTime) -> Result<SystemTime, String> {
        let expires_at = date(claims, "exp")?.ok_or("there is no `exp`")?;
        let expires_at =
            expires_at.checked_add(self.leeway).ok_or("`exp` is beyond what a date can be")?;
        if now >= expires_at {
            return Err("the token has expired".to_owned());
        }
        for (name, problem) in
            [("nbf", "the token is not valid yet"), ("iat", "the token is of the future")]
        {
            if date(claims, name)?.is_some_and(|from| from > now + self.leeway) {
                return Err(problem.to_owned());
            }
        }
        Ok(expires_at)
    }
}

/// A date in whole seconds. RFC 7519 §2 allows fractions too; readers differ in what they
/// make of them, and of `1e10`, so neither is accepted.
fn date(claims: &Claims, name: &str) -> Result<Option<SystemTime>, String> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_u64().filter(|seconds| *seconds <= MAX_DATE);
    seconds
        .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .map(Some)
        .ok_or_else(|| format!("`{name}` is no date in whole seconds"))
}

/// What the token grants: `scope` (RFC 8693 §4.2), or `scp` where there is no `scope`; text
/// with spaces between, or a list. Anything else grants nothing.
fn scopes(claims: &Claims) -> Scopes {
    let Some(granted) = claims.get("scope").or_else(|| claims.get("scp")) else {
        return Scopes::default();
    };
    match granted {
        Value::String(text) => text.split(' ').filter(|scope| is_scope_token(scope)).collect(),
        Value::Array(list) => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            texts.unwrap_or_default().into_iter().filter(|scope| is_scope_token(scope)).collect()
        }
        _ => Scopes::default(),
    }
}
