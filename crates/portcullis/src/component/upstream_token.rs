//! Where a function's context finds the tokens of the identity provider.

use futures_util::future::BoxFuture;
use portcullis_auth::UpstreamToken;

use crate::component::tool_error::ToolError;
use crate::component::visibility::Within;

/// Gives the tokens of the identity provider at which callers signed in.
pub(crate) trait UpstreamTokenSource: Send + Sync {
    /// That of the caller of an operation.
    fn token<'a>(
        &'a self,
        operation: Within<'a>,
    ) -> BoxFuture<'a, Result<UpstreamToken, ToolError>>;
}
