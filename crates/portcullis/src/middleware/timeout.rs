//! The longest run of a component.

use std::time::Duration;

use super::{Middleware, Next, Request, Response};
use crate::component::selector::{Selected, Selector, everything};
use crate::component::tool_error::ToolError;

/// Lets components run for so long, and no longer: then their handlers are dropped, and the
/// caller is told.
///
/// [`Limits::handler_timeout`](crate::server::Limits::handler_timeout) is the bound for all of them; this is a shorter
/// one, for some of them if [`only`](Self::only) says so.
///
/// # Example
///
/// ```
/// use portcullis::middleware::Timeout;
/// use portcullis::visibility::tags;
/// use std::time::Duration;
///
/// let quick = Timeout::new(Duration::from_secs(2)).only(tags(["interactive"]));
/// ```
#[derive(Clone, Debug)]
pub struct Timeout {
    time: Duration,
    selector: Selector,
}

impl Timeout {
    /// A bound for all components.
    #[must_use]
    pub fn new(time: Duration) -> Self {
        Self { time, selector: everything() }
    }

    /// A bound for what `selector` selects.
    #[must_use]
    pub fn only(mut self, selector: Selector) -> Self {
        self.selector = selector;
        self
    }
}

impl Middleware for Timeout {
    async fn handle<'a>(
        &'a self,
        request: Request<'a>,
        next: Next<'a>,
    ) -> Result<Response<'a>, ToolError> {
        let component = request.operation.component().and_then(Selected::of);
        if !component.is_some_and(|component| self.selector.matches(component)) {
            return next.run(request).await;
        }
        match tokio::time::timeout(self.time, next.run(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(ToolError::too_long(self.time)),
        }
    }

    fn time_limit(&self) -> Option<Duration> {
        Some(self.time)
    }

    fn validate(&self) -> Result<(), String> {
        match self.time.is_zero() {
            true => Err("the timeout is zero: every call would fail".to_owned()),
            false => Ok(()),
        }
    }

    fn selector(&self) -> Option<&Selector> {
        Some(&self.selector)
    }
}
