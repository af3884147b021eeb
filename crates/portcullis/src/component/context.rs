use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use portcullis_guard::OperationId;
use portcullis_protocol::{ClientInfo, Exchange, ProtocolVersion, Transport};

use crate::component::caller::Caller;
use crate::component::selector::Selector;
use crate::component::tool_error::ToolError;
use crate::operation::Core;
use crate::visibility::{NotChanged, Rule, Scope, Visibility};

/// What surrounds one call.
///
/// A function that takes a `Context` parameter is given it; it is not an argument, and clients
/// never see it.
#[derive(Clone)]
pub struct Context {
    exchange: Arc<Exchange>,
    core: Arc<Core>,
    /// Of the operation.
    id: OperationId,
}

impl Context {
    pub(crate) fn new(exchange: Arc<Exchange>, core: Arc<Core>, id: OperationId) -> Self {
        Self { exchange, core, id }
    }

    /// Who is calling: nobody over HTTP without authentication, and over stdio.
    #[must_use]
    pub fn maybe_caller(&self) -> MaybeCaller {
        MaybeCaller(self.authenticated())
    }

    /// Who is calling. Over stdio it is the local user, of a server that trusts them; there
    /// otherwise, and over HTTP without a principal, there is none, and components that ask for
    /// one are hidden.
    pub(crate) fn caller(&self) -> Option<Caller> {
        match self.exchange.transport {
            Transport::Stdio => self.core.trusts(&self.exchange).then(Caller::local),
            // Only the local user is trusted without a token.
            _ => self.authenticated(),
        }
    }

    fn authenticated(&self) -> Option<Caller> {
        let principal = self.exchange.principal.clone()?;
        Some(Caller::of(principal, Arc::clone(&self.core.hierarchy)))
    }

