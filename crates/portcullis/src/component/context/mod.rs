//! What a running function can find out, tell and change.

mod asking;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "jwt")]
use portcullis_auth::{ExchangedToken, OneOrMany, Scopes};
use portcullis_auth::{ScopeHierarchy, States, UpstreamToken};
use portcullis_guard::OperationId;
#[cfg(feature = "fetch")]
use portcullis_guard::fetch::{Fetch, FetchRequest};
use portcullis_protocol::{
    ClientInfo, Exchange, LogLevel, Outgoing, ProtocolVersion, ResourceSubscriptions, Transport,
};
use serde_json::Value;

use crate::component::caller::{Caller, MaybeCaller};
#[cfg(feature = "fetch")]
use crate::component::credential::CredentialSource;
#[cfg(feature = "jwt")]
use crate::component::exchanged_token::ExchangedTokenSource;
#[cfg(feature = "keys")]
use crate::component::handle::{self, Handle, HandleSource, HandleValue};
#[cfg(feature = "fetch")]
use crate::component::http_client::HttpClient;
use crate::component::input::Input;
use crate::component::resource_updates::ResourceUpdatesControl;
use crate::component::selector::Selector;
use crate::component::state::State;
use crate::component::telling::{self, Examined, Progress, ProgressAmount};
use crate::component::tool_error::ToolError;
use crate::component::upstream_token::UpstreamTokenSource;
use crate::component::visibility::{
    Change, Visibility, VisibilityChange, VisibilityControl, Within,
};

/// The context of one call: its caller, transport, protocol version and client.
///
/// A function that takes a `Context` parameter is given it; it is not an argument, and clients
/// never see it.
#[derive(Clone)]
pub struct Context {
    exchange: Arc<Exchange>,
    facilities: Arc<Facilities>,
    /// The number of the operation.
    id: OperationId,
    /// Who asks the client, where it can be asked.
    input: Input,
}

/// What a server gives to the functions of its components.
pub(crate) struct Facilities {
    pub(crate) states: States,
    pub(crate) hierarchy: Arc<ScopeHierarchy>,
    pub(crate) visibility: Arc<dyn VisibilityControl>,
    pub(crate) resource_updates: Arc<dyn ResourceUpdatesControl>,
    pub(crate) upstream_tokens: Arc<dyn UpstreamTokenSource>,
    #[cfg(feature = "jwt")]
    pub(crate) exchanged_tokens: Arc<dyn ExchangedTokenSource>,
    #[cfg(feature = "fetch")]
    pub(crate) http: HttpClient,
    #[cfg(feature = "fetch")]
    pub(crate) credentials: Arc<dyn CredentialSource>,
    #[cfg(feature = "keys")]
    pub(crate) handles: Arc<dyn HandleSource>,
    /// What is told before an answer passes here.
    pub(crate) told: Arc<dyn Examined>,
    /// Whether the local user may use what requires anything.
    pub(crate) trusts_stdio: bool,
}

impl Facilities {
    /// Whether the local user asks, and the server trusts them without a token: nothing is hidden
    /// from them.
    pub(crate) fn trusts(&self, exchange: &Exchange) -> bool {
        self.trusts_stdio && exchange.transport == Transport::Stdio
    }
}

impl Context {
    pub(crate) fn new(
        exchange: Arc<Exchange>,
        facilities: Arc<Facilities>,
        id: OperationId,
    ) -> Self {
        Self { exchange, facilities, id, input: None }
    }

    pub(crate) fn with_input(self, input: Input) -> Self {
        Self { input, ..self }
    }

    pub(crate) fn input(&self) -> &Input {
        &self.input
    }

    /// The principal who is calling; `None` over HTTP without authentication, and over stdio.
    #[must_use]
    pub fn maybe_caller(&self) -> MaybeCaller {
        MaybeCaller(self.authenticated())
    }

    /// The caller. Over stdio it is the local user, if the server trusts them. Otherwise, and over
    /// HTTP without a principal, it is `None`, and components that ask for a caller are hidden.
    pub(crate) fn caller(&self) -> Option<Caller> {
        match self.exchange.transport {
            Transport::Stdio => self.facilities.trusts(&self.exchange).then(Caller::local),
            // Only the local user is trusted without a token.
            _ => self.authenticated(),
        }
    }

    fn authenticated(&self) -> Option<Caller> {
        let principal = self.exchange.principal.clone()?;
        Some(Caller::of(principal, Arc::clone(&self.facilities.hierarchy)))
    }

    /// The transport of the messages.
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

    /// The name and version that the client claims: unverified, for display only.
    #[must_use]
    pub fn client(&self) -> Option<&ClientInfo> {
        self.exchange.client.as_deref()
    }

