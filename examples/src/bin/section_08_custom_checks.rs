//! Section 8: checks of your own are functions, sync or async.
//!
//! ```text
//! cargo run --bin section_08_custom_checks
//! ```
//!
//! Several on one component must all allow. No claim is converted: `"true"` is not `true`, and a
//! level that is not a number counts as missing. For claims alone there are
//! `claim("premium").equals(true)` and `claim("level").at_least(5)`; `any_of`, `all_of` and
//! `not` join checks of any kind.

use portcullis::access::{AuthContext, AuthorizationError, CheckError};
use portcullis::prelude::*;

/// Allow only premium users.
fn require_premium_user(context: &AuthContext) -> bool {
    context.claim("premium") == Ok(true)
}

/// Factory: require a minimum access level claim.
fn require_access_level(min_level: u64) -> impl Fn(&AuthContext) -> bool {
    move |context: &AuthContext| context.claim::<u64>("level").is_ok_and(|level| level >= min_level)
}

/// An `AuthorizationError` is told to whoever uses the tool; any other error is a silent denial.
fn require_credit(context: &AuthContext) -> Result<bool, CheckError> {
    let credit: u64 = context.claim("credit")?;
    if credit == 0 {
        return Err(AuthorizationError::new("Your credit is used up.").into());
    }
    Ok(true)
}

/// Access premium content. Requires premium account.
#[tool(auth = require_premium_user)]
async fn premium_feature() -> &'static str {
    "Premium content"
}

/// Perform advanced admin action.
///
/// Multiple checks combine with AND logic — all must pass.
/// Requires 'admin' scope AND access level >= 5.
#[tool(auth = [require_scopes(["admin"]), require_access_level(5)])]
async fn advanced_admin_action() -> &'static str {
    "Done"
}

/// Spend one credit.
#[tool(auth = require_credit)]
async fn spend_credit() -> &'static str {
    "Spent"
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let alice = danger::user("alice").scopes(["admin"]).claim("level", 5);
    let bob = danger::user("bob").scopes(["admin"]).claim("level", 4);
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", alice.claim("premium", true).claim("credit", 1))
        .token("dev-token-bob", bob.claim("premium", "true").claim("credit", 0))
        .token("dev-token-carol", danger::user("carol").claim("level", 9).claim("credit", "much"));
    Server::builder("custom-checks")
        .auth(tokens)
        .components(components![premium_feature, advanced_admin_action, spend_credit])
        .build()?
        .run()
        .await
}
