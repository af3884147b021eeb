//! A check for all components.

use std::sync::Arc;

use portcullis_auth::{Check, IntoCheck};

/// A check for all components: a rule at the front of the one decision about each of them.
///
/// What it denies is hidden exactly as what a component's own check denies. Several have to
/// allow, all of them and the component's own checks.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
/// use portcullis::access::restrict_tag;
/// use portcullis::middleware::AuthMiddleware;
///
/// /// Perform admin action.
/// #[tool(tags("admin"))]
/// async fn admin_action() -> &'static str {
///     "Admin action completed"
/// }
///
/// # fn main() -> Result<(), portcullis::Error> {
/// # let tokens = danger::StaticTokenVerifier::new().token("t", danger::user("dev"));
/// Server::builder("enforced")
///     .auth(tokens)
///     .components(components![admin_action])
///     .middleware(AuthMiddleware::new(require_scopes(["api"])))
///     .middleware(AuthMiddleware::new(restrict_tag("admin", ["admin"])))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct AuthMiddleware(pub(crate) Arc<dyn Check>);

impl AuthMiddleware {
    /// Asks `check` about every component.
    #[must_use]
    pub fn new<M>(check: impl IntoCheck<M>) -> Self {
        Self(check.into_check())
    }
}