    /// Tells the client how far the call is: `done` of `total`, in whatever unit, and more each time.
    ///
    /// It never waits and never fails. A client that did not ask for it is told nothing, one that is slow
    /// to read is told the latest. Known secrets are removed. Outside of tools, resources and prompts (in
    /// a task that outlives the call, say) it does nothing.
    ///
    /// Source: MCP basic utilities §Progress.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    ///
    /// /// Reads three files.
    /// #[tool]
    /// async fn read_all(ctx: Context) -> &'static str {
    ///     let files = ["a", "b", "c"];
    ///     for (before, _file) in files.iter().enumerate() {
    ///         // … reads it
    ///         ctx.progress(before + 1, files.len());
    ///     }
    ///     "done"
    /// }
    /// ```
    pub fn progress(&self, done: impl ProgressAmount, total: impl ProgressAmount) {
        self.report_progress(Progress::new(done).total(total));
    }

    /// As [`progress`](Self::progress), with a message or without a total.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::component::Progress;
    /// use portcullis::prelude::*;
    ///
    /// /// Looks for a word.
    /// #[tool]
    /// async fn search(ctx: Context) -> &'static str {
    ///     ctx.report_progress(Progress::new(1).message("Looking in the archive"));
    ///     "found"
    /// }
    /// ```
    pub fn report_progress(&self, progress: Progress) {
        telling::progress(&self.exchange.outgoing, &*self.facilities.told, progress);
    }

    /// Writes to the log of the client, which its user may look at: a text, or any JSON.
    ///
    /// It is not the log of the server: for that there is `tracing`. It never waits and never fails. Only
    /// what the client asked for is sent: in a session from [`LogLevel::Info`] on, or from the level
    /// that it has set; in 2026-07-28 nothing, unless the request names a level. For a client that is slow
    /// to read, messages are dropped once 64 wait. Known secrets are removed.
    ///
    /// Source: MCP server utilities §Logging, which is deprecated since 2026-07-28.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::component::LogLevel;
    /// use portcullis::prelude::*;
    ///
    /// /// Imports rows.
    /// #[tool]
    /// async fn import(ctx: Context) -> &'static str {
    ///     ctx.log(LogLevel::Warning, "Row 7 has no date: it is skipped.");
    ///     "imported"
    /// }
    /// ```
    pub fn log(&self, level: LogLevel, data: impl Into<Value>) {
        telling::log(&self.exchange.outgoing, &*self.facilities.told, level, data.into());
    }

    /// Ends the connection on which the client waits for the answer, and lets it come back for that after
    /// so long: for calls that take minutes, where a proxy in between would end the connection.
    ///
    /// The function goes on meanwhile. It is dropped when its client does not come back within 30 seconds.
    /// Only a client in a session of 2025-11-25, over HTTP, knows to come back; for others nothing
    /// happens.
    ///
    /// Source: MCP 2025-11-25 Streamable HTTP §Sending Messages to the Server (SEP-1699).
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use portcullis::prelude::*;
    ///
    /// /// Builds a report, which takes its time.
    /// #[tool]
    /// async fn report(ctx: Context) -> &'static str {
    ///     ctx.send_client_away(Duration::from_secs(5));
    ///     // … builds it
    ///     "the report"
    /// }
    /// ```
    pub fn send_client_away(&self, comes_back: Duration) {
        self.exchange.outgoing.send_away(comes_back);
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
    /// 64 rules, and when the store or, with [`AuditFailure::Stop`](crate::audit::AuditFailure::Stop),
    /// the audit trail says no: it is recorded before it holds.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    /// use portcullis::visibility::tags;
    ///
    /// /// Unlock admin tools for this session.
    /// #[tool(auth = require_scopes(["admin"]))]
    /// async fn unlock_admin(ctx: Context) -> Result<&'static str, ToolError> {
    ///     ctx.enable_components(tags(["admin"])).await?;
    ///     Ok("Admin tools unlocked for this session")
    /// }
    /// ```
    pub fn enable_components(&self, selector: Selector) -> VisibilityChange<'_> {
        self.change_visibility(Change::Enable, selector)
    }

