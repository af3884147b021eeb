//! What tools, resources and prompts have in common before they are compiled.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use portcullis_auth::{Check, IntoCheck};

use crate::component::annotations::Annotations;
use crate::component::argument::Argument;
use crate::component::completion::Completer;
use crate::component::hint::Hints;
use crate::component::icon::Icon;
use crate::component::kind::{ComponentKind, Deny};
use crate::component::parameter::{Call, Parameter, Parameters};
use crate::component::result::PromptResult;
use crate::component::result::ResourceResult;
use crate::component::result::ToolResult;
use crate::component::task_support::TaskSupport;
use crate::component::tool_error::ToolError;
use crate::component::validation::Validation;

/// A declared tool, resource, resource template or prompt, ready to be served.
pub struct Component {
    pub(crate) kind: ComponentKind,
    /// The name of a tool or prompt; the URI or template of a resource.
    pub(crate) key: String,
    pub(crate) about: About,
    pub(crate) checks: Vec<Arc<dyn Check>>,
    pub(crate) deny: Option<Deny>,
    pub(crate) parameters: Parameters,
    pub(crate) validations: Vec<Validation>,
    /// By the name of the argument.
    pub(crate) completers: Vec<(String, Completer)>,
    pub(crate) handler: Handler,
}

/// The description that the four kinds of components have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) name: Option<String>,
    pub(crate) mime_type: Option<String>,
    pub(crate) hints: Hints,
    pub(crate) annotations: Option<Annotations>,
    pub(crate) size: Option<u64>,
    pub(crate) icons: Vec<Icon>,
    /// By their keys, which are compared when the server is built.
    pub(crate) meta: Vec<(String, serde_json::Value)>,
    pub(crate) output_schema: Option<serde_json::Map<String, serde_json::Value>>,
    /// Whether its calls go on as tasks.
    pub(crate) task: Option<TaskSupport>,
}

/// A component before its handler is known: what the three builders have in common.
#[derive(Debug)]
pub(crate) struct Declaration {
    key: String,
    pub(crate) about: About,
    checks: Vec<Arc<dyn Check>>,
    deny: Option<Deny>,
    parameters: Parameters,
    validations: Vec<Validation>,
    completers: Vec<(String, Completer)>,
}

