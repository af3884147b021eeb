//! The layers around operations.
//!
//! The order is fixed, whatever the order of the calls: audit (outermost, so that it
//! sees every refusal), rate limits, the decision, your [`Middleware`] in the order in which it
//! was added, the arguments, the function. [`AuthMiddleware`] is no layer of its own: its check
//! is a rule at the front of the one decision.

mod auth;
mod layers;
pub(crate) mod rate_limit;
mod request;
mod response_limit;
mod timeout;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use self::auth::AuthMiddleware;
pub use self::layers::IntoMiddleware;
pub(crate) use self::layers::Layers;
pub use self::rate_limit::RateLimit;
pub(crate) use self::request::Spelling;
pub use self::request::{Listed, Operation, Request, Response};
pub use self::response_limit::ResponseLimit;
pub use self::timeout::Timeout;
use crate::component::selector::Selector;
use crate::component::tool_error::ToolError;

/// Something around every operation that was allowed.
///
/// It sees what its caller may see: a component that is hidden from the caller never gets here,
/// and of a list the entries that are shown. It may look, refuse with a [`ToolError`], change
/// arguments (which are validated after it) and answers, or answer by itself. A check that reads
/// arguments is asked after it. A panic in it is an internal error.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
/// use portcullis::middleware::{Middleware, Next, Operation, Request, Response};
///
/// /// Lets nobody call anything destructive at night.
/// #[derive(Debug)]
/// struct Curfew;
///
/// impl Middleware for Curfew {
///     async fn handle<'a>(&'a self, request: Request<'a>, next: Next<'a>) -> Result<Response<'a>, ToolError> {
///         let night = false;
///         if let Operation::CallTool { component, .. } = &request.operation
///             && night
///             && component.tags.iter().any(|tag| tag == "destructive")
///         {
///             return Err(ToolError::new("Come back in the morning."));
///         }
///         next.run(request).await
///     }
/// }
///
/// # #[tool] async fn ping() -> &'static str { "pong" }
/// # fn main() -> Result<(), portcullis::Error> {
/// Server::builder("shop").no_auth().components(components![ping]).middleware(Curfew).build()?;
/// # Ok(()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a middleware",
    label = "not a middleware",
    note = "a check becomes one with `AuthMiddleware::new(check)`"
)]
pub trait Middleware: fmt::Debug + Send + Sync + 'static {
    /// Handles `request`, most often by asking `next` for the answer.
    ///
    /// # Errors
    ///
    /// The error of the operation; see [`ToolError`].
    fn handle<'a>(
        &'a self,
        request: Request<'a>,
        next: Next<'a>,
    ) -> impl Future<Output = Result<Response<'a>, ToolError>> + Send + 'a;

    /// What is wrong with the middleware itself, if anything: the server then does not build.
    ///
    /// # Errors
    ///
    /// Says what is wrong and what would be right.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }

    /// The components that it is for, if it is not for all: the server does not build if it
    /// selects nothing.
    fn selector(&self) -> Option<&Selector> {
        None
    }

    /// How long it lets components run at most: the server does not build if
    /// [`Limits::handler_timeout`](crate::server::Limits::handler_timeout) is shorter, since it would never apply.
    fn time_limit(&self) -> Option<Duration> {
        None
    }
}

/// The result of a middleware, or of the end of the chain.
pub(crate) type Handled<'a> = BoxFuture<'a, Result<Response<'a>, ToolError>>;

/// A type-erased [`Middleware`], with its future boxed.
pub(crate) trait ErasedMiddleware: fmt::Debug + Send + Sync + 'static {
    fn handle<'a>(&'a self, request: Request<'a>, next: Next<'a>) -> Handled<'a>;
    fn validate(&self) -> Result<(), String>;
    fn selector(&self) -> Option<&Selector>;
    fn time_limit(&self) -> Option<Duration>;
}

impl<M: Middleware> ErasedMiddleware for M {
    fn handle<'a>(&'a self, request: Request<'a>, next: Next<'a>) -> Handled<'a> {
        Box::pin(Middleware::handle(self, request, next))
    }

    fn validate(&self) -> Result<(), String> {
        Middleware::validate(self)
    }

    fn selector(&self) -> Option<&Selector> {
        Middleware::selector(self)
    }

    fn time_limit(&self) -> Option<Duration> {
        Middleware::time_limit(self)
    }
}

/// The rest of the chain: further middleware, and then the component or the list.
pub struct Next<'a> {
    rest: &'a [Box<dyn ErasedMiddleware>],
    end: Box<dyn FnOnce(Request<'a>) -> Handled<'a> + Send + 'a>,
}

impl<'a> Next<'a> {
    pub(crate) fn new(
        rest: &'a [Box<dyn ErasedMiddleware>],
        end: impl FnOnce(Request<'a>) -> Handled<'a> + Send + 'a,
    ) -> Self {
        Self { rest, end: Box::new(end) }
    }

    /// Goes on with `request`.
    ///
    /// # Errors
    ///
    /// The error of the rest of the chain.
    pub async fn run(self, request: Request<'a>) -> Result<Response<'a>, ToolError> {
        match self.rest.split_first() {
            None => (self.end)(request).await,
            Some((first, rest)) => first.handle(request, Self { rest, end: self.end }).await,
        }
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Next({} further)", self.rest.len())
    }
}
