//! What a refused token says of itself. Nothing of it is believed: it explains a refusal.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis::guard::{Clock, SystemClock, Url};
use serde_json::{Map, Value};

use super::fault::{self, Fault};
use super::issuer::Issuer;

/// Why a server refuses this token, if the token itself shows it.
pub(crate) fn why_refused(
    token: &str,
    url: &Url,
    issuers: &[Issuer],
) -> Option<(&'static Fault, String)> {
    let mut parts = token.split('.');
    let (header, claims) = (part(parts.next()?)?, part(parts.next()?)?);
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let time = |name: &str| {
        let seconds = claims.get(name).and_then(Value::as_f64)?;
        Duration::try_from_secs_f64(seconds).ok().and_then(|since| UNIX_EPOCH.checked_add(since))
    };
    let now = SystemClock.now();
    if time("exp").is_some_and(|end| end <= now) {
        let ago = time("exp").and_then(|end| now.duration_since(end).ok()).unwrap_or_default();
        return Some((fault::TOKEN_EXPIRED, format!("{} s ago", ago.as_secs())));
    }
    if time("nbf").is_some_and(|begin| begin > now) {
        return Some((fault::TOKEN_NOT_YET, "its nbf is in the future".to_owned()));
    }
    if !issuers.is_empty() && !issuers.iter().any(|issuer| issuer.name == text("iss")) {
        return Some((fault::TOKEN_ISSUER_DIFFERS, format!("it is of {:?}", text("iss"))));
    }
    let audience = match claims.get("aud") {
        Some(Value::Array(audience)) => audience.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(audience)) => vec![audience.as_str()],
        _ => Vec::new(),
    };
    let bare = |url: &str| url.trim_end_matches('/').to_owned();
    if !audience.iter().any(|audience| bare(audience) == bare(url.as_str())) {
        return Some((fault::AUDIENCE_DIFFERS, format!("it is for {audience:?}")));
    }
    let key = header.get("kid").and_then(Value::as_str)?;
    let issuer = issuers.iter().find(|issuer| issuer.name == text("iss"))?;
    match &issuer.key_ids {
        Some(ids) if !ids.iter().any(|id| id == key) => {
            Some((fault::KEY_UNKNOWN, format!("it is signed by {key:?}")))
        }
        _ => None,
    }
}

fn part(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}