impl Declaration {
    pub(crate) fn new(key: String) -> Self {
        Self {
            key,
            about: About::default(),
            checks: Vec::new(),
            deny: None,
            parameters: Parameters::new(),
            validations: Vec::new(),
            completers: Vec::new(),
        }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn check<M>(&mut self, check: impl IntoCheck<M>) {
        self.checks.push(check.into_check());
    }

    pub(crate) fn deny(&mut self, deny: Deny) {
        self.deny = Some(deny);
    }

    pub(crate) fn parameter<P: Parameter>(&mut self, argument: Argument) {
        self.parameters.add::<P>(argument);
    }

    pub(crate) fn validate(&mut self, validation: Validation) {
        self.validations.push(validation);
    }

    pub(crate) fn complete(&mut self, argument: String, completer: Completer) {
        self.completers.push((argument, completer));
    }

    pub(crate) fn takes_only_parameters(&mut self) {
        self.parameters.sees_call = false;
    }

    pub(crate) fn input_schema(&mut self, schema: serde_json::Value) {
        self.parameters.written(schema);
    }

    pub(crate) fn answered_by(self, kind: ComponentKind, handler: Handler) -> Component {
        let Self { key, about, checks, deny, parameters, validations, completers } = self;
        Component { kind, key, about, checks, deny, parameters, validations, completers, handler }
    }
}

/// The options that every builder has. Each wraps a [`Declaration`].
macro_rules! common_options {
    ($builder:ident) => {
        impl $builder {
            /// Says what it is for: models and people read it.
            pub fn description(mut self, text: impl Into<String>) -> Self {
                self.0.about.description = Some(text.into());
                self
            }

            /// A name for people. Clients are told since 2025-06-18, and of a tool since
            /// 2025-03-26.
            pub fn title(mut self, title: impl Into<String>) -> Self {
                self.0.about.title = Some(title.into());
                self
            }

            /// Adds a tag. Tags group components for the operator; clients do not see them.
            pub fn tag(mut self, tag: impl Into<String>) -> Self {
                self.0.about.tags.push(tag.into());
                self
            }

            /// Adds an icon. Clients are told since 2025-11-25.
            pub fn icon(mut self, icon: impl Into<crate::component::Icon>) -> Self {
                self.0.about.icons.push(icon.into());
                self
            }

            /// Adds to its `_meta`, which lists show to everybody who sees the component, since
            /// 2025-06-18. Nothing of this crate reads it.
            ///
            /// A key has a prefix of your own, or none: `com.example/team`. A server does not build
            /// with one of the protocol's own, such as `io.modelcontextprotocol/…`, or with more
            /// than 16 KiB of JSON.
            pub fn meta(
                mut self,
                key: impl Into<String>,
                value: impl Into<serde_json::Value>,
            ) -> Self {
                self.0.about.meta.push((key.into(), value.into()));
                self
            }

            /// Adds a check. All checks of a component have to allow.
            pub fn auth<M>(mut self, check: impl portcullis_auth::IntoCheck<M>) -> Self {
                self.0.check(check);
                self
            }

            /// Sets what the server tells a caller who may not use it. Default: what the server
            /// says for its tags, or for all.
            pub fn deny(mut self, deny: crate::component::Deny) -> Self {
                self.0.deny(deny);
                self
            }

            /// Adds a parameter: an argument, or something that the server gives, for which
            /// only the name in `argument` counts.
            pub fn parameter<P: crate::component::Parameter>(
                mut self,
                argument: crate::component::Argument,
            ) -> Self {
                self.0.parameter::<P>(argument);
                self
            }

            /// Adds a function that judges what no schema can say, such as a rule between arguments:
            /// those that are members of `T`. It runs when they meet the schema and the caller may
            /// use the component, before the handler and within its time. All such functions have
            /// to pass.
            ///
            /// The text of a [`ToolError::new`](crate::ToolError::new) that it returns is what
            /// the caller is told, as of an argument that the schema refuses: name the argument,
            /// and never the value. Other errors, and a panic, are internal ones.
            ///
            /// It is a plain function: nothing else runs on its thread meanwhile, and nothing
            /// interrupts it. That it took longer than the handler may is found once it returns. So
            /// its work has to be bounded by its arguments (`max_length`, `max_items`), and what
            /// waits or asks others belongs in the handler.
            ///
            /// # Example
            ///
            /// ```
            /// use portcullis::component::{Argument, Call};
            /// use portcullis::{Tool, ToolError};
            ///
            /// #[derive(serde::Deserialize)]
            /// struct Range {
            ///     from: u32,
            ///     to: u32,
            /// }
            ///
            /// fn in_order(range: &Range) -> Result<(), ToolError> {
            ///     match range.from <= range.to {
            ///         true => Ok(()),
            ///         false => Err(ToolError::new("argument `from`: must not be above `to`")),
            ///     }
            /// }
            ///
            /// let pages = Tool::new("pages")
            ///     .parameter::<u32>(Argument::new("from").ge(1))
            ///     .parameter::<u32>(Argument::new("to"))
            ///     .validate(in_order)
            ///     .handler(|mut call: Call| async move {
            ///         let (from, to): (u32, u32) = (call.take("from")?, call.take("to")?);
            ///         Ok::<_, ToolError>(format!("{} pages", to - from))
            ///     });
            /// ```
            pub fn validate<T: serde::de::DeserializeOwned>(
                mut self,
                function: impl Fn(&T) -> Result<(), crate::ToolError> + Send + Sync + 'static,
            ) -> Self {
                self.0.validate(crate::component::validation::Validation::new(function));
                self
            }

            /// Says that the handler takes its parameters out of the call, and nothing else: the
            /// attributes do.
            #[doc(hidden)]
            pub fn takes_only_parameters(mut self) -> Self {
                self.0.takes_only_parameters();
                self
            }
        }
    };
}
pub(crate) use common_options;

/// A type-erased handler, one variant for each kind of component.
pub(crate) enum Handler {
    Tool(Erased<ToolResult>),
    Resource(Erased<ResourceResult>),
    Prompt(Erased<PromptResult>),
}

pub(crate) type Erased<R> =
    Box<dyn Fn(Call) -> BoxFuture<'static, Result<R, ToolError>> + Send + Sync>;

/// Type-erases a handler.
pub(crate) fn erase<F, Fut, R>(
    handler: F,
    convert: fn(Fut::Output) -> Result<R, ToolError>,
) -> Erased<R>
where
    F: Fn(Call) -> Fut + Send + Sync + 'static,
    Fut: Future + Send + 'static,
    R: 'static,
    Fut::Output: 'static,
{
    Box::new(move |call| {
        let answer = handler(call);
        Box::pin(async move { convert(answer.await) })
    })
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Component({} {})", self.kind, self.key)
    }
}

/// Something that declares a component: what the attributes make of a function's name, and
/// a [`Component`] itself. The struct of that name implements it, the function does not.
///
/// ```
/// # use portcullis::prelude::*;
/// #[tool]
/// async fn ping() -> &'static str {
///     "pong"
/// }
///
/// let builder = Server::builder("example").no_auth().component(ping {});
/// ```
///
/// ```compile_fail,E0277
/// # use portcullis::prelude::*;
/// # #[tool]
/// # async fn ping() -> &'static str {
/// #     "pong"
/// # }
/// let builder = Server::builder("example").no_auth().component(ping);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a component",
    note = "a function with #[tool], #[resource(\"…\")] or #[prompt] becomes a struct of the same name: write `components![name]`, or `.component(name {{}})`",
    note = "a function without one of these attributes is not a component"
)]
pub trait Declare {
    /// Declares it.
    fn declare(self) -> Component;
}

impl Declare for Component {
    fn declare(self) -> Component {
        self
    }
}

/// Components in the order in which lists show them.
///
/// The same ones can be served by several entry points: with authentication over HTTP, and
/// without over stdio.
#[derive(Debug, Default)]
pub struct Components(pub(crate) Vec<Component>);

impl Components {
    /// No components yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    #[must_use]
    pub fn with(mut self, component: impl Declare) -> Self {
        self.0.push(component.declare());
        self
    }

    /// Adds those of `other`, after its own.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
