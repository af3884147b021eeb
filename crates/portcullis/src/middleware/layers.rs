//! What stands around operations, each in its place.

use std::sync::Arc;

use portcullis_auth::Check;
use portcullis_protocol::{Exchange, Limits};

use super::{
    AuthMiddleware, ErasedMiddleware, Handled, Listed, Middleware, Next, Operation, Request,
    Response,
};
use crate::catalogue::{Entry, Section};
use crate::component::ComponentKind;
use crate::component::context::Context;
use crate::component::selector::Selector;
use crate::component::tool_error::ToolError;
use crate::error::{Problem, ProblemKind};
use crate::middleware::rate_limit::{Limited, RateLimit, Requester, Sharing};

/// What `.middleware(…)` takes: an [`AuthMiddleware`], a [`RateLimit`], or a [`Middleware`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a middleware",
    label = "not a middleware",
    note = "a check becomes one with `AuthMiddleware::new(check)`"
)]
pub trait IntoMiddleware {
    #[doc(hidden)]
    fn into_layer(self) -> Layer;
}

/// The place of a middleware.
#[doc(hidden)]
#[derive(Debug)]
#[non_exhaustive]
pub enum Layer {
    Check(Arc<dyn Check>),
    Rate(Box<RateLimit>),
    Around(Around),
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Around(Box<dyn ErasedMiddleware>);

impl IntoMiddleware for AuthMiddleware {
    fn into_layer(self) -> Layer {
        Layer::Check(self.0)
    }
}

impl IntoMiddleware for RateLimit {
    fn into_layer(self) -> Layer {
        Layer::Rate(Box::new(self))
    }
}

impl<M: Middleware> IntoMiddleware for M {
    fn into_layer(self) -> Layer {
        Layer::Around(Around(Box::new(self)))
    }
}

/// The layers around operations, each in its place.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    rates: Vec<RateLimit>,
    around: Vec<Box<dyn ErasedMiddleware>>,
}

impl Layers {
    /// Adds a layer that is not a check; gives the check of one that is.
    pub(crate) fn add(&mut self, layer: Layer) -> Option<Arc<dyn Check>> {
        match layer {
            Layer::Check(check) => return Some(check),
            Layer::Rate(rate) => self.rates.push(*rate),
            Layer::Around(Around(middleware)) => self.around.push(middleware),
        }
        None
    }

    pub(crate) fn problems(&self, limits: &Limits) -> impl Iterator<Item = Problem> {
        let (around, handler) = (self.around.iter(), limits.handler_timeout);
        let around = around.filter_map(move |middleware| {
            let never = middleware.time_limit().filter(|time| *time > handler).map(|time| {
                let text = format!(
                    "the timeout {time:?} never fires: Limits::handler_timeout ends handlers after {handler:?}"
                );
                Problem::new(ProblemKind::IneffectiveTimeout, text)
            });
            let invalid = |text| Problem::new(ProblemKind::InvalidMiddleware, text);
            let problem = middleware.validate().err().map(invalid).or(never)?;
            Some(problem.within(format_args!("middleware {middleware:?}")))
        });
        self.rates.iter().filter_map(RateLimit::problem).chain(around)
    }

    /// The components that some middleware is limited to.
    pub(crate) fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.around.iter().filter_map(|middleware| middleware.selector())
    }

    pub(crate) fn middleware(&self) -> &[Box<dyn ErasedMiddleware>] {
        &self.around
    }

    /// Shares the limits with the replicas of the server.
    pub(crate) fn share(&self, sharing: &Sharing) {
        for (number, rate) in self.rates.iter().enumerate() {
            rate.share(sharing, &number.to_string());
        }
    }

    /// Counts a request to a custom route that has no limit of its own.
    #[cfg(feature = "http")]
    pub(crate) async fn check_requester(&self, requester: Requester) -> Result<(), Limited> {
        for rate in self.rates.iter().filter(|rate| !rate.is_per_component()) {
            rate.take(requester, None).await?;
        }
        Ok(())
    }

    /// Counts a request for its caller, and once it is decided that a component is there for
    /// the caller, for both.
    pub(crate) async fn check_rate(
        &self,
        exchange: &Exchange,
        entry: Option<&Entry>,
    ) -> Result<(), Limited> {
        let counting = |rate: &&RateLimit| rate.is_per_component() == entry.is_some();
        for rate in self.rates.iter().filter(counting) {
            rate.take(Requester::of(exchange), entry).await?;
        }
        Ok(())
    }

    /// Asks for a list, whose page is there already, through the middleware.
    pub(crate) async fn list<'a>(
        &'a self,
        context: Context,
        kind: ComponentKind,
        section: &'a Section,
        listed: Listed<'a>,
    ) -> Result<Listed<'a>, ToolError> {
        let request = Request { context, operation: Operation::List(kind) };
        let end = move |_: Request<'a>| -> Handled<'a> {
            Box::pin(async move { Ok(Response::List(listed)) })
        };
        match Next::new(&self.around, end).run(request).await? {
            Response::List(listed) if listed.is_of(section) => Ok(listed),
            _ => Err(ToolError::internal("middleware answered a list request with something else")),
        }
    }

    /// Uses a component through the middleware, and `end` after it.
    pub(crate) async fn call<'a>(
        &'a self,
        request: Request<'a>,
        end: impl FnOnce(Request<'a>) -> Handled<'a> + Send + 'a,
    ) -> Result<Response<'a>, ToolError> {
        Next::new(&self.around, end).run(request).await
    }
}
