//! Showing and hiding components while the server runs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use portcullis_guard::OperationId;
use portcullis_protocol::Exchange;

use crate::component::selector::Selector;
use crate::component::tool_error::ToolError;
use crate::error::SelectionError;

/// Shows and hides components of a server that runs, for everybody at once.
///
/// [`Server::visibility`](crate::Server::visibility) gives one; it can be cloned and kept, in a
/// route's handler for instance. The last matching rule wins; those of a
/// session or principal come after all of these. Clients whose lists change are told so, and no
/// others.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
/// use portcullis::visibility::tags;
///
/// # #[tool(tags("beta"))] async fn forecast() -> &'static str { "sunny" }
/// # fn main() -> Result<(), portcullis::Error> {
/// let server = Server::builder("weather").no_auth().components(components![forecast]).build()?;
/// let visibility = server.visibility();
/// visibility.disable(tags(["beta"]))?;
/// assert!(visibility.disable(tags(["betta"])).is_err()); // no component has this tag
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Visibility(Arc<dyn VisibilityControl>);

impl Visibility {
    pub(crate) fn new(control: Arc<dyn VisibilityControl>) -> Self {
        Self(control)
    }

    /// Shows what `selector` selects to callers whom the checks allow.
    ///
    /// # Errors
    ///
    /// [`NoComponent`](crate::error::SelectionErrorKind::NoComponent) when it names something that
    /// matches no component.
    pub fn enable(&self, selector: Selector) -> Result<(), SelectionError> {
        self.0.change_for_all(Change::Enable, selector)
    }

    /// Hides what `selector` selects.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable).
    pub fn disable(&self, selector: Selector) -> Result<(), SelectionError> {
        self.0.change_for_all(Change::Disable, selector)
    }

    /// Hides everything, of the kinds that `selector` names if it does, but what it selects.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable).
    pub fn only(&self, selector: Selector) -> Result<(), SelectionError> {
        self.0.change_for_all(Change::Only, selector)
    }
}

impl fmt::Debug for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Visibility")
    }
}

/// A change of what a session or principal is shown, made when it is awaited.
///
/// See [`Context::enable_components`](crate::Context::enable_components) and
/// [`Context::disable_components`](crate::Context::disable_components).
#[must_use = "nothing changes until it is awaited"]
pub struct VisibilityChange<'a> {
    control: &'a dyn VisibilityControl,
    operation: Within<'a>,
    change: Change,
    selector: Selector,
    at_most: Option<Duration>,
}

impl<'a> VisibilityChange<'a> {
    pub(crate) fn new(
        control: &'a dyn VisibilityControl,
        operation: Within<'a>,
        change: Change,
        selector: Selector,
    ) -> Self {
        Self { control, operation, change, selector, at_most: None }
    }

    /// Lets the change end after `time`, in whole seconds, however long the session lasts. What
    /// would end it sooner, such as the end of the token, still does.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    /// use std::time::Duration;
    ///
    /// /// Unlock admin tools for five minutes.
    /// #[tool(auth = require_scopes(["admin"]))]
    /// async fn unlock_admin(ctx: Context) -> Result<&'static str, ToolError> {
    ///     ctx.enable_components(tags(["admin"])).for_at_most(Duration::from_secs(300)).await?;
    ///     Ok("Admin tools unlocked for five minutes")
    /// }
    /// ```
    pub fn for_at_most(mut self, time: Duration) -> Self {
        self.at_most = Some(time);
        self
    }
}

impl<'a> IntoFuture for VisibilityChange<'a> {
    type Output = Result<(), ToolError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { control, operation, change, selector, at_most } = self;
        control.change_own(operation, change, selector, at_most)
    }
}

impl fmt::Debug for VisibilityChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VisibilityChange")
            .field("change", &self.change)
            .field("selector", &self.selector)
            .field("at_most", &self.at_most)
            .finish_non_exhaustive()
    }
}

/// The change to the components that a selector selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// They are shown.
    Enable,
    /// They are hidden.
    Disable,
    /// All others are hidden, of the kinds that the selector names if it does.
    Only,
}

/// The operation within which something is changed.
#[derive(Clone, Copy)]
pub(crate) struct Within<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) id: OperationId,
}

/// Changes which components are shown, and records the change. A server gives one to its functions.
pub(crate) trait VisibilityControl: Send + Sync {
    /// Changes the rules of the server.
    fn change_for_all(&self, change: Change, selector: Selector) -> Result<(), SelectionError>;

    /// Changes the rules of the operation's session or principal.
    fn change_own<'a>(
        &'a self,
        operation: Within<'a>,
        change: Change,
        selector: Selector,
        at_most: Option<Duration>,
    ) -> BoxFuture<'a, Result<(), ToolError>>;

    /// Forgets the rules of the operation's session or principal.
    fn reset_own<'a>(&'a self, operation: Within<'a>) -> BoxFuture<'a, Result<(), ToolError>>;
}