    /// What carries the messages.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.exchange.transport
    }

    /// The protocol version of the request.
    #[must_use]
    pub fn protocol_version(&self) -> ProtocolVersion {
        self.exchange.version
    }

    /// The number of the operation: that of its audit record, and of the span in which the handler
    /// logs.
    #[must_use]
    pub fn operation_id(&self) -> OperationId {
        self.id
    }

    /// What the client says it is: unverified, for display only.
    #[must_use]
    pub fn client(&self) -> Option<&ClientInfo> {
        self.exchange.client.as_ref()
    }

    /// Shows components that are disabled: for this session, or in the stateless version for
    /// this principal.
    ///
    /// In versions with sessions, and over stdio, it lasts until the session ends. In the
    /// stateless version it is for the caller's issuer, subject and client together, and ends
    /// with the token, after 30 minutes at most;
    /// [`for_at_most`](VisibilityChange::for_at_most) makes it shorter. Nobody else sees any of it. What the caller's
    /// checks deny stays denied: check who calls before you unlock anything all the same. Clients
    /// whose lists change are told so. The last matching rule wins.
    ///
    /// # Errors
    ///
    /// For a caller with neither session nor token there is nothing that it could be kept for:
    /// the caller is told so. Internal when no component is meant, when there would be more than
    /// 64 rules, and when the store or, with [`AuditFailure::Stop`](crate::AuditFailure::Stop),
    /// the audit trail says no: it is recorded before it holds.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    /// use portcullis::tags;
    ///
    /// /// Unlock admin tools for this session.
    /// #[tool(auth = require_scopes(["admin"]))]
    /// async fn unlock_admin(ctx: Context) -> Result<&'static str, ToolError> {
    ///     ctx.enable_components(tags(["admin"])).await?;
    ///     Ok("Admin tools unlocked for this session")
    /// }
    /// ```
    pub fn enable_components(&self, selector: Selector) -> VisibilityChange<'_> {
        let rules = Rule::enable(selector.clone());
        VisibilityChange { context: self, selector, rules, outcome: "enabled", at_most: None }
    }

    /// Hides components, for this session or principal; see
    /// [`enable_components`](Self::enable_components).
    ///
    /// # Errors
    ///
    /// As [`enable_components`](Self::enable_components).
    pub fn disable_components(&self, selector: Selector) -> VisibilityChange<'_> {
        let rules = Rule::disable(selector.clone());
        VisibilityChange { context: self, selector, rules, outcome: "disabled", at_most: None }
    }

    /// Forgets what was enabled and disabled for this session or principal: what the server
    /// says holds again.
    ///
    /// # Errors
    ///
    /// As [`enable_components`](Self::enable_components).
    pub async fn reset_visibility(&self) -> Result<(), ToolError> {
        let scope = self.changing()?;
        self.note_visibility(scope, None, "reset")?;
        let forgotten = self.core.shown.own().forget(scope).await;
        let forgotten = forgotten.map_err(|error| error.reason().to_owned());
        self.visibility_changed(scope, None, forgotten)
    }

    /// Shows and hides components for everybody, rather than for this session or principal.
    #[must_use]
    pub fn server_visibility(&self) -> Visibility {
        Visibility(Arc::clone(&self.core))
    }

    async fn change_visibility(&self, change: VisibilityChange<'_>) -> Result<(), ToolError> {
        let VisibilityChange { selector, rules, outcome, at_most, .. } = change;
        let scope = self.changing()?;
        if at_most.is_some_and(|time| time.as_secs() == 0) {
            return Err(ToolError::internal("a visibility change must last at least one second"));
        }
        let catalogue = &self.core.catalogue;
        let unmet = selector.unmet(|| catalogue.entries().map(|entry| entry.selected()));
        if !unmet.is_empty() {
            return Err(ToolError::internal(unmet.join("; ")));
        }
        let selected = selector.to_string();
        // First, so that nothing holds whose record was not taken.
        self.note_visibility(scope, Some(&selected), outcome)?;
        let added = self.core.shown.own().add(scope, &self.exchange, &rules, at_most).await;
        let added = added.map_err(|error| match error {
            NotChanged::Store(error) => error.reason().to_owned(),
            NotChanged::TooMany => "too many visibility rules".to_owned(),
        });
        self.visibility_changed(scope, Some(&selected), added)
    }

    /// Tells who listens of what has changed, or takes back what was recorded.
    fn visibility_changed(
        &self,
        scope: Scope,
        selected: Option<&str>,
        changed: Result<(), String>,
    ) -> Result<(), ToolError> {
        match changed {
            Ok(()) => {
                self.core.shown.changes.tell(scope);
                Ok(())
            }
            Err(reason) => {
                self.note_visibility(scope, selected, "unchanged")?;
                Err(ToolError::internal(reason))
            }
        }
    }

    fn note_visibility(
        &self,
        scope: Scope,
        selected: Option<&str>,
        outcome: &'static str,
    ) -> Result<(), ToolError> {
        let noted = self.core.note_visibility(&self.exchange, self.id, scope, selected, outcome);
        noted.map_err(|error| ToolError::internal(error.to_string()))
    }

    /// Whose rules are to change, if that can be recorded.
    fn changing(&self) -> Result<Scope, ToolError> {
        let ready = self.core.audit.ready();
        ready.map_err(|error| ToolError::internal(error.to_string()))?;
        Scope::of(&self.exchange).ok_or_else(|| {
            ToolError::new("This needs a session, or a caller with an access token.")
        })
    }

    pub(crate) fn state<T: Any + Send + Sync>(&self) -> Option<State<T>> {
        self.core.states.share().map(State)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

/// A change of what a session or principal is shown, made when it is awaited.
///
/// See [`Context::enable_components`] and [`Context::disable_components`].
#[must_use = "nothing changes until it is awaited"]
pub struct VisibilityChange<'a> {
    context: &'a Context,
    selector: Selector,
    rules: Vec<Rule>,
    outcome: &'static str,
    at_most: Option<Duration>,
}

impl VisibilityChange<'_> {
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
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.context.change_visibility(self))
    }
}

impl fmt::Debug for VisibilityChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VisibilityChange")
            .field("outcome", &self.outcome)
            .field("selector", &self.selector)
            .field("at_most", &self.at_most)
            .finish_non_exhaustive()
    }
}

/// Who is calling, for functions that also serve callers without a token.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// #[tool]
/// async fn greet(caller: MaybeCaller) -> String {
///     match caller.0 {
///         Some(caller) => format!("Hello, {}.", caller.subject().unwrap_or_default()),
///         None => "Hello, stranger.".to_owned(),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MaybeCaller(pub Option<Caller>);

/// Something that the server was given with [`state`](crate::ServerBuilder::state): a
/// database, a client, a workspace.
///
/// It is shared as it is, without an `Arc` around it, and used like a `&T`. `build()` refuses
/// a component that asks for a state that was not given.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
/// use std::sync::Mutex;
///
/// struct Notes(Mutex<Vec<String>>);
///
/// #[tool]
/// async fn add_note(text: String, notes: State<Notes>) -> Result<String, ToolError> {
///     let mut notes = notes.0.lock().map_err(|_| ToolError::internal("poisoned"))?;
///     notes.push(text);
///     Ok(format!("There are {} notes.", notes.len()))
/// }
///
/// # fn main() -> Result<(), portcullis::Error> {
/// let notes = Notes(Mutex::default());
/// Server::builder("notes").no_auth().state(notes).components(components![add_note]).build()?;
/// # Ok(()) }
/// ```
pub struct State<T>(Arc<T>);

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({})", std::any::type_name::<T>())
    }
}
