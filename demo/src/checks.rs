//! Checks of the demo's own: the brief's section 8.

use portcullis::access::AuthContext;

/// Lets premium users in: the claim `premium` is `true`, and nothing like it.
#[must_use]
pub fn require_premium_user(context: &AuthContext<'_>) -> bool {
    context.claim("premium") == Ok(true)
}

/// Lets in whose claim `level` is at least `least`.
pub fn require_access_level(least: u64) -> impl Fn(&AuthContext<'_>) -> bool {
    move |context: &AuthContext<'_>| context.claim::<u64>("level").is_ok_and(|level| level >= least)
}
