//! Token exchanges on behalf of callers, each recorded.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use portcullis_auth::audit::{Audit, LogText, Verdict};
use portcullis_auth::{
    ExchangedToken, Scopes, TokenExchange, TokenExchangeError, TokenExchangeErrorKind,
};
use portcullis_guard::Clock;

use crate::component::exchanged_token::ExchangedTokenSource;
use crate::component::tool_error::ToolError;
use crate::component::visibility::Within;
use crate::operation::audit;

/// Exchanges tokens, and records each before a function has it.
pub(crate) struct RecordedTokenExchange {
    pub(crate) exchange: Option<TokenExchange>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl ExchangedTokenSource for RecordedTokenExchange {
    fn exchanged<'a>(
        &'a self,
        operation: Within<'a>,
        audience: &'a str,
        scopes: Scopes,
    ) -> BoxFuture<'a, Result<ExchangedToken, ToolError>> {
        Box::pin(self.recorded(operation, audience, scopes))
    }
}

impl RecordedTokenExchange {
    async fn recorded(
        &self,
        operation: Within<'_>,
        audience: &str,
        scopes: Scopes,
    ) -> Result<ExchangedToken, ToolError> {
        let ready = self.audit.ready();
        ready.map_err(|error| ToolError::internal(error.to_string()))?;
        let Some(exchange) = &self.exchange else {
            return Err(ToolError::internal(
                "the server has no token exchange: add .token_exchange(…)",
            ));
        };
        let token = ask(exchange, operation, audience, &scopes).await;
        let (verdict, outcome) = match token.as_ref().map_err(TokenExchangeError::kind) {
            Ok(_) => (Verdict::Allowed, "given"),
            Err(TokenExchangeErrorKind::Missing) => (Verdict::Denied, "missing"),
            Err(TokenExchangeErrorKind::Refused) => (Verdict::Denied, "refused"),
            Err(TokenExchangeErrorKind::Unavailable) => (Verdict::Failed, "unavailable"),
            Err(_) => (Verdict::Failed, "unusable"),
        };
        let Within { exchange, id } = operation;
        let mut record = audit::record(exchange, id, self.clock.now(), "token_exchange");
        record.verdict = verdict;
        record.outcome = outcome;
        // One that is not declared may be a text of the caller's.
        let is_known = !matches!(&token, Err(error) if error.kind() == TokenExchangeErrorKind::UnknownAudience);
        record.reason = is_known.then(|| LogText::from(audience));
        let recorded = self.audit.record(&record);
        recorded.map_err(|error| ToolError::internal(error.to_string()))?;
        token.map_err(revealed)
    }
}

async fn ask(
    exchange: &TokenExchange,
    operation: Within<'_>,
    audience: &str,
    scopes: &Scopes,
) -> Result<ExchangedToken, TokenExchangeError> {
    let missing = |cause| TokenExchangeError::missing(cause);
    let principal = operation.exchange.principal.as_deref();
    let principal = principal.ok_or_else(|| missing("nobody is authenticated"))?;
    let token = operation.exchange.access_token.upgrade();
    let token =
        token.ok_or_else(|| missing("the request was answered, or came without a token"))?;
    exchange.exchange(principal, &token, audience, scopes).await
}

fn revealed(error: TokenExchangeError) -> ToolError {
    let text = match error.kind() {
        TokenExchangeErrorKind::Missing => {
            "This needs your sign-in at the authorization server: sign in again."
        }
        TokenExchangeErrorKind::Refused => "The authorization server does not allow this for you.",
        TokenExchangeErrorKind::Unavailable => {
            "The authorization server does not answer at the moment: try again."
        }
        _ => return ToolError::internal(error),
    };
    ToolError::new(text).with_cause(error)
}
