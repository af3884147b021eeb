use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_guard::text::{quoted, quoted_list};
use serde_json::Value;

use crate::access::find;
use crate::scopes::is_scope_token;
use crate::{Claims, Principal, Scopes, is_same_resource};

/// The longest subject, in bytes (OpenID Connect Core §2).
const MAX_SUBJECT: usize = 255;
/// The largest date that every JSON reader agrees on: 2^53.
const MAX_DATE: u64 = 1 << 53;
/// Where identity providers name the client, in the order in which they are believed
/// (RFC 9068 §2.2, OpenID Connect Core §2, Okta, Entra ID).
const CLIENT_ID: [&str; 4] = ["client_id", "azp", "cid", "appid"];
/// Claims that mark a token without a type as an access token; one of them is enough. They say for
/// whom it was issued, what it grants, or which token it is (RFC 9068 §2.2). No identity provider
/// is known whose access tokens have neither a type nor one of these.
const ACCESS_MARKS: [&str; 7] = ["client_id", "azp", "cid", "appid", "scope", "scp", "jti"];
/// Uses that a token may state and that are not for us.
const OTHER_USES: [&str; 4] = ["id", "refresh", "offline", "logout"];

/// What a token's claims have to be.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) issuer: String,
    pub(super) audiences: Vec<String>,
    pub(super) leeway: Duration,
    pub(super) access_tokens_only: bool,
    /// Whether a token passes that could be an ID token.
    pub(super) unmarked_tokens: bool,
    pub(super) max_lifetime: Option<Duration>,
    /// Where the scopes are, unless in `scope` or `scp`.
    pub(super) scope_claims: Vec<Vec<String>>,
}

/// Why the claims are not as expected, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unexpected {
    /// They never will be.
    Ever(String),
    /// They may be later on.
    Yet(String),
}

impl From<String> for Unexpected {
    fn from(reason: String) -> Self {
        Self::Ever(reason)
    }
}

impl From<&str> for Unexpected {
    fn from(reason: &str) -> Self {
        Self::Ever(reason.to_owned())
    }
}

impl Expected {
    /// The principal of the claims at the time `now`.
    ///
    /// # Errors
    ///
    /// Says for the log which claim is not as expected.
    pub(super) fn principal(
        &self,
        claims: Claims,
        media_type: Option<&str>,
        now: SystemTime,
    ) -> Result<Principal, Unexpected> {
        self.check_purpose(&claims, media_type)?;
        self.check_issuer(&claims)?;
        self.check_audience(&claims)?;
        let expires_at = self.check_dates(&claims, now)?;
        let subject = match claims.get("sub") {
            Some(Value::String(subject)) if !subject.is_empty() && subject.len() <= MAX_SUBJECT => {
                subject.clone()
            }
            None => return Err("`sub` is missing".into()),
            Some(_) => return Err("`sub` is not a string of 1 to 255 bytes".into()),
        };
        if claims.get("jti").is_some_and(|id| !id.is_string()) {
            return Err("`jti` is not a string".into());
        }
        let mut principal = Principal::new(subject)
            .with_issuer(self.issuer.as_str())
            .with_scopes(self.scopes(&claims))
            .with_expiry(expires_at);
        let text = |name: &&str| claims.get(*name).and_then(Value::as_str);
        if let Some(client) = CLIENT_ID.iter().find_map(text) {
            principal = principal.with_client_id(client);
        }
        Ok(principal.with_claims(claims))
    }