    /// Hides components, for this session or principal; see
    /// [`enable_components`](Self::enable_components).
    ///
    /// # Errors
    ///
    /// As [`enable_components`](Self::enable_components).
    pub fn disable_components(&self, selector: Selector) -> VisibilityChange<'_> {
        self.change_visibility(Change::Disable, selector)
    }

    /// Forgets what was enabled and disabled for this session or principal: what the server
    /// says holds again.
    ///
    /// # Errors
    ///
    /// As [`enable_components`](Self::enable_components).
    pub async fn reset_visibility(&self) -> Result<(), ToolError> {
        self.facilities.visibility.reset_own(self.within()).await
    }

    /// Shows and hides components for everybody, rather than for this session or principal.
    #[must_use]
    pub fn server_visibility(&self) -> Visibility {
        Visibility::new(Arc::clone(&self.facilities.visibility))
    }

    /// Tells those who have subscribed to the resource of this URI, and may read it now, that it was
    /// updated: see [`ResourceUpdates::notify`](crate::server::ResourceUpdates::notify).
    ///
    /// # Errors
    ///
    /// Internal, when there is neither a resource nor a template for the URI.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    ///
    /// #[resource("note://{id}")]
    /// async fn note(id: u32) -> String {
    ///     format!("note {id}")
    /// }
    ///
    /// /// Changes a note.
    /// #[tool(auth = require_scopes(["write"]))]
    /// async fn change_note(id: u32, ctx: Context) -> Result<&'static str, ToolError> {
    ///     ctx.notify_resource_updated(&format!("note://{id}"))?;
    ///     Ok("Changed.")
    /// }
    /// ```
    pub fn notify_resource_updated(&self, uri: &str) -> Result<(), ToolError> {
        let told = self.facilities.resource_updates.updated(uri);
        told.map_err(|error| ToolError::internal(error.to_string()))
    }

    /// The access token of the identity provider at which the caller signed in, to call the provider
    /// on their behalf: good for another minute at least, and recorded in the audit trail.
    ///
    /// It is never the token with which the caller called, which goes nowhere. Send it to the provider
    /// alone, and show it to nobody.
    ///
    /// # Errors
    ///
    /// The caller is told to sign in again without one: over stdio, behind a verifier of foreign
    /// tokens, and once the provider has ended the sign-in. They are told to try again when the provider
    /// or the store does not answer. The error is internal when the audit trail cannot be written, with
    /// [`AuditFailure::Stop`](crate::audit::AuditFailure::Stop).
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    ///
    /// /// How many repositories the caller can see.
    /// #[tool]
    /// async fn repositories(caller: Caller, ctx: Context) -> Result<String, ToolError> {
    ///     let token = ctx.upstream_token().await?;
    ///     // … a request to the provider, with `.bearer(token.token(), &api)`
    /// #   let _ = (caller, token);
    ///     Ok("7".to_owned())
    /// }
    /// ```
    pub async fn upstream_token(&self) -> Result<UpstreamToken, ToolError> {
        self.facilities.upstream_tokens.token(self.within()).await
    }

    /// An access token for `audience` with these scopes, on behalf of the caller, by the server's
    /// [`TokenExchange`](crate::ServerBuilder::token_exchange): recorded in the audit trail.
    ///
    /// It is good at that service alone. The caller's own token goes to the issuer that issued it, for
    /// the exchange, and nowhere else; no function is given it. Once the request is answered, nothing is
    /// exchanged for it.
    ///
    /// # Errors
    ///
    /// The caller is told to sign in again without a token of the issuer, over stdio too; that it is not
    /// allowed, where the authorization server refuses; to try again, while that does not answer. The
    /// error is internal for an audience that the exchange was not built with, when the answer must not be
    /// used, such as a token with a wider scope, and when the audit trail cannot be written, with
    /// [`AuditFailure::Stop`](crate::audit::AuditFailure::Stop).
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::guard::{FetchRequest, Url};
    /// use portcullis::prelude::*;
    ///
    /// /// Where the service is.
    /// struct Orders(Url);
    ///
    /// /// The caller's orders.
    /// #[tool]
    /// async fn orders(ctx: Context, api: State<Orders>) -> Result<String, ToolError> {
    ///     let token = ctx.exchange("https://orders.example.com", ["orders:read"]).await?;
    ///     let request = FetchRequest::get(&api.0).bearer(token.token(), &api.0);
    ///     let answer = ctx.http()?.send(request).await;
    ///     let answer = answer.map_err(|error| ToolError::internal(error.to_string()))?;
    ///     Ok(answer.text().map_err(|error| ToolError::internal(error.to_string()))?.to_owned())
    /// }
    /// ```
    #[cfg(feature = "jwt")]
    pub async fn exchange(
        &self,
        audience: &str,
        scopes: impl OneOrMany,
    ) -> Result<ExchangedToken, ToolError> {
        let scopes = Scopes::from_iter(scopes.into_many());
        self.facilities.exchanged_tokens.exchanged(self.within(), audience, scopes).await
    }

    /// The server's HTTP client for untrusted URLs, safe against SSRF and DNS rebinding: the one of
    /// [`ServerBuilder::http`](crate::ServerBuilder::http), or one that asks public hosts over https at
    /// port 443, follows no redirect, and takes 64 KiB and 10 s at most.
    ///
    /// # Errors
    ///
    /// Internal, when the default client cannot be made: the certificate authorities of the system
    /// cannot be read.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::prelude::*;
    /// use portcullis::guard::Url;
    ///
    /// /// Whether a page is there.
    /// #[tool]
    /// async fn is_there(url: String, ctx: Context) -> Result<String, ToolError> {
    ///     let url: Url = url.parse().map_err(|_| ToolError::new("That is not a URL."))?;
    ///     let page = ctx.http()?.get(&url).await;
    ///     let page = page.map_err(|error| ToolError::new(error.to_string()).with_cause(error))?;
    ///     Ok(format!("It answers with {}.", page.status))
    /// }
    /// ```
    #[cfg(feature = "fetch")]
    pub fn http(&self) -> Result<&Fetch, ToolError> {
        self.facilities.http.fetch()
    }

    /// `request` with the credential that the caller has at its origin, by the
    /// [`credentials`](crate::ServerBuilder::credentials) that the server has for that: recorded in the
    /// audit trail.
    ///
    /// The credential goes to that origin alone, over https: a redirect to another one is followed without
    /// it. The token with which the caller called is never sent.
    ///
    /// # Errors
    ///
    /// The caller is told that they have no credential for the service, where they have none: over stdio
    /// too. What [`Credentials`](crate::auth::Credentials) say themselves is passed on. The error is
    /// internal for an origin without credentials, for a credential that no header holds, and when the
    /// audit trail cannot be written, with [`AuditFailure::Stop`](crate::audit::AuditFailure::Stop).
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::guard::{FetchRequest, Url};
    /// use portcullis::prelude::*;
    ///
    /// /// Where the service is.
    /// struct Tickets(Url);
    ///
    /// /// Your tickets.
    /// #[tool]
    /// async fn tickets(ctx: Context, service: State<Tickets>) -> Result<String, ToolError> {
    ///     let request = ctx.with_credentials(FetchRequest::get(&service.0)).await?;
    ///     let answer = ctx.http()?.send(request).await.map_err(ToolError::internal)?;
    ///     Ok(answer.text().map_err(ToolError::internal)?.to_owned())
    /// }
    /// ```
    #[cfg(feature = "fetch")]
    pub async fn with_credentials(&self, request: FetchRequest) -> Result<FetchRequest, ToolError> {
        self.facilities.credentials.authenticated(self, request).await
    }

    /// A [`Handle`] for `value`: a text that the caller's client keeps and sends again as an argument, and
    /// that nobody else can use.
    ///
    /// It belongs to the caller's issuer, subject and client together. Without an access token it belongs to
    /// the session, and over stdio to this process.
    ///
    /// # Errors
    ///
    /// For a caller with neither session nor token, who cannot be told from others, the caller is told so:
    /// over stdio too with
    /// [`hide_protected_over_stdio`](crate::ServerBuilder::hide_protected_over_stdio). Internal for a value
    /// of more than 1,024 bytes of JSON, which models would have to repeat.
    #[cfg(feature = "keys")]
    pub fn handle<T: HandleValue>(&self, value: T) -> Result<Handle<T>, ToolError> {
        Handle::new(&*self.facilities.handles, &self.exchange, value)
    }

    /// What `read` reads of the arguments, in which the caller's handles are opened.
    #[cfg(feature = "keys")]
    pub(crate) fn reading<R>(&self, read: impl FnOnce() -> R) -> R {
        handle::within(&self.facilities.handles, &self.exchange, read)
    }

    #[cfg(not(feature = "keys"))]
    pub(crate) fn reading<R>(&self, read: impl FnOnce() -> R) -> R {
        read()
    }

    fn change_visibility(&self, change: Change, selector: Selector) -> VisibilityChange<'_> {
        VisibilityChange::new(&*self.facilities.visibility, self.within(), change, selector)
    }

    pub(crate) fn outgoing(&self) -> &Outgoing {
        &self.exchange.outgoing
    }

    /// What the session has subscribed to.
    pub(crate) fn subscriptions(&self) -> Option<&Arc<ResourceSubscriptions>> {
        self.exchange.subscriptions.as_ref()
    }

    pub(crate) fn within(&self) -> Within<'_> {
        Within { exchange: &self.exchange, id: self.id }
    }

    pub(crate) fn state<T: Any + Send + Sync>(&self) -> Option<State<T>> {
        self.facilities.states.share().map(State)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}
