//! What the claims about an access token have to be, whoever vouches for them: the issuer's
//! signature (RFC 7519), or its answer (RFC 7662).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_guard::text::{quoted, quoted_list};
use serde_json::Value;

use crate::access::find;
use crate::scopes::is_scope_token;
use crate::{Claims, Scopes, is_same_resource};

/// The longest subject, in bytes (OpenID Connect Core §2).
const MAX_SUBJECT: usize = 255;
/// The largest date that every JSON reader agrees on: 2^53.
const MAX_DATE: u64 = 1 << 53;
/// Where identity providers name the client, in the order in which they are believed
/// (RFC 9068 §2.2, OpenID Connect Core §2, Okta, Entra ID).
const CLIENT_ID: [&str; 4] = ["client_id", "azp", "cid", "appid"];
/// Uses that a token may state and that are not for us.
const OTHER_USES: [&str; 6] = ["id", "id_token", "refresh", "refresh_token", "offline", "logout"];

/// Why the claims are not as expected, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unexpected {
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

/// The subject, which the claim `name` holds.
pub(crate) fn subject<'c>(claims: &'c Claims, name: &str) -> Result<&'c str, String> {
    match claims.get(name) {
        Some(Value::String(subject)) if (1..=MAX_SUBJECT).contains(&subject.len()) => Ok(subject),
        None => Err(format!("`{name}` is missing")),
        Some(_) => Err(format!("`{name}` is not a string of 1 to 255 bytes")),
    }
}

/// The client that the token was issued to, if a claim says.
pub(crate) fn client_id(claims: &Claims) -> Option<&str> {
    CLIENT_ID.iter().find_map(|name| claims.get(*name).and_then(Value::as_str))
}

/// Refuses one of the claims that make a token useless or wrong for a plain bearer.
pub(crate) fn check_use(claims: &Claims) -> Result<(), String> {
    // A sender-constrained token is worth nothing without its proof (RFC 7800 §3.1).
    // The rest is in ID tokens and logout tokens alone (OpenID Connect Core §3.1.3.6,
    // §3.3.2.11, Back-Channel Logout §2.4).
    for mark in ["cnf", "at_hash", "c_hash", "s_hash", "events"] {
        if claims.contains_key(mark) {
            return Err(format!("the token has `{mark}`"));
        }
    }
    // Amazon Cognito, Keycloak and Ory Hydra say in a claim what a token is.
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

/// Refuses claims whose `aud` names none of `audiences`.
pub(crate) fn check_audience(claims: &Claims, audiences: &[String]) -> Result<(), String> {
    let ours = |audience: &str| audiences.iter().any(|own| is_same_resource(own, audience));
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
        false => Err(format!("the audience is {}, not {audiences:?}", quoted_list(&named))),
    }
}

/// What the token grants: `scope` (RFC 8693 §4.2), or `scp` where there is no `scope` or
/// nothing in it; or all that is in the claims at `paths`.
pub(crate) fn scopes(claims: &Claims, paths: &[Vec<String>]) -> Scopes {
    if paths.is_empty() {
        let mut usual = ["scope", "scp"].iter().filter_map(|name| claims.get(*name));
        let first = usual.find(|claim| !is_blank(claim));
        return first.map(granted).unwrap_or_default().into_iter().collect();
    }
    let named = paths.iter().filter_map(|path| find(claims, path).ok().flatten());
    named.flat_map(granted).collect()
}

/// Refuses an issuer that is not `issuer`. They are compared as strings (RFC 9207 §2.4): no
/// normalisation, no prefixes.
pub(crate) fn check_issuer(claims: &Claims, issuer: &str) -> Result<(), String> {
    match claims.get("iss") {
        Some(Value::String(named)) if named == issuer => Ok(()),
        Some(Value::String(named)) => {
            Err(format!("the issuer is {}, not {issuer:?}", quoted(named)))
        }
        None => Err("`iss` is missing".to_owned()),
        Some(_) => Err("`iss` is not a string".to_owned()),
    }
}

/// How a token's dates are judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dates {
    pub(crate) leeway: Duration,
    /// The longest time from `iat` to `exp`.
    pub(crate) max_lifetime: Option<Duration>,
}

impl Dates {
    /// Gives the time from which on the token is refused, leeway included; `None` for a token
    /// without `exp`.
    pub(crate) fn check(
        &self,
        claims: &Claims,
        now: SystemTime,
    ) -> Result<Option<SystemTime>, Unexpected> {
        // Whichever way a fraction is rounded, the token is good for no longer than it says.
        let end = date(claims, "exp", f64::floor)?;
        let [not_before, issued] = ["nbf", "iat"].map(|name| date(claims, name, f64::ceil));
        let (not_before, issued) = (not_before?, issued?);
        let beyond = "`exp` is out of range";
        let after_leeway = |end| at(end).and_then(|end| end.checked_add(self.leeway)).ok_or(beyond);
        let expires_at = end.map(after_leeway).transpose()?;
        if expires_at.is_some_and(|end| now >= end) {
            return Err("the token has expired".into());
        }
        for (name, from) in [("nbf", not_before), ("iat", issued)] {
            if end.zip(from).is_some_and(|(end, from)| from > end) {
                return Err(format!("`{name}` is after `exp`").into());
            }
        }
        if let (Some(longest), Some(end)) = (self.max_lifetime, end) {
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