    /// Refuses a token whose type or claims say that it is not an access token for plain bearers.
    fn check_purpose(&self, claims: &Claims, media_type: Option<&str>) -> Result<(), String> {
        match media_type {
            Some("at+jwt") => {}
            None | Some("jwt") if !self.access_tokens_only => {}
            None => return Err("`typ` is missing, but at+jwt is required".to_owned()),
            Some(other) => return Err(format!("the token has the type {}", quoted(other))),
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
        self.check_marks(claims, media_type)?;
        // Amazon Cognito and Keycloak say in a claim what a token is.
        for claim in ["token_use", "typ"] {
            let used = match claims.get(claim) {
                None => continue,
                Some(used) => used.as_str().ok_or_else(|| format!("`{claim}` is not a string"))?,
            };
            if OTHER_USES.iter().any(|other| used.eq_ignore_ascii_case(other)) {
                return Err(format!("`{claim}` is {used:?}"));
            }
        }
        Ok(())
    }

    /// Refuses a token that may be an ID token: if its audience, the client id, is ours too,
    /// nothing else tells it apart (RFC 8725 §3.12).
    fn check_marks(&self, claims: &Claims, media_type: Option<&str>) -> Result<(), String> {
        let marked = |name: &&str| claims.get(*name).is_some_and(|value| !value.is_null());
        if media_type == Some("at+jwt") || self.unmarked_tokens || ACCESS_MARKS.iter().any(marked) {
            return Ok(());
        }
        let names = ACCESS_MARKS.map(|name| format!("`{name}`")).join(", ");
        // A client gets its nonce back in the ID token (OpenID Connect Core §2).
        match (media_type, marked(&"nonce")) {
            (_, true) => {
                Err(format!("the token may be an ID token: it has `nonce`, but none of {names}"))
            }
            (None, false) => Err(format!(
                "the token may be an ID token: it has neither `typ` nor any of {names}; configure \
                 the issuer to set `typ: at+jwt`"
            )),
            (Some(_), false) => Ok(()),
        }
    }

    /// Issuers are compared as strings (RFC 9207 §2.4): no normalisation, no prefixes.
    fn check_issuer(&self, claims: &Claims) -> Result<(), String> {
        match claims.get("iss") {
            Some(Value::String(issuer)) if *issuer == self.issuer => Ok(()),
            Some(Value::String(issuer)) => {
                Err(format!("the issuer is {}, not {:?}", quoted(issuer), self.issuer))
            }
            None => Err("`iss` is missing".to_owned()),
            Some(_) => Err("`iss` is not a string".to_owned()),
        }
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), String> {
        let ours =
            |audience: &str| self.audiences.iter().any(|own| is_same_resource(own, audience));
        let named = match claims.get("aud") {
            Some(Value::String(audience)) => vec![audience.as_str()],
            Some(Value::Array(list)) => {
                let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
                texts.ok_or("`aud` holds something that is not a string")?
            }
            None => return Err("`aud` is missing".to_owned()),
            Some(_) => return Err("`aud` is neither a string nor a list".to_owned()),
        };
        match named.iter().any(|audience| ours(audience)) {
            true => Ok(()),
            false => {
                Err(format!("the audience is {}, not {:?}", quoted_list(&named), self.audiences))
            }
        }
    }

    /// What the token grants: `scope` (RFC 8693 §4.2), or `scp` where there is no `scope` or
    /// nothing in it; or all that is in the claims that were named.
    fn scopes(&self, claims: &Claims) -> Scopes {
        if self.scope_claims.is_empty() {
            let mut usual = ["scope", "scp"].iter().filter_map(|name| claims.get(*name));
            let first = usual.find(|claim| !is_blank(claim));
            return first.map(granted).unwrap_or_default().into_iter().collect();
        }
        let named = self.scope_claims.iter().filter_map(|path| find(claims, path).ok().flatten());
        named.flat_map(granted).collect()
    }

    /// Gives the time from which on the token is refused, leeway included.
    fn check_dates(&self, claims: &Claims, now: SystemTime) -> Result<SystemTime, Unexpected> {
        // Whichever way a fraction is rounded, the token is good for no longer than it says.
        let end = date(claims, "exp", f64::floor)?.ok_or("`exp` is missing")?;
        let [not_before, issued] = ["nbf", "iat"].map(|name| date(claims, name, f64::ceil));
        let (not_before, issued) = (not_before?, issued?);
        let beyond = "`exp` is out of range";
        let expires_at = at(end).and_then(|end| end.checked_add(self.leeway)).ok_or(beyond)?;
        if now >= expires_at {
            return Err("the token has expired".into());
        }
        for (name, from) in [("nbf", not_before), ("iat", issued)] {
            if from.is_some_and(|from| from > end) {
                return Err(format!("`{name}` is after `exp`").into());
            }
        }
        if let Some(longest) = self.max_lifetime {
            let issued = issued.ok_or("`iat` is missing, so its lifetime is unknown")?;
            if Duration::from_secs(end.saturating_sub(issued)) > longest {
                return Err(format!("the token lives for longer than {longest:?}").into());
            }
        }
        for (from, problem) in [
            (not_before, "the token is not valid yet"),
            (issued, "the token was issued in the future"),
        ] {
            if from.is_some_and(|from| at(from).is_none_or(|from| from > now + self.leeway)) {
                return Err(Unexpected::Yet(problem.to_owned()));
            }
        }
        Ok(expires_at)
    }
}

fn at(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// A NumericDate (RFC 7519 §2): any number of seconds since 1970, in whichever spelling JSON
/// has for it, fractions rounded by `round`.
fn date(claims: &Claims, name: &str, round: impl Fn(f64) -> f64) -> Result<Option<u64>, String> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let whole = value.as_u64().or_else(|| {
        // 2^53 and all whole numbers below are exact in both types.
        let seconds = value.as_f64().filter(|s| (0.0..=MAX_DATE as f64).contains(s))?;
        Some(round(seconds) as u64)
    });
    let whole = whole.filter(|seconds| *seconds <= MAX_DATE);
    whole.map(Some).ok_or_else(|| format!("`{name}` is not a number of seconds since 1970"))
}

/// The scopes of one claim: text with spaces between, or a list of texts. Anything else grants
/// nothing.
fn granted(claim: &Value) -> Vec<&str> {
    let texts = match claim {
        Value::String(text) => text.split(' ').collect(),
        Value::Array(list) => {
            list.iter().map(Value::as_str).collect::<Option<Vec<&str>>>().unwrap_or_default()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    texts.into_iter().filter(|scope| is_scope_token(scope)).collect()
}

fn is_blank(granted: &Value) -> bool {
    match granted {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}
