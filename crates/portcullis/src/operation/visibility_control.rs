//! Changes of visibility, each recorded.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use portcullis_auth::audit::{Audit, LogText, Verdict};
use portcullis_guard::Clock;

use crate::component::selector::Selector;
use crate::component::tool_error::ToolError;
use crate::component::visibility::{Change, VisibilityControl, Within};
use crate::error::{SelectionError, SelectionErrorKind};
use crate::operation::audit;
use crate::visibility::{NotChanged, Rule, Scope, Unknown, VisibilityState};

/// Changes of visibility, each recorded before it holds.
pub(crate) struct RecordedVisibility {
    pub(crate) state: Arc<VisibilityState>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl VisibilityControl for RecordedVisibility {
    fn change_for_all(&self, change: Change, selector: Selector) -> Result<(), SelectionError> {
        let unmet = self.state.unmet(&selector);
        if !unmet.is_empty() {
            return Err(SelectionError::new(SelectionErrorKind::NoComponent, unmet.join("; ")));
        }
        self.state.add(&Rule::of(change, selector)).map_err(|Unknown| {
            SelectionError::new(
                SelectionErrorKind::Poisoned,
                "the lock on the visibility rules is poisoned: restart the server",
            )
        })
    }

    fn change_own<'a>(
        &'a self,
        operation: Within<'a>,
        change: Change,
        selector: Selector,
        at_most: Option<Duration>,
    ) -> BoxFuture<'a, Result<(), ToolError>> {
        Box::pin(self.change(operation, change, selector, at_most))
    }

    fn reset_own<'a>(&'a self, operation: Within<'a>) -> BoxFuture<'a, Result<(), ToolError>> {
        Box::pin(self.reset(operation))
    }
}

impl RecordedVisibility {
    async fn change(
        &self,
        operation: Within<'_>,
        change: Change,
        selector: Selector,
        at_most: Option<Duration>,
    ) -> Result<(), ToolError> {
        let scope = self.changing(operation)?;
        if at_most.is_some_and(|time| time.as_secs() == 0) {
            return Err(ToolError::internal("a visibility change must last at least one second"));
        }
        let unmet = self.state.unmet(&selector);
        if !unmet.is_empty() {
            return Err(ToolError::internal(unmet.join("; ")));
        }
        let selected = selector.to_string();
        // First, so that nothing holds whose record was not taken.
        let outcome = match change {
            Change::Enable => "enabled",
            Change::Disable | Change::Only => "disabled",
        };
        self.record(operation, scope, Some(&selected), outcome)?;
        let rules = Rule::of(change, selector);
        let added = self.state.own().add(scope, operation.exchange, &rules, at_most).await;
        self.changed(operation, scope, Some(&selected), added)
    }

    async fn reset(&self, operation: Within<'_>) -> Result<(), ToolError> {
        let scope = self.changing(operation)?;
        self.record(operation, scope, None, "reset")?;
        let forgotten = self.state.own().forget(scope).await;
        self.changed(operation, scope, None, forgotten)
    }

    /// Whose rules are to change, if that can be recorded.
    fn changing(&self, operation: Within<'_>) -> Result<Scope, ToolError> {
        let ready = self.audit.ready();
        ready.map_err(|error| ToolError::internal(error.to_string()))?;
        Scope::of(operation.exchange).ok_or_else(|| {
            ToolError::new("This needs a session, or a caller with an access token.")
        })
    }

    /// Tells who listens of what has changed or may have, or takes back what was recorded.
    fn changed(
        &self,
        operation: Within<'_>,
        scope: Scope,
        selected: Option<&str>,
        changed: Result<(), NotChanged>,
    ) -> Result<(), ToolError> {
        match changed {
            Ok(()) => {
                self.state.changes.tell(scope);
                Ok(())
            }
            Err(NotChanged::TooMany) => {
                self.record(operation, scope, selected, "unchanged")?;
                Err(ToolError::internal("too many visibility rules"))
            }
            Err(NotChanged::Store(error)) => {
                // It may have changed them before its answer was lost.
                self.state.changes.tell(scope);
                self.record(operation, scope, selected, "unknown")?;
                Err(ToolError::internal(error.reason().to_owned()))
            }
        }
    }

    /// Records for whom visibility was changed, and of what, if not of everything.
    fn record(
        &self,
        Within { exchange, id }: Within<'_>,
        scope: Scope,
        selected: Option<&str>,
        outcome: &'static str,
    ) -> Result<(), ToolError> {
        let mut record = audit::record(exchange, id, self.clock.now(), "visibility");
        record.verdict = Verdict::Allowed;
        record.rule = selected;
        record.reason = Some(LogText::from(match scope {
            Scope::Session(_) => "for this session",
            Scope::Principal(_) => "for this principal",
        }));
        record.outcome = outcome;
        let recorded = self.audit.record(&record);
        recorded.map_err(|error| ToolError::internal(error.to_string()))
    }
}
