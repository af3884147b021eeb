//! Tokens of the identity provider for functions, each recorded.

use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use portcullis_auth::audit::{Audit, LogText, Verdict};
use portcullis_auth::{UpstreamToken, UpstreamTokenError, UpstreamTokenErrorKind, UpstreamTokens};
use portcullis_guard::Clock;

use crate::component::tool_error::ToolError;
use crate::component::upstream_token::UpstreamTokenSource;
use crate::component::visibility::Within;
use crate::operation::audit;

/// Tokens of the identity provider, each recorded before a tool has it.
pub(crate) struct RecordedUpstreamTokens {
    /// Known once the server has a URL.
    pub(crate) tokens: OnceLock<Arc<dyn UpstreamTokens>>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl UpstreamTokenSource for RecordedUpstreamTokens {
    fn token<'a>(
        &'a self,
        operation: Within<'a>,
    ) -> BoxFuture<'a, Result<UpstreamToken, ToolError>> {
        Box::pin(self.recorded(operation))
    }
}

impl RecordedUpstreamTokens {
    async fn recorded(&self, operation: Within<'_>) -> Result<UpstreamToken, ToolError> {
        let ready = self.audit.ready();
        ready.map_err(|error| ToolError::internal(error.to_string()))?;
        let token = self.ask(operation).await;
        let (verdict, outcome, provider) = match &token {
            Ok(token) => (Verdict::Allowed, "given", Some(token.provider())),
            Err(error) => match error.kind() {
                UpstreamTokenErrorKind::Missing => (Verdict::Denied, "missing", None),
                _ => (Verdict::Failed, "unavailable", None),
            },
        };
        let Within { exchange, id } = operation;
        let mut record = audit::record(exchange, id, self.clock.now(), "upstream_token");
        record.verdict = verdict;
        record.outcome = outcome;
        record.reason = provider.map(LogText::from);
        let recorded = self.audit.record(&record);
        recorded.map_err(|error| ToolError::internal(error.to_string()))?;
        token.map_err(|error| {
            let text = match error.kind() {
                UpstreamTokenErrorKind::Missing => {
                    "This needs your sign-in at the identity provider: sign in again."
                }
                _ => "The identity provider does not answer at the moment: try again.",
            };
            ToolError::new(text).with_cause(error)
        })
    }

    async fn ask(&self, operation: Within<'_>) -> Result<UpstreamToken, UpstreamTokenError> {
        let tokens = self.tokens.get();
        let tokens = tokens.ok_or_else(|| UpstreamTokenError::missing("there is no provider"))?;
        let principal = operation.exchange.principal.as_deref();
        let principal = principal.ok_or_else(|| UpstreamTokenError::missing("nobody signed in"))?;
        tokens.upstream_token(principal).await
    }
}
