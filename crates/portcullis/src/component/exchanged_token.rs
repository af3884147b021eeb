//! Where a function's context finds exchanged tokens.

use futures_util::future::BoxFuture;
use portcullis_auth::{ExchangedToken, Scopes};

use crate::component::tool_error::ToolError;
use crate::component::visibility::Within;

/// Exchanges the tokens of callers for those of other services.
pub(crate) trait ExchangedTokenSource: Send + Sync {
    /// One for `audience`, on behalf of the caller of an operation.
    fn exchanged<'a>(
        &'a self,
        operation: Within<'a>,
        audience: &'a str,
        scopes: Scopes,
    ) -> BoxFuture<'a, Result<ExchangedToken, ToolError>>;
}
