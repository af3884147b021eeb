//! What of the provider's claims is kept, for the principals of this server's tokens.

use serde_json::{Map, Value};

use super::UpstreamError;

/// Claims that go on by default, if the provider has them.
pub(super) const DEFAULT: [&str; 10] = [
    "email",
    "email_verified",
    "name",
    "preferred_username",
    "groups",
    "roles",
    "hd",
    "login",
    "tid",
    "org_id",
];

/// The most that they may take in all, as JSON, in bytes: they are in each grant's record, which is read
/// for each token every five seconds.
const MOST_BYTES: usize = 4 * 1024;

/// Those of `claims` that `names` names.
///
/// # Errors
///
/// When they are too large. None is left out in silence: a check that looks for a group which a user
/// must not be in would let them in.
pub(super) fn choose(
    claims: &Map<String, Value>,
    names: &[String],
) -> Result<Map<String, Value>, UpstreamError> {
    let named = |name: &String| {
        let value = claims.get(name).filter(|value| !value.is_null())?;
        Some((name.clone(), value.clone()))
    };
    let chosen: Map<String, Value> = names.iter().filter_map(named).collect();
    let length = |value: &Value| serde_json::to_vec(value).map_or(usize::MAX, |json| json.len());
    let sizes = chosen.iter().map(|(name, value)| (name, length(value).saturating_add(name.len())));
    let total = sizes.clone().fold(0_usize, |sum, (_, size)| sum.saturating_add(size));
    if total <= MOST_BYTES {
        return Ok(chosen);
    }
    let largest = sizes.max_by_key(|(_, size)| *size).map(|(name, _)| name.as_str());
    Err(UpstreamError::Misconfigured(format!(
        "the claims of a user have {total} bytes, {MOST_BYTES} at most, and `{}` has most of them: \
         have the provider send fewer, or name those that are needed with only_claims([…])",
        largest.unwrap_or_default()
    )))
}
